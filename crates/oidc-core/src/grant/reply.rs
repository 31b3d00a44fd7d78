//! An answer of the provider as it came, and what a refusal in it means: RFC 6749 §5.2.

use std::time::Duration;

use oauth2::StandardErrorResponse;
use oauth2::basic::BasicErrorResponseType;

use crate::jose::strict_json;
use crate::provider::{Defect, Endpoint};
use crate::{CredentialKind, Denial, Reason, Secret};

/// An answer of the provider as it came, before anything in it is believed.
///
/// Whoever makes it has bounded the body and followed no redirect.
#[derive(Clone)]
pub struct ProviderReply {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The `Retry-After` header, as the time from now.
    pub retry_after: Option<Duration>,
    /// The `DPoP-Nonce` header (RFC 9449 §8).
    pub dpop_nonce: Option<String>,
    /// The whole body.
    pub body: Secret,
}

impl std::fmt::Debug for ProviderReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderReply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// No connection was made; nothing was sent.
    Unreachable,
    /// The connection was cut after something may have been sent.
    Cut,
    /// The deadline passed.
    Timeout,
    /// The answer is larger than the bound.
    TooLarge,
    /// The answer is not text in UTF-8.
    NotUtf8,
    /// The answer is not HTTP.
    NotHttp,
    /// The request has a header that cannot be sent; nothing was.
    Unsendable,
}

impl Unavailable {
    /// The reason that a request is refused for.
    #[must_use]
    pub const fn reason(self, endpoint: Endpoint) -> Reason {
        match self {
            Self::Unreachable => Reason::ProviderUnreachable,
            Self::Cut => Reason::ProviderCut,
            Self::Timeout => Reason::ProviderTimeout,
            Self::TooLarge => endpoint.defect(Defect::TooLarge),
            Self::Unsendable => Reason::RequestRefused,
            Self::NotHttp => endpoint.defect(Defect::NotHttp),
            Self::NotUtf8 => endpoint.defect(Defect::NotUtf8),
        }
    }
}

type Refusal = StandardErrorResponse<BasicErrorResponseType>;

/// What a reply means that is no success.
pub(super) fn failure(
    reply: &ProviderReply,
    endpoint: Endpoint,
    kind: CredentialKind,
    secrets: &[&str],
) -> Denial {
    match reply.status {
        300..=399 => Reason::Redirected.into(),
        429 => Denial::new(Reason::ProviderBusy).with_retry_after(reply.retry_after),
        400..=499 => refusal(reply, endpoint, kind, secrets),
        500..=599 => Denial::new(Reason::ProviderError).with_retry_after(reply.retry_after),
        _ => endpoint.defect(Defect::UnexpectedStatus).into(),
    }
}

fn refusal(
    reply: &ProviderReply,
    endpoint: Endpoint,
    kind: CredentialKind,
    secrets: &[&str],
) -> Denial {
    let Ok(object) = json(reply, endpoint) else {
        return endpoint.defect(Defect::ErrorMalformed).into();
    };
    let Ok(refusal) = serde_json::from_value::<Refusal>(object.into()) else {
        return endpoint.defect(Defect::ErrorMalformed).into();
    };
    let words = refusal.error_description().map_or("", String::as_str);
    let hint = secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(words.to_owned(), |words, secret| words.replace(secret, "…"));
    Denial::new(reason(refusal.error(), endpoint, kind, words)).with_hint(&hint)
}

