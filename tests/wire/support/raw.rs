//! A client that sends exactly the bytes that a test writes, and reads answers strictly.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything may take; far above what anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to the gateway.
pub(crate) struct Raw {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) version: String,
    /// The header lines as they came.
    pub(crate) lines: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as it said it would.
    pub(crate) whole: bool,
    pub(crate) trailers: Vec<String>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self::over(stream)
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("written");
    }

    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        let writing = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, writing).await.expect("written in time")
    }

    /// Writes for as long as anything is taken, up to so much; gives how much was.
    pub(crate) async fn send_while_taken(&mut self, most: usize) -> usize {
        let piece = vec![b'x'; 64 * 1024];
        let mut taken = 0;
        while taken < most {
            // Whether the other side still takes something is told by time alone.
            match timeout(Duration::from_secs(1), self.stream.write(&piece)).await {
                Ok(Ok(count)) => taken += count,
                _ => break,
            }
        }
        taken
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Reply {
        // What was refused half-way is not taken to its end.
        let _ = self.try_send(request).await;
        self.answer().await
    }

    /// The next answer that is not an interim one.
    pub(crate) async fn answer(&mut self) -> Reply {
        loop {
            let head = self.head().await;
            if head.status >= 200 {
                return self.body(head).await;
            }
        }
    }

    /// The head of the next answer, an interim one included.
    pub(crate) async fn head(&mut self) -> Reply {
        let head = self
            .read_to(b"\r\n\r\n")
            .await
            .unwrap_or_else(|rest| panic!("an answer, not {:?}", String::from_utf8_lossy(&rest)));
        let text = String::from_utf8(head).expect("a head of text");
        let mut lines = text.trim_end().split("\r\n").map(str::to_owned);
        let status_line = lines.next().unwrap_or_default();
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        Reply {
            status: status.unwrap_or_else(|| panic!("a status line, not {status_line:?}")),
            version,
            lines: lines.collect(),
            body: Vec::new(),
            whole: true,
            trailers: Vec::new(),
        }
    }

    /// The body that a head announces.
    pub(crate) async fn body(&mut self, mut reply: Reply) -> Reply {
        let lengths = reply.headers("content-length");
        let codings = reply.headers("transfer-encoding");
        assert!(lengths.len() + codings.len() <= 1, "one length: {reply:?}");
        if matches!(reply.status, 100..200 | 204 | 304) {
            return reply;
        }
        if let Some(length) = lengths.first() {
            let length: usize = length.parse().expect("a length");
            reply.whole = self.fill(length).await;
            reply.body = self.read.drain(..length.min(self.read.len())).collect();
        } else if !codings.is_empty() {
            assert_eq!(codings, ["chunked"]);
            self.chunks(&mut reply).await;
        } else {
            reply.whole = self.fill(usize::MAX).await;
            reply.body = std::mem::take(&mut self.read);
        }
        reply
    }

    async fn chunks(&mut self, reply: &mut Reply) {
        reply.whole = false;
        loop {
            let Ok(line) = self.read_to(b"\r\n").await else {
                return;
            };
            let text = String::from_utf8(line).expect("a chunk's size");
            let size = usize::from_str_radix(text.trim_end(), 16).expect("a chunk's size");
            if size == 0 {
                break;
            }
            if !self.fill(size + 2).await {
                reply.body.append(&mut self.read);
                return;
            }
            reply.body.extend(self.read.drain(..size));
            assert_eq!(self.read.drain(..2).collect::<Vec<_>>(), b"\r\n");
        }
        while let Ok(line) = self.read_to(b"\r\n").await {
            if line == b"\r\n" {
                reply.whole = true;
                return;
            }
            reply
                .trailers
                .push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }

    /// Reads so much more of the body, as it comes.
    pub(crate) async fn some(&mut self) -> Vec<u8> {
        if self.read.is_empty() {
            self.read_more().await;
        }
        std::mem::take(&mut self.read)
    }

    /// Everything until the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.read)
    }

    /// Asserts that the gateway has closed the connection and said nothing more.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let rest = self.rest().await;
            assert!(
                rest.is_empty(),
                "{caller}: nothing more, not {:?}",
                String::from_utf8_lossy(&rest)
            );
        }
    }

    /// Ends the writing half.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.expect("shut down");
    }

    async fn read_to(&mut self, end: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        loop {
            let found = self.read.windows(end.len()).position(|part| part == end);
            if let Some(at) = found {
                return Ok(self.read.drain(..at + end.len()).collect());
            }
            if !self.read_more().await {
                return Err(std::mem::take(&mut self.read));
            }
        }
    }

    async fn fill(&mut self, length: usize) -> bool {
        while self.read.len() < length {
            if !self.read_more().await {
                return length == usize::MAX;
            }
        }
        true
    }

    /// False at the end, however it comes.
    async fn read_more(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.read);
        match timeout(PATIENCE, reading).await.expect("read in time") {
            Ok(count) => count > 0,
            Err(_) => false,
        }
    }
}

impl Reply {
    /// The values of all lines of a name.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.lines
            .iter()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The one value of a name; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values = self.headers(name);
        assert!(values.len() <= 1, "one {name}: {self:?}");
        values.first().copied().unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// Asserts the status, and shows the answer if it is another.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{:?}: {:?}",
            self.lines,
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// Asserts one of the gateway's own answers: JSON with these words.
    #[track_caller]
    pub(crate) fn says(self, status: u16, message: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(
            reply.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert_eq!(reply.text(), format!("{{\"message\":\"{message}\"}}"));
        reply
    }
}
