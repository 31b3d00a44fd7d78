//! Bodies on their way: from the client upstream, and from the upstream to the client. Frames are
//! handed on as they come, trailers among them; nothing is copied, nothing is collected.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::client_body::{BodyCut, ClientBody};
use super::error::ForwardError;
use super::headers::{Managed, guard_trailers, remove_hop_by_hop};
use super::http1::Exchange;
use super::pool::Place;

/// How a request's body is getting on; shared between the body and whoever waits for the answer.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    /// Milliseconds after `begun` at which a frame was last taken.
    last: AtomicU64,
    state: AtomicU8,
    /// Told when the whole body was taken.
    done: Notify,
}

const FLOWING: u8 = 0;
const DONE: u8 = 1;
const TOO_LARGE: u8 = 2;
const CUT: u8 = 3;
/// Nothing is there to be taken: it is the client that is slow.
const STARVED: u8 = 4;

impl Progress {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            state: AtomicU8::new(FLOWING),
            done: Notify::new(),
        }
    }

    fn touch(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    fn end(&self, state: u8) {
        self.touch();
        self.state.store(state, Ordering::Release);
        if state == DONE {
            self.done.notify_one();
        }
    }

    /// When a frame was last taken.
    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Whether the whole body was taken.
    pub(super) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Waits until the whole body was taken; for one who waits alone.
    pub(super) async fn done(&self) {
        while !self.is_done() {
            self.done.notified().await;
        }
    }

    /// Who is to blame when nothing moves any more.
    pub(super) fn late(&self) -> ForwardError {
        match self.state.load(Ordering::Acquire) {
            DONE => ForwardError::ReadTimeout,
            STARVED => ForwardError::BodyTimeout,
            _ => ForwardError::WriteTimeout,
        }
    }

    /// What is wrong with the client's side of it.
    pub(super) fn fault(&self) -> Option<ForwardError> {
        match self.state.load(Ordering::Acquire) {
            TOO_LARGE => Some(ForwardError::BodyTooLarge),
            CUT => Some(ForwardError::BodyCut),
            _ => None,
        }
    }
}

/// A request's body on its way upstream.
#[derive(Debug)]
pub(crate) struct RequestBody(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    Flowing {
        /// What was read of it already.
        begun: Bytes,
        body: ClientBody,
        left: u64,
        progress: Arc<Progress>,
        managed: Managed,
    },
}

impl RequestBody {
    /// No body.
    #[must_use]
    pub(crate) const fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    /// A body that was read already.
    #[must_use]
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    /// A body as the client sends it, up to a bound; its trailers without what the client may not
    /// send as a header either.
    #[must_use]
    pub(crate) fn flowing(body: ClientBody, limit: Option<u64>, managed: &Managed) -> Self {
        Self::begun(Bytes::new(), body, limit, managed)
    }

    /// The same of a body of which a part was read already.
    #[must_use]
    pub(crate) fn begun(
        begun: Bytes,
        body: ClientBody,
        limit: Option<u64>,
        managed: &Managed,
    ) -> Self {
        if begun.is_empty() && body.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Flowing {
            begun,
            body,
            left: limit.unwrap_or(u64::MAX),
            progress: Arc::new(Progress::new()),
            managed: managed.clone(),
        })
    }

    /// The same body once more; `None` if it flows, and is gone once it was sent.
    pub(super) fn again(&self) -> Option<Self> {
        match &self.0 {
            Kind::Whole(bytes) => Some(Self(Kind::Whole(bytes.clone()))),
            Kind::Flowing { .. } => None,
        }
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        match &self.0 {
            Kind::Whole(_) => None,
            Kind::Flowing { progress, .. } => Some(Arc::clone(progress)),
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Flowing {
                begun,
                body,
                left,
                progress,
                managed,
            } => match poll_begun(begun, body, context) {
                Poll::Pending => {
                    progress.state.store(STARVED, Ordering::Release);
                    Poll::Pending
                }
                Poll::Ready(None) => {
                    progress.end(DONE);
                    Poll::Ready(None)
                }
                Poll::Ready(Some(Err(_))) => {
                    progress.end(CUT);
                    Poll::Ready(Some(Err(ForwardError::BodyCut)))
                }
                Poll::Ready(Some(Ok(mut frame))) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        guard_trailers(trailers, managed);
                    }
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    let Some(rest) = left.checked_sub(length as u64) else {
                        progress.end(TOO_LARGE);
                        return Poll::Ready(Some(Err(ForwardError::BodyTooLarge)));
                    };
                    *left = rest;
                    progress.end(if body.is_end_stream() { DONE } else { FLOWING });
                    Poll::Ready(Some(Ok(frame)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Flowing { begun, body, .. } => begun.is_empty() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Flowing { begun, body, .. } => {
                let (begun, rest) = (begun.len() as u64, body.size_hint());
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(begun));
                }
                hint.set_lower(rest.lower().saturating_add(begun));
                hint
            }
        }
    }
}

