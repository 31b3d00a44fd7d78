//! The transport byte for byte: what goes out, once, and what comes of connections that fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oidc_broker::{Broker, HttpTransport, OAuthHttpClient, Transport, TransportError};
use oidc_core::Secret;
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::GrantPolicy;
use oidc_core::provider::Provider;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{code, refresh};

/// What a server does with each connection, once it has read a whole request.
#[derive(Clone, Copy)]
enum Then {
    /// Answers, and keeps the connection.
    Answer(&'static str),
    /// Closes without a word.
    Close,
    /// Closes after a part of the answer.
    Cut(&'static str),
    /// Sends a byte of this at a time, for ever slow.
    Drip(&'static str),
}

/// A server that keeps what it was sent, by connection.
struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Server {
    async fn start(then: impl Fn(usize) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let then = Arc::new(then);
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (seen, then) = (Arc::clone(&seen), Arc::clone(&then));
                tokio::spawn(serve(stream, connection, seen, then));
            }
        });
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<(usize, String)> {
        self.requests.lock().expect("unpoisoned").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
    then: Arc<dyn Fn(usize) -> Then + Send + Sync>,
) {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            // A TLS handshake, which is not understood here.
            Ok(_) if buffer[0] == 0x16 => return,
            Ok(n) => read.extend_from_slice(&buffer[..n]),
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|n| n.trim().parse().expect("a length"))
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        seen.lock()
            .expect("unpoisoned")
            .push((connection, text.clone()));
        read.clear();
        match then(connection) {
            Then::Answer(answer) => stream.write_all(answer.as_bytes()).await.expect("written"),
            Then::Close => return,
            Then::Cut(half) => {
                stream.write_all(half.as_bytes()).await.expect("written");
                return;
            }
            Then::Drip(answer) => {
                for byte in answer.bytes().chain(std::iter::repeat(b' ')) {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

fn post(url: &str) -> http::Request<Secret> {
    http::Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Secret::new("refresh_token=rt0"))
        .expect("a request")
}

fn transport() -> HttpTransport {
    HttpTransport::new().expect("TLS")
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own() {
    let server = Server::start(|_| Then::Answer(OK)).await;
    let transport = transport();
    for _ in 0..3 {
        let response = transport
            .send(post(&server.url("/token")))
            .await
            .expect("answered");
        assert_eq!(
            (response.status.as_u16(), response.body.as_slice()),
            (200, &b"{}"[..])
        );
    }
    let requests = server.requests();
    assert_eq!(
        requests
            .iter()
            .map(|(connection, _)| *connection)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let head = requests[0].1.to_ascii_lowercase();
    assert!(head.starts_with("post /token http/1.1\r\n"), "{head}");
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert!(
        head.contains(&format!("host: {}\r\n", server.address)),
        "{head}"
    );
}

#[tokio::test]
async fn a_server_that_closes_kept_connections_is_no_outage() {
    // It answers one request on each connection, and drops the next that comes on it.
    let server = Server::start(|_| Then::Answer(OK)).await;
    let transport = transport();
    for _ in 0..20 {
        transport
            .send(post(&server.url("/token")))
            .await
            .expect("answered");
    }
    assert_eq!(server.requests().len(), 20);
}

#[tokio::test]
async fn what_was_written_is_never_written_again() {
    let server = Server::start(|_| Then::Close).await;
    let outcome = transport().send(post(&server.url("/token"))).await;
    assert_eq!(outcome.err(), Some(TransportError::Cut));
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let cut = Server::start(move |_| Then::Cut(half)).await;
    let outcome = transport().send(post(&cut.url("/token"))).await;
    assert_eq!(outcome.err(), Some(TransportError::Cut));
    assert_eq!((server.requests().len(), cut.requests().len()), (1, 1));
}

#[tokio::test]
async fn what_is_not_http_is_no_cut_connection() {
    for garbage in [
        "HTTP/9.9 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9\r\n",
        "\0\0\r\n\r\n",
    ] {
        let server = Server::start(move |_| Then::Cut(garbage)).await;
        let outcome = transport().send(post(&server.url("/token"))).await;
        assert_eq!(outcome.err(), Some(TransportError::NotHttp), "{garbage:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let url = format!("http://{}/", free.expect("an address"));
    assert_eq!(
        transport().send(post(&url)).await.err(),
        Some(TransportError::Unreachable)
    );
    let url = "http://no-such-host.invalid/";
    assert_eq!(
        transport().send(post(url)).await.err(),
        Some(TransportError::Unreachable)
    );
    // No TLS where it is expected: the handshake fails before a byte of the request.
    let server = Server::start(|_| Then::Close).await;
    let url = format!("https://{}/", server.address);
    assert_eq!(
        transport().send(post(&url)).await.err(),
        Some(TransportError::Unreachable)
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_drip_ends_at_the_deadline_for_everything_together() {
    let drip = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{";
    let server = Server::start(move |_| Then::Drip(drip)).await;
    let broker = Broker::builder(Arc::new(transport()))
        .timeout(Duration::from_millis(400))
        .build()
        .expect("randomness");
    let provider = Provider::new(&server.url("")).expect("an issuer");
    let client = Client::new("kong", ClientAuthentication::None);
    let policy = Arc::new(GrantPolicy::new(provider, vec![client]));
    let waited = tokio::time::timeout(
        Duration::from_secs(5),
        broker.grant(&policy, refresh("rt0"), None),
    );
    let result = waited.await.expect("it ends by itself");
    assert_eq!(code(&result), "provider.timeout");
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_not_read() {
    let big = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n{}",
        " ".repeat(1_100_000)
    );
    let big: &'static str = Box::leak(big.into_boxed_str());
    let server = Server::start(move |_| Then::Answer(big)).await;
    let outcome = transport().send(post(&server.url("/"))).await;
    assert_eq!(outcome.err(), Some(TransportError::TooLarge));
}

#[tokio::test]
async fn the_crates_of_others_may_send_by_it() {
    use oauth2::AsyncHttpClient as _;
    let server = Server::start(|_| Then::Answer(OK)).await;
    let client = OAuthHttpClient::new(Arc::new(transport()));
    let request = http::Request::post(server.url("/revoke"))
        .body(b"token=a".to_vec())
        .expect("a request");
    let response = client.call(request).await.expect("answered");
    assert_eq!(response.body(), b"{}");
    assert!(server.requests()[0].1.ends_with("\r\n\r\ntoken=a"));
}
