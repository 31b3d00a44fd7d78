//! The endpoints of a provider that this gateway calls by itself: RFC 6749 §3.2, RFC 7662 §2,
//! RFC 7009 §2, OIDC Core §5.3.

use url::Url;

use super::metadata::{EndpointAliases, ProviderMetadata};
use crate::Reason;

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Where tokens are issued.
    Token,
    /// Where tokens are introspected.
    Introspection,
    /// Where claims about a user are.
    UserInfo,
    /// Where tokens are revoked.
    Revocation,
}

/// What is wrong with an answer, whichever endpoint gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    TooLarge,
    NotHttp,
    NotUtf8,
    NotJson,
    DuplicateMember,
    UnexpectedStatus,
    Malformed,
    ErrorMalformed,
    UnknownError,
}

/// The codes of the defects below one name.
macro_rules! codes {
    ($name:literal, $defect:expr) => {
        match $defect {
            Defect::TooLarge => concat!($name, ".too_large"),
            Defect::NotHttp => concat!($name, ".not_http"),
            Defect::NotUtf8 => concat!($name, ".not_utf8"),
            Defect::NotJson => concat!($name, ".not_json"),
            Defect::DuplicateMember => concat!($name, ".duplicate_member"),
            Defect::UnexpectedStatus => concat!($name, ".unexpected_status"),
            Defect::Malformed => concat!($name, ".malformed"),
            Defect::ErrorMalformed => concat!($name, ".error_malformed"),
            Defect::UnknownError => concat!($name, ".unknown_error"),
        }
    };
}

impl Endpoint {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspection => "introspection",
            Self::UserInfo => "userinfo",
            Self::Revocation => "revocation",
        }
    }

    pub(crate) const fn defect(self, defect: Defect) -> Reason {
        Reason::ResponseMalformed(match self {
            Self::Token => codes!("token_response", defect),
            Self::Introspection => codes!("introspection_response", defect),
            Self::UserInfo => codes!("userinfo_response", defect),
            Self::Revocation => codes!("revocation_response", defect),
        })
    }

    /// Why a request is refused that needs this endpoint, where the provider has none.
    pub(crate) const fn missing(self) -> Reason {
        Reason::DiscoveryMalformed(match self {
            Self::Token => "discovery.no_token_endpoint",
            Self::Introspection => "discovery.no_introspection_endpoint",
            Self::UserInfo => "discovery.no_userinfo_endpoint",
            Self::Revocation => "discovery.no_revocation_endpoint",
        })
    }
}

/// One URL for each endpoint that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoints {
    /// `token_endpoint`.
    pub token: Option<Url>,
    /// `introspection_endpoint`.
    pub introspection: Option<Url>,
    /// `userinfo_endpoint`.
    pub userinfo: Option<Url>,
    /// `revocation_endpoint`.
    pub revocation: Option<Url>,
}

impl Endpoints {
    pub(super) const fn get(&self, endpoint: Endpoint) -> Option<&Url> {
        match endpoint {
            Endpoint::Token => self.token.as_ref(),
            Endpoint::Introspection => self.introspection.as_ref(),
            Endpoint::UserInfo => self.userinfo.as_ref(),
            Endpoint::Revocation => self.revocation.as_ref(),
        }
    }
}

impl EndpointAliases {
    pub(super) const fn get(&self, endpoint: Endpoint) -> Option<&Url> {
        match endpoint {
            Endpoint::Token => self.token_endpoint.as_ref(),
            Endpoint::Introspection => self.introspection_endpoint.as_ref(),
            Endpoint::UserInfo => self.userinfo_endpoint.as_ref(),
            Endpoint::Revocation => self.revocation_endpoint.as_ref(),
        }
    }
}

impl ProviderMetadata {
    pub(super) const fn get(&self, endpoint: Endpoint) -> Option<&Url> {
        match endpoint {
            Endpoint::Token => Some(&self.token_endpoint),
            Endpoint::Introspection => self.introspection_endpoint.as_ref(),
            Endpoint::UserInfo => self.userinfo_endpoint.as_ref(),
            Endpoint::Revocation => self.revocation_endpoint.as_ref(),
        }
    }
}
