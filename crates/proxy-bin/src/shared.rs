//! What all connections of a process share: the configuration in force, the metrics, the state.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use arc_swap::ArcSwap;

use crate::app::{App, PrepareError};
use crate::config::{self, Problems};
use crate::forward::Upgrades;
use crate::telemetry::Metrics;

/// Whether requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The listeners do not accept yet.
    Starting,
    /// They do.
    Serving,
    /// They do no more; what is under way is finished.
    Draining,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    app: ArcSwap<App>,
    metrics: Arc<Metrics>,
    upgrades: Upgrades,
    stage: AtomicU8,
    file: Option<PathBuf>,
}

/// A reload that was not carried out; what was in force stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The configuration came from memory.
    #[error("the configuration was not read from a file")]
    NoFile,
    /// The file has problems.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// What it says cannot run.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The program failed while it prepared it.
    #[error("it could not be prepared, which is a mistake of this program")]
    Failed,
}

impl Shared {
    /// Begins with this configuration, and with the file that it came from.
    #[must_use]
    pub(crate) fn new(app: App, metrics: Arc<Metrics>, file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            app: ArcSwap::from_pointee(app),
            metrics,
            upgrades: Upgrades::default(),
            stage: AtomicU8::new(Stage::Starting as u8),
            file,
        })
    }

    /// The configuration in force.
    #[must_use]
    pub(crate) fn app(&self) -> Arc<App> {
        self.app.load_full()
    }

    /// The metrics.
    #[must_use]
    pub(crate) const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The upgraded connections.
    #[must_use]
    pub(crate) const fn upgrades(&self) -> &Upgrades {
        &self.upgrades
    }

    /// Whether requests are taken.
    #[must_use]
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Draining,
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// Reads the file again and prepares what it says, without putting it in force. Caches, keys
    /// and connections of what did not change are taken over.
    ///
    /// # Errors
    /// If the file has problems, or cannot run.
    pub(crate) fn prepare_reload(&self) -> Result<App, ReloadError> {
        let file = self.file.as_deref().ok_or(ReloadError::NoFile)?;
        let gateway = config::load(file, std::env::vars())?;
        Ok(App::prepare(gateway, &self.metrics, Some(&self.app()))?)
    }

    pub(crate) fn put_in_force(&self, app: App) {
        self.app.store(Arc::new(app));
    }
}
