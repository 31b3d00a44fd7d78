//! Upstreams that fail: RFC 9110 §15.6.3 and §15.6.5, the contract's table of answers.

use std::net::SocketAddr;

use keycloak_testkit::EchoUpstream;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use crate::support::{Raw, RawUpstream, Site};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_is_a_bad_gateway() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let site = Site::before(address).await;
    let mut raw = site.raw().await;
    raw.ask(GET).await.says(502, "Bad gateway");
    // The client's connection is good still, and so is the upstream once it is back.
    let _back = EchoUpstream::start_at(address).await.expect("an upstream");
    raw.ask(GET).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_a_bad_gateway() {
    for answer in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "hello\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 5\r\n\r\nabcde",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let upstream = RawUpstream::answering_once(answer).await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        raw.ask(GET).await.says(502, "Bad gateway");
        raw.ask(GET).await.says(502, "Bad gateway");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_a_bad_gateway() {
    let upstream = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\n").await;
        for _ in 0..4096 {
            peer.send(format!("X: {}\r\n", "y".repeat(1000))).await;
        }
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask(GET).await.says(502, "Bad gateway");
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok",
        "y".repeat(100_000)
    ))
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask(GET).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_framing_of_an_answer_reaches_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let upstream = RawUpstream::answering_once(answer).await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        for _ in 0..2 {
            let reply = raw.ask(GET).await;
            assert_eq!(reply.status, 200, "{answer:?}");
            assert!(reply.whole, "{answer:?}: {reply:?}");
            assert_eq!(reply.version, "HTTP/1.1");
            assert_eq!(reply.text(), "ok", "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_is_cut_for_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        let upstream = RawUpstream::answering_once(answer).await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        let reply = raw.ask(GET).await.expect(200);
        assert!(!reply.whole, "{answer:?}");
        raw.closed().await;
        // The twin of HTTP/1.0, whose end is the end of the connection, is not taken for whole.
        let mut old = site.raw().await;
        old.send("GET / HTTP/1.0\r\n\r\n").await;
        old.head().await.expect(200);
        let rest = old.rest().await;
        assert!(rest.starts_with(b"abc") || rest.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_silent_is_a_gateway_timeout() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.service("read_timeout", json!(200));
    })
    .await;
    let mut raw = site.raw().await;
    for request in [
        "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        raw.ask(request).await.says(504, "Gateway timeout");
    }
    raw.ask(GET).await.expect(200);
    assert_eq!(upstream.count(), 3, "none was sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_falls_silent_is_cut() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.service("read_timeout", json!(200));
    })
    .await;
    let mut raw = site.raw().await;
    let reply = raw
        .ask("GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    assert_eq!(reply.text(), "data: first\n\n");
    assert!(!reply.whole);
    raw.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_takes_nothing_is_a_gateway_timeout() {
    let upstream = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let site = Site::with(upstream.address(), |config| {
        config.service("write_timeout", json!(200));
    })
    .await;
    let mut raw = site.raw().await;
    let size = 96 * 1024 * 1024;
    raw.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
    ))
    .await;
    raw.send_while_taken(size).await;
    raw.answer().await.says(504, "Gateway timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_accept_is_a_gateway_timeout() {
    // A listener whose queue is full answers nobody who knocks.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let listener = socket.listen(0).expect("a listener");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let mut queued = Vec::new();
    let full = loop {
        let knocking = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(std::time::Duration::from_millis(500), knocking).await {
            Ok(Ok(stream)) => queued.push(stream),
            Ok(Err(error)) => panic!("a full queue refuses nobody: {error}"),
            Err(_) => break queued.len(),
        }
        assert!(queued.len() < 100, "a queue that is never full");
    };
    assert!(full > 0);
    let site = Site::with(address, |config| {
        config.service("connect_timeout", json!(200));
    })
    .await;
    let mut raw = Raw::connect(site.gateway.address()).await;
    raw.ask(GET).await.says(504, "Gateway timeout");
}
