//! The brokers of a configuration: one for each way of talking to providers, all with one memory.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jwks_cache::Policy;
use oidc_broker::{Broker, BuildError, HttpTransport, MemorySize, Transport};

use crate::config::{Certificate, OidcPlugin, Settings};
use crate::forward::{ClientTls, TlsSettings, TlsSettingsError};
use crate::telemetry::{IdpObserver, Metrics};

/// What sets brokers apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BrokerSettings {
    verify: bool,
    timeout: Duration,
    cooldown: Duration,
    discovery_headers: Vec<(HeaderName, HeaderValue)>,
    certificate: Option<Arc<Certificate>>,
    trusted: Vec<PathBuf>,
    max_stale: Duration,
    max_keys: usize,
    max_bytes: usize,
}

impl BrokerSettings {
    /// What a plugin asks for.
    #[must_use]
    pub(crate) fn of(plugin: &OidcPlugin, settings: &Settings) -> Self {
        Self {
            // Where the gateway shows a certificate of its own, Kong has a setting of its own.
            verify: plugin.ssl_verify
                && (plugin.certificate.is_none() || plugin.certificate_ssl_verify),
            timeout: plugin.timeout,
            cooldown: plugin.rediscovery_lifetime,
            discovery_headers: plugin.discovery_headers.clone(),
            certificate: plugin.certificate.clone(),
            trusted: settings.trusted_certificates.clone(),
            max_stale: settings.jwks_max_stale,
            max_keys: settings.jwks_max_keys,
            max_bytes: settings.jwks_max_bytes,
        }
    }
}

impl BrokerSettings {
    /// The TLS towards providers.
    ///
    /// # Errors
    /// If certificates cannot be used.
    pub(crate) fn tls(
        &self,
        tls: &mut ClientTls,
    ) -> Result<rustls::ClientConfig, TlsSettingsError> {
        tls.of(TlsSettings {
            verify: self.verify,
            authorities: Vec::new(),
            further: self.trusted.clone(),
            identity: self.certificate.clone(),
        })
    }
}

/// Brokers that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokersError {
    /// The TLS settings towards providers cannot be used.
    #[error("TLS towards the identity provider: {0}")]
    Tls(#[from] TlsSettingsError),
    /// A broker cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// All brokers, by their settings.
///
/// They share one memory, and pass it on to the brokers of the next configuration: two that were
/// given the same refresh token would otherwise both send it. Those that do not check the
/// provider's certificate have a memory of their own: what somebody in between could have answered
/// must not be served where certificates are checked.
#[derive(Clone, Default)]
pub(crate) struct Brokers {
    /// One for each of the two memories, by whether certificates are checked; kept for its memory,
    /// whether or not a plugin uses it.
    first: [Option<Broker>; 2],
    /// Of each memory that is made; one that is taken over keeps the size that it has.
    size: MemorySize,
    by_settings: HashMap<BrokerSettings, Broker>,
}

impl Brokers {
    /// No brokers yet, with the memory and the documents of those before.
    #[must_use]
    pub(crate) fn after(before: Option<&Self>, settings: &Settings) -> Self {
        let size = MemorySize {
            entries: settings.limits.cached_tokens,
        };
        Self {
            size,
            ..before.cloned().unwrap_or_default()
        }
    }

    /// The broker for these settings.
    ///
    /// # Errors
    /// If one is needed and cannot be made.
    pub(crate) fn get(
        &mut self,
        settings: &BrokerSettings,
        tls: &mut ClientTls,
        metrics: &Arc<Metrics>,
    ) -> Result<Broker, BrokersError> {
        if let Some(broker) = self.by_settings.get(settings) {
            return Ok(broker.clone());
        }
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::with_tls(settings.tls(tls)?));
        let mut documents = Policy::default();
        documents.cooldown = settings.cooldown;
        documents.max_stale = settings.max_stale;
        documents.limits.max_keys = settings.max_keys;
        documents.limits.max_bytes = settings.max_bytes;
        let mut builder = Broker::builder(transport)
            .observer(Arc::new(IdpObserver(Arc::clone(metrics))))
            .documents(documents)
            .discovery_headers(settings.discovery_headers.clone())
            .timeout(settings.timeout);
        let first = &mut self.first[usize::from(settings.verify)];
        builder = match first {
            Some(first) => builder.share_memory_with(first),
            None => builder.memory(self.size),
        };
        let broker = builder.build()?;
        first.get_or_insert_with(|| broker.clone());
        self.by_settings.insert(settings.clone(), broker.clone());
        Ok(broker)
    }

    /// Forgets the brokers that no plugin uses any more; the memory stays.
    pub(crate) fn retain(&mut self, used: &HashSet<BrokerSettings>) {
        self.by_settings.retain(|have, _| used.contains(have));
    }
}

impl std::fmt::Debug for Brokers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Brokers({})", self.by_settings.len())
    }
}
