//! What a message is held to before anything is decided on it: hosts, framing, bounds.
//! RFC 9112 §3.2 and §6, RFC 6585 §5; the contract's limits.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body_util::BodyExt as _;

use crate::config::{Limits, Settings};
use crate::forward::{ClientBody, ForwardError};

/// A message that is refused as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRequest {
    /// Lines that are none (RFC 9112 §3 and §5).
    Malformed,
    /// A line that ends with LF alone (RFC 9112 §2.2).
    LineEnding,
    /// A version of HTTP that is not spoken here.
    Version,
    /// The head did not come in time.
    HeadTimeout,
    /// The request line is longer than the bound.
    RequestLine,
    /// The header section is larger than the bound.
    Headers,
    /// A target with a fragment.
    Fragment,
    /// No `Host`, where one has to be.
    HostMissing,
    /// Two hosts.
    HostRepeated,
    /// A host that cannot be one.
    HostMalformed,
    /// A body with two lengths, or with one that two readers may read differently (RFC 9112 §6.3).
    Framing,
    /// An expectation that cannot be met (RFC 9110 §10.1.1).
    Expectation,
    /// A method that no gateway of this kind serves.
    Method,
}

impl BadRequest {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "request.malformed",
            Self::LineEnding => "request.line_ending",
            Self::Version => "request.version",
            Self::HeadTimeout => "request.head_timeout",
            Self::RequestLine => "request.line_too_long",
            Self::Headers => "request.headers_too_large",
            Self::Fragment => "request.target_fragment",
            Self::HostMissing => "request.host_missing",
            Self::HostRepeated => "request.host_repeated",
            Self::HostMalformed => "request.host_malformed",
            Self::Framing => "request.framing_ambiguous",
            Self::Expectation => "request.expectation",
            Self::Method => "request.method",
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::RequestLine => StatusCode::URI_TOO_LONG,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed
            | Self::LineEnding
            | Self::Fragment
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::Framing => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether nothing after it on the same connection can be believed.
    pub(crate) const fn ends_connection(self) -> bool {
        !matches!(self, Self::Expectation)
    }
}

/// Checks a message, and gives the host that it is for: in lower case, without a port.
///
/// `refused` is what was found wrong with its bytes, before they were parsed.
pub(crate) fn check(
    parts: &Parts,
    refused: Option<BadRequest>,
) -> Result<Cow<'_, str>, BadRequest> {
    if let Some(refused) = refused {
        return Err(refused);
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(BadRequest::Method);
    }
    let met = |expected: &HeaderValue| expected.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !parts.headers.get_all(header::EXPECT).iter().all(met) {
        return Err(BadRequest::Expectation);
    }
    host(parts)
}

/// Holds a message to the bounds of its line and its header section, and to one length.
pub(crate) fn check_size(parts: &Parts, limits: &Limits) -> Result<(), BadRequest> {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
    if parts.method.as_str().len() + target + " HTTP/1.1".len() + 1 > limits.request_line {
        return Err(BadRequest::RequestLine);
    }
    let headers = &parts.headers;
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > limits.headers || headers.len() > limits.header_count {
        return Err(BadRequest::Headers);
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths > 0 && headers.contains_key(header::TRANSFER_ENCODING)) {
        return Err(BadRequest::Framing);
    }
    Ok(())
}

/// RFC 9112 §3.2: exactly one host, and where the target names one too, the same.
fn host(parts: &Parts) -> Result<Cow<'_, str>, BadRequest> {
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(BadRequest::HostRepeated);
    }
    let line = match line {
        Some(line) if line.is_empty() => return Err(BadRequest::HostMalformed),
        Some(line) => Some(line.to_str().map_err(|_| BadRequest::HostMalformed)?),
        None => None,
    };
    let named = parts.uri.authority().map(|authority| authority.as_str());
    let host = match (line, named) {
        (Some(line), Some(named)) if !line.eq_ignore_ascii_case(named) => {
            return Err(BadRequest::HostRepeated);
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if parts.version == Version::HTTP_10 => "",
        (None, None) => return Err(BadRequest::HostMissing),
    };
    let name = name_of(host).ok_or(BadRequest::HostMalformed)?;
    Ok(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    })
}

/// The host without its port, and without the final dot by which the same host is written as well
/// (RFC 3986 §3.2.2): routed on with it, it would get past a route for the host without. `None` if
/// it can be none. HTTP/1.0 alone may go without.
fn name_of(host: &str) -> Option<&str> {
    if let Some(address) = host.strip_prefix('[') {
        let (address, port) = address.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        return is_port(port).then(|| &host[..address.len() + 2]);
    }
    let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
    let plausible = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~".contains(&byte);
    let rooted = name.strip_suffix('.').unwrap_or(name);
    (name.bytes().all(plausible)
        && (!rooted.is_empty() || host.is_empty())
        && !rooted.ends_with('.')
        && is_port(port))
    .then_some(rooted)
}

/// A port with its colon, or nothing.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `Content-Length`, if there is one.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Puts the host into its header line, where only the target names it (HTTP/2).
pub(crate) fn name_host(parts: &mut Parts) {
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
}

/// A body that was looked at for credentials.
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// What was read of one that is longer than what is looked through, and what is to come.
    Longer(Bytes, ClientBody),
}

