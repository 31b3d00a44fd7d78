//! A client's stream, what was read of it, and the body that is coming: RFC 9112 §6 and §7.1, RFC
//! 9110 §10.1.1. Shared by the connection and the body of its request, of which one at a time reads.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::head::{Bounds, Told};
use crate::forward::BodyCut;
use crate::http1::{Chunks, Piece};

/// A stream, as the connection and the body of its request share it.
#[derive(Debug)]
pub(super) struct Shared<S>(Arc<Mutex<Wire<S>>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Shared<S> {
    pub(super) fn new(stream: S, bounds: Bounds) -> Self {
        Self(Arc::new(Mutex::new(Wire {
            stream,
            bounds,
            read: BytesMut::new(),
            coming: Coming::Nothing,
            is_held: false,
            interim: None,
            room: 0,
            is_quick: false,
            moved: None,
            waiting: None,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wire<S>> {
        // Whoever panicked half-way has cut the connection.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream and what was read of it, if nobody else has them.
    pub(super) fn into_parts(self) -> Option<(S, BytesMut)> {
        let wire = Arc::into_inner(self.0)?;
        let wire = wire.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((wire.stream, wire.read))
    }
}

/// A stream, and where it is in a message.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    bounds: Bounds,
    /// What has come and has not had its turn.
    pub(super) read: BytesMut,
    coming: Coming,
    /// Somebody has the body, and may read it.
    is_held: bool,
    /// What is left to be said before the body is waited for; nothing of it is left to be flushed.
    interim: Option<&'static [u8]>,
    /// How much the buffer may have room for.
    room: usize,
    /// The client sends more at once than is read by way of the stack.
    is_quick: bool,
    /// When something of the body came last, if anybody wants to know.
    moved: Option<Instant>,
    /// Who waits for the end of the body, or for the end of whoever reads it.
    waiting: Option<Waker>,
}

/// What of a body has not been taken.
#[derive(Debug)]
enum Coming {
    Nothing,
    Length(u64),
    Chunks(Box<Chunks>),
    /// It is no body, or it ended before its end.
    Cut,
}

/// What is read at once: first by way of the stack, so that a connection that idles holds no room
/// for it, then right to where it stays.
const LITTLE: usize = 8 * 1024;
const MUCH: usize = 64 * 1024;

/// The largest room that is kept for the next head.
const KEPT: usize = 4 * 1024;

thread_local! {
    /// Room in which a head was, and which is free again once nothing of that head is left.
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// The most that is held of requests whose turn has not come.
const HELD: usize = 64 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How far the body of a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Whole.
    Ended,
    /// A part of it has not come, and whoever has it may read on.
    Held,
    /// A part of it has not come or is wrong, and nobody reads it.
    Left,
}

/// What is left of a `100 Continue` that was due (RFC 9110 §15.2.1).
pub(super) struct UnsentInterim(&'static [u8]);

impl UnsentInterim {
    /// The end of what has begun, without which it would run into what follows; nothing, if it has
    /// not begun.
    pub(super) const fn begun(&self) -> &'static [u8] {
        if self.0.len() < CONTINUE.len() {
            self.0
        } else {
            &[]
        }
    }
}

impl<S> Wire<S> {
    /// A message has begun. Tells whether it has a body, which then is somebody's.
    pub(super) fn begin(&mut self, told: &Told, is_old: bool) -> bool {
        self.coming = match told.length {
            Some(length @ 1..) => Coming::Length(length),
            _ if told.is_chunked => Coming::Chunks(Box::new(Chunks::of_request(
                self.bounds.headers,
                self.bounds.count,
            ))),
            _ => return false,
        };
        self.interim = (told.waits && !is_old).then_some(CONTINUE);
        self.is_held = true;
        self.moved = None;
        true
    }

    /// The answer begins: nothing can be said before it any more. Gives what was not
    /// written of a `100 Continue`, where one was due.
    pub(super) fn answer(&mut self) -> Option<UnsentInterim> {
        let left = self.interim.take()?;
        (!left.is_empty()).then_some(UnsentInterim(left))
    }

    /// How far the body has come.
    pub(super) const fn stage(&self) -> Stage {
        match self.coming {
            Coming::Nothing => Stage::Ended,
            _ if self.is_held => Stage::Held,
            _ => Stage::Left,
        }
    }

    /// Nobody has the body any more; gives whom to tell.
    pub(super) fn leave(&mut self) -> Option<Waker> {
        self.is_held = false;
        self.waiting.take()
    }

    /// Wakes a task when the body's stage changes.
    pub(super) fn wait(&mut self, context: &Context<'_>) {
        let is_known = |waker: &Waker| waker.will_wake(context.waker());
        if !self.waiting.as_ref().is_some_and(is_known) {
            self.waiting = Some(context.waker().clone());
        }
    }

    /// When something of the body came last, from when this is first asked.
    pub(super) fn moved(&mut self) -> Instant {
        *self.moved.get_or_insert_with(Instant::now)
    }

    /// Drops what has come of a body that nobody reads.
    pub(super) fn pass_over(&mut self) {
        while let Some(Ok(_)) = self.take() {}
    }

    /// Takes what is there of the body; `None` if more has to be read, or there is no more.
    fn take(&mut self) -> Option<Result<Frame<Bytes>, BodyCut>> {
        match &mut self.coming {
            Coming::Nothing => None,
            Coming::Cut => Some(Err(BodyCut)),
            Coming::Length(_) if self.read.is_empty() => None,
            Coming::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = self.read.split_to(taken.min(self.read.len())).freeze();
                *left -= data.len() as u64;
                if *left == 0 {
                    self.coming = Coming::Nothing;
                }
                Some(Ok(Frame::data(data)))
            }
            Coming::Chunks(chunks) => {
                let piece = chunks.take(&mut self.read);
                if chunks.is_ended() {
                    self.coming = Coming::Nothing;
                }
                match piece {
                    Ok(Piece::Data(data)) => Some(Ok(Frame::data(data))),
                    Ok(Piece::Trailers(fields)) => Some(Ok(Frame::trailers(fields))),
                    Ok(Piece::End | Piece::More) => None,
                    Err(_) => {
                        self.coming = Coming::Cut;
                        Some(Err(BodyCut))
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads what has come, a little of it; nothing is the end.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; LITTLE];
        let mut come = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut come))?;
        let come = come.filled();
        self.is_quick = come.len() == LITTLE;
        if self.read.capacity() == 0 {
            self.read = SPARE.take();
        }
        self.read.extend_from_slice(come);
        self.room = self.room.max(self.read.len());
        Poll::Ready(Ok(come.len()))
    }

    fn poll_read_body(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.is_quick {
            return self.poll_read(context);
        }
        self.read.reserve(MUCH);
        self.room = MUCH;
        let read = pin!(self.stream.read_buf(&mut self.read)).poll(context);
        if !matches!(read, Poll::Ready(Ok(LITTLE..))) {
            self.is_quick = false;
            self.free();
        }
        read
    }

    /// Whether the client is gone; what it sends before its turn is held.
    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.read.len() < HELD {
            match ready!(self.poll_read(context)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Holds no room for what has not come: the next head to come to this thread may have it.
    pub(super) fn free(&mut self) {
        if self.read.is_empty() {
            let read = std::mem::take(&mut self.read);
            if self.room <= KEPT {
                SPARE.set(read);
            }
            self.room = 0;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The next of the body.
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        loop {
            if let Some(frame) = self.take() {
                return Poll::Ready(Some(frame));
            }
            if matches!(self.coming, Coming::Nothing) {
                return Poll::Ready(None);
            }
            let more = match ready!(self.poll_interim(context)) {
                Ok(()) => ready!(self.poll_read_body(context)),
                Err(error) => Err(error),
            };
            if !matches!(more, Ok(1..)) {
                self.coming = Coming::Cut;
            }
            if let Some(moved) = &mut self.moved {
                *moved = Instant::now();
            }
        }
    }

    /// RFC 9110 §10.1.1: the client is told to go on, once.
    fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut left) = self.interim else {
            return Poll::Ready(Ok(()));
        };
        let mut stream = Pin::new(&mut self.stream);
        while !left.is_empty() {
            let wrote = ready!(stream.as_mut().poll_write(context, left))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            left = &left[wrote..];
            self.interim = Some(left);
        }
        ready!(stream.poll_flush(context))?;
        self.interim = None;
        Poll::Ready(Ok(()))
    }
}
