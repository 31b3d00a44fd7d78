//! What an upstream says that it was not asked for, before an answer, after it, or for ever:
//! RFC 9110 §15.2, RFC 9112 §6.3, §9.2 and §9.3. None of it is ever another's answer.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use crate::support::{RawUpstream, Site, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FORGED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_have_an_end() {
    let interim = "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n";
    let upstream = RawUpstream::answering(interim.repeat(100) + OK).await;
    let site = Site::before(upstream.address()).await;
    let reply = site.raw().await.ask(GET).await.expect(200);
    assert_eq!(reply.text(), "ok");
    assert_eq!(reply.headers("x"), [""; 0]);
    // One that goes on for ever is given up long before the upstream's time has passed.
    let given_up = Arc::new(Notify::new());
    let upstream = RawUpstream::start({
        let given_up = Arc::clone(&given_up);
        move |_, mut peer| {
            let given_up = Arc::clone(&given_up);
            async move {
                peer.head().await;
                while peer.try_send(interim.repeat(1_000)).await {}
                given_up.notify_one();
            }
        }
    })
    .await;
    for method in ["GET", "POST"] {
        let site = Site::before(upstream.address()).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let reply = site.raw().await.ask(request).await;
        reply.says(502, "Bad gateway");
        given_up.notified().await;
    }
}

/// An upstream that answers the first request of its first connection with something, and goes on to
/// send something else once that is wanted; every other request it answers as it should.
struct Talkative {
    upstream: RawUpstream,
    wanted: Arc<Notify>,
    said: Arc<Notify>,
}

impl Talkative {
    async fn start(first: &'static str, more: &'static str) -> Self {
        let (wanted, said) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let both = (Arc::clone(&wanted), Arc::clone(&said));
        let upstream = RawUpstream::start(move |number, mut peer| {
            let (wanted, said) = both.clone();
            async move {
                if number == 0 && peer.head().await.is_some() {
                    peer.send(first).await;
                    wanted.notified().await;
                    peer.send(more).await;
                    said.notify_one();
                }
                while let Some(head) = peer.head().await {
                    let target = head.split(' ').nth(1).unwrap_or_default();
                    let length = target.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}");
                    peer.send(answer).await;
                }
            }
        })
        .await;
        Self {
            upstream,
            wanted,
            said,
        }
    }

    async fn go_on(&self) {
        self.wanted.notify_one();
        self.said.notified().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_request_reaches_no_other_client() {
    for (request, first, more) in [
        ("GET", OK, FORGED),
        ("GET", OK, "H"),
        ("GET", OK, "\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            FORGED,
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
            "forged",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 83\r\n\r\n",
            FORGED,
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", FORGED),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
            FORGED,
        ),
        ("POST", OK, FORGED),
    ] {
        let talkative = Talkative::start(first, more).await;
        let site = Site::before(talkative.upstream.address()).await;
        let mut attacker = site.raw().await;
        attacker
            .send(format!(
                "{request} /attack HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        attacker.head().await;
        talkative.go_on().await;
        for number in 0..4 {
            let mut victim = site.raw().await;
            let method = if number % 2 == 0 { "GET" } else { "POST" };
            let reply = victim
                .ask(format!(
                    "{method} /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                ))
                .await
                .expect(200);
            assert_eq!(
                reply.text(),
                format!("/{number}"),
                "{request} {first:?} {more:?}"
            );
        }
        let sent = talkative.upstream.heads();
        assert_eq!(sent.len(), 5, "each was sent once: {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_an_answer_cannot_have_is_nobodys() {
    for (request, answer, status) in [
        ("HEAD", FORGED, 200),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nforged",
            204,
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nforged\r\n0\r\n\r\n",
            204,
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nforged",
            304,
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            304,
        ),
    ] {
        let upstream = RawUpstream::start(move |number, mut peer| async move {
            if number == 0 && peer.head().await.is_some() {
                peer.send(answer).await;
            }
            while peer.head().await.is_some() {
                peer.send(OK).await;
            }
        })
        .await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        raw.send(format!("{request} / HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let head = raw.head().await.expect(status);
        if status == 204 {
            assert_eq!(head.headers("transfer-encoding"), [""; 0], "{answer:?}");
        }
        // The client's connection goes on with the next answer.
        let next = raw.ask(GET).await.expect(200);
        assert_eq!(next.text(), "ok", "{answer:?}");
        assert_eq!(upstream.connections(), 2, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_after_its_answer_costs_no_request() {
    let closed = Arc::new(Notify::new());
    let upstream = RawUpstream::start({
        let closed = Arc::clone(&closed);
        move |_, mut peer| {
            let closed = Arc::clone(&closed);
            async move {
                let head = peer.head().await;
                if head.is_some_and(|head| head.contains("Content-Length: 3")) {
                    peer.read(3).await;
                }
                peer.send(OK).await;
                drop(peer);
                closed.notify_one();
            }
        }
    })
    .await;
    let site = Site::with(upstream.address(), |config| {
        config.service("retries", json!(0));
    })
    .await;
    let mut raw = site.raw().await;
    for number in 0..10 {
        let request = format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        raw.ask(request).await.expect(200);
        closed.notified().await;
    }
    let heads = upstream.heads();
    assert_eq!(heads.len(), 10, "{heads:?}");
    for (number, head) in heads.iter().enumerate() {
        assert!(head.starts_with(&format!("POST /{number} ")), "{head}");
    }
}

/// What is left of a request's body when its answer has come is sent before the connection is used
/// again, or the connection is not used again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_its_request_has_ended_leaves_nothing_to_the_next() {
    for reads_on in [true, false] {
        let upstream = RawUpstream::start(move |number, mut peer| async move {
            while let Some(head) = peer.head().await {
                if number == 0 && head.starts_with("POST") {
                    peer.send(OK).await;
                    if !reads_on {
                        return;
                    }
                    peer.read(10).await;
                } else {
                    peer.send(OK).await;
                }
            }
        })
        .await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        raw.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            .await;
        raw.answer().await.expect(200);
        // Meanwhile others come.
        let other = site.raw().await.ask(GET).await.expect(200);
        assert_eq!(other.text(), "ok");
        let _ = raw.try_send("defghij").await;
        until("what is left has been dealt with", || {
            upstream.heads().len() == 2
        })
        .await;
        for _ in 0..3 {
            let other = site.raw().await.ask(GET).await.expect(200);
            assert_eq!(other.text(), "ok");
        }
        for head in upstream.heads() {
            assert!(
                head.starts_with("POST /1 ") || head.starts_with("GET / "),
                "{head}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_switches_without_being_asked_is_a_bad_gateway() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let follows = format!("{switching}{FORGED}");
    for request in [
        GET,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ] {
        let upstream = RawUpstream::answering(follows.clone()).await;
        let site = Site::before(upstream.address()).await;
        let mut raw = site.raw().await;
        for _ in 0..3 {
            raw.ask(request).await.says(502, "Bad gateway");
        }
        assert_eq!(upstream.connections(), 3, "none is used again");
    }
}
