//! What the gateway writes into a request is there once and is the gateway's, as the upstream reads
//! it, over HTTP/1.1, where it is written behind the client's own lines, and over HTTP/2.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use gateway_tests::World;
use keycloak_testkit::EchoRequest;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{Authority, JOHN, Raw, spellings, three_routes};

/// How often each stands in a request of john's, and in one of nobody's.
const WRITTEN: [(&str, usize, usize); 22] = [
    ("authorization", 1, 0),
    ("forwarded", 0, 0),
    ("via", 1, 1),
    ("x-access-token", 0, 0),
    ("x-anonymous-consumer", 0, 0),
    ("x-authenticated-groups", 0, 0),
    ("x-claim", 1, 0),
    ("x-consumer-custom-id", 1, 0),
    ("x-consumer-groups", 0, 0),
    ("x-consumer-id", 1, 0),
    ("x-consumer-username", 1, 0),
    ("x-credential-identifier", 1, 0),
    ("x-forwarded-for", 1, 1),
    ("x-forwarded-host", 1, 1),
    ("x-forwarded-path", 1, 1),
    ("x-forwarded-port", 1, 1),
    ("x-forwarded-prefix", 0, 0),
    ("x-forwarded-proto", 1, 1),
    ("x-id-token", 1, 0),
    ("x-real-ip", 1, 1),
    ("x-request-id", 1, 1),
    ("x-userinfo", 1, 0),
];

/// Ends TLS before an upstream that is named later, and agrees on HTTP/2.
async fn relay() -> (SocketAddr, Arc<OnceLock<SocketAddr>>) {
    let acceptor = TlsAcceptor::from(Authority::new().identity("localhost").server(&["h2"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let target = Arc::new(OnceLock::new());
    let known = Arc::clone(&target);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, known) = (acceptor.clone(), Arc::clone(&known));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let to: &SocketAddr = known.wait();
                let mut upstream = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut upstream).await
            });
        }
    });
    (address, target)
}

async fn world(version: http::Version) -> World {
    let (address, target) = relay().await;
    let world = World::app()
        .plugin("upstream_id_token_header", json!("x_id_token"))
        .plugin("upstream_user_info_header", json!("x_userinfo"))
        .plugin(
            "upstream_headers",
            json!([{"header": "x_claim", "path": ["preferred_username"]}]),
        )
        .plugin("consumer_claim", json!(["preferred_username"]))
        .config(move |config| {
            three_routes(config);
            config.value()["consumers"] =
                json!([{"username": "john", "custom_id": "c-1", "id": "i-1"}]);
            let services = config.value()["services"].as_array_mut().expect("a list");
            services[2]["plugins"][0]["config"]["upstream_access_token_header"] =
                json!("x_access_token:bearer");
            if version == http::Version::HTTP_2 {
                for service in services {
                    service["url"] = json!(format!("https://localhost:{}", address.port()));
                    service["tls_verify"] = json!(false);
                }
            }
        })
        .embedded()
        .await;
    target.set(world.upstream.address()).expect("named once");
    world
}

