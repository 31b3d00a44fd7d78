//! Several requests on one connection: answered in their order, each held to the same rules.

use keycloak_testkit::EchoUpstream;

use crate::support::{RawUpstream, Site, until};

#[tokio::test(flavor = "multi_thread")]
async fn two_in_one_packet_are_answered_in_order() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send(concat!(
        "GET /slow?1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /anything?2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\n",
    ))
    .await;
    upstream.wait_for_held(1).await;
    assert_eq!(upstream.count(), 1, "the second waits for the first");
    upstream.release();
    assert!(raw.answer().await.expect(200).text().contains("/slow?1"));
    assert!(
        raw.answer()
            .await
            .expect(200)
            .text()
            .contains("\"data\": \"abc\"")
    );
    assert_eq!(raw.answer().await.expect(200).text(), "xxxxx");
    assert_eq!(upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_is_refused_in_its_turn() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (second, status) in [
        ("GET /b#c HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /b HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET /b HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /b HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        let third = "GET /third HTTP/1.1\r\nHost: a\r\n\r\n";
        raw.send(format!(
            "GET /first HTTP/1.1\r\nHost: a\r\n\r\n{second}{third}"
        ))
        .await;
        assert!(raw.answer().await.expect(200).text().contains("/first"));
        let refused = raw.answer().await.expect(status);
        assert_eq!(refused.header("connection"), "close");
        raw.closed().await;
        assert_eq!(upstream.count(), 1, "{second:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_until_the_client_asks_otherwise() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..3 {
        raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
    }
    let last = raw
        .ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .expect(200);
    assert_eq!(last.header("connection"), "close");
    raw.closed().await;

    // A refusal that is about one request alone ends nothing.
    let mut raw = site.raw().await;
    raw.ask("GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .says(400, "Bad request");
    raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_request_along() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.wait_for_held(1).await;
    site.wait_for_metric("oidc_proxy_requests_in_flight", 1.0)
        .await;
    drop(raw);
    site.wait_for_metric("oidc_proxy_requests_in_flight", 0.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_asks_for_that_closes_at_once_is_done_all_the_same() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let upstream = RawUpstream::answering(answer).await;
    let site = Site::before(upstream.address()).await;
    let mut warm = site.raw().await;
    for number in 0..20 {
        // Then there is a kept connection, and nothing but others' turns has to be waited for.
        warm.ask("GET /warm HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        let mut raw = site.raw().await;
        raw.send(format!("DELETE /{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        drop(raw);
        let begin = format!("DELETE /{number} ");
        until("a request whose client is gone", || {
            let heads = upstream.heads();
            heads.iter().any(|head| head.starts_with(&begin))
        })
        .await;
    }
}
