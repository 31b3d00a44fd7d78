//! Requests that a test makes itself, straight at the provider: neither counted nor broken.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::Error;
use crate::keys::{SigningKey, secret_assertion};

/// As whom a test calls.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientLogin {
    /// A public client.
    Public(String),
    /// Id and secret in the form.
    Post(String, String),
    /// Id and secret in the header.
    Basic(String, String),
    /// An assertion under a secret.
    SecretJwt(String, String),
    /// An assertion under a private key.
    Key(String, SigningKey),
    /// An assertion that the test has made itself.
    Assertion(String),
}

impl ClientLogin {
    /// A public client.
    #[must_use]
    pub fn public(id: &str) -> Self {
        Self::Public(id.to_owned())
    }

    /// Id and secret in the form (`client_secret_post`).
    #[must_use]
    pub fn post(id: &str, secret: &str) -> Self {
        Self::Post(id.to_owned(), secret.to_owned())
    }

    /// Id and secret in the header (`client_secret_basic`).
    #[must_use]
    pub fn basic(id: &str, secret: &str) -> Self {
        Self::Basic(id.to_owned(), secret.to_owned())
    }

    /// The client `service` of the seed realm.
    #[must_use]
    pub fn service() -> Self {
        Self::post("service", crate::realm::SERVICE_SECRET)
    }

    /// Adds itself to a form, or gives the value of the `Authorization` header.
    pub(crate) fn apply(&self, issuer: &str, form: &mut Vec<(String, String)>) -> Option<String> {
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        match self {
            Self::Public(id) => add("client_id", id.clone()),
            Self::Post(id, secret) => {
                add("client_id", id.clone());
                add("client_secret", secret.clone());
            }
            Self::Basic(id, secret) => {
                let encoded = |text: &str| -> String {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let pair = format!("{}:{}", encoded(id), encoded(secret));
                return Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            Self::SecretJwt(id, secret) => {
                add("client_assertion_type", ASSERTION_TYPE.to_owned());
                add("client_assertion", secret_assertion(id, issuer, secret));
            }
            Self::Key(id, key) => {
                add("client_assertion_type", ASSERTION_TYPE.to_owned());
                add("client_assertion", key.assertion(id, issuer));
            }
            Self::Assertion(assertion) => {
                add("client_assertion_type", ASSERTION_TYPE.to_owned());
                add("client_assertion", assertion.clone());
            }
        }
        None
    }
}

/// RFC 7523 §2.2.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, id) = match self {
            Self::Public(id) => ("Public", id.as_str()),
            Self::Post(id, _) => ("Post", id.as_str()),
            Self::Basic(id, _) => ("Basic", id.as_str()),
            Self::SecretJwt(id, _) => ("SecretJwt", id.as_str()),
            Self::Key(id, _) => ("Key", id.as_str()),
            Self::Assertion(_) => ("Assertion", ""),
        };
        f.debug_tuple(method).field(&id).finish()
    }
}

/// A token request that a test makes itself.
#[derive(Clone)]
pub struct TokenCall {
    pub(crate) form: Vec<(String, String)>,
    pub(crate) login: ClientLogin,
}

impl TokenCall {
    /// Any grant.
    #[must_use]
    pub fn new(grant: &str, login: ClientLogin) -> Self {
        Self {
            form: vec![("grant_type".to_owned(), grant.to_owned())],
            login,
        }
    }

    /// The password grant (RFC 6749 §4.3).
    #[must_use]
    pub fn password(user: &str, password: &str, login: ClientLogin) -> Self {
        Self::new("password", login)
            .param("username", user)
            .param("password", password)
    }

    /// The client credentials grant (RFC 6749 §4.4).
    #[must_use]
    pub fn client_credentials(login: ClientLogin) -> Self {
        Self::new("client_credentials", login)
    }

    /// The refresh token grant (RFC 6749 §6).
    #[must_use]
    pub fn refresh(token: &str, login: ClientLogin) -> Self {
        Self::new("refresh_token", login).param("refresh_token", token)
    }

    /// Asks for scopes, separated by spaces.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.param("scope", scope)
    }

    /// Adds a parameter.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl fmt::Debug for TokenCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.form.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("TokenCall")
            .field("form", &names)
            .field("login", &self.login)
            .finish()
    }
}

/// What a provider answered to a call.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body, `null` if it was no JSON.
    pub body: Value,
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
    /// The tokens in it.
    ///
    /// # Errors
    /// If it is a refusal, or no token response.
    pub fn tokens(self) -> Result<Tokens, CallError> {
        if self.status != 200 || self.text("access_token").is_none() {
            return Err(self.refused());
        }
        let text = |name: &str| self.text(name).map(str::to_owned);
        let seconds = |name: &str| {
            let value = self.body.get(name).and_then(Value::as_u64);
            Duration::from_secs(value.unwrap_or_default())
        };
        Ok(Tokens {
            access_token: text("access_token").unwrap_or_default(),
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
            scope: text("scope").unwrap_or_default(),
            session: text("session_state"),
            expires_in: seconds("expires_in"),
            refresh_expires_in: seconds("refresh_expires_in"),
        })
    }

    pub(crate) fn refused(&self) -> CallError {
        CallError::Refused(Refusal::new(
            self.status,
            self.text("error").unwrap_or_default(),
            self.text("error_description").unwrap_or_default(),
        ))
    }

    fn text(&self, name: &str) -> Option<&str> {
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
