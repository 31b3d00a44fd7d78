//! Answers of an upstream that two readers would tell apart differently: RFC 9112 §4, §6 and §7.1.
//! Each stands beside a twin that is right.

use crate::support::{RawUpstream, Reply, Site};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a client gets of an upstream that answers each connection's first request with this.
async fn asked(answer: impl Into<Vec<u8>>, request: &str) -> Reply {
    let upstream = RawUpstream::answering_once(answer).await;
    let site = Site::before(upstream.address()).await;
    site.raw().await.ask(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_one_reading_or_none() {
    for (name, head, twin) in [
        ("a signed length", "Content-Length: +2", "Content-Length: 2"),
        (
            "a length in hexadecimal",
            "Content-Length: 0x2",
            "Content-Length: 02",
        ),
        ("an empty length", "Content-Length:", "Content-Length:2"),
        (
            "a length with a blank",
            "Content-Length: 2 2",
            "Content-Length:   2  ",
        ),
        (
            "a length beyond all numbers",
            "Content-Length: 18446744073709551618",
            "Content-Length: 00000000000000002",
        ),
        (
            "a list of lengths",
            "Content-Length: 2, 2",
            "Content-Length: 2\r\nContent-Length: 2",
        ),
        (
            "three lengths of which one differs",
            "Content-Length: 2\r\nContent-Length: 2\r\nContent-Length: 3",
            "Content-Length: 2\r\nContent-Length: 2\r\nContent-Length: 2",
        ),
        (
            "a CR in a value",
            "X: a\rb\r\nContent-Length: 2",
            "X: a b\r\nContent-Length: 2",
        ),
        (
            "a NUL in a value",
            "X: a\0b\r\nContent-Length: 2",
            "X: a\tb\r\nContent-Length: 2",
        ),
        (
            "a NUL in a name",
            "X\0: a\r\nContent-Length: 2",
            "X: a\r\nContent-Length: 2",
        ),
        (
            "no name",
            ": a\r\nContent-Length: 2",
            "a: \r\nContent-Length: 2",
        ),
        (
            "a blank in a name",
            "X Y: a\r\nContent-Length: 2",
            "X-Y: a\r\nContent-Length: 2",
        ),
        (
            "a coding with a blank name",
            "Transfer-Encoding : chunked",
            "Content-Length: 2",
        ),
        (
            "a line that is folded",
            "X: a\r\n\tb\r\nContent-Length: 2",
            "X: a\tb\r\nContent-Length: 2",
        ),
    ] {
        let upstream = |head: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok");
        let reply = asked(upstream(head), GET).await;
        assert_eq!(reply.status, 502, "{name}: {reply:?}");
        let reply = asked(upstream(twin), GET).await;
        assert_eq!((reply.status, reply.text()), (200, "ok"), "not {name}");
        assert_eq!(reply.headers("content-length"), ["2"], "not {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_line_is_one() {
    for (line, status) in [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/1.1 200", 200),
        ("HTTP/1.1 299 Any words: at all", 299),
        ("HTTP/1.0 200 OK", 200),
        ("HTTP/1.1  200 OK", 502),
        ("HTTP/1.1 0200 OK", 502),
        ("HTTP/1.1 2000 OK", 502),
        ("HTTP/1.1 099 OK", 502),
        ("HTTP/1.1 -20 OK", 502),
        ("HTTP/1.1 200OK", 502),
        ("HTTP/1.1 200 O\0K", 502),
        ("HTTP/1.1 200 O\rK", 502),
        ("HTTP/1.11 200 OK", 502),
        ("HTTP/2.0 200 OK", 502),
        ("http/1.1 200 OK", 502),
        ("HTTP 200 OK", 502),
        (" HTTP/1.1 200 OK", 502),
        ("ICY 200 OK", 502),
    ] {
        let reply = asked(format!("{line}\r\nContent-Length: 2\r\n\r\nok"), GET).await;
        assert_eq!(reply.status, status, "{line:?}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_none() {
    let many = |lines: usize| format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(lines));
    for (lines, status) in [(99, 200), (100, 502), (100_000, 502)] {
        let answer = many(lines) + "Content-Length: 2\r\n\r\nok";
        assert_eq!(asked(answer, GET).await.status, status, "{lines} lines");
    }
    for (length, status) in [(200_000, 200), (300_000, 502)] {
        let long = "y".repeat(length);
        let answer = format!("HTTP/1.1 200 OK\r\nX: {long}\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(asked(answer, GET).await.status, status, "{length} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_what_they_say_or_the_body_is_cut() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "x".repeat(2_000);
    for (name, body, twin) in [
        ("no size", "\r\nok\r\n0\r\n\r\n", "2\r\nok\r\n0\r\n\r\n"),
        (
            "a size with a prefix",
            "0x2\r\nok\r\n0\r\n\r\n",
            "02\r\nok\r\n0\r\n\r\n",
        ),
        (
            "a signed size",
            "+2\r\nok\r\n0\r\n\r\n",
            "2\r\nok\r\n000\r\n\r\n",
        ),
        (
            "a negative size",
            "-2\r\nok\r\n0\r\n\r\n",
            "2 \r\nok\r\n0\r\n\r\n",
        ),
        (
            "a size beyond all numbers",
            "10000000000000002\r\nok\r\n0\r\n\r\n",
            "000000000000002\r\nok\r\n0\r\n\r\n",
        ),
        (
            "the largest number",
            "ffffffffffffffff\r\nok\r\n0\r\n\r\n",
            "1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        ),
        (
            "an extension without end",
            &format!("2;{long}\r\nok\r\n0\r\n\r\n"),
            "2;x=\"y\";z\r\nok\r\n0;last\r\n\r\n",
        ),
        (
            "an extension with a CR",
            "2;x\ry\r\nok\r\n0\r\n\r\n",
            "2;x\ty\r\nok\r\n0\r\n\r\n",
        ),
        (
            "a size that ends with LF",
            "2\nok\r\n0\r\n\r\n",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "data that ends with LF",
            "2\r\nok\n0\r\n\r\n",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "data that goes on",
            "2\r\nok!\r\n0\r\n\r\n",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        ("an end with LF", "2\r\nok\r\n0\n\n", "2\r\nok\r\n0\r\n\r\n"),
        ("no end", "2\r\nok\r\n", "2\r\nok\r\n0\r\n\r\n"),
        ("half an end", "2\r\nok\r\n0\r\n", "2\r\nok\r\n0\r\n\r\n"),
        (
            "a folded trailer",
            "2\r\nok\r\n0\r\nX: y\r\n z\r\n\r\n",
            "2\r\nok\r\n0\r\nX: y\r\n\r\n",
        ),
        (
            "a trailer with a NUL",
            "2\r\nok\r\n0\r\nX: \0\r\n\r\n",
            "2\r\nok\r\n0\r\nX: \r\n\r\n",
        ),
        (
            "a hundred trailers too many",
            &format!("2\r\nok\r\n0\r\n{}\r\n", "X: y\r\n".repeat(200)),
            &format!("2\r\nok\r\n0\r\n{}\r\n", "X: y\r\n".repeat(100)),
        ),
        (
            "trailers that are too long",
            &format!(
                "2\r\nok\r\n0\r\n{}\r\n",
                format!("X: {long}\r\n").repeat(40)
            ),
            &format!(
                "2\r\nok\r\n0\r\n{}\r\n",
                format!("X: {long}\r\n").repeat(20)
            ),
        ),
    ] {
        let reply = asked(format!("{chunked}{body}"), GET).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        assert!(!reply.whole, "{name}: {reply:?}");
        let reply = asked(format!("{chunked}{twin}"), GET).await;
        assert!(reply.whole, "not {name}: {reply:?}");
        assert_eq!(reply.text(), "ok", "not {name}");
    }
}
