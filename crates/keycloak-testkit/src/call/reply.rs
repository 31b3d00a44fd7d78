//! What a provider answers to a test's own requests: tokens, or why not.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::Value;

use crate::Error;

/// What a provider answered to a call.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, `null` if it was no JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("error", &self.body.get("error"))
            .finish_non_exhaustive()
    }
}

/// Why a call brought nothing.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The provider refused.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The kit or the server failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl CallError {
    /// The provider's refusal, if it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Failed(_) => None,
        }
    }
}

/// As `Display`: tests show errors by `unwrap`.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error response (RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// `error`, empty if there was none.
    pub error: String,
    /// `error_description`, empty if there was none.
    pub description: String,
}

impl Refusal {
    /// A refusal with these members.
    #[must_use]
    pub fn new(status: u16, error: &str, description: &str) -> Self {
        Self {
            status,
            error: error.to_owned(),
            description: description.to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.error)?;
        if self.description.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.description)
    }
}

impl Reply {
    pub(crate) fn read(response: &Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(response.body()).unwrap_or_default(),
            text: String::from_utf8_lossy(response.body()).into_owned(),
        }
    }

    /// A header's first value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The tokens in it.
    ///
    /// # Errors
    /// If it is a refusal, or no token response.
    pub fn tokens(self) -> Result<Tokens, CallError> {
        if self.status != 200 || self.member("access_token").is_none() {
            return Err(self.refused());
        }
        let text = |name: &str| self.member(name).map(str::to_owned);
        let seconds = |name: &str| {
            let value = self.body.get(name).and_then(Value::as_u64);
            Duration::from_secs(value.unwrap_or_default())
        };
        Ok(Tokens {
            access_token: text("access_token").unwrap_or_default(),
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
            token_type: text("token_type").unwrap_or_default(),
            scope: text("scope").unwrap_or_default(),
            session: text("session_state"),
            expires_in: seconds("expires_in"),
            refresh_expires_in: seconds("refresh_expires_in"),
        })
    }

    pub(crate) fn refused(&self) -> CallError {
        CallError::Refused(Refusal::new(
            self.status,
            self.member("error").unwrap_or_default(),
            self.member("error_description").unwrap_or_default(),
        ))
    }

    fn member(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }
}

/// A token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token, if one was issued.
    pub refresh_token: Option<String>,
    /// The ID token, if scope `openid` was asked for.
    pub id_token: Option<String>,
    /// How the access token is to be used: `Bearer` or `DPoP`.
    pub token_type: String,
    /// The scopes granted.
    pub scope: String,
    /// The session, if there is one.
    pub session: Option<String>,
    /// How long the access token lives.
    pub expires_in: Duration,
    /// How long the refresh token lives; zero for ever.
    pub refresh_expires_in: Duration,
}

impl Tokens {
    /// The refresh token.
    ///
    /// # Panics
    /// If none was issued.
    #[must_use]
    pub fn refresh(&self) -> &str {
        self.refresh_token
            .as_deref()
            .expect("a refresh token was issued")
    }

    /// The access token's claims, unverified.
    #[must_use]
    pub fn claims(&self) -> Value {
        claims(&self.access_token)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("refresh_token", &self.refresh_token.is_some())
            .field("id_token", &self.id_token.is_some())
            .field("token_type", &self.token_type)
            .field("scope", &self.scope)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// The claims of a token, unverified; `null` if it is no JWT.
#[must_use]
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token, unverified; `null` if it is no JWT.
#[must_use]
pub fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    token
        .split('.')
        .nth(index)
        .and_then(|part| BASE64.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}
