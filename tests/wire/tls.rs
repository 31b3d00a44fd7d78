//! The listener's side of TLS: certificates, client certificates, and what is no TLS.

use keycloak_testkit::EchoUpstream;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::support::{Authority, Identity, Raw, Site, tls_client, tls_stream};

const GET: &str = "GET /bytes/2 HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Stage {
    authority: Authority,
    upstream: EchoUpstream,
    site: Site,
}

async fn stage(client_auth: &str) -> Stage {
    let authority = Authority::new();
    let (certificate, key) = authority.files("gateway", &authority.identity("localhost"));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let tls = json!({
        "certificate": certificate,
        "key": key,
        "client_ca": authority.file(),
        "client_auth": client_auth,
    });
    let site = Site::with(upstream.address(), |config| {
        config.gateway("listen", json!([{"address": "127.0.0.1:0", "tls": tls}]));
        config.gateway("timeouts", json!({"headers": "2s", "idle": "2s"}));
    })
    .await;
    Stage {
        authority,
        upstream,
        site,
    }
}

/// Whether a client with this certificate gets an answer.
async fn answered(stage: &Stage, identity: Option<&Identity>) -> bool {
    let config = tls_client(&stage.authority, identity, &[]);
    let Ok(mut stream) = tls_stream(stage.site.gateway.address(), config).await else {
        return false;
    };
    // A client of TLS 1.3 learns with the first answer that its certificate was refused.
    use tokio::io::AsyncWriteExt as _;
    if stream.write_all(GET.as_bytes()).await.is_err() {
        return false;
    }
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.is_ok() && &status == b"HTTP/1.1 200"
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_a_certificate_where_they_have_to() {
    let stranger = Authority::new().identity("client");
    for (client_auth, without, with, strange) in [
        ("off", true, true, true),
        ("optional", true, true, false),
        ("required", false, true, false),
        ("unverified", true, true, true),
    ] {
        let stage = stage(client_auth).await;
        let known = stage.authority.identity("client");
        assert_eq!(answered(&stage, None).await, without, "{client_auth}: none");
        assert_eq!(
            answered(&stage, Some(&known)).await,
            with,
            "{client_auth}: a known one"
        );
        assert_eq!(
            answered(&stage, Some(&stranger)).await,
            strange,
            "{client_auth}: a strange one"
        );
        let good = [without, with, strange]
            .iter()
            .filter(|good| **good)
            .count();
        assert_eq!(stage.upstream.count(), good, "{client_auth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_no_request() {
    let stage = stage("off").await;
    for bytes in [
        GET,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0",
        "\u{16}\u{3}",
    ] {
        let mut raw = stage.site.raw().await;
        raw.send(bytes).await;
        let rest = raw.rest().await;
        assert!(!rest.starts_with(b"HTTP"), "{bytes:?}");
    }
    assert_eq!(stage.upstream.count(), 0);
    assert!(answered(&stage, None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_on_a_listener_without_it_is_a_bad_request() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let authority = Authority::new();
    let config = tls_client(&authority, None, &[]);
    let error = tls_stream(site.gateway.address(), config)
        .await
        .expect_err("no session");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    let mut raw = site.raw().await;
    raw.ask(GET).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_made_in_time_ends() {
    let stage = stage("off").await;
    let mut raw = stage.site.raw().await;
    raw.send(b"\x16\x03\x01\x02\x00\x01").await;
    raw.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_for_tls_are_for_tls() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let authority = Authority::new();
    let (certificate, key) = authority.files("gateway", &authority.identity("localhost"));
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = free.local_addr().expect("an address").to_string();
    drop(free);
    let site = Site::with(upstream.address(), |config| {
        let tls = json!({"certificate": certificate, "key": key});
        config.gateway(
            "listen",
            json!([{"address": "127.0.0.1:0", "tls": tls}, plain]),
        );
        config.service(
            "routes",
            json!([{"name": "r", "paths": ["/"], "protocols": ["https"], "strip_path": false}]),
        );
    })
    .await;
    let mut seen: Vec<Value> = Vec::new();
    for address in site.gateway.addresses() {
        let config = tls_client(&authority, None, &[]);
        if let Ok(stream) = tls_stream(address, config).await {
            Raw::over(stream).ask(GET).await.expect(200);
            seen.push(json!("tls"));
        } else {
            let reply = Raw::connect(address).await.ask(GET).await.expect(426);
            assert_eq!(reply.header("upgrade"), "TLS/1.2, HTTP/1.1");
            seen.push(json!("plain"));
        }
    }
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen, ["plain", "tls"]);
    assert_eq!(upstream.count(), 1);
}
