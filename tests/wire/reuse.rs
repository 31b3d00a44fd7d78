//! Kept connections to the upstream, and what is sent a second time: RFC 9110 §9.2.2, RFC 9112 §9.3.

use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{RawUpstream, Site};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    for retries in [0, 5] {
        let before = upstream.connections();
        let site = Site::with(upstream.address(), |config| {
            config.service("retries", json!(retries));
        })
        .await;
        for _ in 0..3 {
            let mut raw = site.raw().await;
            for request in [
                "GET /bytes/10 HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                "GET /stream/3 HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /bytes/200000 HTTP/1.1\r\nHost: a\r\n\r\n",
            ] {
                assert!(raw.ask(request).await.whole);
            }
        }
        assert_eq!(upstream.connections() - before, 1, "with retries {retries}");
    }
}

/// An upstream that answers the first request of each connection, and meets the second one with the
/// end of the connection; the third connection answers everything.
async fn forgetful() -> RawUpstream {
    RawUpstream::start(|number, mut peer| async move {
        if peer.head().await.is_some() {
            peer.send(OK).await;
        }
        // It has read the next request, or a part of it, when it ends.
        while peer.head().await.is_some() && number > 0 {
            peer.send(OK).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_safe_to_repeat_is_repeated_on_a_connection_that_was_gone() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let upstream = forgetful().await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        raw.ask("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        raw.send(format!(
            "{method} /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        raw.head().await.expect(200);
        let targets: Vec<_> = upstream
            .heads()
            .iter()
            .map(|head| head.contains("/2"))
            .collect();
        assert_eq!(targets, [false, true, true], "{method}");
        assert_eq!(upstream.connections(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_safe_to_repeat_is_sent_once() {
    for (request, retries) in [
        (
            "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            5,
        ),
        (
            "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            5,
        ),
        (
            "PATCH /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            5,
        ),
        // Its body is gone with the first attempt.
        (
            "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            5,
        ),
        // Nothing is repeated that was told not to be.
        ("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ] {
        let upstream = forgetful().await;
        let site = Site::with(upstream.address(), |config| {
            config.service("retries", json!(retries));
        })
        .await;
        let mut raw = site.raw().await;
        raw.ask("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        raw.ask(request).await.says(502, "Bad gateway");
        let second = upstream
            .heads()
            .iter()
            .filter(|head| head.contains("/2"))
            .count();
        assert_eq!(second, 1, "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_that_is_cut_is_not_tried_again() {
    let upstream = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .says(502, "Bad gateway");
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_asked_for_answer_no_request() {
    let upstream = RawUpstream::start(|_, mut peer| async move {
        if peer.head().await.is_some() {
            peer.send(format!(
                "{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
            ))
            .await;
        }
        while peer.head().await.is_some() {
            peer.send(OK).await;
        }
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..4 {
        let reply = raw
            .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        assert_eq!(reply.text(), "ok");
    }
}
