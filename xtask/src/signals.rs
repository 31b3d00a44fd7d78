//! What asks this program to stop: Ctrl-C, and whoever ends processes.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, watched from the moment that this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to watch.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them. Cancel safe.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
