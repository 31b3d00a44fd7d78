//! How a request reaches the provider: the seam between the driver and HTTP.
//! Serves the contract: size and time are bounded, redirects are not followed, nothing is re-sent.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, UNIX_EPOCH};

use oidc_core::{Secret, UnixTime};

/// The future of an exchange.
pub type TransportFuture<'a> =
    Pin<Box<dyn Future<Output = Result<TransportResponse, TransportError>> + Send + 'a>>;

/// Sends requests to a provider.
///
/// An implementation bounds the response, follows no redirect, and never sends a request again
/// once any byte of it was written: a replayed refresh token ends its session. Deadlines are the
/// caller's.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and gives the whole response.
    fn send(&self, request: http::Request<Secret>) -> TransportFuture<'_>;
}

/// A whole response.
#[derive(Clone)]
pub struct TransportResponse {
    /// The status.
    pub status: http::StatusCode,
    /// The header.
    pub headers: http::HeaderMap,
    /// The body; within the transport's bound.
    pub body: Vec<u8>,
}

impl TransportResponse {
    /// `Retry-After`: a number of seconds, or a date (RFC 9110 §10.2.3).
    pub(crate) fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        let text = self.text(&http::header::RETRY_AFTER)?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let since = date.duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::from_secs(since.as_secs()).since(now))
    }

    pub(crate) fn text(&self, name: &http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl std::fmt::Debug for TransportResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransportResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection was made; nothing was sent.
    #[error("the provider is unreachable")]
    Unreachable,
    /// The connection was cut; something may have been sent.
    #[error("the connection to the provider was cut")]
    Cut,
    /// The response is larger than the bound.
    #[error("the provider's response is too large")]
    TooLarge,
    /// What came is not HTTP.
    #[error("the provider's response is not HTTP")]
    NotHttp,
}

/// Sees calls to the provider, to count and to time them. Never given a secret.
pub trait Observer: Send + Sync + 'static {
    /// A call ended: what was called (`discovery`, `jwks`, `token`), how long it took, and how it
    /// ended: the status, or `None`.
    fn called(&self, what: &'static str, took: Duration, status: Option<u16>);
}

impl Observer for () {
    fn called(&self, _: &'static str, _: Duration, _: Option<u16>) {}
}
