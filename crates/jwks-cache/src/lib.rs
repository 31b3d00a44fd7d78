//! JSON Web Key sets per issuer: fetched once, prepared once, refreshed ahead, stale within a bound.
//! Serves the contract's section on keys.
//!
//! ```
//! # use std::sync::Arc;
//! # use jwks_cache::{Fetch, FetchError, FetchFuture, Fetched, JwksCache, Policy};
//! # use oidc_core::UnixTime;
//! struct OneSet;
//!
//! impl Fetch for OneSet {
//!     fn fetch(&self, _: url::Url) -> FetchFuture {
//!         Box::pin(async { Ok(Fetched { body: br#"{"keys":[]}"#.to_vec(), max_age: None }) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(|| UnixTime::from_secs(1_800_000_000));
//! let cache = JwksCache::new(Policy::default(), Arc::new(OneSet), clock);
//! let keys = cache.keys(&"https://idp.test/certs".parse()?, &["a-kid"]).await?;
//! assert!(keys.is_empty());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod document;
mod entry;
mod fetch;
mod keys;

pub use document::{CacheError, Clock, DocumentCache, ParseFailure};
pub use entry::Policy;
pub use fetch::{Fetch, FetchError, FetchFuture, Fetched};
pub use keys::{JwksCache, KeysError};
