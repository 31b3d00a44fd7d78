//! The echo upstream: what it answers, and what it remembers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keycloak_testkit::EchoUpstream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn exchange(upstream: &EchoUpstream, raw: &str) -> String {
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    stream.write_all(raw.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A cut connection may also end in a reset.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn says_what_it_was_asked_as_httpbin_does() {
    let upstream = EchoUpstream::start().await.unwrap();
    let form = "x=1&x=2&y=%20";
    let answer = exchange(
        &upstream,
        &format!(
            "POST /anything/below?q=a&q=b&r= HTTP/1.1\r\nHost: up.test\r\nrefresh-token: R\r\n\
             X-Twice: 1\r\nx-tWICE: 2\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
            form.len()
        ),
    )
    .await;
    let echo = body(&answer);
    assert_eq!(echo["args"], json!({"q": ["a", "b"], "r": ""}));
    assert_eq!(echo["form"], json!({"x": ["1", "2"], "y": " "}));
    assert_eq!(echo["data"], "");
    assert_eq!(echo["headers"]["Refresh-Token"], "R");
    assert_eq!(echo["headers"]["X-Twice"], "1,2");
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["origin"], "127.0.0.1");
    assert_eq!(echo["url"], "http://up.test/anything/below?q=a&q=b&r=");

    let requests = upstream.wait_for(1).await;
    assert_eq!(requests[0].target, "/anything/below?q=a&q=b&r=");
    assert_eq!(requests[0].lines[3], "x-tWICE: 2");
    assert_eq!(requests[0].header_lines("X-TWICE"), ["1", "2"]);
    assert_eq!(&requests[0].body[..], form.as_bytes());
    assert!(requests[0].whole);
}

#[tokio::test]
async fn remembers_every_request_of_a_connection() {
    let upstream = EchoUpstream::start().await.unwrap();
    exchange(
        &upstream,
        "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
         3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n\
         GET /second HTTP/1.1\r\nHost: x\r\nX-CaSe: kept\r\nConnection: close\r\n\r\n",
    )
    .await;
    let requests = upstream.wait_for(2).await;
    assert_eq!(&requests[0].body[..], b"abc");
    let trailers = requests[0].trailers.clone().unwrap();
    assert_eq!(trailers["x-sum"], "3");
    assert_eq!(requests[1].path(), "/second");
    assert_eq!(requests[1].lines[1], "X-CaSe: kept");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn answers_by_path() {
    let upstream = EchoUpstream::start().await.unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let cases = [
        ("/status/503", "HTTP/1.1 503", ""),
        ("/status/204", "HTTP/1.1 204", ""),
        ("/bytes/3", "HTTP/1.1 200", "xxx"),
        ("/stream/2", "HTTP/1.1 200", "\"id\":1"),
        (
            "/response-headers?x-a=1&x-a=2",
            "HTTP/1.1 200",
            "x-a: 1\r\nx-a: 2",
        ),
        ("/upgrade", "HTTP/1.1 426", ""),
        ("/anything%2fbelow", "HTTP/1.1 200", "/anything%2fbelow"),
    ];
    for (path, start, part) in cases {
        let answer = exchange(&upstream, &get(path)).await;
        assert!(answer.starts_with(start), "{path}: {answer}");
        assert!(answer.contains(part), "{path}: {answer}");
    }
    let cut = exchange(&upstream, &get("/cut")).await;
    assert!(cut.contains("content-length: 1000") && cut.len() < 1000);
    let trailers = exchange(
        &upstream,
        "GET /trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(trailers.contains("\r\nx-checksum: 4711\r\n"), "{trailers}");
}

#[tokio::test]
async fn holds_the_second_event_until_released() {
    let upstream = EchoUpstream::start().await.unwrap();
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    stream
        .write_all(b"GET /sse HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut read = String::new();
    while !read.contains("data: first") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        read.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    upstream.wait_for_held(1).await;
    assert!(!read.contains("data: second"));
    upstream.release();
    stream.read_to_string(&mut read).await.unwrap();
    assert!(read.contains("data: second"));
}

#[tokio::test]
async fn gives_every_byte_back_after_an_upgrade() {
    let upstream = EchoUpstream::start().await.unwrap();
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    stream
        .write_all(
            b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly",
        )
        .await
        .unwrap();
    let mut read = String::new();
    while !read.ends_with("early") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "{read}");
        read.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert!(read.starts_with("HTTP/1.1 101"), "{read}");
    assert!(read.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{read}");
    stream.write_all(b"late").await.unwrap();
    let mut late = [0; 4];
    stream.read_exact(&mut late).await.unwrap();
    assert_eq!(&late, b"late");
}

#[tokio::test]
async fn speaks_http2_with_prior_knowledge() {
    let upstream = EchoUpstream::start().await.unwrap();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = Request::post(upstream.url("/anything?a=b"))
        .header("X-Name", "v")
        .body(Full::from("{\"k\":1}"))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let echo: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(echo["json"], json!({"k": 1}));
    assert_eq!(echo["headers"]["X-Name"], "v");
    let requests = upstream.wait_for(1).await;
    assert_eq!(requests[0].version, http::Version::HTTP_2);
    assert_eq!(requests[0].target, "/anything?a=b");
}

#[tokio::test]
async fn notes_a_body_that_was_cut() {
    let upstream = EchoUpstream::start().await.unwrap();
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    stream
        .write_all(b"POST /anything HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        .await
        .unwrap();
    upstream
        .wait_until("half a body", |requests| {
            requests.iter().any(|request| &request.body[..] == b"half")
        })
        .await;
    drop(stream);
    let requests = upstream.wait_for(1).await;
    assert!(!requests[0].whole);
}