/// How many lines have this name for a reader that takes `_` for `-`.
fn count(request: &EchoRequest, name: &str) -> usize {
    let names = request
        .lines
        .iter()
        .filter_map(|line| line.split(':').next());
    let same = |have: &&str| have.replace('_', "-").eq_ignore_ascii_case(name);
    names.filter(same).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_adds_to_what_the_gateway_writes() {
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let world = world(version).await;
        let mut raw = Raw::connect(world.gateway.address()).await;
        for (name, of_john, of_nobody) in WRITTEN {
            // Those of a client itself are part of the chain, or of its credential.
            let mut all = match name {
                "via" | "authorization" => Vec::new(),
                _ => spellings(name),
            };
            all.push("x-other".to_owned());
            for spelling in all {
                for (request, expected) in [
                    (
                        format!("GET /protected HTTP/1.1\r\nHost: a\r\n{JOHN}"),
                        of_john,
                    ),
                    ("GET /public HTTP/1.1\r\nHost: a\r\n".to_owned(), of_nobody),
                    (
                        "OPTIONS /preflight HTTP/1.1\r\nHost: a\r\n".to_owned(),
                        of_nobody,
                    ),
                ] {
                    world.upstream.forget_requests();
                    let forged = format!("{spelling}: forged\r\n");
                    raw.ask(format!(
                        "{request}{forged}X-Kept: 1\r\nConnection: {spelling}, {name}\r\n{forged}\r\n"
                    ))
                    .await
                    .expect(200);
                    let requests = world.upstream.requests();
                    let seen = &requests[0];
                    assert_eq!(seen.version, version);
                    let lines = &seen.lines;
                    assert!(
                        lines.iter().all(|line| !line.contains("forged")),
                        "{spelling}: {request:?}: {lines:?}"
                    );
                    assert_eq!(
                        count(seen, name),
                        expected,
                        "{spelling}: {request:?}: {lines:?}"
                    );
                    assert_eq!(seen.header_lines("x-kept"), ["1"]);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_written_is_written_once_by_either_version() {
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let world = world(version).await;
        let mut raw = Raw::connect(world.gateway.address()).await;
        for _ in 0..5 {
            world.upstream.forget_requests();
            raw.ask(format!(
                "GET /protected HTTP/1.1\r\nHost: a:1\r\nVia: 1.0 outer\r\n{JOHN}\r\n"
            ))
            .await
            .expect(200);
            raw.ask("GET /public?q HTTP/1.1\r\nHost: a:1\r\nVia: 1.0 outer\r\n\r\n")
                .await
                .expect(200);
            let requests = world.upstream.requests();
            for (name, of_john, of_nobody) in WRITTEN {
                let outer = usize::from(name == "via");
                let counts = [count(&requests[0], name), count(&requests[1], name)];
                assert_eq!(counts, [of_john + outer, of_nobody + outer], "{name}");
            }
            let port = world.gateway.address().port().to_string();
            for request in &requests {
                for (name, value) in [
                    ("x-forwarded-for", "127.0.0.1"),
                    ("x-forwarded-host", "a:1"),
                    ("x-forwarded-path", request.path()),
                    ("x-forwarded-port", &port),
                    ("x-forwarded-proto", "http"),
                    ("x-real-ip", "127.0.0.1"),
                ] {
                    assert_eq!(request.header_lines(name), [value], "{name}");
                }
                assert_eq!(request.header_lines("via"), ["1.0 outer", "1.1 oidc-proxy"]);
                let hosts = usize::from(version == http::Version::HTTP_11);
                assert_eq!(request.header_lines("host").len(), hosts);
            }
            let authorization = requests[0].header("authorization").expect("a token");
            assert!(authorization.starts_with("Bearer "));
            assert_eq!(requests[0].header_lines("x-consumer-id"), ["i-1"]);
        }
    }
}

/// What is not one line of a name and a value is no request, and so nothing of it is forged.
#[tokio::test(flavor = "multi_thread")]
async fn no_line_hides_another() {
    let world = world(http::Version::HTTP_11).await;
    for name in ["X-Real-IP", "X-Consumer-Id", "Via", "X-Request-Id"] {
        for line in [
            format!("X: y\r\n {name}: forged"),
            format!("X: y\r\n\t{name}: forged"),
            format!("{name}:\r\n forged"),
            format!("X: y\n{name}: forged"),
            format!("X: y\r{name}: forged"),
            format!("X: y\0\r\n{name}: forged"),
            format!("{name} : forged"),
            format!(" {name}: forged"),
            format!("{name}\u{b}: forged"),
        ] {
            let mut raw = Raw::connect(world.gateway.address()).await;
            let reply = raw
                .ask(format!("GET /public HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"))
                .await;
            assert_eq!(reply.status, 400, "{line:?}");
        }
    }
    assert_eq!(world.upstream.count(), 0);
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask("GET /public HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_written_comes_after_a_body() {
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let world = world(version).await;
        let mut raw = Raw::connect(world.gateway.address()).await;
        for (name, ..) in WRITTEN.iter().filter(|(name, ..)| *name != "via") {
            for spelling in spellings(name) {
                world.upstream.forget_requests();
                raw.ask(format!(
                    "POST /public HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum, {spelling}\r\n\
                    Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n{spelling}: forged\r\n\r\n"
                ))
                .await
                .expect(200);
                let requests = world.upstream.requests();
                let trailers = requests[0].trailers.as_ref().expect("trailers");
                assert_eq!(trailers.len(), 1, "{spelling}: {trailers:?}");
            }
        }
    }
}
