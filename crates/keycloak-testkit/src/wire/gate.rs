//! A gate that a test opens: what is held at it waits without sleeping.

use std::sync::Arc;

use tokio::sync::watch;

use super::Watch;

/// Holds whatever comes to it until it is opened.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use keycloak_testkit::Gate;
///
/// let gate = Gate::closed();
/// let held = tokio::spawn({ let gate = gate.clone(); async move { gate.pass().await } });
/// gate.wait_for(1).await;
/// gate.open();
/// held.await.unwrap();
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: watch::Sender<bool>,
    arrived: Watch<usize>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Inner {
            open: watch::Sender::new(false),
            arrived: Watch::new(0),
        }))
    }

    /// Opens the gate, for all who wait and all who come.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Closes the gate again, for all who come from now on.
    pub fn close(&self) {
        self.0.open.send_replace(false);
    }

    /// How many have come to the gate so far.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.0.arrived.read(|count| *count)
    }

    /// Waits until so many have come to the gate.
    ///
    /// # Panics
    /// If they do not come in 20 seconds.
    pub async fn wait_for(&self, count: usize) {
        self.0
            .arrived
            .until(
                |arrived| *arrived >= count,
                |arrived| format!("{count} at the gate; {arrived} came"),
            )
            .await;
    }

    /// Comes to the gate and waits until it is open.
    pub async fn pass(&self) {
        let mut open = self.0.open.subscribe();
        self.0.arrived.change(|count| *count += 1);
        // The sender lives as long as this gate, so waiting ends only with the opening.
        let _ = open.wait_for(|open| *open).await;
    }
}
