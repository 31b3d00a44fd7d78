//! One exchange: a request out and its answer back, both at once where both flow.
//! RFC 9112 §9.3; the service's timeouts.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::answer::{self, Framing, Head, NoAnswer};
use super::connection::{Connection, Switched};
use super::sending::Sending;
use crate::forward::body::{Progress, RequestBody};
use crate::forward::error::ForwardError;
use crate::forward::lines::Lines;
use crate::http1::{NotChunked, Piece};

/// An exchange under way, whose connection it owns.
#[derive(Debug)]
pub(in crate::forward) struct Exchange {
    connection: Box<Connection>,
    sending: Sending,
    progress: Option<Arc<Progress>>,
    framing: Framing,
    keep_alive: bool,
    /// Since when the other side has been silent; set when there is reason to wait.
    silent: Option<Instant>,
    /// How many interim answers have come.
    interim: usize,
}

/// The most interim answers before the last. An upstream that sends them for ever leaves no time to
/// look at the clock.
const MOST_INTERIM: usize = 100;

/// The head of an answer, and what becomes of the connection.
#[derive(Debug)]
pub(in crate::forward) enum Received {
    /// The whole answer is here; the connection is free, if it is to be kept.
    Whole(Response<Bytes>, Option<Box<Connection>>),
    /// The body, or the request's, is still on its way.
    Begun(Response<()>, Box<Exchange>),
    /// The connection speaks another protocol from now on.
    Switched(Response<()>, Box<Switched>),
}

/// An exchange without an answer.
#[derive(Debug)]
pub(in crate::forward) struct Failed {
    pub(in crate::forward) error: ForwardError,
    /// Whether nothing of the request can have reached the other side.
    pub(in crate::forward) is_unsent: bool,
    /// The request's body, if nothing of it was taken.
    pub(in crate::forward) body: Option<RequestBody>,
}

/// How long an upstream may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::forward) struct Patience {
    /// Between two pieces of an answer, and before the first.
    pub(in crate::forward) read: Duration,
    /// For each piece of a request's body.
    pub(in crate::forward) write: Duration,
}

impl Exchange {
    /// Sends a request whose target is a path, and waits for the head of its answer.
    ///
    /// Cancel safe in that nothing is left behind: the connection is closed.
    ///
    /// # Errors
    /// If there is no answer.
    pub(in crate::forward) async fn run(
        mut connection: Box<Connection>,
        parts: &Parts,
        lines: &Lines,
        body: RequestBody,
        patience: Patience,
    ) -> Result<Received, Failed> {
        let progress = body.progress();
        let sending = Sending::begin(parts, lines, body, &mut connection.out);
        let mut exchange = Self {
            connection,
            sending,
            progress,
            framing: Framing::Length(0),
            keep_alive: false,
            silent: None,
            interim: 0,
        };
        let head = poll_fn(|context| exchange.poll_head(&parts.method, patience, context)).await;
        match head {
            Ok(head) => Ok(exchange.received(head)),
            Err(error) => {
                let is_unsent = exchange.sending.is_unsent() && error == ForwardError::Cut;
                Err(Failed {
                    error,
                    is_unsent,
                    body: exchange.sending.into_body(),
                })
            }
        }
    }

