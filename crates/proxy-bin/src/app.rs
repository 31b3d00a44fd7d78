//! A configuration, prepared: everything that a request needs and that can be known before it comes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};
use oidc_core::Denial;
use oidc_core::authorize::{Acl, Identity};

use crate::authenticate::{
    BrokerSettings, Brokers, BrokersError, Caller, IDENTITY_HEADERS, Plugin, PluginError,
    ProofMemory, Recall, write_identity,
};
use crate::config::{Gateway, OidcPlugin, RoutePath, Service, Settings};
use crate::forward::{ClientTls, Managed, Upstream, UpstreamError};
use crate::keys::OwnKeys;
use crate::respond::REQUEST_ID;
use crate::routes::{Asked, Matched, Matcher, lax_readings};
use crate::telemetry::{Metrics, RouteMetrics};

/// A configuration as it runs. It never changes: a reload makes another.
#[derive(Debug)]
pub(crate) struct App {
    settings: Settings,
    services: usize,
    matcher: Matcher,
    routes: Vec<PreparedRoute>,
    brokers: Brokers,
    keys: Arc<OwnKeys>,
    proofs: Arc<ProofMemory>,
    upstreams: HashMap<Arc<Service>, Arc<Upstream>>,
    recall: Recall,
}

/// A route as it runs.
#[derive(Debug)]
pub(crate) struct PreparedRoute {
    /// Its name.
    pub(crate) name: String,
    /// The plugin `openid-connect` that is in force.
    pub(crate) plugin: Option<Arc<Plugin>>,
    /// The plugin `acl` that is in force.
    pub(crate) acl: Option<Arc<Acl>>,
    /// The name of its service.
    pub(crate) service: String,
    /// Where its requests go.
    pub(crate) upstream: Arc<Upstream>,
    /// Whether the matched prefix is removed.
    pub(crate) strip_path: bool,
    /// Whether the client's `Host` goes upstream.
    pub(crate) preserve_host: bool,
    /// The headers that a client may not send to this route's upstream.
    pub(crate) managed: Managed,
    /// Those that only a trusted peer may send.
    pub(crate) from_trusted_peers: Managed,
    /// Both: nobody may send them after a body.
    pub(crate) never_trailers: Managed,
    /// Its counters.
    pub(crate) metrics: RouteMetrics,
    /// Its paths, for those who read about it.
    pub(crate) paths: Vec<String>,
}

impl PreparedRoute {
    /// Holds whoever a request is from to the list of groups, if there is one.
    ///
    /// # Errors
    /// If the groups are not let through.
    pub(crate) fn admit(&self, identity: Option<&Identity>) -> Result<(), Denial> {
        self.acl.as_ref().map_or(Ok(()), |acl| acl.admit(identity))
    }

    /// Writes what its upstream is to be told of whom a request is from, after whatever a client
    /// sent of it was removed.
    pub(crate) fn tell(&self, caller: &Caller, headers: &mut HeaderMap) {
        let identity = caller.identity();
        if let Some(identity) = identity {
            write_identity(identity, self.acl.as_deref(), headers);
        }
        if let (Some(plugin), Some(granted)) = (&self.plugin, caller.granted()) {
            plugin.write_upstream(granted, identity, &self.service, headers);
        }
    }
}

