//! A stream that is watched on its way to the HTTP parser: one request at a time gets there, and
//! none whose head is late, too large, or means something else to another reader.
//! Serves the contract: strict framing, the limits, 408, the idle bound.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::messages::{Bounds, Followed, Messages, Stage};
use super::phase::Phase;
use crate::framing::BadRequest;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Between two requests, and while it takes nothing of an answer.
    pub(super) idle: Duration,
    /// For a head, from its first byte on.
    pub(super) head: Duration,
}

/// A watched stream.
pub(super) struct Watched<S> {
    stream: S,
    phase: Arc<Phase>,
    patience: Patience,
    messages: Messages,
    /// What has come and has to wait for its turn.
    held: BytesMut,
    /// What the parser gets in place of the rest of a refused head.
    completion: BytesMut,
    /// Nothing more of the client's goes to the parser.
    over: bool,
    /// What the client is doing, and since when.
    doing: Doing,
    since: Instant,
    alarm: Pin<Box<Sleep>>,
    /// Since when the client takes nothing, while there is something to take.
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Idle,
    Head,
    Body,
    /// It waits for an answer.
    Waiting,
}

/// The most that is held of requests whose turn has not come.
const HELD: usize = 64 * 1024;

/// How long what a client still sends is taken and dropped after its answer: a connection that is
/// closed before would be reset, and the answer lost with it (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

impl<S> Watched<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, patience: Patience, bounds: Bounds) -> Self {
        let now = Instant::now();
        Self {
            stream,
            phase,
            patience,
            messages: Messages::new(bounds),
            held: BytesMut::new(),
            completion: BytesMut::new(),
            over: false,
            doing: Doing::Idle,
            since: now,
            alarm: Box::pin(tokio::time::sleep_until(now + patience.idle)),
            stalled: None,
            lingering: None,
        }
    }

    /// Whether a request is being answered.
    fn is_busy(&self) -> bool {
        self.messages.heads() != self.phase.answered()
    }

    fn doing(&self) -> Doing {
        match self.messages.stage() {
            Stage::Between if self.is_busy() => Doing::Waiting,
            Stage::Body if self.is_busy() && !self.over => Doing::Waiting,
            Stage::Between => Doing::Idle,
            Stage::Head => Doing::Head,
            Stage::Body => Doing::Body,
        }
    }

    /// Whether the client's time is up.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let doing = self.doing();
        if doing != self.doing {
            self.doing = doing;
            self.since = Instant::now();
        }
        let patience = match doing {
            Doing::Idle | Doing::Body => self.patience.idle,
            Doing::Head => self.patience.head,
            Doing::Waiting => return Poll::Pending,
        };
        let deadline = self.since + patience;
        loop {
            // An alarm that is set for earlier than needed is set anew when it rings, not before:
            // that is once in a while instead of once a request.
            if self.alarm.deadline() > deadline {
                self.alarm.as_mut().reset(deadline);
            }
            ready!(self.alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(deadline);
        }
    }

    /// Refuses the head that is being read, and completes it for the parser.
    fn refuse(&mut self, because: BadRequest, completion: &[u8]) {
        self.phase.refuse(because);
        self.completion.extend_from_slice(completion);
        self.over = true;
    }

    /// Looks at what has just come into the buffer, and leaves in it what the parser gets.
    fn look(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let bytes = &buffer.filled()[before..];
        let heads = self.messages.heads();
        let followed = self.messages.follow(bytes);
        self.phase.read(self.messages.stage() == Stage::Body);
        if self.messages.heads() != heads {
            self.doing = Doing::Waiting;
        }
        let kept = match followed {
            Followed::UpTo(kept) => {
                if kept < bytes.len() {
                    let mut held = BytesMut::from(&bytes[kept..]);
                    held.unsplit(std::mem::take(&mut self.held));
                    self.held = held;
                }
                kept
            }
            Followed::Refused {
                kept,
                because,
                completion,
            } => {
                self.refuse(because, &completion);
                kept
            }
            Followed::Broken(kept) => {
                self.over = true;
                kept
            }
        };
        buffer.set_filled(before + kept);
    }
}

fn take(from: &mut BytesMut, buffer: &mut ReadBuf<'_>) {
    let count = from.len().min(buffer.remaining());
    buffer.put_slice(&from[..count]);
    from.advance(count);
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Holds what a client sends before the answer to what it sent before; ready if it is gone.
    fn poll_gone(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.phase.wait(context.waker());
        while self.held.len() < HELD {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let come = &buffer.filled()[before..];
            if come.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.held.extend_from_slice(come);
            buffer.set_filled(before);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if !this.completion.is_empty() {
                take(&mut this.completion, buffer);
                return Poll::Ready(Ok(()));
            }
            if this.over {
                // What was refused is being answered: a stream that ends would end that, too.
                if this.phase.refused().is_some() && this.is_busy() {
                    ready!(this.poll_late(context));
                }
                return Poll::Ready(Ok(()));
            }
            if this.phase.is_upgraded() {
                if this.held.is_empty() {
                    return Pin::new(&mut this.stream).poll_read(context, buffer);
                }
                take(&mut this.held, buffer);
                return Poll::Ready(Ok(()));
            }
            if this.doing() == Doing::Waiting && this.messages.stage() == Stage::Between {
                this.doing = Doing::Waiting;
                return this.poll_gone(context, buffer);
            }
            if !this.held.is_empty() {
                take(&mut this.held, buffer);
            } else if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer)
            {
                read?;
                if buffer.filled().len() == before {
                    return Poll::Ready(Ok(()));
                }
            } else {
                ready!(this.poll_late(context));
                // Whoever has begun a request is told; whoever idles is not.
                if this.doing == Doing::Head {
                    let completion = this.messages.refuse();
                    this.refuse(BadRequest::HeadTimeout, &completion);
                } else {
                    this.over = true;
                }
                continue;
            }
            this.look(buffer, before);
            if this.doing == Doing::Body {
                this.since = Instant::now();
            }
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    /// Ends a wait for a client that takes nothing: its time is up at some point, too.
    fn poll_stalled<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() || self.phase.is_upgraded() {
            self.stalled = None;
            return wrote;
        }
        let patience = self.patience.idle;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the client may be sending something that nobody wants any more.
    fn is_unread(&self) -> bool {
        self.over || !self.held.is_empty() || self.messages.stage() == Stage::Body
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_stalled(context, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_stalled(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            if this.phase.is_upgraded() || !this.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this
            .lingering
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if lingering.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; 4096];
        loop {
            let mut dropped = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut dropped));
            if read.is_err() || dropped.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.poll_stalled(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