/// Reads a body that may hold credentials: whole, or as far as it is looked through.
pub(crate) async fn collect(
    mut incoming: ClientBody,
    parts: &Parts,
    settings: &Settings,
) -> Result<Collected, ForwardError> {
    let most = settings.limits.credential_body;
    let longer = |length| usize::try_from(length).map_or(true, |length| length > most);
    if declared_length(&parts.headers).is_some_and(longer) {
        return Ok(Collected::Longer(Bytes::new(), incoming));
    }
    let patience: Duration = settings.timeouts.credential_body;
    let reading = async {
        let mut read = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let Ok(data) = frame.map_err(|_| ForwardError::BodyCut)?.into_data() else {
                continue;
            };
            read.extend_from_slice(&data);
            let too_large = |bound| u64::try_from(read.len()).map_or(true, |read| read > bound);
            if settings.limits.body.is_some_and(too_large) {
                return Err(ForwardError::BodyTooLarge);
            }
            if read.len() > most {
                return Ok((read.freeze(), false));
            }
        }
        Ok((read.freeze(), true))
    };
    match tokio::time::timeout(patience, reading).await {
        Ok(Ok((read, true))) => Ok(Collected::Whole(read)),
        Ok(Ok((read, false))) => Ok(Collected::Longer(read, incoming)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ForwardError::BodyTimeout),
    }
}

/// The same target with another query; without one if it is empty.
pub(crate) fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let query = (!query.is_empty()).then_some(query);
    with_path(uri.path(), query)
}

/// A target of this path and query; `None` if they are longer than any target can be.
pub(crate) fn with_path(path: &str, query: Option<&str>) -> Option<Uri> {
    let target = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    target.ok().map(Uri::from)
}

/// RFC 9113 §8.2.3: HTTP/2 may send each cookie on a line of its own; HTTP/1.1 has one line.
pub(crate) fn join_cookies(parts: &mut Parts) {
    if parts.version != Version::HTTP_2 {
        return;
    }
    let lines = parts.headers.get_all(header::COOKIE);
    if lines.iter().count() < 2 {
        return;
    }
    let joined = lines
        .iter()
        .map(HeaderValue::as_bytes)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        parts.headers.insert(header::COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        request_line: 64,
        headers: 128,
        header_count: 4,
        credential_body: 10,
        body: None,
        connections: 1,
        cached_tokens: 1,
    };

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_message_names_one_host() {
        for (target, headers, expected) in [
            ("/", vec![("host", "Example.com:8000")], Ok("example.com")),
            ("/", vec![("host", "[::1]:8000")], Ok("[::1]")),
            ("/", vec![("host", "[::1]")], Ok("[::1]")),
            ("/", vec![("host", "a.test.")], Ok("a.test")),
            ("/", vec![("host", "A.test.:80")], Ok("a.test")),
            ("/", vec![("host", "a..")], Err(BadRequest::HostMalformed)),
            ("/", vec![("host", ".")], Err(BadRequest::HostMalformed)),
            ("http://a.test/", vec![("host", "a.test")], Ok("a.test")),
            ("http://a.test/", vec![], Ok("a.test")),
            (
                "http://a.test/",
                vec![("host", "b.test")],
                Err(BadRequest::HostRepeated),
            ),
            (
                "/",
                vec![("host", "a"), ("host", "a")],
                Err(BadRequest::HostRepeated),
            ),
            ("/", vec![], Err(BadRequest::HostMissing)),
            ("/", vec![("host", "a@b")], Err(BadRequest::HostMalformed)),
            ("/", vec![("host", "a/b")], Err(BadRequest::HostMalformed)),
            ("/", vec![("host", "")], Err(BadRequest::HostMalformed)),
            ("/", vec![("host", ":80")], Err(BadRequest::HostMalformed)),
            (
                "/",
                vec![("host", "a:80:80")],
                Err(BadRequest::HostMalformed),
            ),
            ("/", vec![("host", "a:8o")], Err(BadRequest::HostMalformed)),
            ("/", vec![("host", "[::1")], Err(BadRequest::HostMalformed)),
            (
                "/",
                vec![("host", "[::1]x")],
                Err(BadRequest::HostMalformed),
            ),
            ("/", vec![("host", "a, b")], Err(BadRequest::HostMalformed)),
        ] {
            let parts = parts(target, &headers);
            let found = check(&parts, None);
            assert_eq!(
                found.as_deref(),
                expected.as_ref().map(|host| *host),
                "{target} {headers:?}"
            );
        }
    }

    #[test]
    fn each_bound_has_its_status() {
        let long = format!("/{}", "a".repeat(64));
        let large = "v".repeat(128);
        for (request, refused, status) in [
            (parts(&long, &[("host", "a")]), None, 414),
            (parts("/", &[("host", "a"), ("x", &large)]), None, 431),
            (
                parts(
                    "/",
                    &[("host", "a"), ("a", ""), ("b", ""), ("c", ""), ("d", "")],
                ),
                None,
                431,
            ),
            (
                parts("/", &[("host", "a")]),
                Some(BadRequest::Fragment),
                400,
            ),
            (
                parts("/", &[("host", "a"), ("expect", "the-unexpected")]),
                None,
                417,
            ),
            (
                parts(
                    "/",
                    &[
                        ("host", "a"),
                        ("transfer-encoding", "chunked"),
                        ("content-length", "3"),
                    ],
                ),
                None,
                400,
            ),
            (
                parts(
                    "/",
                    &[
                        ("host", "a"),
                        ("content-length", "3"),
                        ("content-length", "3"),
                    ],
                ),
                None,
                400,
            ),
        ] {
            let bad = check(&request, refused)
                .and_then(|_| check_size(&request, &LIMITS))
                .expect_err("refused");
            assert_eq!(bad.status().as_u16(), status, "{bad:?}");
        }
    }
}
