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
        HeaderValue::from_bytes(&self.digits()).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    /// 16 digits of the connection, and 8 of the request.
    fn digits(self) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        put_hex(self.connection, &mut digits[..16]);
        put_hex(self.request, &mut digits[16..]);
        digits
    }
}

/// Whoever makes more than 2^32 requests on one connection counts from zero.
const DIGITS: usize = 24;

fn put_hex(number: u64, digits: &mut [u8]) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_hexadecimal_and_alike_everywhere() {
        let id = RequestId {
            connection: 0x00ab_cdef_0123_4567,
            request: 0x2a,
        };
        assert_eq!(id.to_string(), "00abcdef012345670000002a");
        assert_eq!(id.header_value(), "00abcdef012345670000002a");
    }
}