/// A configuration that cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A route's plugin cannot be prepared.
    #[error("the plugin of route {route}: {source}")]
    Plugin {
        /// The route.
        route: String,
        /// Why.
        source: PluginError,
    },
    /// A route's provider cannot be talked to.
    #[error("the plugin of route {route}: {source}")]
    Brokers {
        /// The route.
        route: String,
        /// Why.
        source: BrokersError,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness(#[from] getrandom::Error),
    /// A service cannot be forwarded to.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl App {
    /// Prepares a configuration; what did not change since the one before is taken over, caches,
    /// keys and connections with it.
    ///
    /// # Errors
    /// If keys, TLS settings or names cannot be used.
    pub(crate) fn prepare(
        gateway: Gateway,
        metrics: &Arc<Metrics>,
        before: Option<&Self>,
    ) -> Result<Self, PrepareError> {
        let keys = match before {
            Some(app)
                if app.keys.directory() == gateway.settings.state_dir
                    && app.keys.overlap() == gateway.settings.keys_overlap =>
            {
                Arc::clone(&app.keys)
            }
            _ => Arc::new(OwnKeys::in_directory(
                &gateway.settings.state_dir,
                gateway.settings.keys_overlap,
            )),
        };
        let proofs = match before {
            Some(app) => Arc::clone(&app.proofs),
            None => Arc::new(ProofMemory::new()?),
        };
        let mut making = Making {
            settings: &gateway.settings,
            metrics,
            keys: &keys,
            proofs: &proofs,
            brokers: Brokers::after(before.map(|app| &app.brokers), &gateway.settings),
            used: HashSet::new(),
            plugins: HashMap::new(),
            tls: ClientTls::default(),
            upstreams: before.map_or_else(HashMap::new, |app| app.upstreams.clone()),
        };
        let mut routes = Vec::with_capacity(gateway.routes.len());
        for route in &gateway.routes {
            let plugin = match &route.plugin {
                Some(config) => Some(making.plugin(&route.name, config)?),
                None => None,
            };
            routes.push(PreparedRoute {
                name: route.name.clone(),
                plugin,
                acl: route.acl.clone(),
                service: route.service.name.clone(),
                upstream: making.upstream(&route.service)?,
                strip_path: route.strip_path,
                preserve_host: route.preserve_host,
                managed: Managed::default(),
                from_trusted_peers: Managed::default(),
                never_trailers: Managed::default(),
                metrics: metrics.route(&route.name),
                paths: route.paths.iter().map(shown).collect(),
            });
        }
        protect(&mut routes);
        let Making {
            mut brokers,
            used,
            mut upstreams,
            ..
        } = making;
        brokers.retain(&used);
        let services: HashSet<_> = gateway.routes.iter().map(|route| &route.service).collect();
        upstreams.retain(|service, _| services.contains(service));
        Ok(Self {
            matcher: Matcher::new(&gateway.routes),
            services: gateway.services,
            settings: gateway.settings,
            routes,
            brokers,
            keys,
            proofs,
            upstreams,
            recall: Recall::new(),
        })
    }

    /// The program's own settings.
    #[must_use]
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many services there are.
    #[must_use]
    pub(crate) const fn services(&self) -> usize {
        self.services
    }

    /// The routes.
    #[must_use]
    pub(crate) fn routes(&self) -> &[PreparedRoute] {
        &self.routes
    }

    /// Lets go of connections to upstreams and of answers that are of no use any more.
    pub(crate) fn sweep(&self) {
        for upstream in self.upstreams.values() {
            upstream.sweep();
        }
        self.recall.sweep(oidc_broker::system_clock()());
    }

    /// What came of credentials, ready to be given again.
    #[must_use]
    pub(crate) const fn recall(&self) -> &Recall {
        &self.recall
    }

    /// The gateway's own keys.
    #[must_use]
    pub(crate) const fn keys(&self) -> &Arc<OwnKeys> {
        &self.keys
    }

    /// The route that takes a request; a target that a laxer reader would route elsewhere, or
    /// nowhere, has none.
    ///
    /// # Errors
    /// If there is no route, or more than one reading.
    pub(crate) fn route(&self, asked: &Asked<'_>) -> Result<(&PreparedRoute, Matched), Unrouted> {
        let found = self.matcher.find(asked);
        for reading in lax_readings(asked.path) {
            let elsewhere = self.matcher.find(&Asked {
                path: &reading,
                ..*asked
            });
            if elsewhere.map(|matched| matched.route) != found.map(|matched| matched.route) {
                return Err(Unrouted::Ambiguous);
            }
        }
        found
            .and_then(|matched| Some((self.routes.get(matched.route)?, matched)))
            .ok_or(Unrouted::NoRoute)
    }
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unrouted {
    /// None fits.
    NoRoute,
    /// Another one fits for a reader that decodes the target differently.
    Ambiguous,
}

/// What is made while a configuration is prepared.
struct Making<'a> {
    settings: &'a Settings,
    metrics: &'a Arc<Metrics>,
    keys: &'a OwnKeys,
    proofs: &'a Arc<ProofMemory>,
    brokers: Brokers,
    used: HashSet<BrokerSettings>,
    plugins: HashMap<*const OidcPlugin, Arc<Plugin>>,
    tls: ClientTls,
    upstreams: HashMap<Arc<Service>, Arc<Upstream>>,
}

impl Making<'_> {
    /// Routes of one service or of the whole file share a plugin, and so does what is made of it.
    fn plugin(
        &mut self,
        route: &str,
        config: &Arc<OidcPlugin>,
    ) -> Result<Arc<Plugin>, PrepareError> {
        if let Some(plugin) = self.plugins.get(&Arc::as_ptr(config)) {
            return Ok(Arc::clone(plugin));
        }
        let settings = BrokerSettings::of(config, self.settings);
        let broker = self
            .brokers
            .get(&settings, &mut self.tls, self.metrics)
            .map_err(|source| PrepareError::Brokers {
                route: route.to_owned(),
                source,
            })?;
        self.used.insert(settings);
        let plugin = Plugin::prepare(config, broker, self.keys, Arc::clone(self.proofs)).map_err(
            |source| PrepareError::Plugin {
                route: route.to_owned(),
                source,
            },
        )?;
        let plugin = Arc::new(plugin);
        self.plugins
            .insert(Arc::as_ptr(config), Arc::clone(&plugin));
        Ok(plugin)
    }

    fn upstream(&mut self, service: &Arc<Service>) -> Result<Arc<Upstream>, PrepareError> {
        if let Some(upstream) = self.upstreams.get(service) {
            return Ok(Arc::clone(upstream));
        }
        let upstream = Arc::new(Upstream::new(service, &mut self.tls)?);
        self.upstreams
            .insert(Arc::clone(service), Arc::clone(&upstream));
        Ok(upstream)
    }
}

