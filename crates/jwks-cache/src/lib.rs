//! JSON Web Key sets per issuer: fetched once, prepared once, refreshed within bounds.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
