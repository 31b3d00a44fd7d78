//! Versions, methods, and what ends a message without a body: RFC 9110 §6.2, RFC 9112 §2.3 and §6.3.

use keycloak_testkit::EchoUpstream;

use crate::support::{RawUpstream, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    let reply = raw.ask("GET /stream/3 HTTP/1.0\r\n\r\n").await.expect(200);
    assert_eq!(reply.headers("transfer-encoding"), [""; 0]);
    assert_eq!(reply.text().lines().count(), 3);
    // The end of the connection was the end of the body.
    raw.closed().await;

    let mut raw = site.raw().await;
    let reply = raw
        .ask("GET /stream/3 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    assert_eq!(reply.header("transfer-encoding"), "chunked");
    assert!(reply.whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_keeps_a_connection_only_if_asked() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask("GET /bytes/1 HTTP/1.0\r\n\r\n").await.expect(200);
    raw.closed().await;
    let mut raw = site.raw().await;
    let kept = "GET /bytes/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let reply = raw.ask(kept).await.expect(200);
    assert_eq!(reply.header("connection"), "keep-alive");
    raw.ask(kept).await.expect(200);
    assert_eq!(upstream.requests()[0].header("via"), Some("1.0 oidc-proxy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_switches_to_nothing() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask("GET /upgrade HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .await
        .expect(426);
    assert_eq!(upstream.requests()[0].header_lines("upgrade"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_not_spoken_are_refused() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (version, status) in [
        ("HTTP/2.0", 505),
        ("HTTP/0.9", 505),
        ("HTTP/1.2", 505),
        ("http/1.1", 400),
        ("HTTP/1.10", 400),
        ("HTTPS/1.1", 400),
    ] {
        let mut raw = site.raw().await;
        raw.ask(format!("GET / {version}\r\nHost: a\r\n\r\n"))
            .await
            .expect(status);
        raw.closed().await;
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_have_none() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for (path, status) in [("/status/204", 204), ("/status/304", 304)] {
        let reply = raw
            .ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let reply = reply.expect(status);
        assert_eq!(reply.headers("transfer-encoding"), [""; 0]);
        if status == 204 {
            assert_eq!(reply.headers("content-length"), [""; 0]);
        }
        // What follows is the next answer, not a body.
        let next = raw
            .ask("GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        assert_eq!(next.text(), "xxx");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_length_and_not_the_body() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("HEAD /bytes/1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let head = raw.head().await.expect(200);
    assert_eq!(head.header("content-length"), "1000");
    raw.ask("GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);

    let upstream = RawUpstream::answering(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n",
    )
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..2 {
        let reply = raw
            .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(304);
        assert_eq!(reply.header("etag"), "\"x\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_may_have_a_body() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        upstream.forget_requests();
        raw.ask(request).await.expect(200);
        let requests = upstream.requests();
        assert!(requests[0].whole);
        assert_eq!(&requests[0].body[..], b"abc", "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_go_upstream_as_they_are_except_two() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get",
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.ask(format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        ))
        .await
        .expect(200);
        assert_eq!(upstream.requests()[0].method, method);
    }
    upstream.forget_requests();
    for request in ["TRACE /", "CONNECT a:443", "CONNECT /"] {
        let mut raw = site.raw().await;
        let reply = raw
            .ask(format!("{request} HTTP/1.1\r\nHost: a:443\r\n\r\n"))
            .await;
        assert!(matches!(reply.status, 400 | 405), "{request}: {reply:?}");
        if reply.status == 405 {
            assert!(!reply.header("allow").is_empty());
        }
        raw.closed().await;
    }
    assert_eq!(upstream.count(), 0);
}
