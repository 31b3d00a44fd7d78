//! An upstream that answers with exactly the bytes that a test writes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A listener with a script for each of its connections.
pub(crate) struct RawUpstream {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Heads,
    listening: JoinHandle<()>,
}

type Heads = Arc<Mutex<Vec<String>>>;

/// The gateway, as such an upstream sees it.
pub(crate) struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
    heads: Heads,
}

impl RawUpstream {
    /// Runs a script for each connection; it is given the connection's number, from 0.
    pub(crate) async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, Peer) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Heads::default());
        let listening = tokio::spawn({
            let (connections, heads) = (Arc::clone(&connections), Arc::clone(&heads));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let number = connections.fetch_add(1, Ordering::SeqCst);
                    let peer = Peer {
                        stream,
                        read: Vec::new(),
                        heads: Arc::clone(&heads),
                    };
                    tokio::spawn(script(number, peer));
                }
            }
        });
        Self {
            address,
            connections,
            heads,
            listening,
        }
    }

    /// Answers every request of every connection with these bytes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |_, mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.head().await.is_some() {
                    peer.send(&answer).await;
                }
            }
        })
        .await
    }

    /// Answers one request of each connection with these bytes, and closes it.
    pub(crate) async fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |_, mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                if peer.head().await.is_some() {
                    peer.send(&answer).await;
                }
            }
        })
        .await
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests that scripts have read.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Peer {
    /// The next request's head; `None` at the end.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let head = self.read_to(b"\r\n\r\n").await?;
        let text = String::from_utf8_lossy(&head).into_owned();
        self.heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.clone());
        Some(text)
    }

    /// What has come up to and with these bytes; `None` if the end comes first.
    pub(crate) async fn read_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.read.windows(end.len()).position(|part| part == end);
            if let Some(at) = found {
                return Some(self.read.drain(..at + end.len()).collect());
            }
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// So many bytes; fewer if the end comes first.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                break;
            }
        }
        self.read.drain(..count.min(self.read.len())).collect()
    }

    /// Waits for the gateway to end the connection.
    pub(crate) async fn ended(&mut self) {
        let ended =
            async { while matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {} };
        timeout(Duration::from_secs(30), ended)
            .await
            .expect("the end of the connection");
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The gateway may have given up; the test looks at its side.
        self.try_send(bytes).await;
    }

    /// False once the gateway has given up.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }
}
