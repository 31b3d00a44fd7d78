//! A deadline that moves with each exchange, on a timer that is set once in a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is set anew when it rings too early, or when it would ring too late: not for each
/// deadline, of which nearly none is ever met.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits until this deadline has passed.
    pub(super) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            ready!(sleep.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_deadline_that_was_named_last() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        for seconds in [10, 30, 20, 60] {
            let deadline = Instant::now() + Duration::from_secs(seconds);
            // A look at an earlier one does not count.
            let other = Instant::now() + Duration::from_secs(5);
            let looked = poll_fn(|context| Poll::Ready(alarm.poll(other, context))).await;
            assert!(looked.is_pending());
            poll_fn(|context| alarm.poll(deadline, context)).await;
            assert_eq!(Instant::now(), deadline);
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(120));
    }
}
