//! How large things may be: RFC 9110 §15.5.14, §15.5.15, RFC 6585 §5, the contract's limits.

use gateway_tests::World;
use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::support::{Raw, RawUpstream, Site, three_routes};

/// A request line of so many bytes.
fn line(length: usize) -> String {
    let padding = length - "GET /? HTTP/1.1".len();
    format!("GET /?{} HTTP/1.1", "x".repeat(padding))
}

#[tokio::test(flavor = "multi_thread")]
async fn request_lines_have_a_bound() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (length, status) in [
        (8000, 200),
        (8192, 200),
        (8193, 414),
        (70_000, 414),
        (400_000, 414),
        (4_000_000, 414),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        let reply = raw
            .ask(format!("{}\r\nHost: a\r\n\r\n", line(length)))
            .await
            .expect(status);
        assert_eq!(upstream.count(), usize::from(status == 200), "{length}");
        if status == 414 {
            reply.says(414, "Request line too long");
            raw.closed().await;
        }
    }
    // The answer does not wait for the end of what has none.
    let mut raw = site.raw().await;
    raw.send(format!("GET /{}", "x".repeat(9000))).await;
    raw.answer().await.says(414, "Request line too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn header_sections_have_a_bound() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let host = "Host: a\r\n";
    for (size, status) in [
        (60_000, 200),
        (64 * 1024, 200),
        (64 * 1024 + 1, 431),
        (300_000, 431),
        (4_000_000, 431),
    ] {
        upstream.forget_requests();
        let padding = size - host.len() - "X: \r\n".len();
        let mut raw = site.raw().await;
        let head = format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(padding));
        let reply = raw.ask(head).await.expect(status);
        assert_eq!(upstream.count(), usize::from(status == 200), "{size}");
        if status == 431 {
            reply.says(431, "Request header too large");
            raw.closed().await;
        }
    }
    let mut raw = site.raw().await;
    raw.send(format!("GET / HTTP/1.1\r\n{host}X: {}", "x".repeat(70_000)))
        .await;
    raw.answer().await.says(431, "Request header too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn header_lines_are_counted() {
    // An upstream without a bound of its own: the gateway adds lines.
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let site = Site::before(upstream.address()).await;
    let mut passed = 0;
    for (count, status) in [(1, 200), (100, 200), (101, 431), (1000, 431)] {
        let lines: String = (1..count)
            .map(|number| format!("X-{number}: y\r\n"))
            .collect();
        let mut raw = site.raw().await;
        raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
            .await
            .expect(status);
        passed += usize::from(status == 200);
        assert_eq!(upstream.heads().len(), passed, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_as_configured() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let site = Site::with(upstream.address(), |config| {
        config.gateway(
            "limits",
            json!({"request_line": 100, "headers": 200, "header_count": 300}),
        );
    })
    .await;
    for (request, status) in [
        (format!("{}\r\nHost: a\r\n\r\n", line(100)), 200),
        (format!("{}\r\nHost: a\r\n\r\n", line(101)), 414),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(186)
            ),
            200,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(187)
            ),
            431,
        ),
    ] {
        let mut raw = site.raw().await;
        raw.ask(request).await.expect(status);
    }
    let site = Site::with(upstream.address(), |config| {
        config.gateway(
            "limits",
            json!({"header_count": 300, "request_line": "100 KiB"}),
        );
    })
    .await;
    for (count, status) in [(299, 200), (300, 200), (301, 431)] {
        let lines: String = (1..count)
            .map(|number| format!("X-{number}: y\r\n"))
            .collect();
        let mut raw = site.raw().await;
        raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
            .await
            .expect(status);
    }
    // Longer than any target that can be forwarded, however wide the bound is.
    for (length, status) in [(60_000, 200), (65_000, 200), (70_000, 414)] {
        let mut raw = site.raw().await;
        raw.ask(format!("{}\r\nHost: a\r\n\r\n", line(length)))
            .await
            .expect(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_whole_for_nobody() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("limits", json!({"body": 1000}));
    })
    .await;
    let declared = |length: usize| {
        let body = "x".repeat(length);
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let chunked = |length: usize| {
        let half = "x".repeat(length / 2);
        let (size, rest) = (length / 2, "x".repeat(length - length / 2));
        let last = rest.len();
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{half}\r\n{last:x}\r\n{rest}\r\n0\r\n\r\n"
        )
    };
    for (request, good) in [
        (declared(1000), true),
        (declared(1001), false),
        (declared(1_000_000), false),
        (chunked(1000), true),
        (chunked(1001), false),
        (chunked(1_000_000), false),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        let shown = &request[..100];
        let reply = raw.ask(&request).await;
        if good {
            assert_eq!(reply.status, 200, "{shown}");
            assert!(upstream.requests()[0].whole);
            continue;
        }
        if reply
            .says(413, "Request body too large")
            .header("connection")
            == "close"
        {
            raw.closed().await;
        }
        assert!(
            upstream.requests().iter().all(|request| !request.whole),
            "{shown}"
        );
        if !shown.contains("chunked") {
            assert_eq!(upstream.count(), 0, "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_read_for_credentials_has_its_own_bound() {
    let world = World::app()
        .plugin("refresh_token_param_type", json!(["header", "body"]))
        .gateway("limits", json!({"credential_body": 1000}))
        .config(three_routes)
        .embedded()
        .await;
    let post = |content_type: &str, framing: &str| {
        format!(
            "POST /protected HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n{framing}\r\n\r\n"
        )
    };
    let form = "application/x-www-form-urlencoded";
    let (fits, large) = ("x".repeat(1000), "x".repeat(1001));
    let chunks = |size: &str, body: &str| format!("{size}\r\n{body}\r\n0\r\n\r\n");
    for (request, status) in [
        (post(form, "Content-Length: 1000") + &fits, 401),
        (post(form, "Content-Length: 1001") + &large, 413),
        (
            post(form, "Transfer-Encoding: chunked") + &chunks("3e8", &fits),
            401,
        ),
        (
            post(form, "Transfer-Encoding: chunked") + &chunks("3e9", &large),
            413,
        ),
        (
            post("application/json", "Content-Length: 1001") + &large,
            413,
        ),
        (post("text/plain", "Content-Length: 1001") + &large, 401),
    ] {
        let mut raw = Raw::connect(world.gateway.address()).await;
        let reply = raw.ask(&request).await;
        assert_eq!(reply.status, status, "{}: {reply:?}", &request[..150]);
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_and_no_more() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("limits", json!({"connections": 2}));
    })
    .await;
    let request = "GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut one, mut two) = (site.raw().await, site.raw().await);
    one.ask(request).await.expect(200);
    // An upgraded connection is a connection still.
    two.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    two.head().await.expect(101);
    let mut three = site.raw().await;
    three.send(request).await;
    one.ask(request).await.expect(200);
    assert_eq!(upstream.count(), 3, "the third waits");
    drop(two);
    three.answer().await.expect(200);
    one.ask(request).await.expect(200);
    site.wait_for_metric("oidc_proxy_connections", 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_waits_takes_nobodys_place() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("limits", json!({"connections": 1}));
        config.gateway(
            "listen",
            json!(["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"]),
        );
    })
    .await;
    for address in site.gateway.addresses() {
        let mut raw = Raw::connect(address).await;
        raw.ask("GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect(200);
    }
}
