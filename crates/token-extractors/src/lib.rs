//! From a request to the credentials in it, and to the edits that remove them: pure functions.
//! Serves the contract's section on what a request meets; RFC 6750 §2, RFC 7617, RFC 6749 §2.3.1.
//!
//! ```
//! use oidc_core::CredentialKind;
//! use token_extractors::{Extractor, ExtractorConfig, Place};
//!
//! let mut config = ExtractorConfig::default();
//! config.refresh_token = Some(("refresh_token".to_owned(), vec![Place::Header]));
//! let extractor = Extractor::compile(config).expect("header names");
//!
//! let (mut head, ()) = http::Request::get("/").header("Refresh-Token", "eyJ…".replace('…', "x"))
//!     .body(()).expect("a request").into_parts();
//! let extraction = extractor.extract(&head, None).expect("well-formed");
//! let found = extraction.found.expect("a credential");
//! assert_eq!(found.credential.kind(), CredentialKind::RefreshToken);
//! extraction.edits.apply_to_headers(&mut head.headers);
//! assert!(head.headers.is_empty());
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod basic;
mod bearer;
mod body;
mod extractor;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod json;
mod looked;
mod malformed;
mod pairs;
mod places;
mod strip;

pub use body::BodyFormat;
pub use extractor::{Extraction, Extractor, ExtractorConfig, Found};
pub use malformed::Malformed;
pub use places::{InvalidName, Place, header_name};
pub use strip::Edits;
