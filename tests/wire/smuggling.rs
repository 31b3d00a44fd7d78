//! Messages that two readers would tell apart differently: RFC 9112 §2.2, §3.2, §5 and §6. Each
//! comes with a request behind it, which must reach nobody, and with a twin that is right.

use keycloak_testkit::EchoUpstream;

use crate::support::Site;

/// What an attacker hopes to get through.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const POST: &str = "POST /p HTTP/1.1\r\nHost: a\r\n";

struct Case {
    name: &'static str,
    attack: &'static str,
    twin: &'static str,
}

const fn case(name: &'static str, attack: &'static str, twin: &'static str) -> Case {
    Case { name, attack, twin }
}

/// After `POST`: header lines, an empty line, a body.
const BODIES: &[Case] = &[
    case(
        "a length and a coding",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding and a length",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    case(
        "two lengths that differ",
        "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: 5\r\n\r\nabcde",
    ),
    case(
        "two lengths that agree",
        "Content-Length: 5\r\ncontent-length: 5\r\n\r\nabcde",
        "content-length: 5\r\n\r\nabcde",
    ),
    case(
        "a list of lengths",
        "Content-Length: 5, 5\r\n\r\nabcde",
        "Content-Length: 5\r\n\r\nabcde",
    ),
    case(
        "a signed length",
        "Content-Length: +5\r\n\r\nabcde",
        "Content-Length: 5\r\n\r\nabcde",
    ),
    case(
        "a negative length",
        "Content-Length: -5\r\n\r\nabcde",
        "Content-Length: 5\r\n\r\nabcde",
    ),
    case(
        "a length beyond all numbers",
        "Content-Length: 18446744073709551621\r\n\r\nabcde",
        "Content-Length: 5\r\n\r\nabcde",
    ),
    case(
        "a length in hexadecimal",
        "Content-Length: 0x5\r\n\r\nabcde",
        "Content-Length: 0005\r\n\r\nabcde",
    ),
    case(
        "an empty length",
        "Content-Length:\r\n\r\n",
        "Content-Length: 0\r\n\r\n",
    ),
    case(
        "a coding that ends like chunked",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding after chunked",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding before chunked",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "two codings on two lines",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "chunked twice",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding in quotes",
        "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding on a folded line",
        "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:  chunked \r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding with a space before its colon",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    case(
        "a coding with a vertical tab",
        "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \tchunked\r\n\r\n0\r\n\r\n",
    ),
];

/// Whole heads.
const HEADS: &[Case] = &[
    case(
        "a bare LF after the request line",
        "GET /p HTTP/1.1\nHost: a\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "a bare LF after a header line",
        "GET /p HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
    ),
    case(
        "a bare LF at the end of the head",
        "GET /p HTTP/1.1\r\nHost: a\r\n\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "a bare CR in a value",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y Transfer-Encoding: chunked\r\n\r\n",
    ),
    case(
        "a bare CR in the request line",
        "GET /p\rx HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /px HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "NUL in a value",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y z\r\n\r\n",
    ),
    case(
        "a folded line",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y z\r\n\r\n",
    ),
    case(
        "a first header line that begins with a space",
        "GET /p HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "a space before a colon",
        "GET /p HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost:a\r\n\r\n",
    ),
    case(
        "a line without a colon",
        "GET /p HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
    ),
    case(
        "a line without a name",
        "GET /p HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
    ),
    case(
        "two hosts",
        "GET /p HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "the same host twice",
        "GET /p HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "no host",
        "GET /p HTTP/1.1\r\nX: y\r\n\r\n",
        "GET /p HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ),
    case(
        "an empty host",
        "GET /p HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ),
    case(
        "a host with a path",
        "GET /p HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a.b\r\n\r\n",
    ),
    case(
        "a host with a user",
        "GET /p HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    ),
    case(
        "a target that names another host",
        "GET http://b/p HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "two spaces in the request line",
        "GET  /p HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "a tab in the request line",
        "GET\t/p HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "something after the version",
        "GET /p HTTP/1.1 x\r\nHost: a\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "no version",
        "GET /p\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    case(
        "a coding in HTTP/1.0",
        "POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /p HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_two_readers_would_read_differently_reaches_no_upstream() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let bodies = BODIES.iter().map(|case| {
        let whole = |rest| format!("{POST}{rest}");
        (case.name, whole(case.attack), whole(case.twin))
    });
    let heads = HEADS
        .iter()
        .map(|case| (case.name, case.attack.to_owned(), case.twin.to_owned()));
    for (name, attack, twin) in bodies.chain(heads) {
        upstream.forget_requests();
        let mut raw = site.raw().await;
        raw.send(format!("{attack}{SMUGGLED}")).await;
        let reply = raw.answer().await;
        assert_eq!(reply.status, 400, "{name}: {reply:?}");
        assert_eq!(reply.header("connection"), "close", "{name}");
        assert_eq!(reply.text(), r#"{"message":"Bad request"}"#, "{name}");
        raw.closed().await;
        assert_eq!(upstream.count(), 0, "{name}");

        let mut raw = site.raw().await;
        raw.send(format!("{twin}{SMUGGLED}")).await;
        assert_eq!(raw.answer().await.status, 200, "the twin of: {name}");
        // Behind a message that is right, it is a request like any other.
        assert_eq!(raw.answer().await.status, 200, "the twin of: {name}");
        assert_eq!(upstream.count(), 2, "the twin of: {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_however_the_bytes_come() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let attack = format!("{POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n");
    for cut in 1..attack.len() {
        let (first, second) = attack.split_at(cut);
        let mut raw = site.raw().await;
        raw.send(first).await;
        // Whether the gateway reads the two apart or at once makes no difference.
        tokio::task::yield_now().await;
        let _ = raw.try_send(format!("{second}{SMUGGLED}")).await;
        assert_eq!(raw.answer().await.status, 400, "cut at {cut}");
        raw.closed().await;
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_lines_before_a_request_are_passed_over() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut raw = site.raw().await;
    raw.ask("\r\nGET /p HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    raw.ask("\r\n\r\nGET /p HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    raw.ask("\nGET /p HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .says(400, "Bad request");
    raw.closed().await;
    assert_eq!(upstream.count(), 2);
}
