//! Heads, taken one after the other out of what was read. RFC 9112 §2.2.

use bytes::{Buf as _, BytesMut};
use memchr::memchr;

use super::head::{self, Bounds, Head, Refused};
use crate::framing::BadRequest;

/// Takes heads.
#[derive(Debug)]
pub(super) struct Heads {
    bounds: Bounds,
    /// Bytes of empty lines before the head.
    empty: usize,
    /// How much of it was looked at, which was not all of it.
    looked: usize,
    /// How long it may become without a further line.
    most: usize,
}

impl Heads {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            empty: 0,
            looked: 0,
            most: 0,
        }
    }

    /// Whether a part of a head was seen.
    pub(super) const fn has_begun(&self) -> bool {
        self.looked > 0 || self.empty > 0
    }

    /// Takes the next head; `None` if a part of it has not come. It is looked at as often as it
    /// gets a further line, of which there are so many at most.
    ///
    /// # Errors
    /// As soon as a part of it is wrong; nothing that follows is believed.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Head>, Refused> {
        while read.starts_with(b"\r\n") {
            read.advance(2);
            (self.looked, self.most) = (0, 0);
            self.empty += 2;
            if self.empty > self.bounds.line {
                return Err(Refused::new(BadRequest::RequestLine, read));
            }
        }
        let (end, lines) = end(read, self.looked.saturating_sub(3));
        if let Some(end) = end {
            let head = read.split_to(end).freeze();
            (self.empty, self.looked, self.most) = (0, 0, 0);
            return head::whole(&head, lines, &self.bounds).map(Some);
        }
        if read.len() > self.most || memchr(b'\n', &read[self.looked..]).is_some() {
            self.most = head::begun(read, &self.bounds)?;
        }
        self.looked = read.len();
        Ok(None)
    }
}

/// Where a head ends, which is looked for from here on, and how many lines come before.
fn end(read: &[u8], from: usize) -> (Option<usize>, usize) {
    let (mut at, mut lines) = (from, 0);
    while let Some(end) = memchr(b'\n', &read[at..]) {
        at += end + 1;
        lines += 1;
        // Whether CR stands before it, too, is seen by whoever reads the line.
        if read[at..].starts_with(b"\r\n") {
            return (Some(at + 2), lines);
        }
    }
    (None, lines)
}
