//! A request on its way out: its head, and its body as it comes. RFC 9112 §3, §6 and §7.1.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::request::Parts;
use http_body::Body as _;

use super::connection::Connection;
use crate::forward::body::RequestBody;
use crate::forward::error::ForwardError;
use crate::forward::lines::Lines;
use crate::framing::declared_length;
use crate::http1::{put_chunk, put_fields, put_last_chunk, put_number};

/// What is left of a request to be written; its small parts stand in the connection's buffer.
#[derive(Debug)]
pub(super) struct Sending {
    body: Option<RequestBody>,
    framing: Framing,
    /// How much of the connection's buffer was written.
    written: usize,
    /// Data that goes after the buffer.
    data: Bytes,
    /// What ends that data.
    end: &'static [u8],
    /// Whether the other side has taken anything.
    begun: bool,
    /// Whether anything of the body was taken.
    taken: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// So much is still to come.
    Length(u64),
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sending,
    Flushing,
    Sent,
    /// The other side takes no more.
    Refused,
}

/// Up to here, data is copied behind what stands before it, so that both leave in one piece.
const SMALL: usize = 4 * 1024;

impl Sending {
    /// Begins with a request whose target is a path.
    pub(super) fn begin(
        parts: &Parts,
        lines: &Lines,
        body: RequestBody,
        out: &mut Vec<u8>,
    ) -> Self {
        out.clear();
        out.extend_from_slice(parts.method.as_str().as_bytes());
        out.push(b' ');
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        put_fields(&parts.headers, out);
        out.extend_from_slice(lines.as_bytes());
        let ended = body.is_end_stream();
        let framing = match declared_length(&parts.headers) {
            Some(length) => Framing::Length(length),
            None if ended => Framing::Length(0),
            None => match body.size_hint().exact() {
                Some(length) => {
                    out.extend_from_slice(b"Content-Length: ");
                    put_number(length, out);
                    out.extend_from_slice(b"\r\n");
                    Framing::Length(length)
                }
                None => {
                    out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                    Framing::Chunked
                }
            },
        };
        out.extend_from_slice(b"\r\n");
        let nothing = ended && framing == Framing::Length(0);
        Self {
            body: (!nothing).then_some(body),
            framing,
            written: 0,
            data: Bytes::new(),
            end: b"",
            begun: false,
            taken: false,
            state: State::Sending,
        }
    }

    /// Whether all of it was written.
    pub(super) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// Whether nothing of it can have reached the other side.
    pub(super) const fn is_unsent(&self) -> bool {
        !self.begun
    }

    /// The body, if nothing of it was taken.
    pub(super) fn into_body(self) -> Option<RequestBody> {
        (!self.taken).then(|| self.body.unwrap_or_else(RequestBody::empty))
    }

    /// Goes on until all is written. Ready as well when the other side takes no more: it may have
    /// answered before it stopped listening.
    pub(super) fn poll(
        &mut self,
        connection: &mut Connection,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ForwardError>> {
        loop {
            match self.state {
                State::Sent | State::Refused => return Poll::Ready(Ok(())),
                State::Flushing => {
                    self.state = match ready!(connection.poll_flush(context)) {
                        Ok(()) => State::Sent,
                        Err(_) => State::Refused,
                    };
                    continue;
                }
                State::Sending => {}
            }
            let pending = self.poll_gather(&mut connection.out, context)?.is_pending();
            let left = connection.out.len() - self.written + self.data.len() + self.end.len();
            if left == 0 {
                if pending {
                    // TLS holds nothing back while the client takes its time.
                    let _ = connection.poll_flush(context);
                    return Poll::Pending;
                }
                self.state = State::Flushing;
                continue;
            }
            ready!(self.poll_write(connection, context));
        }
    }

    /// Takes of the body what may go into the next write.
    fn poll_gather(
        &mut self,
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ForwardError>> {
        while let Some(body) = &mut self.body {
            // What is large goes by itself.
            if !self.data.is_empty() || out.len() - self.written > SMALL {
                return Poll::Ready(Ok(()));
            }
            let frame = ready!(Pin::new(body).poll_frame(context));
            self.taken = true;
            let frame = match frame {
                Some(frame) => frame?,
                None => {
                    self.body = None;
                    match self.framing {
                        Framing::Length(0) => {}
                        // What follows would be read as its rest.
                        Framing::Length(_) => return Poll::Ready(Err(ForwardError::BodyCut)),
                        Framing::Chunked => put_last_chunk(None, out),
                    }
                    break;
                }
            };
            match (frame.into_data(), &mut self.framing) {
                (Ok(data), _) if data.is_empty() => {}
                (Ok(data), Framing::Length(left)) => {
                    let rest = left.checked_sub(data.len() as u64);
                    *left = rest.ok_or(ForwardError::BodyCut)?;
                    self.put(data, out);
                    // That is all: the end need not be asked for.
                    if *left_of(&self.framing) == 0 && self.body_is_ended() {
                        self.body = None;
                    }
                }
                (Ok(data), Framing::Chunked) => {
                    put_chunk(data.len(), out);
                    self.end = b"\r\n";
                    self.put(data, out);
                }
                (Err(frame), Framing::Chunked) => {
                    self.body = None;
                    put_last_chunk(frame.trailers_ref(), out);
                }
                // RFC 9112 §7.1.2: there is no place for them.
                (Err(_), Framing::Length(_)) => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    fn body_is_ended(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn put(&mut self, data: Bytes, out: &mut Vec<u8>) {
        if data.len() <= SMALL {
            out.extend_from_slice(&data);
            out.extend_from_slice(std::mem::take(&mut self.end));
        } else {
            self.data = data;
        }
    }

    fn poll_write(&mut self, connection: &mut Connection, context: &mut Context<'_>) -> Poll<()> {
        let out = std::mem::take(&mut connection.out);
        let slices = [
            IoSlice::new(&out[self.written..]),
            IoSlice::new(&self.data),
            IoSlice::new(self.end),
        ];
        let from = usize::from(slices[0].is_empty());
        let to = if self.data.is_empty() {
            1
        } else {
            slices.len()
        };
        let wrote = connection.poll_write(context, &slices[from.min(to - 1)..to]);
        connection.out = out;
        match ready!(wrote) {
            Ok(count @ 1..) => {
                self.begun = true;
                self.advance(count, &mut connection.out);
            }
            Ok(0) | Err(_) => {
                self.state = State::Refused;
                self.body = if self.begun { None } else { self.body.take() };
            }
        }
        Poll::Ready(())
    }

    fn advance(&mut self, mut count: usize, out: &mut Vec<u8>) {
        let first = count.min(out.len() - self.written);
        self.written += first;
        count -= first;
        if self.written == out.len() {
            out.clear();
            self.written = 0;
        }
        let second = count.min(self.data.len());
        self.data.advance(second);
        self.end = &self.end[count - second..];
        if self.data.is_empty() && !self.end.is_empty() {
            // It may go with what comes next.
            out.extend_from_slice(std::mem::take(&mut self.end));
        }
    }
}

const fn left_of(framing: &Framing) -> &u64 {
    match framing {
        Framing::Length(left) => left,
        Framing::Chunked => &u64::MAX,
    }
}
