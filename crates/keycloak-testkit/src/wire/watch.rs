//! A value that tests wait on: they poll a condition with a deadline instead of sleeping.

use tokio::sync::watch;

use super::PATIENCE;

/// A shared value whose changes can be waited for.
#[derive(Debug)]
pub(crate) struct Watch<T>(watch::Sender<T>);

impl<T> Watch<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(watch::Sender::new(value))
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.borrow())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        self.0.send_modify(change);
    }

    /// Waits until the condition holds; panics with what was expected if it does not in time.
    pub(crate) async fn until(
        &self,
        mut condition: impl FnMut(&T) -> bool,
        expected: impl FnOnce(&T) -> String,
    ) {
        let mut changes = self.0.subscribe();
        let reached = tokio::time::timeout(PATIENCE, changes.wait_for(|value| condition(value)))
            .await
            .is_ok();
        assert!(
            reached,
            "expected within {} s: {}",
            PATIENCE.as_secs(),
            self.read(expected)
        );
    }
}
