//! How long things may take: RFC 9110 §15.5.9, the contract's timeouts.

use std::time::Duration;

use gateway_tests::World;
use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{JOHN, Raw, RawUpstream, Site, three_routes};

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_its_time() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"headers": "200ms"}));
    })
    .await;
    for begun in [
        "G",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /x",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET / HTTP/1.1\r\nHost: a",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConte",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n",
        "\r\n",
    ] {
        let mut raw = site.raw().await;
        raw.send(begun).await;
        let reply = raw.answer().await;
        if begun.starts_with("PRI") {
            // Half a preface is a request line of a version that is not spoken in this way.
            assert!(matches!(reply.status, 400 | 408 | 505), "{reply:?}");
            continue;
        }
        reply.says(408, "Request timeout");
        raw.closed().await;
    }
    // A second request has its time like the first.
    let mut raw = site.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT").await;
    raw.answer().await.expect(200);
    raw.answer().await.says(408, "Request timeout");
    raw.closed().await;
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drips_its_head_does_not_win_time() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"headers": "500ms"}));
    })
    .await;
    let mut raw = site.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let mut sent = 0;
    while raw.try_send("X: y\r\n").await.is_ok() && sent < 30 {
        sent += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    raw.answer().await.says(408, "Request timeout");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends_without_a_word() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"idle": "200ms", "headers": "20s"}));
    })
    .await;
    let mut fresh = site.raw().await;
    fresh.closed().await;
    let mut kept = site.raw().await;
    kept.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    kept.closed().await;
    // A request is not idleness, however long it takes.
    let mut busy = site.raw().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.wait_for_held(1).await;
    let mut another = site.raw().await;
    another.closed().await;
    upstream.release();
    busy.answer().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_read_for_credentials_has_its_time() {
    let world = World::app()
        .plugin("refresh_token_param_type", json!(["header", "body"]))
        .gateway("timeouts", json!({"credential_body": "200ms"}))
        .config(three_routes)
        .embedded()
        .await;
    let head = format!(
        "POST /protected HTTP/1.1\r\nHost: a\r\n{JOHN}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\n"
    );
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.send(format!("{head}abc")).await;
    raw.answer().await.says(408, "Request timeout");
    raw.closed().await;
    assert_eq!(world.upstream.count(), 0);
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(format!("{head}abcdef")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_on_its_way_is_the_clients_fault() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.service("write_timeout", json!(200));
    })
    .await;
    let mut raw = site.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    raw.answer().await.says(408, "Request timeout");
    raw.closed().await;
    let requests = upstream.wait_for(1).await;
    assert!(!requests[0].whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_given_up() {
    let upstream = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\n\r\n").await;
        peer.send(vec![b'x'; 64 * 1024 * 1024]).await;
    })
    .await;
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"idle": "200ms"}));
    })
    .await;
    let mut raw = site.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.expect(200);
    site.wait_for_metric("oidc_proxy_connections", 0.0).await;
    let rest = raw.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it was cut, and says so");
}
