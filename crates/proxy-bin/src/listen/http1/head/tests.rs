//! Streams of heads, whole and broken, in pieces of every size.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::listen::http1::heads::Heads;

const BOUNDS: Bounds = Bounds {
    line: 40,
    headers: 200,
    count: 4,
};

/// The heads of a stream that comes in pieces, and why the rest was refused.
fn taken(stream: &[u8], piece: usize) -> (Vec<Head>, Option<Refused>) {
    let mut heads = Heads::new(BOUNDS);
    let mut read = BytesMut::new();
    let mut all = Vec::new();
    for piece in stream.chunks(piece.max(1)) {
        read.extend_from_slice(piece);
        loop {
            match heads.take(&mut read) {
                Ok(Some(head)) => all.push(head),
                Ok(None) => break,
                Err(refused) => return (all, Some(refused)),
            }
        }
    }
    (all, None)
}

fn because(stream: &str) -> Option<BadRequest> {
    taken(stream.as_bytes(), stream.len())
        .1
        .map(|refused| refused.because)
}

const REFUSED: &[(&str, BadRequest)] = &[
    ("GET /a#b HTTP/1.1\r\n", BadRequest::Fragment),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", BadRequest::LineEnding),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", BadRequest::LineEnding),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", BadRequest::LineEnding),
    ("\nGET / HTTP/1.1\r\n", BadRequest::LineEnding),
    ("GET / HTTP/1.1\r\nA: b\r\n c\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\n a: b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\n\ta: b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA : b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\n: b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA\u{e9}: b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: b\rc\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: \rb\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: b\r\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: \u{c}b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: b\0c\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: b\u{7f}c\r\n", BadRequest::Malformed),
    ("GET / HTTP/2.0\r\n", BadRequest::Version),
    ("GET / HTTP/1.2\r\n", BadRequest::Version),
    ("GET / HTTP/1.10\r\n", BadRequest::Malformed),
    ("GET / http/1.1\r\n", BadRequest::Malformed),
    ("GET /\r\n", BadRequest::Malformed),
    ("GET  / HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1 \r\n", BadRequest::Malformed),
    ("GET /a b HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET\t/ HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET a HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET a:80 HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET /\ra HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET /\u{7f}a HTTP/1.1\r\n", BadRequest::Malformed),
    (" GET / HTTP/1.1\r\n", BadRequest::Malformed),
    ("G@T / HTTP/1.1\r\n", BadRequest::Malformed),
    (
        "GET /this-is-too-long-for-the-bound-of-the-line HTTP/1.1\r\n",
        BadRequest::RequestLine,
    ),
    (
        "GET /this-is-too-long-for-the-bound-of-the-line",
        BadRequest::RequestLine,
    ),
    (
        "GET / HTTP/1.1\r\na: 1\r\na: 2\r\na: 3\r\na: 4\r\na: 5\r\n",
        BadRequest::Headers,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n",
        BadRequest::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        BadRequest::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        BadRequest::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        BadRequest::Framing,
    ),
    (
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
        BadRequest::Framing,
    ),
];

#[test]
fn a_head_is_refused_for_the_same_however_it_comes_and_as_soon_as_it_can_be() {
    for (stream, expected) in REFUSED {
        // With what follows, and without.
        for stream in [(*stream).to_owned(), format!("{stream}\r\n\r\n")] {
            for size in 1..=stream.len() {
                let (all, refused) = taken(stream.as_bytes(), size);
                let because = refused.map(|refused| refused.because);
                assert_eq!(because, Some(*expected), "{stream:?} by {size}");
                assert!(all.is_empty());
            }
        }
    }
}

#[test]
fn what_was_understood_of_a_refused_head_is_known() {
    for (stream, method, is_old) in [
        ("PUT /a#b HTTP/1.0\r\n", "PUT", true),
        ("HEAD / HTTP/1.1\nHost: a\r\n\r\n", "HEAD", false),
        ("GET\t/ HTTP/1.1\r\n", "GET", false),
        ("\n", "GET", false),
        ("PURGE / HTTP/1.1\r\nA\r\n", "PURGE", false),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: x\r\n", "POST", true),
    ] {
        let (_, refused) = taken(stream.as_bytes(), stream.len());
        let refused = refused.expect("refused");
        assert_eq!(refused.method, method, "{stream:?}");
        assert_eq!(refused.is_old, is_old, "{stream:?}");
    }
}

