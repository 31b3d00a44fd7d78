//! What a message is held to before anything is decided on it: hosts, framing, bounds.
//! RFC 9112 §3.2 and §6, RFC 6585 §5; the contract's limits.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::config::{Limits, Settings};
use crate::forward::ForwardError;

/// A message that is refused as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRequest {
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
    /// `Transfer-Encoding` and `Content-Length` at once (RFC 9112 §6.3).
    Framing,
    /// An expectation that cannot be met (RFC 9110 §10.1.1).
    Expectation,
    /// A method that no gateway of this kind serves.
    Method,
}

impl BadRequest {
    pub(crate) const fn code(self) -> &'static str {
        match self {
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
            Self::Fragment
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
pub(crate) fn check(parts: &Parts, limits: &Limits, fragment: bool) -> Result<String, BadRequest> {
    if fragment {
        return Err(BadRequest::Fragment);
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(BadRequest::Method);
    }
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
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(BadRequest::Framing);
    }
    if let Some(expected) = headers.get(header::EXPECT)
        && !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(BadRequest::Expectation);
    }
    host(parts)
}

/// RFC 9112 §3.2: exactly one host, and where the target names one too, the same.
fn host(parts: &Parts) -> Result<String, BadRequest> {
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(BadRequest::HostRepeated);
    }
    let line = match line {
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
    let plausible = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'~' | b'%')
    };
    if !host.bytes().all(plausible) {
        return Err(BadRequest::HostMalformed);
    }
    Ok(without_port(host).to_ascii_lowercase())
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        // The colons of an IPv6 address stand in brackets.
        Some(at) if !host[at..].contains(']') => &host[..at],
        _ => host,
    }
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
    if !parts.headers.contains_key(header::HOST)
        && let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
}

/// Reads a body that may hold credentials, whole.
pub(crate) async fn collect(
    incoming: Incoming,
    parts: &Parts,
    settings: &Settings,
) -> Result<Bytes, ForwardError> {
    let most = u64::try_from(settings.limits.credential_body).unwrap_or(u64::MAX);
    let most = settings.limits.body.map_or(most, |body| body.min(most));
    if declared_length(&parts.headers).is_some_and(|length| length > most) {
        return Err(ForwardError::BodyTooLarge);
    }
    let patience: Duration = settings.timeouts.credential_body;
    let limited = Limited::new(incoming, usize::try_from(most).unwrap_or(usize::MAX));
    match tokio::time::timeout(patience, limited.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ForwardError::BodyTooLarge),
        Ok(Err(_)) => Err(ForwardError::BodyCut),
        Err(_) => Err(ForwardError::BodyTimeout),
    }
}

/// The same target with another query; without one if it is empty.
pub(crate) fn with_query(uri: &Uri, query: &str) -> Uri {
    let query = (!query.is_empty()).then_some(query);
    with_path(uri.path(), query)
}

/// A target of this path and query.
pub(crate) fn with_path(path: &str, query: Option<&str>) -> Uri {
    let target = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    // A path and a query that were one target before are one again.
    target.map_or_else(|_| Uri::from_static("/"), Uri::from)
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
        ] {
            let found = check(&parts(target, &headers), &LIMITS, false);
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
        for (request, fragment, status) in [
            (parts(&long, &[("host", "a")]), false, 414),
            (parts("/", &[("host", "a"), ("x", &large)]), false, 431),
            (
                parts(
                    "/",
                    &[("host", "a"), ("a", ""), ("b", ""), ("c", ""), ("d", "")],
                ),
                false,
                431,
            ),
            (parts("/", &[("host", "a")]), true, 400),
            (
                parts("/", &[("host", "a"), ("expect", "the-unexpected")]),
                false,
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
                false,
                400,
            ),
        ] {
            let bad = check(&request, &LIMITS, fragment).expect_err("refused");
            assert_eq!(bad.status().as_u16(), status, "{bad:?}");
        }
    }
}
