//! Streams of requests, whole and broken, in pieces of every size.

use super::*;
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds {
    line: 40,
    headers: 200,
    count: 4,
};

/// What the parser gets of a stream that comes in pieces, and why the rest was refused.
fn followed(stream: &[u8], pieces: impl Fn(usize) -> usize) -> (Vec<Vec<u8>>, Option<BadRequest>) {
    let mut messages = Messages::new(BOUNDS);
    let (mut all, mut last) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < stream.len() {
        let end = (at + pieces(at).max(1)).min(stream.len());
        let mut piece = &stream[at..end];
        at = end;
        while !piece.is_empty() {
            match messages.follow(piece) {
                Followed::UpTo(count) => {
                    last.extend_from_slice(&piece[..count]);
                    piece = &piece[count..];
                    if messages.stage() == Stage::Between {
                        all.push(std::mem::take(&mut last));
                    }
                }
                Followed::Refused {
                    kept,
                    because,
                    completion,
                } => {
                    last.extend_from_slice(&piece[..kept]);
                    last.extend_from_slice(&completion);
                    all.push(last);
                    return (all, Some(because));
                }
                Followed::Broken(kept) => {
                    last.extend_from_slice(&piece[..kept]);
                    all.push(last);
                    return (all, None);
                }
            }
        }
    }
    all.push(last);
    (all, None)
}

/// The head parses as the parser of requests does it.
fn parses(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_start_matches("\r\n").split("\r\n");
    let line = lines.next().unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    text.ends_with("\r\n\r\n")
        && words.len() == 3
        && words.iter().all(|word| !word.is_empty())
        && words[2].starts_with("HTTP/1.")
        && lines.all(|line| line.is_empty() || line.contains(':'))
}

const REFUSED: &[(&str, BadRequest)] = &[
    ("GET /a#b HTTP/1.1\r\n", BadRequest::Fragment),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", BadRequest::LineEnding),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", BadRequest::LineEnding),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", BadRequest::LineEnding),
    ("\nGET / HTTP/1.1\r\n", BadRequest::LineEnding),
    ("GET / HTTP/1.1\r\nA: b\r\n c\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\n a: b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA : b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\n: b\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: b\rc\r\n", BadRequest::Malformed),
    ("GET / HTTP/1.1\r\nA: b\0c\r\n", BadRequest::Malformed),
    ("GET / HTTP/2.0\r\n", BadRequest::Version),
    ("GET /\r\n", BadRequest::Malformed),
    ("GET  / HTTP/1.1\r\n", BadRequest::Malformed),
    ("GET /a b HTTP/1.1\r\n", BadRequest::Malformed),
    (
        "GET /this-is-too-long-for-the-bound-of-the-line HTTP/1.1\r\n",
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
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
        BadRequest::Framing,
    ),
];

#[test]
fn a_refused_head_is_completed_however_it_comes() {
    for (stream, expected) in REFUSED {
        for size in 1..=stream.len() {
            let (all, because) = followed(stream.as_bytes(), |_| size);
            assert_eq!(because, Some(*expected), "{stream:?} by {size}");
            let head = all.last().expect("the refused head");
            // What had gone to the parser before it was known to be wrong, it refuses itself.
            let whole = size == stream.len();
            assert!(
                !whole || parses(head),
                "{stream:?}: {:?}",
                String::from_utf8_lossy(head)
            );
        }
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
        let (_, because) = followed(stream.as_bytes(), |_| stream.len());
        assert_eq!(because.is_none(), good, "{value:?}");
    }
    for (value, good) in [
        ("chunked", true),
        ("CHUNKED", true),
        ("xchunked", false),
        ("chunked, identity", false),
        ("identity, chunked", false),
        ("gzip, chunked", false),
        ("chunked\u{b}", false),
        ("", false),
    ] {
        let stream = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {value}\r\n\r\n");
        let (_, because) = followed(stream.as_bytes(), |_| stream.len());
        assert_eq!(because.is_none(), good, "{value:?}");
    }
}

#[test]
fn a_chunked_body_ends_where_it_says_or_is_cut() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, whole) in [
        ("0\r\n\r\n", true),
        ("3\r\nabc\r\n0\r\n\r\n", true),
        ("A;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n", true),
        ("3\nabc\r\n0\r\n\r\n", false),
        ("3\r\nabc\n0\r\n\r\n", false),
        ("3\r\nabcd\r\n0\r\n\r\n", false),
        ("3;a\nb\r\nabc\r\n0\r\n\r\n", false),
        ("0x3\r\nabc\r\n0\r\n\r\n", false),
        (" 3\r\nabc\r\n0\r\n\r\n", false),
        ("3 \r\nabc\r\n0\r\n\r\n", false),
        ("-3\r\nabc\r\n0\r\n\r\n", false),
        ("FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", false),
        ("\r\n0\r\n\r\n", false),
        ("0\r\n X: y\r\n\r\n", false),
    ] {
        let next = "GET / HTTP/1.1\r\n\r\n";
        let stream = format!("{head}{body}{next}");
        for size in 1..stream.len() {
            let (all, _) = followed(stream.as_bytes(), |_| size);
            let expected = format!("{head}{body}").into_bytes();
            assert_eq!(all[0] == expected, whole, "{body:?} by {size}");
            assert_eq!(all.len() > 1, whole, "{body:?} by {size}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_added_lost_or_moved_in_what_is_right(
        bodies in proptest::collection::vec((any::<bool>(), 0..30usize), 1..4),
        size in 1..50usize,
    ) {
        let messages: Vec<Vec<u8>> = bodies
            .iter()
            .map(|(chunked, length)| {
                let body = "b".repeat(*length);
                if *chunked {
                    let chunk = if *length == 0 { String::new() } else { format!("{length:x}\r\n{body}\r\n") };
                    format!("\r\nPUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
                } else {
                    format!("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
                }
                .into_bytes()
            })
            .collect();
        let (all, because) = followed(&messages.concat(), |_| size);
        prop_assert_eq!(because, None);
        prop_assert_eq!(&all[..messages.len()], &messages[..]);
    }

    #[test]
    fn any_bytes_are_followed(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1..50usize) {
        followed(&bytes, |_| size);
    }
}
