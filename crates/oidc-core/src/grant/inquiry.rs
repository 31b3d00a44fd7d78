//! How the provider is asked about a token or its user, and what it says: RFC 7662, RFC 9701,
//! OIDC Core §5.3.

use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;

use super::reply::{self, ProviderReply};
use super::{GrantPolicy, TokenExchange};
use crate::jose::{Claims, ClaimsError};
use crate::provider::{Defect, Endpoint};
use crate::secret::Fingerprinting;
use crate::{CredentialKind, Denial, Reason, Secret};

/// How tokens are introspected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IntrospectionPolicy {
    /// Whether the answer must say `active: true` (`introspection_check_active`).
    pub check_active: bool,
    /// Whether the answer must name a type that access tokens have. Some providers answer for
    /// refresh tokens, too, and tell by no more than that they name none.
    pub check_type: bool,
    /// The parameter that holds the token (`introspection_token_param_name`).
    pub token_param: String,
    /// `token_type_hint`; none is sent if it is empty.
    pub hint: String,
    /// The form of answer that is asked for.
    pub accept: Accept,
    /// Further parameters of each request.
    pub post_args: Vec<(String, Secret)>,
    /// Further headers of each request, by lower-case name.
    pub headers: Vec<(String, Secret)>,
    /// Whether answers are kept until the token ends.
    pub cache: bool,
}

impl Default for IntrospectionPolicy {
    fn default() -> Self {
        Self {
            check_active: true,
            check_type: true,
            token_param: "token".to_owned(),
            hint: "access_token".to_owned(),
            accept: Accept::Json,
            post_args: Vec::new(),
            headers: Vec::new(),
            cache: true,
        }
    }
}

/// How users are asked about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserInfoPolicy {
    /// Whether the provider is asked about the user of every token (`search_user_info`, or a header
    /// that carries the answer).
    pub wanted: bool,
    /// The form of answer that is asked for.
    pub accept: Accept,
    /// Further parameters of each request's query.
    pub query_args: Vec<(String, Secret)>,
    /// Further headers of each request, by lower-case name.
    pub headers: Vec<(String, Secret)>,
    /// Whether answers are kept until the token ends.
    pub cache: bool,
}

impl Default for UserInfoPolicy {
    fn default() -> Self {
        Self {
            wanted: false,
            accept: Accept::Json,
            query_args: Vec::new(),
            headers: Vec::new(),
            cache: true,
        }
    }
}

impl GrantPolicy {
    /// Adds to a fingerprint what tells one question about a token from another.
    pub(super) fn hash_question(&self, kind: CredentialKind, hash: &mut Fingerprinting) {
        let (accept, args, headers, kept) = match kind {
            CredentialKind::Introspection => {
                self.hash_verification(hash);
                let asked = &self.introspection;
                hash.part(asked.token_param.as_bytes())
                    .part(asked.hint.as_bytes())
                    .part(&[u8::from(asked.check_active), u8::from(asked.check_type)]);
                (asked.accept, &asked.post_args, &asked.headers, asked.cache)
            }
            CredentialKind::UserInfo => {
                self.hash_verification(hash);
                let asked = &self.user_info;
                (asked.accept, &asked.query_args, &asked.headers, asked.cache)
            }
            _ => {
                let none = const { &Vec::new() };
                let exchange = self.exchange.as_ref();
                let words = |of: fn(&TokenExchange) -> &Vec<String>| exchange.map_or(none, of);
                hash.list(
                    words(|exchange| &exchange.scopes)
                        .iter()
                        .map(String::as_bytes),
                )
                .list(
                    words(|exchange| &exchange.audience)
                        .iter()
                        .map(String::as_bytes),
                );
                let kept = exchange.is_some_and(|exchange| exchange.cache);
                (
                    Accept::Json,
                    const { &Vec::new() },
                    const { &Vec::new() },
                    kept,
                )
            }
        };
        for pairs in [args, headers] {
            hash.list(pairs.iter().map(|(name, _)| name.as_bytes()))
                .list(pairs.iter().map(|(_, value)| value.expose().as_bytes()));
        }
        // Where less is kept, nothing is served that was kept for longer elsewhere.
        let kept = (kept, self.cache_ttl, self.cache_ttl_max);
        let salt = self.cache_salt.as_ref().map_or("", Secret::expose);
        hash.part(accept.media_type().as_bytes())
            .part(salt.as_bytes())
            .part(format!("{kept:?}").as_bytes());
    }