/// What any plugin writes may reach no upstream from a client, on whichever route: two routes may
/// lead to one upstream. `Authorization` alone is left to upstreams on routes without a plugin,
/// whose own it may be.
fn protect(routes: &mut [PreparedRoute]) {
    let plugins: HashMap<_, _> = routes
        .iter()
        .filter_map(|route| route.plugin.as_ref())
        .map(|plugin| (Arc::as_ptr(plugin), Arc::clone(plugin)))
        .collect();
    let everywhere: HashSet<HeaderName> = plugins
        .values()
        .flat_map(|plugin| plugin.written_upstream())
        .filter(|name| **name != header::AUTHORIZATION)
        .cloned()
        .chain(IDENTITY_HEADERS)
        .chain([REQUEST_ID])
        .collect();
    let handed_on: HashSet<HeaderName> = plugins
        .values()
        .filter_map(|plugin| plugin.possession().certificate_header())
        .cloned()
        .collect();
    let from_trusted_peers = Managed::new(handed_on.iter().cloned());
    // Few routes have names that no other has: what is the same is there once.
    let mut shared: HashMap<Vec<HeaderName>, (Managed, Managed)> = HashMap::new();
    for route in routes {
        let own = route
            .plugin
            .iter()
            .flat_map(|plugin| plugin.written_upstream().cloned().chain(plugin.kept()));
        let mut own: Vec<_> = own.filter(|name| !everywhere.contains(name)).collect();
        own.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        own.dedup();
        let (managed, never) = shared.entry(own).or_insert_with_key(|own| {
            let managed = everywhere.iter().chain(own).cloned();
            let never = managed.clone().chain(handed_on.iter().cloned());
            (Managed::new(managed.clone()), Managed::new(never))
        });
        route.from_trusted_peers = from_trusted_peers.clone();
        route.managed = managed.clone();
        route.never_trailers = never.clone();
    }
}

fn shown(path: &RoutePath) -> String {
    match path {
        RoutePath::Prefix(prefix) => prefix.clone(),
        RoutePath::Regex(regex) => format!("~{}", regex.as_str()),
    }
}
