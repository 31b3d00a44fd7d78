//! Ids of requests: unique, unguessable as far as the connection goes, cheap to make.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// The id of a connection: random, so that ids of several gateways do not meet in one log.
#[derive(Debug)]
pub(crate) struct ConnectionId {
    random: u64,
    requests: AtomicU64,
}

impl ConnectionId {
    /// A new one.
    #[must_use]
    pub(crate) fn new() -> Self {
        // Without randomness the counter still tells requests apart.
        Self {
            random: getrandom::u64().unwrap_or_default(),
            requests: AtomicU64::new(0),
        }
    }

    /// The id of the connection's next request.
    pub(crate) fn next_request(&self) -> RequestId {
        RequestId {
            connection: self.random,
            request: self.requests.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
}

impl Default for ConnectionId {
    fn default() -> Self {
        Self::new()
    }
}

/// The id of one request, as in the log and in `X-Request-Id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    connection: u64,
    request: u64,
}

impl RequestId {
    /// As a header's value.
    #[must_use]
    pub(crate) fn header_value(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.connection, self.request)
    }
}
