//! How a client of HTTP/2 takes an answer: a stream whose client takes nothing is reset, as a
//! connection of HTTP/1 is ended. A client that answers PINGs is there, and may hold an upstream's
//! connection for ever all the same. Serves the contract: the idle bound.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

/// Runs the streams of a connection, each for as long as its client takes what it is offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attendant {
    patience: Duration,
}

impl Attendant {
    pub(super) const fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F> Executor<F> for Attendant
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(attend(stream, self.patience));
    }
}

tokio::task_local! {
    /// Of the stream that this task runs.
    static TAKING: Arc<Taking>;
}

/// Runs a stream; dropped half-way, it is reset, and whatever it holds is free.
async fn attend(stream: impl Future<Output = ()>, patience: Duration) {
    let taking = Arc::new(Taking::default());
    tokio::select! {
        biased;
        () = TAKING.scope(Arc::clone(&taking), stream) => {}
        () = taking.stalled(patience) => {
            tracing::debug!("a stream whose client takes nothing was reset");
        }
    }
}

/// What a stream's client has been offered. Told by the body, which is polled again when the client
/// has taken what it gave before; asked by the task that both are part of.
#[derive(Debug, Default)]
struct Taking {
    offers: AtomicU64,
    /// The last one has not been taken.
    open: AtomicBool,
}

impl Taking {
    fn of_this_task() -> Arc<Self> {
        TAKING.try_with(Arc::clone).unwrap_or_default()
    }

    fn offer(&self) {
        self.offers.fetch_add(1, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
    }

    fn taken(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Waits until an offer has not been taken for so long. It has no waker of its own: whatever
    /// changes an offer runs in the same task, which is polled for it.
    async fn stalled(&self, patience: Duration) {
        let alarm = sleep(patience);
        tokio::pin!(alarm);
        let mut running = 0;
        poll_fn(|context| {
            if !self.open.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            let offer = self.offers.load(Ordering::Relaxed);
            if offer != running {
                running = offer;
                alarm.as_mut().reset(Instant::now() + patience);
            }
            alarm.as_mut().poll(context)
        })
        .await;
    }
}

/// A body that tells how it is taken. It is offered in pieces, small ones while the client is slow:
/// that a piece was taken is all that is ever told.
pub(super) struct Taken<B> {
    body: B,
    taking: Arc<Taking>,
    /// A client that takes a piece in this time may have a larger one.
    quick: Duration,
    /// Of a frame that was too large to be offered at once.
    rest: Bytes,
    piece: usize,
    offered: Option<Instant>,
}

/// No client is so slow that it does not take this much in the time that it has.
const SMALLEST: usize = 1024;

/// What a frame of HTTP/2 holds, unless the client asks for larger ones (RFC 9113 §6.5.2).
const LARGEST: usize = 16 * 1024;

impl<B> Taken<B> {
    /// An answer's body; to be made in the task that runs its stream.
    pub(super) fn new(body: B, patience: Duration) -> Self {
        Self {
            body,
            taking: Taking::of_this_task(),
            quick: patience / 64,
            rest: Bytes::new(),
            piece: SMALLEST,
            offered: None,
        }
    }
}

impl<B> HttpBody for Taken<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        this.taking.taken();
        if let Some(offered) = this.offered.take() {
            this.piece = if offered.elapsed() <= this.quick {
                (this.piece * 2).min(LARGEST)
            } else {
                SMALLEST
            };
        }
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        let piece = this.rest.split_to(this.piece.min(this.rest.len()));
        this.taking.offer();
        this.offered = Some(Instant::now());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(body.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use tokio::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(64);

    /// A stream that takes a piece of its answer whenever it is told to.
    async fn taking(mut body: Taken<Full<Bytes>>, mut told: mpsc::Receiver<()>) {
        while body.frame().await.is_some() {
            if told.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_run_for_as_long_as_its_client_takes_something() {
        let (tell, told) = mpsc::channel(1);
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let began = Instant::now();
        Attendant::new(PATIENCE).execute(async move {
            let _ended = ended;
            let body = Taken::new(Full::from(vec![b'x'; 100 * SMALLEST]), PATIENCE);
            taking(body, told).await;
        });
        for _ in 0..20 {
            sleep(PATIENCE - Duration::from_secs(1)).await;
            tell.send(()).await.expect("it runs");
        }
        let _ = end.await;
        let expected = (PATIENCE - Duration::from_secs(1)) * 20 + PATIENCE;
        assert_eq!(began.elapsed(), expected, "and is dropped afterwards");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_late_that_is_not_offered() {
        let silent = async {
            sleep(PATIENCE * 10).await;
        };
        let began = Instant::now();
        attend(silent, PATIENCE).await;
        assert_eq!(began.elapsed(), PATIENCE * 10);
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_are_as_large_as_the_client_is_quick() {
        let mut body = Taken::new(Full::from(vec![b'x'; 100 * 1024]), PATIENCE);
        let mut sizes = Vec::new();
        let mut take = async |pause| {
            let frame = body.frame().await.expect("a frame").expect("no error");
            let length = frame.into_data().expect("data").len();
            sizes.push(length / 1024);
            sleep(pause).await;
        };
        for _ in 0..5 {
            take(Duration::ZERO).await;
        }
        take(PATIENCE / 2).await;
        take(Duration::ZERO).await;
        take(Duration::ZERO).await;
        assert_eq!(sizes, [1, 2, 4, 8, 16, 16, 1, 2]);
        let rest = 100 - sizes.iter().sum::<usize>();
        assert_eq!(body.size_hint().exact(), Some(rest as u64 * 1024));
        let whole = body.collect().await.expect("no error").to_bytes();
        assert_eq!(whole.len(), rest * 1024);
    }
}
