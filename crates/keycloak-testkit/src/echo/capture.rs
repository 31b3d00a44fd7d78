//! The bytes of HTTP/1.1 heads as they came: parsers lose their order and their case.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// A connection that writes down what it reads.
pub(super) struct Capture {
    stream: TcpStream,
    log: Log,
}

/// What was read and not yet told apart into requests.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Read>>);

#[derive(Default)]
struct Read {
    bytes: Vec<u8>,
    /// How the body before the next head is delimited.
    body: Framing,
    /// Nothing more is to be kept: HTTP/2, or after an upgrade.
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    None,
    Length(usize),
    Chunked,
}

impl Capture {
    pub(super) const fn new(stream: TcpStream, log: Log) -> Self {
        Self { stream, log }
    }
}

impl Log {
    /// The lines of the head that has just been read: the request line and the header lines. None
    /// for HTTP/2, which has no lines.
    pub(super) fn next_head(&self) -> Option<Vec<String>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_head()
    }

    fn add(&self, bytes: &[u8]) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !read.closed {
            read.bytes.extend_from_slice(bytes);
        }
    }
}

impl Read {
    fn next_head(&mut self) -> Option<Vec<String>> {
        if self.closed || self.bytes.starts_with(HTTP2_PREFACE) {
            self.close();
            return None;
        }
        let body = match self.body {
            Framing::None => 0,
            Framing::Length(length) => length,
            Framing::Chunked => chunked_length(&self.bytes)?,
        };
        self.bytes.drain(..body.min(self.bytes.len()));
        let end = find(&self.bytes, b"\r\n\r\n")?;
        let head: Vec<u8> = self.bytes.drain(..end + 4).take(end).collect();
        let lines: Vec<String> = String::from_utf8_lossy(&head)
            .split("\r\n")
            .skip_while(|line| line.is_empty())
            .map(str::to_owned)
            .collect();
        self.body = framing(&lines);
        if header(&lines, "upgrade").is_some() {
            self.close();
        }
        Some(lines)
    }

    fn close(&mut self) {
        self.closed = true;
        self.bytes = Vec::new();
    }
}

fn framing(lines: &[String]) -> Framing {
    if header(lines, "transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    header(lines, "content-length")
        .and_then(|length| length.parse().ok())
        .map_or(Framing::None, Framing::Length)
}

fn header<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    lines.iter().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The length of a whole chunked body with its trailers (RFC 9112 §7.1).
fn chunked_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = String::from_utf8_lossy(&bytes[at..at + line]).into_owned();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        at = at.checked_add(size)?.checked_add(2)?;
        if at > bytes.len() {
            return None;
        }
    }
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

impl AsyncRead for Capture {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        this.log.add(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Capture {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::Log;

    #[test]
    fn heads_are_told_apart_whatever_lies_between() {
        let log = Log::default();
        log.add(b"POST /a HTTP/1.1\r\nhOsT: x\r\nContent-Length: 4\r\n\r\n\r\n\r\n");
        assert_eq!(
            log.next_head(),
            Some(vec![
                "POST /a HTTP/1.1".to_owned(),
                "hOsT: x".to_owned(),
                "Content-Length: 4".to_owned(),
            ])
        );
        log.add(b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(log.next_head().is_some_and(|head| head[0].contains("/b")));
        log.add(b"4;ext=1\r\nab\r\n\r\n0\r\nx-trailer: 1\r\n\r\nGET /c HTTP/1.1\r\n\r\n");
        assert_eq!(log.next_head(), Some(vec!["GET /c HTTP/1.1".to_owned()]));
        log.add(b"GET /d HTTP/1.1\r\n\r\n");
        assert_eq!(log.next_head(), Some(vec!["GET /d HTTP/1.1".to_owned()]));
    }

    #[test]
    fn http2_has_no_lines() {
        let log = Log::default();
        log.add(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(log.next_head(), None);
    }
}
