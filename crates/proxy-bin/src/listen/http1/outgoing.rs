//! What is on its way to the client: small things side by side in one buffer, large ones as they
//! are, all of it in as few writes as the system takes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Bytes to be written, in their order.
#[derive(Debug)]
pub(super) struct Outgoing {
    large: VecDeque<Bytes>,
    /// What comes after the large ones.
    small: Vec<u8>,
    /// Of the small ones.
    written: usize,
    length: usize,
    taken: u64,
}

/// What is copied rather than written from where it is.
const SMALL: usize = 4 * 1024;

/// How many pieces are written at once.
const PIECES: usize = 32;

/// The largest buffer that is kept for the next answer.
const KEPT: usize = 32 * 1024;

thread_local! {
    /// A buffer is needed for as long as an answer is being written, and nearly always by one
    /// connection of a thread alone.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Outgoing {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            large: VecDeque::new(),
            small: SPARE.take(),
            written: 0,
            length: 0,
            taken: 0,
        }
    }

    /// How much there is.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How much was written until now.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Adds what is written by this.
    pub(super) fn put<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.small.len();
        let written = write(&mut self.small);
        self.length += self.small.len() - before;
        written
    }

    /// Adds data, which is not copied if it is much.
    pub(super) fn push(&mut self, data: Bytes) {
        self.length += data.len();
        if data.len() <= SMALL {
            self.small.extend_from_slice(&data);
            return;
        }
        if self.small.len() > self.written {
            let mut before = Bytes::from(std::mem::take(&mut self.small));
            before.advance(self.written);
            self.large.push_back(before);
        }
        self.small.clear();
        self.written = 0;
        self.large.push_back(data);
    }

    /// Writes as much as is taken; ready when nothing is left.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.length > 0 {
            let wrote = ready!(self.poll_some(Pin::new(&mut *stream), context))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(wrote);
        }
        self.small.clear();
        self.written = 0;
        Pin::new(stream).poll_flush(context)
    }

    fn poll_some(
        &self,
        stream: Pin<&mut (impl AsyncWrite + Unpin)>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let small = &self.small[self.written..];
        let Some(first) = self.large.front() else {
            return stream.poll_write(context, small);
        };
        if !stream.is_write_vectored() {
            return stream.poll_write(context, first);
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        let all = self.large.iter().map(|piece| &piece[..]);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(all.chain([small])) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        stream.poll_write_vectored(context, &slices[..count])
    }

    fn advance(&mut self, mut wrote: usize) {
        self.length -= wrote;
        self.taken += wrote as u64;
        while let Some(first) = self.large.front_mut() {
            if wrote < first.len() {
                first.advance(wrote);
                return;
            }
            wrote -= first.len();
            self.large.pop_front();
        }
        self.written += wrote;
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let mut small = std::mem::take(&mut self.small);
        if small.capacity() <= KEPT {
            small.clear();
            SPARE.set(small);
        }
    }
}
