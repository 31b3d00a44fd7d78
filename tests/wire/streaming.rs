//! Bodies on their way: as they come, as fast as the slower side takes them, and no faster.

use std::sync::Arc;

use keycloak_testkit::{EchoUpstream, Gate};
use tokio::sync::Notify;

use crate::support::{RawUpstream, Site, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_arrives_before_the_second_exists() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("GET /sse HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = raw.head().await.expect(200);
    assert_eq!(head.header("content-type"), "text/event-stream");
    let mut first = String::new();
    while !first.contains("data: first\n\n") {
        first.push_str(&String::from_utf8(raw.some().await).expect("text"));
    }
    assert!(!first.contains("second"));
    upstream.release();
    let mut rest = first;
    while !rest.ends_with("0\r\n\r\n") {
        rest.push_str(&String::from_utf8(raw.some().await).expect("text"));
    }
    assert!(rest.contains("data: second\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_arrives_before_its_end() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for framing in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
        upstream.forget_requests();
        let chunked = framing.contains("chunked");
        let mut raw = site.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
            .await;
        raw.send(if chunked { "3\r\nabc\r\n" } else { "abc" }).await;
        upstream
            .wait_until("the first half", |all| {
                all.first()
                    .is_some_and(|request| &request.body[..] == b"abc")
            })
            .await;
        assert!(!upstream.requests()[0].ended);
        raw.send(if chunked {
            "3\r\ndef\r\n0\r\n\r\n"
        } else {
            "def"
        })
        .await;
        raw.answer().await.expect(200);
        assert_eq!(&upstream.requests()[0].body[..], b"abcdef");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_whole_both_ways() {
    const SIZE: usize = 24 * 1024 * 1024;
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send(format!(
        "PUT /status/204 HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
    ))
    .await;
    let body: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    raw.send(&body).await;
    raw.answer().await.expect(204);
    assert!(upstream.requests()[0].body == body, "the same bytes");
    let reply = raw
        .ask(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .await
        .expect(200);
    assert!(reply.whole);
    assert_eq!(reply.body.len(), SIZE);
}

/// More than all buffers on the way can hold together.
const MUCH: usize = 96 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_read_stops_the_client() {
    let gate = Gate::closed();
    let upstream = RawUpstream::start({
        let gate = gate.clone();
        move |_, mut peer| {
            let gate = gate.clone();
            async move {
                peer.head().await;
                gate.pass().await;
                peer.read(MUCH).await;
                peer.send("HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        }
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {MUCH}\r\n\r\n"
    ))
    .await;
    let taken = raw.send_while_taken(MUCH).await;
    assert!(taken < MUCH / 2, "{taken} bytes are held somewhere");
    gate.open();
    raw.send(vec![b'x'; MUCH - taken]).await;
    raw.answer().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_the_upstream() {
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let upstream = RawUpstream::start({
        let sent = Arc::clone(&sent);
        move |_, mut peer| {
            let sent = Arc::clone(&sent);
            async move {
                peer.head().await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
                peer.send(head).await;
                let piece = vec![b'x'; 64 * 1024];
                for _ in 0..MUCH / piece.len() {
                    peer.send(&piece).await;
                    sent.fetch_add(piece.len(), std::sync::atomic::Ordering::SeqCst);
                }
            }
        }
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = raw.head().await.expect(200);
    let so_far = || sent.load(std::sync::atomic::Ordering::SeqCst);
    // It has stopped when as much was sent twice in a row.
    let mut before = usize::MAX;
    while so_far() != before {
        before = so_far();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(before < MUCH / 2, "{before} bytes are held somewhere");
    let reply = raw.body(head).await;
    assert!(reply.whole);
    assert_eq!(reply.body.len(), MUCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_may_answer_before_the_body_has_ended() {
    let answered = Arc::new(Notify::new());
    let upstream = RawUpstream::start({
        let answered = Arc::clone(&answered);
        move |_, mut peer| {
            let answered = Arc::clone(&answered);
            async move {
                peer.head().await;
                peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                    .await;
                answered.notified().await;
                peer.read(6).await;
            }
        }
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    let reply = raw.answer().await.expect(403);
    assert_eq!(reply.text(), "no");
    answered.notify_one();
    raw.send("def").await;
    // The rest of the body is not the next request.
    let next = raw
        .ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    next.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_is_read_by_a_client_that_still_sends() {
    // It answers and closes with most of the body unread.
    let upstream = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
        peer.send(
            "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
    })
    .await;
    let site = Site::before(upstream.address()).await;
    for _ in 0..10 {
        let mut raw = site.raw().await;
        raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            .await;
        // The answer may come, and the end with it, while this is being sent.
        let _ = raw.try_send(vec![b'x'; 500_000]).await;
        let reply = raw.answer().await;
        assert!(matches!(reply.status, 413 | 502), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_refusal_is_read_by_a_client_that_still_sends() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.service(
            "routes",
            serde_json::json!([{"name": "r", "paths": ["/here"]}]),
        );
    })
    .await;
    for _ in 0..10 {
        let mut raw = site.raw().await;
        raw.send("POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
            .await;
        let _ = raw.try_send(vec![b'x'; 2_000_000]).await;
        raw.answer()
            .await
            .says(404, "no Route matched with those values");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_upstreams_work() {
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let upstream = RawUpstream::start({
        let ended = Arc::clone(&ended);
        move |_, mut peer| {
            let ended = Arc::clone(&ended);
            async move {
                peer.head().await;
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
                    .await;
                peer.ended().await;
                ended.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.expect(200);
    drop(raw);
    until("the upstream is told", || {
        ended.load(std::sync::atomic::Ordering::SeqCst)
    })
    .await;
}
