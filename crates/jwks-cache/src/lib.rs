#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod document;
mod entry;
mod fetch;
mod keys;
mod standing;

pub use document::{CacheError, Clock, DocumentCache, ParseFailure};
pub use entry::Policy;
pub use fetch::{Fetch, FetchError, FetchFuture, Fetched};
pub use keys::{JwksCache, KeysError};
pub use standing::{Look, Revision, Standing};
