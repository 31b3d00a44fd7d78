//! An answer on the wire: its head, how its body is delimited, and what that makes of the body's
//! frames. RFC 9110 §6.4 and §6.6, RFC 9112 §4, §6, §7.1 and §9.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use hyper::ext::ReasonPhrase;

use super::date::put_date;
use super::head::has;
use super::outgoing::Outgoing;
use crate::framing::declared_length;
use crate::http1::{put_chunk, put_field, put_last_chunk, put_number};

/// What of a request matters for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// By `HEAD`: without a body.
    pub(super) is_head: bool,
    /// In HTTP/1.0.
    pub(super) is_old: bool,
    pub(super) takes_trailers: bool,
}

/// How an answer's body goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delimited {
    /// There is none.
    Nothing,
    /// So many bytes are to come.
    Length(u64),
    /// In chunks, and then trailers of these names.
    Chunks(Vec<HeaderName>),
    /// With the connection.
    End,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The body goes on.
    More,
    /// It ends with it.
    Whole,
    /// It is not what its head said: the connection has to tell.
    Cut,
}

/// Writes the head of an answer. `last` says that the connection ends with it, and learns whether
/// the answer wants that itself.
pub(super) fn put_head(
    parts: &Parts,
    body: &impl HttpBody,
    asked: &Asked,
    last: &mut bool,
    out: &mut Vec<u8>,
) -> Delimited {
    let (delimited, length) = delimit(parts, body, asked);
    *last |= delimited == Delimited::End;
    put_status(parts, asked, out);
    let (mut dated, mut connection) = (false, None);
    for (name, value) in &parts.headers {
        match *name {
            // Both are told below, of what is there.
            header::CONTENT_LENGTH | header::TRANSFER_ENCODING => continue,
            header::CONNECTION => {
                *last |= has(value, b"close");
                connection.get_or_insert_with(Vec::new).push(value);
                continue;
            }
            header::TRAILER if !matches!(delimited, Delimited::Chunks(_)) => continue,
            header::DATE => dated = true,
            _ => {}
        }
        put_field(name, value, out);
    }
    if let Some(length) = length {
        out.extend_from_slice(b"Content-Length: ");
        put_number(length, out);
        out.extend_from_slice(b"\r\n");
    } else if matches!(delimited, Delimited::Chunks(_)) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if *last || asked.is_old || connection.is_some() {
        put_connection(&connection.unwrap_or_default(), asked, *last, out);
    }
    if !dated {
        put_date(out);
    }
    out.extend_from_slice(b"\r\n");
    delimited
}

/// RFC 9112 §6.3; the second part is what `Content-Length` says, if it says anything.
fn delimit(parts: &Parts, body: &impl HttpBody, asked: &Asked) -> (Delimited, Option<u64>) {
    let exact = if body.is_end_stream() {
        Some(0)
    } else {
        body.size_hint().exact()
    };
    let told = || declared_length(&parts.headers);
    let status = parts.status;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return (Delimited::Nothing, None);
    }
    if asked.is_head || status == StatusCode::NOT_MODIFIED {
        let length = told().or(exact.filter(|length| *length > 0 && asked.is_head));
        return (Delimited::Nothing, length);
    }
    match exact.or_else(told) {
        Some(0) => (Delimited::Nothing, Some(0)),
        Some(length) => (Delimited::Length(length), Some(length)),
        None if asked.is_old => (Delimited::End, None),
        None if asked.takes_trailers => (Delimited::Chunks(trailers(&parts.headers)), None),
        None => (Delimited::Chunks(Vec::new()), None),
    }
}

fn put_status(parts: &Parts, asked: &Asked, out: &mut Vec<u8>) {
    if parts.status == StatusCode::OK && parts.extensions.is_empty() && !asked.is_old {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let version: &[u8] = if asked.is_old {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    };
    out.extend_from_slice(version);
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    let phrase = parts.extensions.get::<ReasonPhrase>();
    let known = || parts.status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(phrase.map_or_else(|| known().as_bytes(), ReasonPhrase::as_bytes));
    out.extend_from_slice(b"\r\n");
}

/// RFC 9112 §9.3 and §9.6, on one line.
fn put_connection(lines: &[&HeaderValue], asked: &Asked, last: bool, out: &mut Vec<u8>) {
    let ours: &[u8] = match (last, asked.is_old) {
        (true, false) => b"close",
        (false, true) => b"keep-alive",
        // HTTP/1.0 closes, if nothing else is said.
        _ => b"",
    };
    let is_said = lines.iter().any(|line| has(line, ours));
    let ours = Some(ours).filter(|ours| !ours.is_empty() && !is_said);
    let all = lines.iter().map(|line| line.as_bytes()).chain(ours);
    for (number, words) in all.enumerate() {
        let before: &[u8] = if number == 0 { b"Connection: " } else { b", " };
        out.extend_from_slice(before);
        out.extend_from_slice(words);
    }
    if !lines.is_empty() || ours.is_some() {
        out.extend_from_slice(b"\r\n");
    }
}

/// The trailers that were announced, without those that mean something only before the body
/// (RFC 9110 §6.5.1).
fn trailers(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::TRAILER).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !NEVER_TRAILERS.contains(name))
        .collect()
}

const NEVER_TRAILERS: [HeaderName; 13] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

impl Delimited {
    /// Writes a frame.
    pub(super) fn put(&mut self, frame: Frame<Bytes>, out: &mut Outgoing) -> Put {
        let data = match frame.into_data() {
            Ok(data) if data.is_empty() => return Put::More,
            Ok(data) => data,
            Err(frame) => {
                let fields = frame.into_trailers().unwrap_or_default();
                return self.end(Some(fields), out);
            }
        };
        match self {
            Self::Nothing => return Put::Whole,
            Self::End => out.push(data),
            Self::Chunks(_) => {
                out.put(|out| put_chunk(data.len(), out));
                out.push(data);
                out.put(|out| out.extend_from_slice(b"\r\n"));
            }
            Self::Length(left) => {
                // What is more than was told would be read as the next answer.
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    return Put::Cut;
                };
                *left = rest;
                out.push(data);
                if rest == 0 {
                    return Put::Whole;
                }
            }
        }
        Put::More
    }

    /// Writes the end of the body.
    pub(super) fn end(&mut self, fields: Option<HeaderMap>, out: &mut Outgoing) -> Put {
        match self {
            Self::Length(1..) => return Put::Cut,
            Self::Nothing | Self::End | Self::Length(0) => {}
            Self::Chunks(names) => {
                let fields = fields
                    .filter(|_| !names.is_empty())
                    .map(|fields| announced(fields, names));
                out.put(|out| put_last_chunk(fields.as_ref(), out));
            }
        }
        Put::Whole
    }
}

fn announced(fields: HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in &fields {
        if names.contains(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
