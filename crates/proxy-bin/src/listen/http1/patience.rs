//! How long a client may take, and whether the gateway stops: looked at whenever a connection has
//! nothing else to do. The contract's timeouts.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::listen::stop::Stop;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::listen) struct Patience {
    /// Between two requests, for more of a body, and while it takes nothing of an answer.
    pub(in crate::listen) idle: Duration,
    /// For a head, from its first byte on.
    pub(in crate::listen) head: Duration,
}

/// One timer for all waits of a connection. It is set anew when it rings, or when it would ring too
/// late: that is once in a while instead of once a request.
#[derive(Debug)]
pub(super) struct Waits {
    alarm: Pin<Box<Sleep>>,
    /// Whom it wakes: to tell it again would change nothing.
    alarmed: Option<Waker>,
    pub(super) stop: Stop,
}

impl Waits {
    pub(super) fn new(patience: Patience, stop: CancellationToken) -> Self {
        Self {
            alarm: Box::pin(sleep_until(Instant::now() + patience.idle)),
            alarmed: None,
            stop: Stop::new(stop),
        }
    }

    /// Waits until this deadline has passed.
    pub(super) fn poll_late(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let alarm = self.alarm.as_mut();
            let is_early = alarm.deadline() <= deadline;
            if is_early && is_known(self.alarmed.as_ref(), context) && !alarm.is_elapsed() {
                return Poll::Pending;
            }
            if !is_early {
                self.alarm.as_mut().reset(deadline);
            }
            // A task that has used up its share would wait for its next turn, and not for the alarm.
            let alarm = unconstrained(self.alarm.as_mut());
            if pin!(alarm).poll(context).is_pending() {
                self.alarmed = Some(context.waker().clone());
                return Poll::Pending;
            }
            self.alarmed = None;
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(deadline);
        }
    }
}

fn is_known(waker: Option<&Waker>, context: &Context<'_>) -> bool {
    waker.is_some_and(|waker| waker.will_wake(context.waker()))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::{consume_budget, coop};

    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(60),
        head: Duration::from_secs(10),
    };

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_deadline_that_was_named_last() {
        let mut waits = Waits::new(PATIENCE, CancellationToken::new());
        let begun = Instant::now();
        for seconds in [10, 30, 20, 60, 100] {
            let deadline = Instant::now() + Duration::from_secs(seconds);
            // A look at an earlier one does not count.
            let other = Instant::now() + Duration::from_secs(5);
            let looked = poll_fn(|context| Poll::Ready(waits.poll_late(other, context))).await;
            assert!(looked.is_pending());
            poll_fn(|context| waits.poll_late(deadline, context)).await;
            assert_eq!(Instant::now(), deadline);
        }
        assert_eq!(begun.elapsed().as_secs(), 220);
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_a_task_that_had_used_up_its_share() {
        let ringing = tokio::spawn(async {
            let mut waits = Waits::new(PATIENCE, CancellationToken::new());
            let deadline = Instant::now() + PATIENCE.head;
            poll_fn(|context| {
                while coop::has_budget_remaining() {
                    let _ = pin!(consume_budget()).poll(context);
                }
                waits.poll_late(deadline, context)
            })
            .await;
            deadline
        });
        assert_eq!(ringing.await.expect("it rings"), Instant::now());
    }
}
