//! Providers that fail, endpoint by endpoint: never the caller's fault, never a storm, never a wait
//! beyond the deadline. What the gateway sends goes to the provider alone.

use std::time::Duration;

use gateway_tests::{World, eventually};
use keycloak_testkit::{EchoUpstream, Endpoint, Fault, Gate};
use serde_json::json;

use crate::support::{JOHN, Raw, RawUpstream, Reply, Site, three_routes};

const ENDPOINTS: [Endpoint; 3] = [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Token];

async fn world() -> World {
    World::app()
        .plugin("timeout", json!(400))
        .config(three_routes)
        .embedded()
        .await
}

async fn ask(world: &World) -> Reply {
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(format!("GET /protected HTTP/1.1\r\nHost: a\r\n{JOHN}\r\n"))
        .await
}

fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("late", Fault::delay(Duration::from_secs(20))),
        ("a byte at a time", Fault::drip(Duration::from_millis(20))),
        ("cut before the answer", Fault::cut()),
        ("cut in the answer", Fault::cut_in_answer()),
        ("500", Fault::status(500)),
        ("503", Fault::status(503)),
        ("404", Fault::status(404)),
        ("204", Fault::status(204).body("")),
        ("429", Fault::too_many_requests(Duration::from_secs(7))),
        ("redirect", Fault::redirect(307, "http://127.0.0.1:1/")),
        ("HTML", Fault::html()),
        ("JSON that is cut", Fault::cut_json()),
        ("UTF-16", Fault::utf16()),
        ("a byte order mark", Fault::byte_order_mark()),
        ("nothing", Fault::status(200).body("")),
        ("another JSON", Fault::status(200).body("[]")),
        ("null", Fault::status(200).body("null")),
        ("too much", Fault::huge(8 * 1024 * 1024)),
        ("nesting", Fault::status(200).body("[".repeat(100_000))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_each_endpoint_is_the_providers() {
    for endpoint in ENDPOINTS {
        for (name, fault) in faults() {
            let world = world().await;
            world.idp.faults().always(endpoint, fault);
            let reply = ask(&world).await;
            assert!(
                matches!(reply.status, 502 | 503),
                "{name} of {endpoint:?}: {reply:?}"
            );
            assert_eq!(reply.headers("www-authenticate"), [""; 0], "{name}");
            let away = reply.status == 503;
            assert_eq!(
                reply.headers("retry-after").len(),
                usize::from(away),
                "{name}"
            );
            assert_eq!(world.upstream.count(), 0, "{name} of {endpoint:?}");
            // What failed once is not hammered by the next ones, and nobody is let through.
            for _ in 0..5 {
                let again = ask(&world).await;
                assert!(matches!(again.status, 502 | 503), "{name}: {again:?}");
            }
            let calls = world.idp.count(endpoint);
            // A token request is the caller's own: one each. Documents are asked for in turn.
            assert!(calls <= 6, "{calls} calls to {endpoint:?}: {name}");
            assert_eq!(world.upstream.count(), 0, "{name} of {endpoint:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_recovers_is_used_again() {
    for endpoint in ENDPOINTS {
        let world = world().await;
        world.idp.faults().always(endpoint, Fault::status(503));
        ask(&world).await.expect(503);
        world.idp.faults().clear_all();
        eventually("recovery", || async { ask(&world).await.status == 200 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_provider_says_for_how_long() {
    for endpoint in ENDPOINTS {
        let world = world().await;
        let busy = Fault::too_many_requests(Duration::from_secs(7));
        world.idp.faults().always(endpoint, busy);
        let reply = ask(&world).await.expect(503);
        assert_eq!(reply.header("retry-after"), "7", "{endpoint:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_are_answered_together() {
    let world = std::sync::Arc::new(world().await);
    let gate = Gate::closed();
    world
        .idp
        .faults()
        .always(Endpoint::Discovery, Fault::hold(&gate));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move { ask(&world).await })
        })
        .collect();
    for one in waiting {
        one.await.expect("a task").expect(503);
    }
    let calls = world.idp.count(Endpoint::Discovery);
    assert!(calls <= 2, "{calls} calls for 50 who wait");
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_takes_a_secret_elsewhere() {
    let collector = EchoUpstream::start().await.expect("a collector");
    for endpoint in ENDPOINTS {
        for status in [301, 302, 303, 307, 308] {
            let world = world().await;
            let elsewhere = Fault::redirect(status, &collector.url("/collect"));
            world.idp.faults().always(endpoint, elsewhere);
            let reply = ask(&world).await;
            assert!(
                matches!(reply.status, 502 | 503),
                "{status} of {endpoint:?}"
            );
        }
    }
    assert_eq!(collector.connections(), 0);
}

/// A provider that says these bytes to whatever it is asked.
async fn behind(provider: &RawUpstream, upstream: &EchoUpstream) -> Site {
    let issuer = format!("http://{}/realms/x", provider.address());
    Site::with(upstream.address(), |config| {
        let plugin = json!({
            "name": "openid-connect",
            "config": {
                "issuer": issuer,
                "client_id": ["c"],
                "client_secret": ["s"],
                "auth_methods": ["password"],
                "timeout": 400,
            },
        });
        config.service("plugins", json!([plugin]));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_http_are_the_providers_fault_too() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    for answer in [
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ] {
        let provider = RawUpstream::answering_once(answer).await;
        let site = behind(&provider, &upstream).await;
        let mut raw = site.raw().await;
        let reply = raw
            .ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{JOHN}\r\n"))
            .await;
        assert!(matches!(reply.status, 502 | 503), "{answer:?}: {reply:?}");
        assert!(
            provider.heads().iter().all(|head| !head.contains("doe")),
            "{answer:?}"
        );
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_ends_with_the_deadline() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let provider = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            .await;
        while peer.try_send(" ").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let site = behind(&provider, &upstream).await;
    let mut raw = site.raw().await;
    raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{JOHN}\r\n"))
        .await
        .says(503, "Service unavailable");
    assert_eq!(upstream.count(), 0);
}
