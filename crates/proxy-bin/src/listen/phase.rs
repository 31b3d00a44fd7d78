//! Where a connection of HTTP/1 is: what its service and its stream tell each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use crate::framing::BadRequest;

/// Told by a connection's service, asked by its stream, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Phase {
    answered: AtomicU32,
    upgraded: AtomicBool,
    reading: AtomicBool,
    refused: OnceLock<BadRequest>,
    waiting: AtomicWaker,
}

impl Phase {
    /// How many requests were answered, to the last byte.
    pub(super) fn answered(&self) -> u32 {
        self.answered.load(Ordering::Acquire)
    }

    /// One more was.
    pub(super) fn answer(&self) {
        self.answered.fetch_add(1, Ordering::AcqRel);
        self.waiting.wake();
    }

    /// Wakes the stream when the next request has been answered.
    pub(super) fn wait(&self, waker: &Waker) {
        self.waiting.register(waker);
    }

    /// Whether a part of a request's body has not come.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Acquire)
    }

    /// It has come, or has not.
    pub(super) fn read(&self, reading: bool) {
        self.reading.store(reading, Ordering::Release);
    }

    /// Whether the connection carries another protocol.
    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// It does from now on.
    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Release);
    }

    /// Why the request is refused that comes next, which is the last one.
    pub(super) fn refused(&self) -> Option<BadRequest> {
        self.refused.get().copied()
    }

    /// It is refused for this.
    pub(super) fn refuse(&self, because: BadRequest) {
        let _ = self.refused.set(because);
    }
}
