//! HTTP/2 on the client's side: RFC 9113, with prior knowledge and by ALPN; and what of it goes on
//! to an upstream of HTTP/1.1.

use bytes::Bytes;
use gateway_tests::World;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keycloak_testkit::EchoUpstream;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::support::{Authority, Raw, Site, three_routes, tls_client, tls_stream, until};

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

fn whole(bytes: &'static str) -> Body {
    Full::new(Bytes::from_static(bytes.as_bytes())).boxed_unsync()
}

async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Body> {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a connection of HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn knowing(address: std::net::SocketAddr) -> SendRequest<Body> {
    over(TcpStream::connect(address).await.expect("a connection")).await
}

async fn read(response: Response<Incoming>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (
        parts.status,
        parts.headers,
        String::from_utf8_lossy(&body).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_http_2_becomes_one_of_http_1() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.value()["services"][0]["routes"][0]["preserve_host"] = json!(true);
    })
    .await;
    let mut sender = knowing(site.gateway.address()).await;
    let request = Request::post("http://example.test/a/../b?c")
        .header("cookie", "a=1")
        .header("cookie", "b=2; c=3")
        .header("x-other", "y")
        .body(whole("abc"))
        .expect("a request");
    let (status, headers, _) = read(sender.send_request(request).await.expect("an answer")).await;
    assert_eq!(status, 200);
    assert_eq!(headers["via"], "1.1 oidc-proxy");
    let request = upstream.requests().remove(0);
    assert_eq!(request.version, http::Version::HTTP_11);
    assert_eq!(request.target, "/b?c");
    assert_eq!(request.header_lines("host"), ["example.test"]);
    assert_eq!(request.header_lines("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(request.header_lines("x-forwarded-host"), ["example.test"]);
    assert_eq!(request.header_lines("via"), ["2 oidc-proxy"]);
    assert_eq!(&request.body[..], b"abc");
    assert!(request.lines.iter().all(|line| !line.starts_with(':')));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_beside_the_authority_is_the_same_or_refused() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut sender = knowing(site.gateway.address()).await;
    for (host, status) in [("example.test", 200), ("other.test", 400), ("a@b", 400)] {
        upstream.forget_requests();
        let request = Request::get("http://example.test/")
            .header("host", host)
            .body(whole(""))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), status, "{host}");
        assert_eq!(upstream.count(), usize::from(status == 200), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_targets_are_the_same_as_with_http_1() {
    let world = World::app().config(three_routes).embedded().await;
    let mut sender = knowing(world.gateway.address()).await;
    for (target, line, status) in [
        ("/protected", None, 401),
        ("/public/../protected", None, 401),
        ("/public/..%2fprotected", None, 400),
        ("/public/..;/protected", None, 400),
        ("/public/%00", None, 400),
        ("/nowhere", None, 404),
        (
            "/protected",
            Some(("authorization", "Basic am9objpkb2U=")),
            200,
        ),
        ("/protected", Some(("refresh_token", "x")), 401),
        ("/public", Some(("refresh_token", "x")), 200),
        ("/public", Some(("expect", "the-moon")), 417),
    ] {
        world.upstream.forget_requests();
        let mut request = Request::get(format!("http://a{target}"));
        if let Some((name, value)) = line {
            request = request.header(name, value);
        }
        let request = request.body(whole("")).expect("a request");
        let (answered, headers, body) =
            read(sender.send_request(request).await.expect("an answer")).await;
        assert_eq!(answered, status, "{target} {line:?}: {body}");
        assert!(!headers.contains_key("connection"));
        let requests = world.upstream.requests();
        assert_eq!(
            requests.len(),
            usize::from(status == 200),
            "{target} {line:?}"
        );
        if let Some(request) = requests.first() {
            assert!(!request.headers.contains_key("refresh_token"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_their_bounds() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut sender = knowing(site.gateway.address()).await;
    let get = |length: usize| Request::get(format!("http://a/{}", "x".repeat(length)));
    let mut many = get(1);
    for number in 0..101 {
        many = many.header(format!("x-{number}"), "y");
    }
    for (request, status) in [
        (get(8000), 200),
        (get(9000), 414),
        (get(1).header("x", "y".repeat(60_000)), 200),
        (get(1).header("x", "y".repeat(66_000)), 431),
        (many, 431),
    ] {
        let request = request.body(whole("")).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), status);
        answer.into_body().collect().await.expect("a body");
    }
    assert_eq!(upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_do_not_wait_for_each_other() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut sender = knowing(site.gateway.address()).await;
    let get = |path: &str| {
        Request::get(format!("http://a{path}"))
            .body(whole(""))
            .expect("a request")
    };
    let slow = sender.send_request(get("/slow"));
    let slow = tokio::spawn(slow);
    upstream.wait_for_held(1).await;
    let (status, _, body) = read(
        sender
            .send_request(get("/bytes/3"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "xxx"));
    upstream.release();
    assert_eq!(
        slow.await.expect("a task").expect("an answer").status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_streams_pass() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut sender = knowing(site.gateway.address()).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("1"));
    trailers.insert("x-forwarded-for", http::HeaderValue::from_static("forged"));
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"abc"))),
        Ok(Frame::trailers(trailers)),
    ];
    let request = Request::post("http://a/trailers")
        .header("te", "trailers")
        .header("trailer", "x-sum, x-forwarded-for")
        .body(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let collected = answer.into_body().collect().await.expect("a body");
    assert_eq!(
        collected.trailers().expect("trailers")["x-checksum"],
        "4711"
    );
    let request = upstream.requests().remove(0);
    assert_eq!(&request.body[..], b"abc");
    let trailers = request.trailers.expect("trailers");
    assert_eq!(
        (trailers.len(), &trailers["x-sum"]),
        (1, &http::HeaderValue::from_static("1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_ends() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"idle": "200ms"}));
    })
    .await;
    let mut sender = knowing(site.gateway.address()).await;
    let request = || {
        Request::get("http://a/slow")
            .body(whole(""))
            .expect("a request")
    };
    let slow = tokio::spawn(sender.send_request(request()));
    upstream.wait_for_held(1).await;
    let mut other = knowing(site.gateway.address()).await;
    // That one connection is open does not tell which: the other may not have been counted yet.
    until("the idle one has ended", || other.is_closed()).await;
    assert!(
        other.send_request(request()).await.is_err(),
        "the idle one has ended"
    );
    upstream.release();
    assert_eq!(
        slow.await.expect("a task").expect("an answer").status(),
        200
    );
    site.wait_for_metric("oidc_proxy_connections", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_2_is_read_as_http_1() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (begun, rest, status) in [
        (
            "P",
            "OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        ("PR", "OPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("PRI", " * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ] {
        let mut raw = Raw::connect(site.gateway.address()).await;
        raw.send(begun).await;
        tokio::task::yield_now().await;
        raw.send(rest).await;
        raw.answer().await.expect(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_agrees_on_the_protocol() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("gateway", &authority.identity("localhost"));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway(
            "listen",
            json!([{"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}]),
        );
    })
    .await;
    let address = site.gateway.address();
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        upstream.forget_requests();
        let config = tls_client(&authority, None, offered);
        let stream = tls_stream(address, config).await.expect("a session");
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        if agreed == Some(b"h2") {
            let request = Request::get("https://localhost/")
                .body(whole(""))
                .expect("a request");
            let answer = over(stream)
                .await
                .send_request(request)
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 200);
        } else {
            let mut raw = Raw::over(stream);
            raw.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .expect(200);
        }
        let request = upstream.requests().remove(0);
        assert_eq!(request.header_lines("x-forwarded-proto"), ["https"]);
    }
    let config = tls_client(&authority, None, &["http/0.9"]);
    assert!(
        tls_stream(address, config).await.is_err(),
        "nothing in common"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_long_to_be_looked_through_goes_on_beside_a_credential() {
    let world = World::app()
        .plugin("refresh_token_param_type", json!(["header", "body"]))
        .gateway("limits", json!({"credential_body": 1000}))
        .config(three_routes)
        .embedded()
        .await;
    let mut sender = knowing(world.gateway.address()).await;
    // Of no declared length, and beyond a window of HTTP/2.
    let pieces = || {
        let piece = Bytes::from(vec![b'x'; 500]);
        let frames = (0..600).map(move |_| Ok(Frame::data(piece.clone())));
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    };
    let request = || {
        Request::post("http://a/protected")
            .header("content-type", "application/x-www-form-urlencoded")
    };
    let with = request()
        .header("authorization", "Basic am9objpkb2U=")
        .body(pieces())
        .expect("a request");
    let answer = sender.send_request(with).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let received = world.upstream.requests().remove(0);
    assert_eq!((received.whole, received.body.len()), (true, 300_000));
    let without = request().body(pieces()).expect("a request");
    let answer = sender.send_request(without).await.expect("an answer");
    assert_eq!(answer.status(), 413);
    assert_eq!(world.upstream.count(), 1);
}