    fn poll_head(
        &mut self,
        method: &Method,
        patience: Patience,
        context: &mut Context<'_>,
    ) -> Poll<Result<Head, ForwardError>> {
        let sent = self.sending.poll(&mut self.connection, context);
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Err(error));
        }
        loop {
            if !self.connection.read.is_empty() {
                match answer::take(&mut self.connection.read, method) {
                    // RFC 9110 §15.2: not the last word, unless it is that of HTTP.
                    Ok(Some(head))
                        if head.response.status().is_informational()
                            && head.response.status() != StatusCode::SWITCHING_PROTOCOLS =>
                    {
                        self.interim += 1;
                        if self.interim > MOST_INTERIM {
                            return Poll::Ready(Err(ForwardError::Malformed));
                        }
                        continue;
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(NoAnswer) => return Poll::Ready(Err(ForwardError::Malformed)),
                }
            }
            match self.connection.poll_more(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) if !self.connection.read.is_empty() => {
                    return Poll::Ready(Err(ForwardError::Malformed));
                }
                Poll::Ready(_) => return Poll::Ready(Err(self.cut())),
                Poll::Pending => {
                    ready!(self.poll_late(patience, context));
                    let late = self.progress.as_deref().map(Progress::late);
                    return Poll::Ready(Err(late.unwrap_or(ForwardError::ReadTimeout)));
                }
            }
        }
    }

    /// The client's own fault with its body goes before.
    fn cut(&self) -> ForwardError {
        let fault = self.progress.as_deref().and_then(Progress::fault);
        fault.unwrap_or(ForwardError::Cut)
    }

    /// As long as the body flows, each of its frames has its time; then the upstream has.
    fn poll_late(&mut self, patience: Patience, context: &mut Context<'_>) -> Poll<()> {
        let deadline = match &self.progress {
            Some(progress) if !progress.is_done() => progress.last() + patience.write,
            Some(progress) => progress.last() + patience.read,
            None => *self.silent.get_or_insert_with(Instant::now) + patience.read,
        };
        self.connection.alarm.poll(deadline, context)
    }

    fn received(mut self, head: Head) -> Received {
        self.framing = head.framing;
        self.keep_alive = head.keep_alive;
        self.silent = None;
        if head.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let switched = Box::new(self.connection.into_switched());
            return Received::Switched(head.response, switched);
        }
        let here = self.connection.read.len() as u64;
        match self.framing {
            Framing::Length(length) if length <= here && self.sending.is_sent() => {
                // It is in what was read, so its length fits.
                let length = usize::try_from(length).unwrap_or_default();
                let body = self.connection.read.split_to(length).freeze();
                self.framing = Framing::Length(0);
                let response = head.response.map(|()| body);
                Received::Whole(response, self.into_kept())
            }
            _ => Received::Begun(head.response, Box::new(self)),
        }
    }

    /// The next frame of the answer's body.
    pub(in crate::forward) fn poll_frame(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        // What is left of the request goes on as far as it is taken; a fault of its own ends it, and
        // with it the connection, but not the answer.
        let _ = self.sending.poll(&mut self.connection, context);
        loop {
            match self.take() {
                Ok(Piece::Data(data)) => {
                    self.silent = None;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Piece::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(NotChunked) => return Poll::Ready(Some(Err(ForwardError::Cut))),
            }
            match self.connection.poll_more(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) if matches!(self.framing, Framing::UntilClose) => {
                    self.framing = Framing::Length(0);
                }
                Poll::Ready(_) => return Poll::Ready(Some(Err(ForwardError::Cut))),
                Poll::Pending => {
                    let since = *self.silent.get_or_insert_with(Instant::now);
                    ready!(self.connection.alarm.poll(since + patience, context));
                    return Poll::Ready(Some(Err(ForwardError::ReadTimeout)));
                }
            }
        }
    }

    /// What has come of the body.
    fn take(&mut self) -> Result<Piece, NotChunked> {
        let read = &mut self.connection.read;
        match &mut self.framing {
            Framing::Length(0) => Ok(Piece::End),
            _ if read.is_empty() => Ok(Piece::More),
            Framing::Length(left) => {
                let taken = read.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok(Piece::Data(read.split_to(taken).freeze()))
            }
            Framing::Chunked(chunks) => chunks.take(read),
            Framing::UntilClose => Ok(Piece::Data(mem::take(read).freeze())),
        }
    }

    /// Whether all of the body was given.
    pub(in crate::forward) fn is_ended(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.is_ended(),
            Framing::UntilClose => false,
        }
    }

    pub(in crate::forward) fn size_hint(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Chunked(_) | Framing::UntilClose => SizeHint::new(),
        }
    }

    /// Whether a part of the request is still to be sent.
    pub(in crate::forward) fn is_sending(&self) -> bool {
        !self.sending.is_sent()
    }

    /// Sends what is left of the request after the answer has ended: its client may read no answer
    /// before it has sent all of it.
    pub(in crate::forward) async fn finish(
        mut self,
        patience: Duration,
    ) -> Option<Box<Connection>> {
        let mut since = Instant::now();
        let sent = poll_fn(|context| {
            if let Poll::Ready(sent) = self.sending.poll(&mut self.connection, context) {
                return Poll::Ready(sent.is_ok());
            }
            if let Some(progress) = &self.progress {
                since = since.max(progress.last());
            }
            let late = self.connection.alarm.poll(since + patience, context);
            late.map(|()| false)
        });
        if !sent.await {
            return None;
        }
        self.into_kept()
    }

    /// The connection, if another exchange may follow.
    pub(in crate::forward) fn into_kept(self) -> Option<Box<Connection>> {
        let free = self.keep_alive
            && self.is_ended()
            && self.sending.is_sent()
            && self.connection.read.is_empty();
        free.then_some(self.connection)
    }
}
