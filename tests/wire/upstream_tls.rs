//! Upstreams with TLS: whom the gateway trusts, and HTTP/2 where the upstream speaks it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gateway_tests::Config;
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::support::{Authority, Identity, Raw, RawUpstream, Site};

const GET: &str = "GET /x?y HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n";

/// An upstream that says what it was asked in one line.
struct TlsUpstream {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl TlsUpstream {
    async fn start(identity: &Identity, protocols: &[&str]) -> Self {
        let acceptor = TlsAcceptor::from(identity.server(protocols));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection_with_upgrades(TokioIo::new(stream), service_fn(said))
                        .await;
                });
            }
        });
        Self {
            address,
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn said(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.headers().contains_key(header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
                let _ = tokio::io::copy(&mut from, &mut to).await;
            }
        });
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let fixed = header::HeaderValue::from_static;
        answer
            .headers_mut()
            .insert(header::CONNECTION, fixed("Upgrade"));
        answer.headers_mut().insert(header::UPGRADE, fixed("echo"));
        return Ok(answer);
    }
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let version = if parts.version == Version::HTTP_2 {
        "h2"
    } else {
        "h1"
    };
    let host = parts.uri.authority().map_or_else(
        || {
            let host = parts.headers.get(header::HOST);
            host.and_then(|host| host.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        },
        ToString::to_string,
    );
    let path = parts
        .uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let lines = parts.headers.get_all(header::HOST).iter().count();
    let text = format!(
        "{version} {} {path} host={host} lines={lines} body={}",
        parts.method,
        body.len()
    );
    Ok(Response::new(Full::new(Bytes::from(text))))
}

fn secure(config: &mut Config, address: SocketAddr) -> &mut Config {
    config.service(
        "url",
        json!(format!("https://localhost:{}", address.port())),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_certificate_that_is_trusted_is_talked_to() {
    let authority = Authority::new();
    let good = authority.identity("localhost");
    let wrong_name = authority.identity("elsewhere.test");
    let strange = Authority::new().identity("localhost");
    for (identity, trusting, verify, status) in [
        (&good, true, true, 200),
        (&good, false, true, 502),
        (&wrong_name, true, true, 502),
        (&strange, true, true, 502),
        (&strange, false, false, 200),
        (&wrong_name, true, false, 200),
    ] {
        let upstream = TlsUpstream::start(identity, &[]).await;
        let site = Site::with(upstream.address, |config| {
            secure(config, upstream.address).service("tls_verify", json!(verify));
            if trusting {
                config.service("ca_certificates", json!([authority.file()]));
            }
        })
        .await;
        let mut raw = site.raw().await;
        raw.ask(GET).await.expect(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_without_tls_is_no_upstream_with_tls() {
    let plain = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let site = Site::with(plain.address(), |config| {
        secure(config, plain.address()).service("tls_verify", json!(false));
        config.service("connect_timeout", json!(2000));
    })
    .await;
    let mut raw = site.raw().await;
    let reply = raw.ask(GET).await;
    assert!(matches!(reply.status, 502 | 504), "{reply:?}");
    assert_eq!(plain.heads().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_where_it_is_offered() {
    let authority = Authority::new();
    let identity = authority.identity("localhost");
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], "h2"),
        (&["http/1.1"], "h1"),
        (&[], "h1"),
    ] {
        let upstream = TlsUpstream::start(&identity, protocols).await;
        let site = Site::with(upstream.address, |config| {
            secure(config, upstream.address).service("ca_certificates", json!([authority.file()]));
        })
        .await;
        let mut raw = site.raw().await;
        let own = format!("localhost:{}", upstream.address.port());
        for _ in 0..3 {
            let reply = raw.ask(GET).await.expect(200);
            let lines = usize::from(version == "h1");
            assert_eq!(
                reply.text(),
                format!("{version} GET /x?y host={own} lines={lines} body=0")
            );
            assert_eq!(
                reply.header("via"),
                if version == "h2" {
                    "2 oidc-proxy"
                } else {
                    "1.1 oidc-proxy"
                }
            );
        }
        let post = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let reply = raw.ask(post).await.expect(200);
        assert!(reply.text().ends_with("body=3"), "{}", reply.text());
        assert_eq!(upstream.connections(), 1, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_host_is_the_authority_where_it_is_preserved() {
    let authority = Authority::new();
    let upstream = TlsUpstream::start(&authority.identity("localhost"), &["h2"]).await;
    let site = Site::with(upstream.address, |config| {
        secure(config, upstream.address).service("ca_certificates", json!([authority.file()]));
        config.value()["services"][0]["routes"][0]["preserve_host"] = json!(true);
    })
    .await;
    let mut raw = site.raw().await;
    let reply = raw
        .ask("GET / HTTP/1.1\r\nHost: client.test\r\n\r\n")
        .await
        .expect(200);
    assert_eq!(reply.text(), "h2 GET / host=client.test lines=0 body=0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_takes_http_1_where_http_2_is_spoken_otherwise() {
    let authority = Authority::new();
    let upstream = TlsUpstream::start(&authority.identity("localhost"), &["h2", "http/1.1"]).await;
    let site = Site::with(upstream.address, |config| {
        secure(config, upstream.address).service("ca_certificates", json!([authority.file()]));
    })
    .await;
    let mut raw = site.raw().await;
    assert!(raw.ask(GET).await.expect(200).text().starts_with("h2 "));
    let mut raw = Raw::connect(site.gateway.address()).await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
        .await;
    raw.head().await.expect(101);
    let mut echoed = Vec::new();
    while echoed.len() < 5 {
        echoed.extend(raw.some().await);
    }
    assert_eq!(echoed, b"early");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http_2_that_has_ended_is_replaced() {
    let authority = Authority::new();
    let identity = authority.identity("localhost");
    let acceptor = TlsAcceptor::from(identity.server(&["h2"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    // Each connection answers a request, says that it goes away, and ends.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            tokio::spawn(async move {
                let asked = Arc::new(Notify::new());
                let service = service_fn({
                    let asked = Arc::clone(&asked);
                    move |request| {
                        asked.notify_one();
                        said(request)
                    }
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                let mut serving = std::pin::pin!(serving);
                tokio::select! {
                    _ = serving.as_mut() => return,
                    () = asked.notified() => serving.as_mut().graceful_shutdown(),
                }
                let _ = serving.await;
            });
        }
    });
    let site = Site::with(address, |config| {
        secure(config, address).service("ca_certificates", json!([authority.file()]));
    })
    .await;
    let mut raw = site.raw().await;
    for _ in 0..100 {
        raw.ask(GET).await.expect(200);
    }
}
