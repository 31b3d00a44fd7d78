//! A gateway that runs: its listeners, its admin listener, and their orderly end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::admin::Admin;
use crate::app::{App, PrepareError};
use crate::config::Gateway;
use crate::listen::{ListenError, Listeners};
use crate::shared::{ReloadError, Shared, Stage};
use crate::telemetry::Metrics;

/// A running gateway; what the binary serves, and what tests start in their own process.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Listeners,
    admin: SocketAddr,
    admin_task: AbortHandle,
    sweeping: AbortHandle,
}

/// A gateway that cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot run.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin listener cannot be opened.
    #[error("cannot listen on {address}: {source}; set another address in gateway.admin_listen")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A reload failed; what was in force stays in force.
    #[error(transparent)]
    Reload(#[from] ReloadError),
}

impl Server {
    /// Starts a gateway. When this returns, it takes requests.
    ///
    /// `file` is where the configuration was read from, and is read again by a reload.
    ///
    /// # Errors
    /// If keys, TLS settings or addresses cannot be used.
    pub async fn start(gateway: Gateway, file: Option<PathBuf>) -> Result<Self, ServerError> {
        let metrics = Arc::new(Metrics::new());
        let app = App::prepare(gateway, &metrics, None)?;
        let shared = Shared::new(app, metrics, file);
        let settings = shared.app().settings().clone();
        // The admin listener goes first: a provider may ask for the keys with the first request.
        let address = settings.admin_listen;
        let admin = Admin::bind(address)
            .await
            .map_err(|source| ServerError::Admin { address, source })?;
        let admin_address = admin.address();
        tracing::info!(address = %admin_address, "admin on http://{admin_address}");
        let admin_task = tokio::spawn(admin.serve(Arc::clone(&shared))).abort_handle();
        let mut listeners = Listeners::new(Arc::clone(&shared));
        if let Err(error) = listeners.apply(&settings).await {
            admin_task.abort();
            return Err(error.into());
        }
        let sweeping = tokio::spawn(sweep(Arc::clone(&shared))).abort_handle();
        shared.enter(Stage::Serving);
        Ok(Self {
            shared,
            listeners,
            admin: admin_address,
            admin_task,
            sweeping,
        })
    }

    /// Where requests are taken.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// Where health, metrics and keys are.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Whether it takes requests.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.shared.stage()
    }

    /// Reads the configuration's file again.
    ///
    /// # Errors
    /// If it has problems or cannot run; what was in force stays in force.
    pub async fn reload(&mut self) -> Result<(), ServerError> {
        let outcome = self.try_reload().await;
        let word = if outcome.is_ok() {
            "applied"
        } else {
            "refused"
        };
        self.shared.metrics().reloaded(word);
        outcome
    }

    async fn try_reload(&mut self) -> Result<(), ServerError> {
        // A large configuration takes its time, which is not taken from those who are served.
        let shared = Arc::clone(&self.shared);
        let prepared = tokio::task::spawn_blocking(move || shared.prepare_reload()).await;
        let app = prepared.map_err(|_| ReloadError::Failed)??;
        self.listeners.apply(app.settings()).await?;
        if app.settings().admin_listen != self.shared.app().settings().admin_listen {
            tracing::warn!("gateway.admin_listen changes with the next start, not with a reload");
        }
        self.shared.put_in_force(app);
        Ok(())
    }

    /// Stops: readiness fails first, listeners close, requests under way are finished, and what
    /// takes longer than `gateway.timeouts.drain` is cut. Tells whether nothing was cut.
    pub async fn stop(self) -> bool {
        self.shared.enter(Stage::Draining);
        let patience = self.shared.app().settings().timeouts.drain;
        let whole = self.listeners.drain(patience).await;
        self.admin_task.abort();
        self.sweeping.abort();
        whole
    }
}

/// How often connections are looked for that upstreams have closed, or that nobody wants any more.
const SWEEP: Duration = Duration::from_secs(15);

async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        shared.app().sweep();
    }
}
