//! The body of a client's request, as its connection gives it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a client's request.
#[derive(Debug)]
pub(crate) struct ClientBody(Kind);

enum Kind {
    Empty,
    Hyper(Incoming),
    Other(Pin<Box<dyn Source>>),
}

trait Source: HttpBody<Data = Bytes, Error = BodyCut> + Send + Sync {}

impl<B: HttpBody<Data = Bytes, Error = BodyCut> + Send + Sync> Source for B {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Hyper(_) => "Hyper",
            Self::Other(_) => "Other",
        })
    }
}

/// The client went away, or broke the framing of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyCut;

impl ClientBody {
    /// No body.
    pub(crate) const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that comes from here.
    pub(crate) fn new(
        body: impl HttpBody<Data = Bytes, Error = BodyCut> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Other(Box::pin(body)))
    }
}

impl From<Incoming> for ClientBody {
    fn from(incoming: Incoming) -> Self {
        Self(Kind::Hyper(incoming))
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Other(body) => body.as_mut().poll_frame(context),
            Kind::Hyper(body) => Pin::new(body).poll_frame(context).map_err(|_| BodyCut),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Hyper(body) => body.is_end_stream(),
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Hyper(body) => body.size_hint(),
            Kind::Other(body) => body.size_hint(),
        }
    }
}
