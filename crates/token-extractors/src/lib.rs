//! Pure functions from an HTTP request to the credentials in it, and to the edits that remove them.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
