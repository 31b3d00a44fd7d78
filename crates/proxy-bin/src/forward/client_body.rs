//! The body of a client's request, as its connection gives it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a client's request.
#[derive(Debug)]
pub(crate) struct ClientBody(Kind);

#[derive(Debug)]
enum Kind {
    Hyper(Incoming),
}

/// The client went away, or broke the framing of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyCut;

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
            Kind::Hyper(body) => Pin::new(body).poll_frame(context).map_err(|_| BodyCut),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Hyper(body) => body.size_hint(),
        }
    }
}
