//! The head of an upstream's answer, and how its body is framed: RFC 9112 §4, §6.3 and §9.3.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode, Version};
use memchr::memmem;

use crate::http1::{Chunks, field_name, spare_fields};

/// The largest head that is taken, and the most lines of it.
const LARGEST_HEAD: usize = 256 * 1024;
const MOST_LINES: usize = 100;

/// A head, and what it says of what follows.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// Whether another exchange may follow.
    pub(super) keep_alive: bool,
}

/// How long a body is.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
    /// It ends with the connection.
    UntilClose,
}

/// What was read is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoAnswer;

/// Takes a head out of what was read; `None` if it has not come whole.
///
/// # Errors
/// If it is none, or if two readers may read its framing differently.
pub(super) fn take(read: &mut BytesMut, method: &Method) -> Result<Option<Head>, NoAnswer> {
    let Some(length) = length(read)? else {
        return Ok(None);
    };
    let head = read.split_to(length).freeze();
    let mut lines = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let parsing = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &head,
        &mut lines,
    );
    // An end within it would be another reader's end.
    if parsing != Ok(httparse::Status::Complete(length)) {
        return Err(NoAnswer);
    }
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| NoAnswer)?;
    let version = match parsed.version {
        Some(1) => Version::HTTP_11,
        Some(0) => Version::HTTP_10,
        _ => return Err(NoAnswer),
    };
    let mut headers = spare_fields(parsed.headers.len() + ADDED).ok_or(NoAnswer)?;
    for line in parsed.headers.iter() {
        let name = field_name(line.name.as_bytes()).map_err(|_| NoAnswer)?;
        // Not a copy: it points into the head.
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value));
        headers.append(name, value.map_err(|_| NoAnswer)?);
    }
    let (framing, keep_alive) = framing(status, version, method, &headers)?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(Some(Head {
        response,
        framing,
        keep_alive,
    }))
}

/// Room for the lines that the gateway adds.
const ADDED: usize = 4;

/// The length of the head, up to the end of its empty line.
fn length(read: &[u8]) -> Result<Option<usize>, NoAnswer> {
    if let Some(end) = memmem::find(read, b"\r\n\r\n") {
        return if end < LARGEST_HEAD {
            Ok(Some(end + 4))
        } else {
            Err(NoAnswer)
        };
    }
    // It may be no HTTP at all, or have lines that end with LF alone.
    let mut lines = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, read, &mut lines) {
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) if read.len() < LARGEST_HEAD => Ok(None),
        _ => Err(NoAnswer),
    }
}

fn framing(
    status: StatusCode,
    version: Version,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Framing, bool), NoAnswer> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let length = declared(headers)?;
    if let Some(coding) = coding {
        let plain = codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !plain || length.is_some() || version == Version::HTTP_10 {
            return Err(NoAnswer);
        }
    }
    let keep_alive = keeps_alive(version, headers);
    // RFC 9110 §6.4.1: whatever its header says.
    let has_none = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match (has_none, coding, length) {
        (true, ..) => (Framing::Length(0), keep_alive),
        (false, Some(_), _) => (Framing::Chunked(Chunks::new()), keep_alive),
        (false, None, Some(length)) => (Framing::Length(length), keep_alive),
        (false, None, None) => (Framing::UntilClose, false),
    })
}

/// `Content-Length`: digits and nothing else; said several times, the same each time.
fn declared(headers: &HeaderMap) -> Result<Option<u64>, NoAnswer> {
    let mut length = None;
    for line in headers.get_all(header::CONTENT_LENGTH) {
        let digits = line.as_bytes();
        if !(1..=18).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
            return Err(NoAnswer);
        }
        let told = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if length.is_some_and(|before| before != told) {
            return Err(NoAnswer);
        }
        length = Some(told);
    }
    Ok(length)
}

fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let (mut close, mut keep) = (false, version == Version::HTTP_11);
    for line in headers.get_all(header::CONNECTION) {
        for token in line.as_bytes().split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            close |= token.eq_ignore_ascii_case(b"close");
            keep |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keep && !close
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(head: &str, method: &Method) -> Result<Option<Head>, NoAnswer> {
        take(&mut BytesMut::from(head), method)
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says_in_one_way() {
        let (get, head) = (Method::GET, Method::HEAD);
        for (method, text, expected) in [
            (
                &get,
                "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
                "12 kept",
            ),
            (
                &head,
                "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
                "0 kept",
            ),
            (&get, "HTTP/1.1 204 No Content\r\n\r\n", "0 kept"),
            (
                &get,
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
                "0 kept",
            ),
            (
                &get,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
                "chunked kept",
            ),
            (&get, "HTTP/1.1 200 OK\r\n\r\n", "until close"),
            (&get, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", "3"),
            (
                &get,
                "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 3\r\n\r\n",
                "3 kept",
            ),
            (
                &get,
                "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 3\r\n\r\n",
                "3",
            ),
            (
                &get,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
                "3 kept",
            ),
            (&get, "HTTP/1.1 200 OK\nContent-Length: 3\n\n", "3 kept"),
            (&get, "HTTP/1.1 200 OK\r\nContent-Le", "more"),
            (&get, "", "more"),
        ] {
            let found = match parse(text, method).expect("an answer") {
                None => "more".to_owned(),
                Some(head) => {
                    let kept = if head.keep_alive { " kept" } else { "" };
                    match head.framing {
                        Framing::Length(length) => format!("{length}{kept}"),
                        Framing::Chunked(_) => format!("chunked{kept}"),
                        Framing::UntilClose => "until close".to_owned(),
                    }
                }
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_two_readers_may_read_differently_is_no_answer() {
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\n\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(parse(text, &Method::GET).unwrap_err(), NoAnswer, "{text:?}");
        }
        let lines = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "a: b\r\n".repeat(MOST_LINES + 1)
        );
        assert!(parse(&lines, &Method::GET).is_err());
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(LARGEST_HEAD));
        assert!(parse(&long, &Method::GET).is_err());
    }

    #[test]
    fn what_follows_a_head_is_left() {
        let mut read = BytesMut::from("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 4\r\n\r\nbody");
        let head = take(&mut read, &Method::GET)
            .expect("an answer")
            .expect("a whole one");
        assert_eq!(head.response.headers()["a"], "b");
        assert_eq!(&read[..], b"body");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            begin in prop_oneof![Just(""), Just("HTTP/1.1 200 OK\r\n")],
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut read = BytesMut::from(begin);
            read.extend_from_slice(&bytes);
            let _ = take(&mut read, &Method::GET);
        }
    }
}
