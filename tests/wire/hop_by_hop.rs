//! What concerns one connection alone is not handed on: RFC 9110 §7.6.1, both ways.

use gateway_tests::World;
use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{JOHN, Raw, RawUpstream, Site, three_routes};

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_connection_is_not_the_upstreams() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask(concat!(
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "Connection: keep-alive, X-One\r\nConnection: x-TWO,, Cookie\r\n",
        "X-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\nCookie: a=b\r\n",
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n",
        "Proxy-Authorization: Basic eDp5\r\nTE: gzip\r\nUpgrade: websocket\r\n\r\n",
    ))
    .await
    .expect(200);
    let requests = upstream.requests();
    let request = &requests[0];
    for name in [
        "connection",
        "x-one",
        "x-two",
        "cookie",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "transfer-encoding",
    ] {
        assert_eq!(request.header_lines(name), [""; 0], "{name}");
    }
    assert_eq!(request.header_lines("x-three"), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_connection_is_not_the_clients() {
    let upstream = RawUpstream::answering(concat!(
        "HTTP/1.1 200 OK\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nX-Kept: 2\r\n",
        "Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic realm=\"x\"\r\nTrailer: X-Sum\r\n",
        "Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
    ))
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..2 {
        let reply = raw
            .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        for name in [
            "connection",
            "x-secret",
            "keep-alive",
            "proxy-authenticate",
            "proxy-connection",
            "trailer",
            "upgrade",
        ] {
            assert_eq!(reply.headers(name), [""; 0], "{name}");
        }
        assert_eq!(reply.header("x-kept"), "2");
        assert_eq!(reply.text(), "ok");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_closes_does_not_close_the_clients_connection() {
    let upstream = RawUpstream::answering_once(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..3 {
        let reply = raw
            .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
        assert_eq!(reply.headers("connection"), [""; 0]);
    }
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_removes_nothing_that_the_gateway_writes() {
    let world = World::app()
        .plugin("upstream_id_token_header", json!("x_id_token"))
        .config(three_routes)
        .embedded()
        .await;
    let nominated = "authorization, refresh-token, x-id-token, x-request-id, via, host, \
        x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-real-ip, content-length";
    for connection in ["keep-alive", nominated] {
        world.upstream.forget_requests();
        let mut raw = Raw::connect(world.gateway.address()).await;
        let head = "POST /protected HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n";
        raw.ask(format!("{head}Connection: {connection}\r\n{JOHN}\r\nabc"))
            .await
            .expect(200);
        let requests = world.upstream.requests();
        let request = &requests[0];
        for name in [
            "authorization",
            "refresh-token",
            "x-id-token",
            "x-request-id",
            "via",
            "host",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-real-ip",
            "content-length",
        ] {
            assert_eq!(
                request.header_lines(name).len(),
                1,
                "{name} with {connection}"
            );
        }
        assert!(
            request
                .header("authorization")
                .expect("one")
                .starts_with("Bearer ")
        );
        assert_eq!(&request.body[..], b"abc");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_does_not_hide_a_credential_from_the_gateway() {
    let world = World::app().config(three_routes).embedded().await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    // Nominated or not: it is found, and it is removed.
    raw.ask(format!(
        "GET /protected HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\n{JOHN}{JOHN}\r\n"
    ))
    .await
    .expect(400);
    assert_eq!(world.upstream.count(), 0);
    assert_eq!(world.idp.token_requests().len(), 0);
}
