//! A request as it came to the upstream.

use std::fmt;
use std::net::SocketAddr;

use bytes::BytesMut;
use http::{HeaderMap, Method, Version};

/// A request at the [`EchoUpstream`](super::EchoUpstream).
#[derive(Clone)]
pub struct EchoRequest {
    /// The method.
    pub method: Method,
    /// The target as it was sent; for HTTP/2 the path and query.
    pub target: String,
    /// The version.
    pub version: Version,
    /// The header lines in their order and case; of HTTP/2 in their order, in lower case.
    pub lines: Vec<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// As much of the body as has come.
    pub body: BytesMut,
    /// The trailers, if there were any.
    pub trailers: Option<HeaderMap>,
    /// Whether the request has come to its end.
    pub ended: bool,
    /// Whether it ended as it should; false if the connection was cut.
    pub whole: bool,
    /// Who sent it.
    pub peer: SocketAddr,
}

impl EchoRequest {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The values of all header lines with this name, however it is written.
    #[must_use]
    pub fn header_lines(&self, name: &str) -> Vec<&str> {
        self.lines
            .iter()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl fmt::Debug for EchoRequest {
    /// Names without values: targets, headers and bodies carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .lines
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        f.debug_struct("EchoRequest")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("version", &self.version)
            .field("headers", &names)
            .field("body", &self.body.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
