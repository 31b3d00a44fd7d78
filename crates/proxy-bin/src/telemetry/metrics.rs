//! Counters and durations, in the text format that Prometheus reads.
//! A route's counters are found once, when it is prepared: counting a request takes no lock.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallName {
    call: &'static str,
}

/// All metrics of a process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RouteLabels, Counter>,
    refusals: Family<ReasonLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<CallName, Histogram, fn() -> Histogram>,
    reloads: Family<OutcomeLabels, Counter>,
    connections: Gauge,
    in_flight: Gauge,
}

const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

fn call_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

impl Metrics {
    /// Metrics that start at zero.
    #[must_use]
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("oidc_proxy");
        let requests = Family::default();
        registry.register(
            "requests",
            "Requests by route and class of status",
            Family::clone(&requests),
        );
        let refusals = Family::default();
        registry.register(
            "refusals",
            "Requests that the gateway answered itself, by reason code",
            Family::clone(&refusals),
        );
        let calls = Family::default();
        registry.register(
            "idp_calls",
            "Calls to identity providers: discovery, jwks, token",
            Family::clone(&calls),
        );
        let call_seconds = Family::new_with_constructor(call_histogram as fn() -> Histogram);
        registry.register(
            "idp_call_seconds",
            "How long calls to identity providers took",
            Family::clone(&call_seconds),
        );
        let reloads = Family::default();
        registry.register(
            "reloads",
            "Reloads of the configuration, by outcome",
            Family::clone(&reloads),
        );
        let connections = Gauge::default();
        registry.register(
            "connections",
            "Open client connections",
            Gauge::clone(&connections),
        );
        let in_flight = Gauge::default();
        registry.register(
            "requests_in_flight",
            "Requests whose answer has not begun",
            Gauge::clone(&in_flight),
        );
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set((oidc_broker::system_clock())().as_millis() as f64 / 1000.0);
        registry.register(
            "start_time_seconds",
            "When the process started, as Unix time",
            started,
        );
        Self {
            registry,
            requests,
            refusals,
            calls,
            call_seconds,
            reloads,
            connections,
            in_flight,
        }
    }

    /// The counters of one route.
    #[must_use]
    pub(crate) fn route(&self, route: &str) -> RouteMetrics {
        let counter = |status| {
            let labels = RouteLabels {
                route: route.to_owned(),
                status,
            };
            self.requests.get_or_create(&labels).clone()
        };
        RouteMetrics {
            by_class: CLASSES.map(counter),
        }
    }

    /// Counts a request that the gateway answered itself.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a reload.
    pub(crate) fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// The open client connections.
    #[must_use]
    pub(crate) const fn connections(&self) -> &Gauge {
        &self.connections
    }

    /// The requests whose answer has not begun.
    #[must_use]
    pub(crate) const fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }

    /// All of it as text (OpenMetrics 1.0).
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The counters of one route.
#[derive(Clone, Debug)]
pub(crate) struct RouteMetrics {
    by_class: [Counter; 6],
}

impl RouteMetrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        self.by_class[if class < CLASSES.len() { class } else { 0 }].inc();
    }
}

/// Counts and times the calls to identity providers.
#[derive(Debug)]
pub(crate) struct IdpObserver(pub Arc<Metrics>);

impl oidc_broker::Observer for IdpObserver {
    fn called(&self, call: &'static str, took: Duration, status: Option<u16>) {
        let outcome = match status {
            Some(status) => CLASSES
                .get(usize::from(status / 100))
                .copied()
                .unwrap_or("other"),
            None => "no_answer",
        };
        self.0
            .calls
            .get_or_create(&CallLabels { call, outcome })
            .inc();
        self.0
            .call_seconds
            .get_or_create(&CallName { call })
            .observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.route("a \"b\"").answered(http::StatusCode::OK);
        metrics.refused("credential.missing");
        let text = metrics.text();
        assert!(
            text.contains(r#"oidc_proxy_requests_total{route="a \"b\"",status="2xx"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"oidc_proxy_refusals_total{reason="credential.missing"} 1"#));
    }
}