/// RFC 6749 §5.2, read for each kind of credential.
fn reason(
    error: &BasicErrorResponseType,
    endpoint: Endpoint,
    kind: CredentialKind,
    words: &str,
) -> Reason {
    use BasicErrorResponseType as E;
    use CredentialKind as K;
    // No grant is asked for at other endpoints: what they refuse is what the gateway sent.
    let kind = match endpoint {
        Endpoint::Token => kind,
        _ => K::Introspection,
    };
    match (kind, error) {
        // The caller's own id and secret were sent as the client's: their refusal is the caller's.
        (K::ClientCredentials, E::InvalidClient | E::UnauthorizedClient | E::InvalidGrant) => {
            Reason::ClientCredentialsRefused
        }
        (K::RefreshToken, E::InvalidGrant) if names_other_client(words) => {
            Reason::RefreshTokenClientMismatch
        }
        (K::RefreshToken, E::InvalidGrant) => Reason::RefreshTokenRefused,
        // No scope is sent with a refresh, so that it is the token's own that is no longer granted.
        (K::RefreshToken, E::InvalidScope) => Reason::RefreshTokenScopeRefused,
        // RFC 8693 §2.2.2: the token, or what is asked for it.
        (K::TokenExchange, E::InvalidGrant | E::InvalidRequest | E::InvalidScope) => {
            Reason::ExchangeRefused
        }
        (K::TokenExchange, E::Extension(code))
            if matches!(
                code.as_str(),
                "invalid_target" | "invalid_token" | "access_denied"
            ) =>
        {
            Reason::ExchangeRefused
        }
        (K::Password, E::InvalidGrant) => Reason::PasswordRefused,
        (_, E::InvalidGrant) => Reason::RequestRefused,
        (_, E::InvalidClient) => Reason::ClientRefused,
        (_, E::UnauthorizedClient) => Reason::ClientUnauthorized,
        (_, E::InvalidScope) => Reason::ScopeUnknown,
        (_, E::InvalidRequest | E::UnsupportedGrantType) => Reason::RequestRefused,
        (_, E::Extension(code)) if code == "temporarily_unavailable" || code == "server_error" => {
            Reason::ProviderError
        }
        // RFC 7009 §2.2.1: a provider may not look at signed tokens here, whoever presents one.
        (_, E::Extension(code))
            if endpoint == Endpoint::Introspection && code == "unsupported_token_type" =>
        {
            Reason::AccessTokenRefused("introspection.unsupported_token_type")
        }
        (_, E::Extension(_)) => endpoint.defect(Defect::UnknownError),
    }
}

/// Keycloak and its kin say so in words alone. They refine the reason code, never the answer.
fn names_other_client(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    let differs = ["match", "another client", "different client"]
        .iter()
        .any(|said| words.contains(said));
    // A certificate that does not match is the gateway's own.
    words.contains("client") && differs && !words.contains("certificate")
}

/// The reply's body, which must say that it is JSON, and be an object.
pub(super) fn json(
    reply: &ProviderReply,
    endpoint: Endpoint,
) -> Result<serde_json::Map<String, serde_json::Value>, Denial> {
    if !is_of_type(reply, "application/json") {
        return Err(endpoint.defect(Defect::NotJson).into());
    }
    strict_json::object(reply.body.expose().as_bytes()).map_err(|error| match error {
        strict_json::StrictJsonError::DuplicateMember => {
            endpoint.defect(Defect::DuplicateMember).into()
        }
        _ => endpoint.defect(Defect::NotJson).into(),
    })
}

/// Whether the reply says that it is of this media type.
pub(super) fn is_of_type(reply: &ProviderReply, wanted: &str) -> bool {
    let media_type = reply.content_type.as_deref().unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(wanted)
}