    /// What the provider says can be asked for again, and is not kept in the form in which it came:
    /// whoever would verify it in another way asks for themselves.
    fn hash_verification(&self, hash: &mut Fingerprinting) {
        let keys = self.provider.jwks_uri.as_ref().map_or("", Url::as_str);
        hash.part(format!("{:?}", self.verification).as_bytes())
            .part(keys.as_bytes());
    }
}

/// The form of answer that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accept {
    /// `application/json`.
    #[default]
    Json,
    /// `application/jwt`.
    Jwt,
    /// `application/token-introspection+jwt` (RFC 9701).
    IntrospectionJwt,
}

impl Accept {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Jwt => "application/jwt",
            Self::IntrospectionJwt => "application/token-introspection+jwt",
        }
    }
}

/// What the provider says about a token or its user.
#[derive(Clone)]
pub struct Answer {
    claims: Claims,
    json: Arc<str>,
    jwt: Option<Secret>,
}

impl Answer {
    pub(super) fn new(
        members: Map<String, Value>,
        jwt: Option<Secret>,
    ) -> Result<Self, ClaimsError> {
        let json = Value::Object(members.clone()).to_string().into();
        let claims = Claims::of(members)?;
        Ok(Self { claims, json, jwt })
    }

    /// The members of the answer.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The answer as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The answer as it was signed, if it was.
    #[must_use]
    pub const fn jwt(&self) -> Option<&Secret> {
        self.jwt.as_ref()
    }
}

/// Names only: the values are about a person.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.claims.fmt(f)
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) enum Said {
    /// In JSON.
    Plain(Map<String, Value>),
    /// In a signed token, to be verified.
    Signed {
        jwt: Secret,
        /// Whether its type says that it is an introspection (RFC 9701 §5).
        typed: bool,
    },
}

/// What a reply of the introspection or the userinfo endpoint says.
///
/// # Errors
/// With the refusal that everybody who waits for this reply gets.
pub(super) fn read(
    answer: &ProviderReply,
    kind: CredentialKind,
    secrets: &[&str],
) -> Result<Said, Denial> {
    let endpoint = match kind {
        CredentialKind::UserInfo => Endpoint::UserInfo,
        _ => Endpoint::Introspection,
    };
    match (endpoint, answer.status) {
        (_, 200) => {}
        // OIDC Core §5.3.3: the token is refused as a bearer token is (RFC 6750 §3.1).
        (Endpoint::UserInfo, 400 | 401 | 403) => {
            return Err(Reason::AccessTokenRefused("userinfo.refused").into());
        }
        _ => return Err(reply::failure(answer, endpoint, kind, secrets)),
    }
    let typed = reply::is_of_type(answer, "application/token-introspection+jwt");
    if typed || reply::is_of_type(answer, "application/jwt") {
        return Ok(Said::Signed {
            jwt: Secret::new(answer.body.expose().trim()),
            typed,
        });
    }
    Ok(Said::Plain(reply::json(answer, endpoint)?))
}

/// An introspection answer (RFC 7662 §2.2).
///
/// # Errors
/// If the token is not active, or the answer is malformed.
pub(super) fn introspected(
    mut members: Map<String, Value>,
    jwt: Option<Secret>,
    check_active: bool,
) -> Result<Answer, Denial> {
    let malformed = Endpoint::Introspection.defect(Defect::Malformed);
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        _ if !check_active => {}
        Some(Value::Bool(false)) => {
            return Err(Reason::AccessTokenRefused("introspection.inactive").into());
        }
        _ => return Err(malformed.into()),
    }
    // Keycloak puts the token's signed twin beside its members, where `application/jwt` is asked for.
    let jwt = jwt.or_else(|| match members.get("jwt") {
        Some(Value::String(jwt)) if !jwt.is_empty() => Some(Secret::new(jwt.as_str())),
        _ => None,
    });
    // Some providers write the numbers as text.
    for name in ["exp", "iat", "nbf"] {
        if let Some(Value::String(text)) = members.get(name) {
            let number = text.parse::<u64>().map_err(|_| malformed)?;
            members.insert(name.to_owned(), number.into());
        }
    }
    Answer::new(members, jwt).map_err(|_| malformed.into())
}

/// What the provider says about a user (OIDC Core §5.3.2).
///
/// # Errors
/// If there is no subject in it.
pub(super) fn described(
    members: Map<String, Value>,
    jwt: Option<Secret>,
) -> Result<Answer, Denial> {
    let malformed = Endpoint::UserInfo.defect(Defect::Malformed);
    let answer = Answer::new(members, jwt).map_err(|_| malformed)?;
    match answer.claims().subject() {
        Some(subject) if !subject.is_empty() => Ok(answer),
        _ => Err(malformed.into()),
    }
}
