//! Where a credential may stand, and under which name: Kong's `*_param_type` and `*_param_name`.

use http::HeaderName;

/// A place in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A header line.
    Header,
    /// A query parameter.
    Query,
    /// A member of a form or of a JSON object.
    Body,
    /// A cookie.
    Cookie,
}

impl Place {
    /// The name in configuration and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Body => "body",
            Self::Cookie => "cookie",
        }
    }
}

/// A name that no header can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a header name")]
pub struct InvalidName;

/// The header that a configured name means: `refresh_token` goes on the wire as `refresh-token`.
///
/// # Errors
/// If no header can have that name.
pub fn header_name(configured: &str) -> Result<HeaderName, InvalidName> {
    HeaderName::try_from(configured.replace('_', "-")).map_err(|_| InvalidName)
}