#[test]
fn lengths_that_two_readers_may_read_differently_are_refused() {
    for (value, good) in [
        ("5", true),
        ("05", true),
        (" 5 ", true),
        ("5, 5", false),
        ("+5", false),
        ("-5", false),
        ("5x", false),
        ("0x5", false),
        ("", false),
        ("18446744073709551616", false),
    ] {
        let stream = format!("POST / HTTP/1.1\r\nContent-Length:{value}\r\n\r\n");
        assert_eq!(because(&stream).is_none(), good, "{value:?}");
    }
    for (value, good) in [
        ("chunked", true),
        ("CHUNKED", true),
        ("\t chunked ", true),
        ("xchunked", false),
        ("chunked, identity", false),
        ("identity, chunked", false),
        ("gzip, chunked", false),
        ("chunked\u{b}", false),
        ("", false),
    ] {
        let stream = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {value}\r\n\r\n");
        assert_eq!(because(&stream).is_none(), good, "{value:?}");
    }
}

#[test]
fn bounds_are_what_they_say() {
    for (padding, good) in [(BOUNDS.line - 14, true), (BOUNDS.line - 13, false)] {
        let stream = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(padding));
        let expected = (!good).then_some(BadRequest::RequestLine);
        assert_eq!(because(&stream), expected, "{padding}");
    }
    for (padding, good) in [(BOUNDS.headers - 5, true), (BOUNDS.headers - 4, false)] {
        let stream = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(padding));
        let expected = (!good).then_some(BadRequest::Headers);
        assert_eq!(because(&stream), expected, "{padding}");
    }
    for (count, good) in [(BOUNDS.count, true), (BOUNDS.count + 1, false)] {
        let stream = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
        let expected = (!good).then_some(BadRequest::Headers);
        assert_eq!(because(&stream), expected, "{count}");
    }
    // Nothing without an end is held for longer than its bound.
    let endless = "x".repeat(BOUNDS.line + 2);
    assert_eq!(because(&endless), Some(BadRequest::RequestLine));
    let endless = format!("GET / HTTP/1.1\r\n{}", "x".repeat(BOUNDS.headers + 2));
    assert_eq!(because(&endless), Some(BadRequest::Headers));
    let empty = "\r\n".repeat(BOUNDS.line);
    assert_eq!(because(&empty), Some(BadRequest::RequestLine));
}

#[test]
fn a_head_tells_of_its_message_and_of_its_connection() {
    let none = Told::default();
    for (line, told) in [
        ("Host: a", none),
        (
            "Content-Length: 7",
            Told {
                length: Some(7),
                ..none
            },
        ),
        (
            "transfer-encoding: Chunked",
            Told {
                is_chunked: true,
                ..none
            },
        ),
        (
            "Connection: x, Close",
            Told {
                closes: true,
                ..none
            },
        ),
        (
            "Connection: Keep-Alive",
            Told {
                stays: true,
                ..none
            },
        ),
        (
            "Expect: 100-Continue",
            Told {
                waits: true,
                ..none
            },
        ),
        ("Expect: 100-continue, x", none),
        (
            "Upgrade: websocket",
            Told {
                switches: true,
                ..none
            },
        ),
        (
            "TE: gzip, Trailers",
            Told {
                takes_trailers: true,
                ..none
            },
        ),
    ] {
        let stream = format!("GET /a?b HTTP/1.1\r\n{line}\r\n\r\n");
        let (mut heads, refused) = taken(stream.as_bytes(), stream.len());
        assert_eq!(refused, None);
        let head = heads.remove(0);
        assert_eq!(head.told, told, "{line}");
        assert_eq!((head.method, head.is_old), (Method::GET, false));
        assert_eq!(head.target, "/a?b");
        assert_eq!(head.headers.len(), 1);
    }
}

/// What two readings of the same bytes are compared by.
fn shown(taken: &(Vec<Head>, Option<Refused>)) -> String {
    format!("{taken:?}")
}

