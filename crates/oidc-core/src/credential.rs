//! What a caller presented to be let in: RFC 6749 §4 and §6, RFC 6750 §2.

use std::fmt;

use crate::Secret;

/// A kind of credential, named as in Kong's `auth_methods`.
///
/// The order of the variants is the order in which a request is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CredentialKind {
    /// An access token in the request (RFC 6750 §2), a JWT that is verified by the issuer's keys.
    Bearer,
    /// An access token in the request, about which the provider is asked (RFC 7662).
    Introspection,
    /// An access token in the request, with which the provider is asked about the user
    /// (OIDC Core §5.3).
    UserInfo,
    /// A refresh token in the request (RFC 6749 §6).
    RefreshToken,
    /// A resource owner's user name and password (RFC 6749 §4.3).
    Password,
    /// The caller's own client id and secret (RFC 6749 §4.4).
    ClientCredentials,
    /// A verified access token that is exchanged for another (RFC 8693). Never looked for.
    TokenExchange,
}

impl CredentialKind {
    /// The name in configuration, docs, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Introspection => "introspection",
            Self::UserInfo => "userinfo",
            Self::RefreshToken => "refresh_token",
            Self::Password => "password",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
        }
    }

    /// Whether it is an access token that the caller itself presents: what is wrong with it is the
    /// caller's fault.
    #[must_use]
    pub const fn is_access_token(self) -> bool {
        matches!(self, Self::Bearer | Self::Introspection | Self::UserInfo)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One credential, as found in a request. Nothing in it has been verified.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// An access token (RFC 6750 §2), to be verified by the issuer's keys.
    Bearer(Secret),
    /// An access token about which the provider is to be asked (RFC 7662).
    Introspection(Secret),
    /// An access token with which the provider is to be asked about the user (OIDC Core §5.3).
    UserInfo(Secret),
    /// An access token to be exchanged for another (RFC 8693).
    TokenExchange(Secret),
    /// A refresh token (RFC 6749 §6).
    RefreshToken(Secret),
    /// A user name and a password (RFC 6749 §4.3).
    Password {
        /// The resource owner's name.
        username: String,
        /// The resource owner's password.
        password: Secret,
    },
    /// A client id and a client secret of the caller's own (RFC 6749 §4.4).
    ClientCredentials {
        /// The caller's client id.
        client_id: String,
        /// The caller's client secret.
        client_secret: Secret,
    },
}

impl Credential {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Bearer(_) => CredentialKind::Bearer,
            Self::Introspection(_) => CredentialKind::Introspection,
            Self::UserInfo(_) => CredentialKind::UserInfo,
            Self::TokenExchange(_) => CredentialKind::TokenExchange,
            Self::RefreshToken(_) => CredentialKind::RefreshToken,
            Self::Password { .. } => CredentialKind::Password,
            Self::ClientCredentials { .. } => CredentialKind::ClientCredentials,
        }
    }

    /// What of it must not be repeated, whoever says it.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Bearer(token)
            | Self::Introspection(token)
            | Self::UserInfo(token)
            | Self::TokenExchange(token)
            | Self::RefreshToken(token) => vec![token.expose()],
            Self::Password { username, password } => vec![password.expose(), username],
            Self::ClientCredentials { client_secret, .. } => vec![client_secret.expose()],
        }
    }
}

/// Names and values alike stay out: a user name is personal, and callers mistype passwords into it.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, [redacted])", self.kind())
    }
}
