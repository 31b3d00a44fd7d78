//! WebSocket and its like: RFC 9110 §7.8, RFC 6455 §4. Never HTTP within HTTP.

use gateway_tests::World;
use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{JOHN, Raw, RawUpstream, Site, three_routes};

const WEBSOCKET: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_relayed_byte_for_byte_and_early_bytes_with_it() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"idle": "200ms", "headers": "200ms"}));
        config.service("read_timeout", json!(200));
        config.service("write_timeout", json!(200));
    })
    .await;
    let mut raw = site.raw().await;
    // Early bytes that would be a request if they were read as HTTP.
    let early = "GET /smuggled HTTP/1.1\nHost: a#\n\n";
    raw.send(format!(
        "GET /upgrade HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}\r\n{early}"
    ))
    .await;
    let head = raw.head().await.expect(101);
    assert_eq!(head.header("upgrade"), "websocket");
    assert_eq!(head.header("connection").to_ascii_lowercase(), "upgrade");
    assert_eq!(
        head.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    let request = upstream.requests().remove(0);
    assert_eq!(request.header("connection"), Some("Upgrade"));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    let mut echoed = Vec::new();
    while echoed.len() < early.len() {
        echoed.extend(raw.some().await);
    }
    assert_eq!(String::from_utf8_lossy(&echoed), early);
    // Longer than anything in HTTP may idle here.
    let mut other = site.raw().await;
    other.closed().await;
    let mut another = site.raw().await;
    another.closed().await;
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (mut sent, mut echoed) = (0, Vec::new());
    while echoed.len() < large.len() {
        let end = (sent + 50_000).min(large.len());
        raw.send(&large[sent..end]).await;
        sent = end;
        while echoed.len() < sent {
            echoed.extend(raw.some().await);
        }
    }
    assert!(echoed == large);
    // One side's end is the other's.
    raw.finish().await;
    raw.closed().await;
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_needs_its_credential() {
    let world = World::app().config(three_routes).embedded().await;
    for (lines, status) in [("", 401), (JOHN, 200)] {
        let mut raw = Raw::connect(world.gateway.address()).await;
        let early = "GET /public HTTP/1.1\r\nHost: a\r\n\r\n";
        raw.send(format!(
            "GET /protected HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}{lines}\r\n{early}"
        ))
        .await;
        // The echo answers an upgrade that it does not want as a request like any other.
        raw.answer().await.expect(status);
        // What came early is the next request then, held to all that requests are held to.
        raw.answer().await.expect(200);
        assert_eq!(
            world.upstream.requests().last().expect("one").path(),
            "/public"
        );
    }
    assert_eq!(world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_refused_upgrade_is_held_to_the_same_rules() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    let lax = "GET /smuggled HTTP/1.1\nHost: a\n\n";
    raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}\r\n{lax}"))
        .await;
    raw.answer().await.expect(200);
    raw.answer().await.says(400, "Bad request");
    raw.closed().await;
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_within_http_is_not_offered_to_the_upstream() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (lines, relayed) in [
        ("Connection: Upgrade\r\nUpgrade: echo\r\n", true),
        (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            false,
        ),
        ("Connection: Upgrade\r\nUpgrade: H2C\r\n", false),
        ("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        (
            "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
            false,
        ),
        (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
            false,
        ),
        ("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n", false),
        ("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n", false),
        ("Connection: close\r\nUpgrade: echo\r\n", false),
        ("Upgrade: echo\r\n", false),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.send(format!("GET /upgrade HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
            .await;
        let head = raw.head().await;
        assert_eq!(head.status, if relayed { 101 } else { 426 }, "{lines}");
        let requests = upstream.requests();
        assert_eq!(
            requests[0].header_lines("upgrade").len(),
            usize::from(relayed),
            "{lines}"
        );
        assert_eq!(requests[0].header_lines("http2-settings"), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_nobody_asked_for_is_a_bad_gateway() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
    )
    .await;
    let site = Site::before(upstream.address()).await;
    for lines in ["", "Connection: Upgrade\r\nUpgrade: h2c\r\n"] {
        let mut raw = site.raw().await;
        raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
            .await
            .says(502, "Bad gateway");
    }
    // A switch to something else than what was asked for is none either.
    let upstream = RawUpstream::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    )
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}\r\n"))
        .await
        .says(502, "Bad gateway");
}
