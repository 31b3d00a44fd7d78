//! Heads of answers, and what becomes of bodies.

use http::Response;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::BoxBody};

use super::*;

const PLAIN: Asked = Asked {
    is_head: false,
    is_old: false,
    takes_trailers: false,
};
const HEAD: Asked = Asked {
    is_head: true,
    ..PLAIN
};
const OLD: Asked = Asked {
    is_old: true,
    ..PLAIN
};
const TRAILERS: Asked = Asked {
    takes_trailers: true,
    ..PLAIN
};

type Made = BoxBody<Bytes, std::convert::Infallible>;

fn empty() -> Made {
    Empty::new().boxed()
}

fn full() -> Made {
    Full::from("abc").boxed()
}

fn unknown() -> Made {
    let frames = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"abc")))]);
    BoxBody::new(StreamBody::new(frames))
}

/// The lines of a head, without its date, and how its body goes on.
fn head(
    status: u16,
    lines: &[(&'static str, &'static str)],
    body: &Made,
    asked: Asked,
    mut last: bool,
) -> (Vec<String>, Delimited) {
    let mut response = Response::builder().status(status);
    for (name, value) in lines {
        response = response.header(*name, *value);
    }
    let (parts, ()) = response.body(()).expect("an answer").into_parts();
    let mut out = Vec::new();
    let delimited = put_head(&parts, body, &asked, &mut last, &mut out);
    let text = String::from_utf8(out).expect("text");
    let text = text.strip_suffix("\r\n\r\n").expect("a head");
    let (dated, mut lines): (Vec<_>, Vec<_>) = text
        .split("\r\n")
        .map(str::to_owned)
        .partition(|line| line.starts_with("Date: "));
    assert_eq!(dated.len(), 1);
    lines[1..].sort();
    (lines, delimited)
}

#[test]
fn a_body_is_delimited_as_its_reader_understands() {
    use Delimited::{Chunks, End, Length, Nothing};
    let chunked = "Transfer-Encoding: chunked";
    for (status, told, body, asked, line, expected) in [
        (200, None, full(), PLAIN, "Content-Length: 3", Length(3)),
        (200, None, full(), OLD, "Content-Length: 3", Length(3)),
        (200, None, full(), HEAD, "Content-Length: 3", Nothing),
        (
            200,
            Some("3"),
            full(),
            PLAIN,
            "Content-Length: 3",
            Length(3),
        ),
        (200, None, empty(), PLAIN, "Content-Length: 0", Nothing),
        (200, Some("7"), empty(), PLAIN, "Content-Length: 0", Nothing),
        (200, None, empty(), HEAD, "", Nothing),
        (200, Some("7"), empty(), HEAD, "Content-Length: 7", Nothing),
        (304, Some("7"), empty(), PLAIN, "Content-Length: 7", Nothing),
        (304, None, empty(), PLAIN, "", Nothing),
        (204, Some("0"), empty(), PLAIN, "", Nothing),
        (204, None, full(), PLAIN, "", Nothing),
        (101, None, empty(), PLAIN, "", Nothing),
        (200, None, unknown(), PLAIN, chunked, Chunks(vec![])),
        (200, None, unknown(), OLD, "", End),
        (200, None, unknown(), HEAD, "", Nothing),
        (
            200,
            Some("3"),
            unknown(),
            PLAIN,
            "Content-Length: 3",
            Length(3),
        ),
    ] {
        let lines: Vec<_> = told
            .map(|told| ("content-length", told))
            .into_iter()
            .collect();
        let (lines, delimited) = head(status, &lines, &body, asked, false);
        let of_body: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("Content-") || line.starts_with("Transfer-"))
            .map(String::as_str)
            .collect();
        assert_eq!(of_body.concat(), line, "{status} {told:?} {asked:?}");
        assert_eq!(delimited, expected, "{status} {told:?} {asked:?}");
    }
}

#[test]
fn what_becomes_of_the_connection_is_said_on_one_line() {
    for (lines, asked, last, said) in [
        (&[][..], PLAIN, false, None),
        (&[], PLAIN, true, Some("Connection: close")),
        (&[], OLD, false, Some("Connection: keep-alive")),
        (&[], OLD, true, None),
        (
            &[("connection", "close")],
            PLAIN,
            true,
            Some("Connection: close"),
        ),
        (
            &[("connection", "close")],
            OLD,
            true,
            Some("Connection: close"),
        ),
        (
            &[("connection", "Upgrade")],
            PLAIN,
            false,
            Some("Connection: Upgrade"),
        ),
        (
            &[("connection", "Upgrade"), ("connection", "x")],
            PLAIN,
            true,
            Some("Connection: Upgrade, x, close"),
        ),
    ] {
        let (all, _) = head(200, lines, &full(), asked, last);
        let found: Vec<_> = all
            .iter()
            .filter(|line| line.starts_with("Connection"))
            .map(String::as_str)
            .collect();
        assert_eq!(found, Vec::from_iter(said), "{lines:?} {asked:?} {last}");
    }
}