proptest! {
    #[test]
    fn any_bytes_are_read_in_the_same_way_however_they_come(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        size in 1..50usize,
    ) {
        prop_assert_eq!(shown(&taken(&bytes, size)), shown(&taken(&bytes, 1)));
    }

    #[test]
    fn what_is_nearly_a_head_is_read_in_the_same_way_however_it_comes(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "GET", " ", "/", "a", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r", "\n", ":", "#", "\0",
                "Host: a\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n",
                "GET / HTTP/1.1\r\n", "\t", "\u{e9}", "Connection: close\r\n", "\r\n\r\n",
            ]),
            0..30,
        ),
        size in 1..50usize,
    ) {
        let bytes = parts.concat().into_bytes();
        prop_assert_eq!(shown(&taken(&bytes, size)), shown(&taken(&bytes, 1)));
    }
}

/// Sections that come again and again, among others and with another line before them.
#[test]
fn what_came_before_is_read_as_it_was_and_nothing_else_is() {
    const WIDE: Bounds = Bounds {
        line: 40,
        headers: 400,
        count: 10,
    };
    let read = |head: &str, bounds: &Bounds| {
        let mut read = BytesMut::from(head);
        let head = Heads::new(*bounds).take(&mut read).map(Option::unwrap);
        head.map(|head| (head.target.to_string(), head.headers, head.told))
            .map_err(|refused| refused.because)
    };
    let section = "Host: a\r\nX-Repeated: yes\r\nContent-Length: 3\r\n\r\n";
    for round in 0..4 {
        let (target, headers, told) =
            read(&format!("POST /{round} HTTP/1.1\r\n{section}"), &WIDE).expect("a head");
        assert_eq!(target, format!("/{round}"));
        assert_eq!(headers.len(), 3);
        assert_eq!(headers["x-repeated"], "yes");
        assert_eq!(told.length, Some(3));
        // One byte of it is another.
        let other = section.replace("yes", "yet");
        let (_, headers, _) = read(&format!("GET / HTTP/1.1\r\n{other}"), &WIDE).expect("a head");
        assert_eq!(headers["x-repeated"], "yet");
        // What is wrong stays wrong, however often it comes.
        let wrong = section.replace("yes", "y\x7fs");
        let refused = read(&format!("GET / HTTP/1.1\r\n{wrong}"), &WIDE);
        assert_eq!(refused.err(), Some(BadRequest::Malformed));
        // Bounds may be narrower than they were.
        let narrow = Bounds { count: 2, ..WIDE };
        let refused = read(&format!("GET / HTTP/1.1\r\n{section}"), &narrow);
        assert_eq!(refused.err(), Some(BadRequest::Headers));
        let narrow = Bounds {
            headers: 40,
            ..WIDE
        };
        let refused = read(&format!("GET / HTTP/1.1\r\n{section}"), &narrow);
        assert_eq!(refused.err(), Some(BadRequest::Headers));
        // Also where the lines come one by one, and not all of them are looked at together.
        let lines = format!("GET / HTTP/1.1\r\n{section}");
        let mut heads = Heads::new(Bounds { count: 2, ..WIDE });
        let mut read_in_pieces = BytesMut::new();
        let refused = lines.as_bytes().chunks(28).find_map(|piece| {
            read_in_pieces.extend_from_slice(piece);
            heads.take(&mut read_in_pieces).err()
        });
        assert_eq!(
            refused.map(|refused| refused.because),
            Some(BadRequest::Headers)
        );
        // HTTP/1.0 has no chunks.
        let chunked = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(read(&format!("POST / HTTP/1.1\r\n{chunked}"), &WIDE).is_ok());
        let refused = read(&format!("POST / HTTP/1.0\r\n{chunked}"), &WIDE);
        assert_eq!(refused.err(), Some(BadRequest::Framing));
    }
}

#[test]
fn what_is_done_to_a_request_is_not_done_to_the_next_one_of_its_kind() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
    for _ in 0..4 {
        let (mut heads, _) = taken(bytes, bytes.len());
        let headers = &mut heads[0].headers;
        assert_eq!(headers.len(), 2);
        headers.remove("b");
        headers.insert("d", HeaderValue::from_static("e"));
    }
}
