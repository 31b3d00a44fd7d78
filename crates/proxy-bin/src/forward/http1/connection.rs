//! A connection to an upstream that speaks HTTP/1.1, with TLS or without.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use super::alarm::Alarm;

/// How much is read at once, to begin with; twice as much each time that it was filled.
const FIRST_READ: usize = 8 * 1024;
const LARGEST_READ: usize = 256 * 1024;

/// A connection to an upstream.
pub(in crate::forward) struct Connection {
    stream: Stream,
    /// What was read and not yet taken.
    pub(super) read: BytesMut,
    /// What is to be written of the exchange; kept for the next one.
    pub(super) out: Vec<u8>,
    pub(super) alarm: Alarm,
    reading: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TokioIo<TokioIo<TcpStream>>>>),
}

impl Connection {
    /// A connection that was just made.
    pub(in crate::forward) fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        let stream = match stream {
            MaybeHttpsStream::Http(stream) => Stream::Plain(stream.into_inner()),
            MaybeHttpsStream::Https(stream) => Stream::Tls(Box::new(stream.into_inner())),
        };
        Self {
            stream,
            read: BytesMut::new(),
            out: Vec::new(),
            alarm: Alarm::default(),
            reading: FIRST_READ,
        }
    }

    /// Whether the other side has closed it, or has said something unasked, as far as is known
    /// without asking the system.
    pub(in crate::forward) fn is_spent(&mut self) -> bool {
        if !self.read.is_empty() {
            return true;
        }
        let mut space = [0; 1];
        let mut buffer = ReadBuf::new(&mut space);
        let mut context = Context::from_waker(Waker::noop());
        self.poll_read(&mut context, &mut buffer).is_ready()
    }

    /// The same, asking the system: for what must not be sent twice.
    pub(in crate::forward) fn is_spent_by_now(&mut self) -> bool {
        use rustix::net::{RecvFlags, recv};
        let socket = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0.inner().inner(),
        };
        let mut space = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match (recv(socket, &mut space[..], flags), &self.stream) {
            (Err(rustix::io::Errno::WOULDBLOCK), _) => self.is_spent(),
            // A TLS session has its own to say, which is no end.
            (Ok((_, 1..)), Stream::Tls(_)) => self.is_spent(),
            _ => true,
        }
    }

    /// Reads more.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < FIRST_READ / 2 || self.reading > FIRST_READ {
            self.read.reserve(self.reading);
        }
        let room = self.read.capacity() - self.read.len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => poll_read_buf(Pin::new(stream), context, &mut self.read),
            Stream::Tls(stream) => poll_read_buf(Pin::new(stream), context, &mut self.read),
        };
        if let Poll::Ready(Ok(count)) = read {
            self.reading = if count == room {
                (self.reading * 2).min(LARGEST_READ)
            } else if count < self.reading / 4 {
                FIRST_READ
            } else {
                self.reading
            };
        }
        read
    }

    /// Its stream, for another protocol.
    pub(super) fn into_switched(self) -> Switched {
        Switched {
            read: self.read.freeze(),
            stream: self.stream,
        }
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One piece takes the system a shorter way.
        if let ([piece], Stream::Plain(stream)) = (slices, &mut self.stream) {
            return Pin::new(stream).poll_write(context, piece);
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    /// Sees to it that what was written has left: TLS may hold some of it back.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }
}

impl fmt::Debug for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switched")
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// A connection that carries another protocol from now on; what was read of that goes first.
pub(in crate::forward) struct Switched {
    read: Bytes,
    stream: Stream,
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.read.is_empty() {
            let count = self.read.len().min(buffer.remaining());
            buffer.put_slice(&self.read[..count]);
            self.read.advance(count);
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
