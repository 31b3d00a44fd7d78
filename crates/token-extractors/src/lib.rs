#![doc = include_str!("../README.md")]
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
mod sole;
mod strip;

pub use body::BodyFormat;
pub use extractor::{Extraction, Extractor, ExtractorConfig, Found};
pub use malformed::Malformed;
pub use places::{InvalidName, Place, header_name};
pub use sole::Sole;
pub use strip::Edits;
