//! A stream that is watched on its way to the HTTP parser: for heads that do not come in time, for
//! connections that idle, and for what the parser would pass over in silence.
//! Serves the contract: 408, the idle bound, and the refusal of a fragment in a target.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Where a connection of HTTP/1 is; told by its service, asked by its stream.
#[derive(Debug, Default)]
pub(super) struct Phase {
    phase: AtomicU8,
    fragment: AtomicBool,
}

const IDLE: u8 = 0;
/// Before the request line, after an empty one (RFC 9112 §2.2).
const BLANK: u8 = 1;
/// Within the request line.
const LINE: u8 = 2;
/// Within the head, after its first line.
const HEAD: u8 = 3;
/// A request is being answered.
const BUSY: u8 = 4;
/// The connection carries another protocol.
const UPGRADED: u8 = 5;

impl Phase {
    fn get(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }

    fn set(&self, phase: u8) {
        self.phase.store(phase, Ordering::Release);
    }

    /// A request has come.
    pub(super) fn begin(&self) {
        self.set(BUSY);
    }

    /// Its answer has gone.
    pub(super) fn end(&self) {
        let _ = self
            .phase
            .compare_exchange(BUSY, IDLE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The connection is HTTP no more.
    pub(super) fn upgrade(&self) {
        self.set(UPGRADED);
    }

    /// Whether the target of the request that has come had a fragment.
    pub(super) fn take_fragment(&self) -> bool {
        self.fragment.swap(false, Ordering::AcqRel)
    }
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Between two requests.
    pub(super) idle: Duration,
    /// For a head, from its first byte on.
    pub(super) head: Duration,
}

/// A watched stream.
pub(super) struct Watched<S> {
    stream: S,
    phase: Arc<Phase>,
    patience: Patience,
    /// When the phase began that a deadline holds in.
    since: Instant,
    seen: u8,
    alarm: Pin<Box<Sleep>>,
    /// What is left to write before the end.
    farewell: Option<&'static [u8]>,
}

const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 29\r\n\
    Connection: close\r\n\
    \r\n\
    {\"message\":\"Request timeout\"}";

impl<S> Watched<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            stream,
            phase,
            patience,
            since: now,
            seen: IDLE,
            alarm: Box::pin(tokio::time::sleep_until(now + patience.idle)),
            farewell: None,
        }
    }

    /// Follows the bytes of a head.
    fn look(&mut self, mut bytes: &[u8]) {
        let before = self.phase.get();
        let mut phase = before;
        if phase == IDLE && !bytes.is_empty() {
            phase = BLANK;
            self.since = Instant::now();
        }
        if phase == BLANK
            && let Some(begun) = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))
        {
            phase = LINE;
            bytes = &bytes[begun..];
        }
        if phase == LINE {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            if bytes[..end.unwrap_or(bytes.len())].contains(&b'#') {
                self.phase.fragment.store(true, Ordering::Release);
            }
            if end.is_some() {
                phase = HEAD;
            }
        }
        if phase != before {
            self.phase.set(phase);
        }
        self.seen = phase;
    }

    /// Whether the client's time is up.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let phase = self.phase.get();
        if phase != self.seen {
            self.seen = phase;
            self.since = Instant::now();
        }
        let patience = match phase {
            IDLE => self.patience.idle,
            BLANK | LINE | HEAD => self.patience.head,
            _ => return Poll::Pending,
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
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.farewell.is_none() {
            let before = buffer.filled().len();
            match Pin::new(&mut this.stream).poll_read(context, buffer) {
                Poll::Ready(Ok(())) => {
                    if this.phase.get() < BUSY {
                        this.look(&buffer.filled()[before..]);
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => ready!(this.poll_late(context)),
            }
            // Whoever has begun a request is told; whoever idles is not.
            let begun = matches!(this.phase.get(), BLANK | LINE | HEAD);
            this.farewell = Some(if begun { TOO_LATE } else { &[] });
        }
        while let Some(left) = this.farewell.filter(|left| !left.is_empty()) {
            let written = ready!(Pin::new(&mut this.stream).poll_write(context, left))?;
            this.farewell = Some(left.get(written.max(1)..).unwrap_or_default());
        }
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        // The end of the stream, as the parser sees it.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(60),
        head: Duration::from_secs(10),
    };

    fn watched() -> (
        Watched<tokio::io::DuplexStream>,
        tokio::io::DuplexStream,
        Arc<Phase>,
    ) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let phase = Arc::new(Phase::default());
        (
            Watched::new(ours, Arc::clone(&phase), PATIENCE),
            theirs,
            phase,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_is_answered_by_408() {
        let (mut stream, mut client, _) = watched();
        client.write_all(b"GET / HT").await.expect("written");
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.expect("an end");
        assert_eq!(read, b"GET / HT");
        drop(stream);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{answer}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends_without_a_word_and_a_busy_one_does_not_end() {
        let (mut stream, mut client, phase) = watched();
        client
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("written");
        let mut head = [0; 18];
        stream.read_exact(&mut head).await.expect("the head");
        phase.begin();
        let busy = tokio::time::timeout(Duration::from_secs(3600), stream.read_u8()).await;
        assert!(busy.is_err(), "a request takes as long as it takes");
        phase.end();
        let begun = Instant::now();
        assert!(stream.read_u8().await.is_err(), "ended");
        assert_eq!(begun.elapsed().as_secs(), 60);
        drop(stream);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("an end");
        assert!(answer.is_empty());
    }

    #[tokio::test]
    async fn a_fragment_is_seen_in_the_request_line_alone() {
        for (head, seen) in [
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("\r\nGET /a#b HTTP/1.1\r\n\r\n", true),
            ("GET /a HTTP/1.1\r\nX: #\r\n\r\n", false),
        ] {
            for cut in 1..head.len() {
                let (mut stream, mut client, phase) = watched();
                let mut read = vec![0; head.len()];
                let (first, second) = head.as_bytes().split_at(cut);
                client.write_all(first).await.expect("written");
                stream.read_exact(&mut read[..cut]).await.expect("read");
                client.write_all(second).await.expect("written");
                stream.read_exact(&mut read[cut..]).await.expect("read");
                assert_eq!(phase.take_fragment(), seen, "{head:?} cut at {cut}");
            }
        }
    }
}
