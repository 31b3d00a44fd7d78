//! How a document is had: the one thing of this crate that another has to do.
//! Serves the contract: size and time are bounded, redirects are not followed.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use url::Url;

/// The future of a fetch.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send>>;

/// Fetches documents by GET; bounds size and time, and follows no redirect.
pub trait Fetch: Send + Sync + 'static {
    /// Fetches one document.
    fn fetch(&self, url: Url) -> FetchFuture;
}

/// A document as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The whole body.
    pub body: Vec<u8>,
    /// How long the other side lets it be kept (`Cache-Control: max-age`).
    pub max_age: Option<Duration>,
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection.
    #[error("unreachable")]
    Unreachable,
    /// The connection was cut.
    #[error("the connection was cut")]
    Cut,
    /// Not within the deadline.
    #[error("not answered in time")]
    Timeout,
    /// Larger than the bound.
    #[error("too large")]
    TooLarge,
    /// Not HTTP at all.
    #[error("not HTTP")]
    NotHttp,
    /// A redirect, which is not followed.
    #[error("redirected")]
    Redirected,
    /// Another status than 200.
    #[error("status {code}")]
    Status {
        /// The status.
        code: u16,
        /// The `Retry-After` header, if it is a number of seconds.
        retry_after: Option<Duration>,
    },
}