/// What was read already goes before what is to come.
fn poll_begun(
    begun: &mut Bytes,
    body: &mut ClientBody,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
    if begun.is_empty() {
        return Pin::new(body).poll_frame(context);
    }
    Poll::Ready(Some(Ok(Frame::data(std::mem::take(begun)))))
}

/// A response's body on its way to the client: the gateway's own, or the upstream's.
#[derive(Debug)]
pub(crate) struct Body(Source);

#[derive(Debug)]
enum Source {
    Own(Option<Bytes>),
    /// The upstream's, which came with its head, or has none.
    Whole(Option<Bytes>),
    Http1(Box<OfHttp1>),
    Http2(Box<OfHttp2>),
}

/// A body over HTTP/1.1.
#[derive(Debug)]
struct OfHttp1 {
    /// Until it has ended.
    exchange: Option<Box<Exchange>>,
    /// Where the connection goes then.
    place: Place,
    /// How long the upstream may be silent.
    patience: Duration,
    /// What has gone wrong, to be told after what came before it is on its way.
    failed: Option<ForwardError>,
}

/// A body over HTTP/2.
#[derive(Debug)]
struct OfHttp2 {
    body: Incoming,
    patience: Duration,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Body {
    /// A body of the gateway's own.
    #[must_use]
    pub(crate) fn own(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(Source::Own((!bytes.is_empty()).then_some(bytes)))
    }

    /// No body, in an answer of the upstream's.
    #[must_use]
    pub(crate) const fn empty() -> Self {
        Self(Source::Whole(None))
    }

    /// Whether the gateway speaks for itself: then nobody takes what is left of the request.
    #[must_use]
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self.0, Source::Own(_))
    }

    /// The upstream's, all of which is here.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Source::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    pub(super) fn of_exchange(exchange: Box<Exchange>, place: Place, patience: Duration) -> Self {
        Self(Source::Http1(Box::new(OfHttp1 {
            exchange: Some(exchange),
            place,
            patience,
            failed: None,
        })))
    }

    pub(super) fn of_http2(body: Incoming, patience: Duration) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Source::Http2(Box::new(OfHttp2 {
            body,
            patience,
            silence: None,
        })))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        match &mut self.0 {
            Source::Own(bytes) | Source::Whole(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Source::Http1(body) => body.poll_frame(context),
            Source::Http2(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Own(bytes) | Source::Whole(bytes) => bytes.is_none(),
            // The request may be on its way when the answer has ended.
            Source::Http1(body) => body.exchange.is_none() && body.failed.is_none(),
            Source::Http2(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Own(bytes) | Source::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Source::Http1(body) => match &body.exchange {
                Some(exchange) => exchange.size_hint(),
                None => SizeHint::with_exact(0),
            },
            Source::Http2(body) => body.body.size_hint(),
        }
    }
}

impl OfHttp1 {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(exchange) = &mut self.exchange else {
            return Poll::Ready(None);
        };
        let mut frame = ready!(exchange.poll_frame(self.patience, context));
        match &mut frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    remove_hop_by_hop(trailers);
                }
                if exchange.is_ended() {
                    self.end();
                }
            }
            Some(Err(error)) => {
                // A connection that is cut at once takes with it what was not flushed.
                self.failed = Some(*error);
                self.exchange = None;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => self.end(),
        }
        Poll::Ready(frame)
    }

    fn end(&mut self) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        if exchange.is_sending() {
            // Who answers before it has read all of a request may end the connection when it has:
            // the next request would meet that, and it may be one that cannot be repeated.
            let patience = self.patience;
            tokio::spawn(async move { drop(exchange.finish(patience).await) });
        } else {
            self.place.keep(exchange.into_kept());
        }
    }
}

impl OfHttp2 {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    remove_hop_by_hop(trailers);
                }
                self.silence = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(ForwardError::Cut))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let patience = self.patience;
                let silence = self
                    .silence
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                ready!(silence.as_mut().poll(context));
                Poll::Ready(Some(Err(ForwardError::ReadTimeout)))
            }
        }
    }
}
