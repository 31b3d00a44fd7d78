//! The body of a request, read by whoever has it, when it is asked for more.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Shared, Stage};
use crate::forward::BodyCut;

/// A body of which a part has not come.
#[derive(Debug)]
pub(super) struct Body<S> {
    /// Not any more once all of it was taken.
    wire: Option<Shared<S>>,
    /// How much is to come, if that was told.
    left: Option<u64>,
}

impl<S> Body<S> {
    pub(super) const fn new(wire: Shared<S>, length: Option<u64>) -> Self {
        Self {
            wire: Some(wire),
            left: length,
        }
    }

    /// Lets go of the connection.
    fn end(&mut self, context: Option<&Context<'_>>) {
        let Some(wire) = self.wire.take() else { return };
        let waiting = wire.lock().leave();
        // Whoever reads in the task that waits is seen there without being woken.
        if let Some(waiting) = waiting
            && !context.is_some_and(|context| context.waker().will_wake(&waiting))
        {
            waiting.wake();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HttpBody for Body<S> {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        let this = &mut *self;
        let Some(wire) = &this.wire else {
            return Poll::Ready(None);
        };
        let (frame, stage) = {
            let mut wire = wire.lock();
            (wire.poll_frame(context), wire.stage())
        };
        if let Poll::Ready(frame) = &frame {
            if let (Some(left), Some(Ok(frame))) = (&mut this.left, frame) {
                *left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            if stage == Stage::Ended || matches!(frame, Some(Err(_))) {
                this.end(Some(context));
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.wire, self.left) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(left)) => SizeHint::with_exact(left),
            (Some(_), None) => SizeHint::default(),
        }
    }
}

impl<S> Drop for Body<S> {
    fn drop(&mut self) {
        self.end(None);
    }
}
