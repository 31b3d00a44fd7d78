//! The requests of one connection of HTTP/2, counted: to know since when there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The requests under way.
#[derive(Debug)]
pub(super) struct Streams {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Debug)]
struct State {
    open: usize,
    /// When the last one ended.
    since: Instant,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Stream(Arc<Streams>);

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                open: 0,
                since: Instant::now(),
            }),
            ended: Notify::new(),
        }
    }

    /// One more, until what is returned is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Stream {
        self.change(|state| state.open += 1);
        Stream(Arc::clone(self))
    }

    /// Waits until there has been none for so long. Can be dropped and called again.
    pub(super) async fn idle(&self, patience: Duration) {
        loop {
            match self.change(|state| (state.open == 0).then_some(state.since)) {
                Some(since) if since.elapsed() >= patience => return,
                Some(since) => sleep_until(since + patience).await,
                None => self.ended.notified().await,
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // Nothing that holds the lock panics half-way.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.open -= 1;
            state.since = Instant::now();
        });
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_no_request_is_under_way() {
        let streams = Arc::new(Streams::new());
        let patience = Duration::from_secs(60);
        let (one, two) = (streams.open(), streams.open());
        drop(one);
        let busy = tokio::time::timeout(patience * 10, streams.idle(patience)).await;
        assert!(busy.is_err());
        drop(two);
        let begun = Instant::now();
        streams.idle(patience).await;
        assert_eq!(begun.elapsed(), patience);
    }
}
