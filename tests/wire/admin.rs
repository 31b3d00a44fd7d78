//! The admin listener: health, status, metrics, the gateway's own keys.

use std::collections::BTreeSet;

use gateway_tests::{Answer, Gateway, World};
use keycloak_testkit::EchoUpstream;
use serde_json::Value;

use crate::support::Site;

#[tokio::test(flavor = "multi_thread")]
async fn health_and_status_are_told() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let admin = site.gateway.admin();
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = admin.get(path).send().await.expect(200);
        assert_eq!(answer.json()["status"], status);
        let head = admin.request("HEAD", path).send().await.expect(200);
        assert!(head.body.is_empty());
    }
    let mut raw = site.raw().await;
    raw.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.wait_for_held(1).await;
    let status = admin.get("/status").send().await.expect(200).json();
    assert_eq!(status["server"]["connections_active"], 1);
    assert_eq!(status["server"]["requests_in_flight"], 1);
    assert_eq!(status["configuration"]["routes"], 1);
    assert_eq!(status["stage"], "serving");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_are_refused() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let admin = site.gateway.admin();
    for path in [
        "/nothing",
        "/health",
        "/health/",
        "/metrics/x",
        "/routes",
        "//status",
    ] {
        admin.get(path).send().await.expect(404);
    }
    for (method, path, allowed) in [
        ("POST", "/status", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("PUT", "/health/ready", "GET, HEAD"),
        ("POST", "/openid-connect/jwks", "GET, HEAD, DELETE"),
    ] {
        let answer = admin.request(method, path).send().await.expect(405);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        assert_eq!(answer.json()["message"], "Method not allowed");
    }
}

/// The key ids of a published set, which holds public halves alone.
fn key_ids(answer: &Answer) -> BTreeSet<String> {
    let set = answer.json();
    let keys = set["keys"].as_array().expect("keys").clone();
    keys.iter()
        .map(|key| {
            for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(key[secret], Value::Null, "{secret} is no public member");
            }
            key["kid"].as_str().expect("an id").to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_published_and_rotated() {
    let world = World::seed().embedded().await;
    let admin = world.gateway.admin();
    let path = "/openid-connect/jwks";
    let published = admin.get(path).send().await.expect(200);
    assert_eq!(published.header("content-type"), "application/jwk-set+json");
    assert_eq!(published.header("cache-control"), "max-age=60");
    let before = key_ids(&published);
    assert!(!before.is_empty());
    let rotated = admin.request("DELETE", path).send().await.expect(204);
    assert!(rotated.body.is_empty());
    let after = key_ids(&admin.get(path).send().await.expect(200));
    assert!(after.difference(&before).next().is_some(), "a new key");
    // Assertions that are on their way are signed by an old one, which is still known.
    assert!(before.intersection(&after).next().is_some(), "an old key");
    world
        .client()
        .get("/")
        .basic("john", "doe")
        .send()
        .await
        .expect(200);
    assert_eq!(key_ids(&admin.get(path).send().await.expect(200)), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_keys_publishes_none() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    site.gateway
        .admin()
        .get("/openid-connect/jwks")
        .send()
        .await
        .expect(404);
}

/// Checks the text format by its rules, and gives the samples.
fn samples(gateway: &Gateway, text: &str) -> Vec<(String, f64)> {
    let _ = gateway;
    assert!(text.ends_with("# EOF\n"), "the end is told");
    let mut families = BTreeSet::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, family) = (words.next().unwrap_or_default(), words.next());
            match (kind, family) {
                ("TYPE", Some(family)) => assert!(families.insert(family.to_owned()), "{line}"),
                ("HELP" | "UNIT", Some(_)) | ("EOF", None) => {}
                _ => panic!("not a comment of this format: {line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("a number: {line}"));
        let bare = name.split('{').next().unwrap_or_default();
        assert!(
            families
                .iter()
                .any(|family| bare.starts_with(family.as_str())),
            "a family for {line}"
        );
        samples.push((name.to_owned(), value));
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_be_read_and_tell_what_happened() {
    let world = World::app().embedded().await;
    let client = world.client();
    client
        .get("/canary-path?canary=1")
        .basic("john", "doe")
        .send()
        .await
        .expect(200);
    client.get("/").send().await.expect(401);
    client
        .get("/")
        .refresh_token("canary-token")
        .send()
        .await
        .expect(401);
    client.get("/a%zz").send().await.expect(400);
    let answer = world
        .gateway
        .admin()
        .get("/metrics")
        .send()
        .await
        .expect(200);
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = answer.text();
    let samples = samples(&world.gateway, text);
    let value = |name: &str| {
        samples
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| *value)
    };
    let route = |class: &str| {
        value(&format!(
            "oidc_proxy_requests_total{{route=\"openid-connect\",status=\"{class}\"}}"
        ))
    };
    assert_eq!(route("2xx"), Some(1.0), "{text}");
    assert_eq!(route("4xx"), Some(2.0), "{text}");
    for reason in [
        "credential.missing",
        "refresh_token.invalid_grant",
        "request.target_percent_encoding",
    ] {
        let refused = value(&format!("oidc_proxy_refusals_total{{reason=\"{reason}\"}}"));
        assert_eq!(refused, Some(1.0), "{reason}: {text}");
    }
    assert_eq!(value("oidc_proxy_requests_in_flight"), Some(0.0));
    for canary in ["canary", "john", "doe"] {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_before_parsing_are_counted_like_others() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (request, reason) in [
        ("GET /a#b HTTP/1.1\r\n", "request.target_fragment"),
        ("GET / HTTP/1.1\n", "request.line_ending"),
        ("GET / HTTP/2.0\r\n", "request.version"),
        ("GET / HTTP/1.1\r\nA : b\r\n", "request.malformed"),
    ] {
        let mut raw = site.raw().await;
        let reply = raw.ask(request).await;
        assert!(!reply.header("x-request-id").is_empty());
        let name = format!("oidc_proxy_refusals_total{{reason=\"{reason}\"}}");
        site.wait_for_metric(&name, 1.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_rotates_keys() {
    let world = World::seed().embedded().await;
    let admin = world.gateway.admin();
    let path = "/openid-connect/jwks";
    let before = key_ids(&admin.get(path).send().await.expect(200));
    for origin in ["http://evil.test", "null", "http://localhost:8001"] {
        let request = admin.request("DELETE", path).header("Origin", origin);
        request.send().await.expect(403);
    }
    let read = admin.get(path).header("Origin", "http://evil.test");
    assert_eq!(key_ids(&read.send().await.expect(200)), before);
}
