//! What tells a connection to end: registered with once, and then looked at for as good as nothing,
//! as often as the connection is.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::task::unconstrained;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// One connection's ear for an end.
#[derive(Debug)]
pub(super) struct Stop {
    token: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Who is woken: to register again would change nothing.
    told: Option<Waker>,
}

impl Stop {
    /// Listens to a token, which should be the connection's own: its state is behind a lock.
    pub(super) fn new(token: CancellationToken) -> Self {
        Self {
            stopped: Box::pin(token.clone().cancelled_owned()),
            token,
            told: None,
        }
    }

    /// Whether the end has been told.
    pub(super) fn is_told(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.token.is_cancelled() {
            return Poll::Ready(());
        }
        let is_known = |waker: &Waker| waker.will_wake(context.waker());
        if self.told.as_ref().is_some_and(is_known) {
            return Poll::Pending;
        }
        self.told = Some(context.waker().clone());
        // A task that has used up its share would wait for its next turn, and not for the end.
        pin!(unconstrained(self.stopped.as_mut())).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_last_is_woken() {
        let token = CancellationToken::new();
        let mut stop = Stop::new(token.child_token());
        for _ in 0..3 {
            assert!(
                poll_fn(|context| Poll::Ready(stop.poll(context)))
                    .await
                    .is_pending()
            );
        }
        let waiting = tokio::spawn(async move {
            poll_fn(|context| stop.poll(context)).await;
            stop.is_told()
        });
        tokio::task::yield_now().await;
        token.cancel();
        assert!(waiting.await.expect("woken"));
    }
}
