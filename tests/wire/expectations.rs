//! `Expect`: RFC 9110 §10.1.1.

use gateway_tests::World;
use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{JOHN, Raw, Site, three_routes};

const HEAD: &str = "HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_once_its_credential_is_good() {
    let world = World::app().config(three_routes).embedded().await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.send(format!("POST /protected {HEAD}{JOHN}\r\n")).await;
    assert_eq!(raw.head().await.status, 100);
    raw.send("abc").await;
    raw.answer().await.expect(200);
    let requests = world.upstream.requests();
    assert_eq!(&requests[0].body[..], b"abc");
    assert_eq!(requests[0].header_lines("expect"), [""; 0]);
    // The connection is good for the next one.
    raw.ask("GET /public HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_not_asked_for_when_the_answer_is_no() {
    let world = World::app().config(three_routes).embedded().await;
    for (path, lines, status) in [
        ("/protected", "", 401),
        (
            "/protected",
            "Authorization: Basic am9objp3cm9uZw==\r\n",
            401,
        ),
        ("/protected", "Refresh-Token: nobody-issued-this\r\n", 401),
        ("/protected", "Authorization: Basic !\r\n", 400),
        ("/nowhere", "", 404),
        ("/public/a%zz", "", 400),
    ] {
        let mut raw = Raw::connect(world.gateway.address()).await;
        raw.send(format!("POST {path} {HEAD}{lines}\r\n")).await;
        let head = raw.head().await;
        assert_eq!(head.status, status, "{path} {lines}: no 100 goes before");
        assert_eq!(head.header("connection"), "close", "{path} {lines}");
        raw.body(head).await;
        raw.closed().await;
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_not_asked_for() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("limits", json!({"body": 2}));
    })
    .await;
    let mut raw = site.raw().await;
    raw.send(format!("POST / {HEAD}\r\n")).await;
    assert_eq!(raw.head().await.status, 413);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_expectations_are_not_met() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (expect, status) in [
        ("Expect: 100-continue", 200),
        ("Expect: 100-Continue", 200),
        ("Expect: the-moon", 417),
        ("Expect: 100-continue, the-moon", 417),
        ("Expect: 100-continue\r\nExpect: the-moon", 417),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{expect}\r\n\r\nabc"
        ))
        .await
        .expect(status);
        assert_eq!(upstream.count(), usize::from(status == 200), "{expect}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_no_interim_answer() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
        .await;
    assert_eq!(raw.head().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_of_an_upstream_are_not_its_last_word() {
    let upstream = crate::support::RawUpstream::answering(concat!(
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ))
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..2 {
        let reply = raw
            .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        assert_eq!(reply.text(), "ok");
    }
}
