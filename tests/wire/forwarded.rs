//! `X-Forwarded-*`, `X-Real-IP`, `Forwarded` and `Via`: whom the gateway believes, and what it says.

use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::Site;

const FORGED: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: forged.test\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Path: /forged\r\n\
    X-Forwarded-Prefix: /forged\r\nX-Forwarded-User: forged\r\nX-Real-IP: 192.0.2.1\r\n\
    Forwarded: for=192.0.2.1\r\nX_Forwarded_For: 192.0.2.2\r\nX-Forwarded_For: 192.0.2.2\r\n\
    x_real_ip: 192.0.2.2\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_word_is_replaced() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.service("routes", json!([{"name": "r", "paths": ["/p"]}]));
    })
    .await;
    let mut raw = site.raw().await;
    for forged in ["", FORGED] {
        upstream.forget_requests();
        raw.ask(format!(
            "GET /p/x?y HTTP/1.1\r\nHost: a:8000\r\n{forged}\r\n"
        ))
        .await
        .expect(200);
        let requests = upstream.requests();
        let request = &requests[0];
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "a:8000"),
            (
                "x-forwarded-port",
                &site.gateway.address().port().to_string(),
            ),
            ("x-forwarded-path", "/p/x"),
            ("x-forwarded-prefix", "/p"),
            ("x-real-ip", "127.0.0.1"),
        ] {
            assert_eq!(request.header_lines(name), [value], "{name}");
        }
        assert_eq!(request.header_lines("forwarded"), [""; 0]);
        assert_eq!(request.header_lines("x-forwarded-user"), [""; 0]);
        assert!(
            request.lines.iter().all(|line| !line.contains("192.0.2.")),
            "{:?}",
            request.lines
        );
        assert!(
            request.lines.iter().all(|line| !line.contains("forged")),
            "{:?}",
            request.lines
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_peers_word_is_kept_and_added_to() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("trusted_ips", json!(["127.0.0.0/8"]));
        config.service(
            "routes",
            json!([{"name": "r", "paths": ["/"], "protocols": ["https"], "strip_path": false}]),
        );
    })
    .await;
    let mut raw = site.raw().await;
    raw.ask(format!("GET /x HTTP/1.1\r\nHost: a\r\n{FORGED}\r\n"))
        .await
        .expect(200);
    let requests = upstream.requests();
    let request = &requests[0];
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "forged.test"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
    ] {
        assert_eq!(request.header_lines(name), [value], "{name}");
    }
    // An underscore is nobody's word: it came through the trusted peer, not from it.
    assert!(
        request.lines.iter().all(|line| !line.contains("192.0.2.2")),
        "{:?}",
        request.lines
    );
    // Without its word, the route for TLS is not for this connection.
    let reply = raw
        .ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(426);
    assert_eq!(reply.text(), r#"{"message":"Please use HTTPS protocol"}"#);
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_claim_tls() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("trusted_ips", json!(["192.0.2.0/24"]));
        config.service(
            "routes",
            json!([{"name": "r", "paths": ["/"], "protocols": ["https"]}]),
        );
    })
    .await;
    let mut raw = site.raw().await;
    raw.ask("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n")
        .await
        .expect(426);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_says_by_which_protocol_it_came() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    let reply = raw
        .ask("GET /response-headers?Via=1.0+inner HTTP/1.1\r\nHost: a\r\nVia: 1.0 outer\r\n\r\n")
        .await
        .expect(200);
    let requests = upstream.requests();
    assert_eq!(
        requests[0].header_lines("via"),
        ["1.0 outer", "1.1 oidc-proxy"]
    );
    assert_eq!(reply.headers("via"), ["1.0 inner", "1.1 oidc-proxy"]);
    // An answer of the gateway's own came by no hop.
    let own = raw
        .ask("GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(400);
    assert_eq!(own.headers("via"), [""; 0]);
}
