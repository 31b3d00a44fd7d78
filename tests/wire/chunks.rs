//! Chunked bodies that are not what they say: RFC 9112 §7.1. The upstream never takes one for whole.

use keycloak_testkit::EchoUpstream;

use crate::support::Site;

const HEAD: &str = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const BROKEN: &[(&str, &str)] = &[
    ("no size", "\r\nabc\r\n0\r\n\r\n"),
    ("a size that is none", "x\r\nabc\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("a signed size", "+3\r\nabc\r\n0\r\n\r\n"),
    ("a negative size", "-1\r\nabc\r\n0\r\n\r\n"),
    (
        "a size beyond all numbers",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
    ),
    ("a size after a space", " 3\r\nabc\r\n0\r\n\r\n"),
    ("a size before a space", "3 \r\nabc\r\n0\r\n\r\n"),
    ("a size that ends with LF", "3\nabc\r\n0\r\n\r\n"),
    ("a size that ends with CR", "3\rabc\r\n0\r\n\r\n"),
    ("an extension with LF", "3;x\nabc\r\n0\r\n\r\n"),
    ("an extension with a bare CR", "3;x\rabc\r\n0\r\n\r\n"),
    ("data that goes on", "3\r\nabcd\r\n0\r\n\r\n"),
    ("data that ends with LF", "3\r\nabc\n0\r\n\r\n"),
    ("a last chunk that ends with LF", "3\r\nabc\r\n0\n\r\n"),
    ("a folded trailer", "3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n"),
    (
        "a trailer with a space before its colon",
        "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
    ),
    (
        "a trailer section that ends with LF",
        "3\r\nabc\r\n0\r\nX: y\r\n\n",
    ),
];

const WHOLE: &[(&str, &str)] = &[
    ("0\r\n\r\n", ""),
    ("3\r\nabc\r\n0\r\n\r\n", "abc"),
    ("03\r\nabc\r\n000\r\n\r\n", "abc"),
    ("B\r\nabcdefghijk\r\n1\r\nl\r\n0\r\n\r\n", "abcdefghijkl"),
    (
        "3;name=value;other=\"quoted\"\r\nabc\r\n0;last\r\n\r\n",
        "abc",
    ),
    ("3\r\nabc\r\n0\r\nX: y\r\n\r\n", "abc"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_body_is_whole_for_nobody() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (name, body) in BROKEN {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        let reply = raw.ask(format!("{HEAD}{body}{SMUGGLED}")).await;
        assert_eq!(reply.status, 400, "{name}: {reply:?}");
        raw.closed().await;
        for request in upstream.requests() {
            assert_eq!(request.path(), "/p", "{name}");
            assert!(!request.whole, "{name}");
        }
    }
    for (body, data) in WHOLE {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.ask(format!("{HEAD}{body}{SMUGGLED}")).await.expect(200);
        raw.answer().await.expect(200);
        // What was cut before may only now be over for the upstream.
        let mut requests = upstream.requests();
        requests.retain(|request| request.whole);
        assert_eq!(requests.len(), 2, "{body:?}");
        assert_eq!(requests[0].body, data.as_bytes(), "{body:?}");
        assert_eq!(requests[1].path(), "/smuggled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_client_cuts_is_cut_for_the_upstream() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for request in [
        format!("{HEAD}3\r\nabc\r\n"),
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc".to_owned(),
    ] {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.send(&request).await;
        upstream
            .wait_until("the beginning of a body", |all| {
                all.first()
                    .is_some_and(|request| &request.body[..] == b"abc")
            })
            .await;
        drop(raw);
        let requests = upstream.wait_for(1).await;
        assert!(!requests[0].whole, "{request:?}");
    }
}