/// Whether the provider wants the same again with a nonce of its own (RFC 9449 §8): it has done
/// nothing with the request.
pub(super) fn wants_nonce(reply: &ProviderReply, endpoint: Endpoint) -> bool {
    if !matches!(reply.status, 400 | 401) {
        return false;
    }
    match endpoint {
        // The challenge stands in a header there, and the nonce beside it tells enough.
        Endpoint::UserInfo => reply.status == 401,
        _ => json(reply, endpoint).is_ok_and(|object| {
            object.get("error").and_then(serde_json::Value::as_str) == Some("use_dpop_nonce")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> ProviderReply {
        ProviderReply {
            status,
            content_type: Some("application/json;charset=UTF-8".to_owned()),
            retry_after: None,
            dpop_nonce: None,
            body: Secret::new(body),
        }
    }

    fn code(status: u16, body: &str, kind: CredentialKind) -> &'static str {
        failure(&reply(status, body), Endpoint::Token, kind, &[])
            .reason()
            .code()
    }

    #[test]
    fn each_refusal_is_blamed_on_whom_it_concerns() {
        use CredentialKind as K;
        for (status, error, kind, expected) in [
            (
                400,
                "invalid_grant",
                K::RefreshToken,
                "refresh_token.invalid_grant",
            ),
            (401, "invalid_grant", K::Password, "password.invalid_grant"),
            (
                401,
                "invalid_client",
                K::RefreshToken,
                "client.invalid_client",
            ),
            (
                401,
                "unauthorized_client",
                K::Password,
                "client.unauthorized_client",
            ),
            (
                401,
                "unauthorized_client",
                K::ClientCredentials,
                "client_credentials.refused",
            ),
            (
                401,
                "invalid_client",
                K::ClientCredentials,
                "client_credentials.refused",
            ),
            (
                400,
                "invalid_scope",
                K::RefreshToken,
                "refresh_token.invalid_scope",
            ),
            (400, "invalid_scope", K::Password, "client.invalid_scope"),
            (
                400,
                "invalid_request",
                K::RefreshToken,
                "client.invalid_request",
            ),
            (
                400,
                "unsupported_grant_type",
                K::Password,
                "client.invalid_request",
            ),
            (
                400,
                "brand_new",
                K::Password,
                "token_response.unknown_error",
            ),
            (
                400,
                "temporarily_unavailable",
                K::Password,
                "provider.server_error",
            ),
        ] {
            assert_eq!(
                code(status, &format!(r#"{{"error":"{error}"}}"#), kind),
                expected,
                "{error} {kind}"
            );
        }
        for (status, expected) in [
            (307, "provider.redirected"),
            (429, "provider.too_many_requests"),
            (503, "provider.server_error"),
            (204, "token_response.unexpected_status"),
            (404, "token_response.error_malformed"),
        ] {
            assert_eq!(code(status, "", CredentialKind::RefreshToken), expected);
        }
        let words = r#"{"error":"invalid_grant","error_description":"Invalid refresh token. Token client and authorized client don't match"}"#;
        assert_eq!(
            code(400, words, CredentialKind::RefreshToken),
            "refresh_token.client_mismatch"
        );
    }

    #[test]
    fn a_kind_of_token_that_is_not_introspected_is_the_callers_there_alone() {
        let said = reply(400, r#"{"error":"unsupported_token_type"}"#);
        for (endpoint, status, expected) in [
            (
                Endpoint::Introspection,
                401,
                "introspection.unsupported_token_type",
            ),
            (
                Endpoint::Revocation,
                502,
                "revocation_response.unknown_error",
            ),
            (Endpoint::Token, 502, "token_response.unknown_error"),
        ] {
            let denial = failure(&said, endpoint, CredentialKind::Introspection, &[]);
            assert_eq!(denial.reason().code(), expected);
            assert_eq!(denial.reason().status(), status, "{expected}");
        }
    }

    #[test]
    fn the_providers_words_are_kept_without_the_secrets_it_repeats() {
        for (words, kept) in [
            ("Invalid refresh token", "Invalid refresh token"),
            (
                "no such token canary-1: go away",
                "no such token …: go away",
            ),
            ("canary-2canary-1", "……"),
            ("a\r\nb", "a\u{fffd}\u{fffd}b"),
        ] {
            let body = serde_json::json!({"error": "invalid_grant", "error_description": words});
            let denial = failure(
                &reply(400, &body.to_string()),
                Endpoint::Token,
                CredentialKind::RefreshToken,
                &["canary-1", "", "canary-2"],
            );
            assert_eq!(denial.hint(), Some(kept));
        }
    }
}