#[test]
fn a_connection_that_is_a_bodys_end_is_not_said_to_stay() {
    let (lines, delimited) = head(200, &[], &unknown(), OLD, false);
    assert_eq!(delimited, Delimited::End);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn the_first_line_says_version_and_status() {
    for (status, asked, line) in [
        (200, PLAIN, "HTTP/1.1 200 OK"),
        (200, OLD, "HTTP/1.0 200 OK"),
        (404, PLAIN, "HTTP/1.1 404 Not Found"),
        (299, PLAIN, "HTTP/1.1 299 "),
    ] {
        assert_eq!(head(status, &[], &empty(), asked, false).0[0], line);
    }
}

#[test]
fn a_date_that_is_there_is_left_alone() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (lines, _) = head(200, &[], &empty(), PLAIN, false);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let response = Response::builder().header("date", date);
    let (parts, ()) = response.body(()).expect("an answer").into_parts();
    let mut out = Vec::new();
    put_head(&parts, &empty(), &PLAIN, &mut false, &mut out);
    let text = String::from_utf8(out).expect("text");
    assert_eq!(text.matches("Date: ").count(), 1);
    assert!(text.contains(date));
}

/// What is written of a body.
fn body(mut delimited: Delimited, frames: Vec<Frame<Bytes>>) -> (String, Put) {
    let mut out = Outgoing::new();
    let mut put = Put::More;
    for frame in frames {
        put = delimited.put(frame, &mut out);
        if put != Put::More {
            break;
        }
    }
    if put == Put::More {
        put = delimited.end(None, &mut out);
    }
    let written = out.put(|out| String::from_utf8_lossy(out).into_owned());
    (written, put)
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

fn fields() -> Frame<Bytes> {
    let mut fields = HeaderMap::new();
    for name in ["x-sum", "x-other", "content-length"] {
        fields.insert(name, HeaderValue::from_static("1"));
    }
    Frame::trailers(fields)
}

#[test]
fn a_body_is_as_long_as_its_head_says_or_the_connection_tells() {
    use Delimited::{Chunks, End, Length};
    for (delimited, frames, written, put) in [
        (Length(3), vec![data("abc")], "abc", Put::Whole),
        (
            Length(3),
            vec![data("a"), data(""), data("bc")],
            "abc",
            Put::Whole,
        ),
        (Length(3), vec![data("ab")], "ab", Put::Cut),
        (Length(3), vec![data("abcd")], "", Put::Cut),
        (Length(3), vec![data("ab"), fields()], "ab", Put::Cut),
        (End, vec![data("abc")], "abc", Put::Whole),
        (
            Chunks(vec![]),
            vec![data("abc"), data(""), data("d")],
            "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            Put::Whole,
        ),
        (
            Chunks(vec![]),
            vec![data("abc"), fields()],
            "3\r\nabc\r\n0\r\n\r\n",
            Put::Whole,
        ),
        (
            Chunks(vec![HeaderName::from_static("x-sum")]),
            vec![data("abc"), fields()],
            "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
            Put::Whole,
        ),
    ] {
        let shown = format!("{delimited:?} {frames:?}");
        assert_eq!(
            body(delimited, frames),
            (written.to_owned(), put),
            "{shown}"
        );
    }
}

#[test]
fn trailers_are_those_that_were_announced_to_one_who_takes_them() {
    let announced = [("trailer", "X-Sum, Content-Length,x-other")];
    for (asked, expected, line) in [
        (PLAIN, vec![], true),
        (
            TRAILERS,
            vec![
                HeaderName::from_static("x-sum"),
                HeaderName::from_static("x-other"),
            ],
            true,
        ),
    ] {
        let (lines, delimited) = head(200, &announced, &unknown(), asked, false);
        assert_eq!(delimited, Delimited::Chunks(expected));
        assert_eq!(lines.iter().any(|one| one.starts_with("Trailer")), line);
    }
    let (lines, _) = head(200, &announced, &full(), TRAILERS, false);
    assert!(!lines.iter().any(|line| line.starts_with("Trailer")));
}
