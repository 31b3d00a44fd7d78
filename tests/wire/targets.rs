//! What is decided on is what is forwarded: the contract's one decision, one set of bytes.

use gateway_tests::World;
use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{JOHN, Raw, Site, three_routes};

async fn world() -> World {
    World::app().config(three_routes).embedded().await
}

async fn ask(world: &World, target: &str, lines: &str) -> crate::support::Reply {
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
        .await
}

/// Targets that lead to the protected route in one form alone, and what goes upstream then.
const PROTECTED: &[(&str, &str)] = &[
    ("/protected", "/protected"),
    ("/protected/x", "/protected/x"),
    ("/protectedx", "/protectedx"),
    ("/pro%74ected", "/protected"),
    ("/%70%72%6F%74%65%63%74%65%64", "/protected"),
    ("/public/../protected", "/protected"),
    ("/public/./../protected", "/protected"),
    ("/public/%2e%2e/protected", "/protected"),
    ("/public/%2E./protected", "/protected"),
    ("/public/.%2e/protected/", "/protected/"),
    ("/../../protected", "/protected"),
    ("/public;x/../protected", "/protected"),
    ("/protected/a%2fb", "/protected/a%2Fb"),
    ("/protected/a%2Fb%3Fc", "/protected/a%2Fb%3Fc"),
    ("/protected/%7Euser", "/protected/~user"),
    ("/protected/a;b=c", "/protected/a;b=c"),
    ("/protected//a", "/protected//a"),
    ("/protected?x=/public", "/protected?x=/public"),
    ("/protected?../public", "/protected?../public"),
    ("/protected?a=%2e%2E&b=%zz&c", "/protected?a=%2e%2E&b=%zz&c"),
    ("/protected?", "/protected?"),
    ("http://a/protected", "/protected"),
    ("http://a/public/../protected?x", "/protected?x"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_normalised_target_is_decided_on_and_forwarded() {
    let world = world().await;
    for (target, forwarded) in PROTECTED {
        world.upstream.forget_requests();
        ask(&world, target, "").await.expect(401);
        assert_eq!(world.upstream.count(), 0, "{target}");
        ask(&world, target, JOHN).await.expect(200);
        let requests = world.upstream.requests();
        assert_eq!(requests.len(), 1, "{target}");
        assert_eq!(requests[0].target, *forwarded, "{target}");
    }
}

/// Targets that mean the public route to one reader, and the protected one to another.
const AMBIGUOUS: &[&str] = &[
    "/public/..%2fprotected",
    "/public/..%2Fprotected",
    "/public%2f..%2fprotected",
    "/public/..%5cprotected",
    "/public/..%5Cprotected",
    "/public%5c..%5cprotected",
    "/public/..;/protected",
    "/public/..;x=y/protected",
    "/public/%2e%2e;/protected",
    "/public/%252e%252e/protected",
    "/public/%25252e%25252e/protected",
    "/public/.%252e%252fprotected",
    "/public/..%252fprotected",
    "/public/..%255cprotected",
    "/protected%2f..%2fpublic",
    "/protected/..%2fpublic",
    "/protected/..;/public",
    "//protected",
    "///protected",
    "/;/protected",
    "/;x/public",
    "/%2fprotected",
    "/%5cprotected",
    "/%2570rotected",
    "/public/x%2f..%2f..%2fprotected",
    "/public//..%2f..%2fprotected",
];

/// Targets that mean nothing, or not the same, wherever they lead.
const MALFORMED: &[&str] = &[
    "/public\\..\\protected",
    "/public/\\protected",
    "/public/a%00b",
    "/public%00",
    "/public/a%",
    "/public/a%4",
    "/public/a%zz",
    "/public/a%u0041",
    "/public#",
    "/public#/../protected",
    "/protected#/public",
    "/public?x#y",
    "http://a/public#x",
    "public",
    "./public",
    "*",
    "?x",
    "a:80",
    "//",
    "http:///public",
    "http://user@a/public",
    "/public/\u{e9}",
    "/..%2fpublic",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_another_reader_would_decide_otherwise_is_refused() {
    let world = world().await;
    let before = world.idp.token_requests().len();
    for target in AMBIGUOUS.iter().chain(MALFORMED) {
        let reply = ask(&world, target, JOHN).await;
        // What is neither of the two routes for anybody is nobody's, which is as good.
        let nowhere = reply.status == 404 && matches!(*target, "//" | "/..%2fpublic");
        assert!(reply.status == 400 || nowhere, "{target}: {reply:?}");
    }
    assert_eq!(world.upstream.count(), 0);
    assert_eq!(
        world.idp.token_requests().len(),
        before,
        "no credential was used"
    );
    for target in [
        "/public",
        "/public/a%2Fb",
        "/public/a;b",
        "/public//a",
        "/public/a%5Cb",
        "/public/%25",
    ] {
        world.upstream.forget_requests();
        ask(&world, target, "").await.expect(200);
        assert_eq!(world.upstream.requests()[0].target, target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_target_and_the_host_chooses_a_route() {
    let world = world().await;
    for line in [
        "X-Original-URL: /public",
        "X-Rewrite-URL: /public",
        "X-Forwarded-Uri: /public",
        "X-Forwarded-Path: /public",
        "X-Forwarded-Prefix: /public",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public",
        "X-HTTP-Method-Override: OPTIONS",
        "Forwarded: for=127.0.0.1;proto=https",
        "User-Agent: kube-probe/1.31",
        "User-Agent: GoogleHC/1.0",
        "User-Agent: ELB-HealthChecker/2.0",
        "Referer: /public",
    ] {
        ask(&world, "/protected", &format!("{line}\r\n"))
            .await
            .expect(401);
        ask(&world, "/protected/../public", &format!("{line}\r\n"))
            .await
            .expect(200);
    }
    for target in [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/status",
        "/openid-connect/jwks",
    ] {
        let reply = ask(&world, target, "").await.expect(404);
        assert_eq!(
            reply.text(),
            r#"{"message":"no Route matched with those values"}"#
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_out_of_a_services_path() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        let url = format!("http://{}/base", upstream.address());
        config.service("url", json!(url));
        config.service(
            "routes",
            json!([
                {"name": "stripped", "paths": ["/a"]},
                {"name": "regex", "paths": ["~/r/\\d+"]},
                {"name": "whole", "paths": ["/w"], "strip_path": false},
            ]),
        );
    })
    .await;
    for (target, forwarded) in [
        ("/a", Some("/base")),
        ("/a/", Some("/base/")),
        ("/a/b/../c", Some("/base/c")),
        ("/ab", Some("/base/b")),
        ("/a...", Some("/base/...")),
        ("/a/b%2F..%2Fc", Some("/base/b%2F..%2Fc")),
        ("/r/42/x", Some("/base/x")),
        ("/w/../w/x", Some("/base/w/x")),
        ("/a../secret", None),
        ("/a..", None),
        ("/a.%2e/secret", None),
        ("/a./secret", None),
        ("/a..%2fsecret", None),
        ("/a/..%2fsecret", None),
        ("/a/..%5csecret", None),
        ("/a/..;/secret", None),
        ("/a/%252e%252e/secret", None),
        ("/r/42../secret", None),
        ("/w/..%2f..%2fsecret", None),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        let reply = raw
            .ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        match forwarded {
            Some(forwarded) => {
                assert_eq!(reply.status, 200, "{target}");
                assert_eq!(upstream.requests()[0].target, forwarded, "{target}");
            }
            None => {
                assert_eq!(reply.status, 400, "{target}: {reply:?}");
                assert_eq!(upstream.count(), 0, "{target}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_choose_routes_without_their_port_and_case() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.service(
            "routes",
            json!([
                {"name": "exact", "hosts": ["example.test"], "strip_path": false, "preserve_host": true},
                {"name": "wild", "hosts": ["*.example.test"], "strip_path": false},
            ]),
        );
    })
    .await;
    let own = upstream.address().to_string();
    for (host, status, forwarded) in [
        ("example.test", 200, "example.test"),
        ("EXAMPLE.test:8000", 200, "EXAMPLE.test:8000"),
        ("example.test.", 200, "example.test."),
        ("www.example.test", 200, own.as_str()),
        ("www.example.test.:80", 200, own.as_str()),
        ("badexample.test", 404, ""),
        ("example.test.evil", 404, ""),
        ("example.test..", 400, ""),
        ("example.test,evil", 400, ""),
        ("example.test evil", 400, ""),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await
            .expect(status);
        let requests = upstream.requests();
        assert_eq!(requests.len(), usize::from(status == 200), "{host}");
        if let Some(request) = requests.first() {
            assert_eq!(request.header_lines("host"), [forwarded]);
            assert_eq!(request.header("x-forwarded-host"), Some(host));
        }
    }
}
