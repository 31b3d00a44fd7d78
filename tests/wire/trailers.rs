//! Trailers, both ways: RFC 9110 §6.5, RFC 9112 §7.1.2.

use keycloak_testkit::EchoUpstream;

use crate::support::{RawUpstream, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_trailers_reach_the_upstream() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask(concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n",
        "3\r\nabc\r\n0\r\nX-Sum: 4711\r\n\r\n",
    ))
    .await
    .expect(200);
    let requests = upstream.requests();
    assert_eq!(requests[0].header("trailer"), Some("X-Sum"));
    assert_eq!(
        requests[0].trailers.as_ref().expect("trailers")["x-sum"],
        "4711"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_trailers_reach_a_client_that_takes_them() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    let taken = raw
        .ask("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        .await
        .expect(200);
    assert!(taken.whole);
    assert_eq!(taken.header("trailer"), "x-checksum");
    assert_eq!(taken.trailers, ["X-Checksum: 4711"]);
    assert_eq!(upstream.requests()[0].header("te"), Some("trailers"));
    let plain = raw
        .ask("GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    assert!(plain.whole);
    assert_eq!(plain.text(), "with trailers\n");
    assert_eq!(plain.trailers, [""; 0]);
    assert_eq!(plain.headers("trailer"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_an_upstream_change_no_framing() {
    let upstream = RawUpstream::answering(concat!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Content-Length, Set-Cookie\r\n\r\n",
        "2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\nSet-Cookie: a=b\r\n\r\n",
    ))
    .await;
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    for _ in 0..2 {
        let reply = raw
            .ask("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")
            .await
            .expect(200);
        assert!(reply.whole);
        assert_eq!(reply.trailers, ["X-Sum: 1"]);
    }
}
