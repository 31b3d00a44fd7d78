//! What a request is refused for before anybody is asked: the contract's 400s. Never a value.

/// A credential that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A credential is given twice: which one counts would be anybody's guess (RFC 6750 §2).
    #[error("a credential is given more than once")]
    Repeated,
    /// A credential is given and is empty.
    #[error("a credential is empty")]
    Empty,
    /// Bytes that no token, user name or password has.
    #[error("a credential has control characters, or bytes that are not text")]
    Bytes,
    /// An access token that is not a `b64token` (RFC 6750 §2.1).
    #[error("the bearer token is not a b64token")]
    NotB64Token,
    /// `Basic` without base64 after it.
    #[error("the Basic credentials are not base64")]
    BasicNotBase64,
    /// `Basic` without a colon between its halves (RFC 7617 §2).
    #[error("the Basic credentials have no colon")]
    BasicNoColon,
    /// A percent-encoding that is none.
    #[error("a credential has a malformed percent-encoding")]
    PercentEncoding,
    /// A JSON member that should be a string.
    #[error("a credential in the JSON body is not a string")]
    NotText,
    /// A body that is read for credentials and is not what its type says.
    #[error("the body is not what its content type says")]
    Body,
}

impl Malformed {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Repeated => "credential.repeated",
            Self::Empty => "credential.empty",
            Self::Bytes => "credential.malformed_bytes",
            Self::NotB64Token => "credential.not_b64token",
            Self::BasicNotBase64 => "credential.basic_not_base64",
            Self::BasicNoColon => "credential.basic_no_colon",
            Self::PercentEncoding => "credential.percent_encoding",
            Self::NotText => "credential.not_text",
            Self::Body => "credential.body_malformed",
        }
    }
}
