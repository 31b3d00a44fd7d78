//! What an endpoint of the provider answers, read strictly: RFC 6749 §5.1 and §5.2.

use std::time::Duration;

use oauth2::basic::{BasicErrorResponseType, BasicTokenType};
use oauth2::{ExtraTokenFields, StandardErrorResponse, StandardTokenResponse, TokenResponse as _};
use serde::{Deserialize, Serialize};

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

/// A successful token response.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    /// `None` if the response does not say; zero if it must not be kept.
    pub(crate) expires_in: Option<Duration>,
    pub(crate) scope: Option<String>,
}

/// The one member beyond RFC 6749 that is read here (OIDC Core §3.1.3.3).
#[derive(Debug, Deserialize, Serialize)]
struct IdTokenField {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

type Success = StandardTokenResponse<IdTokenField, BasicTokenType>;
type Refusal = StandardErrorResponse<BasicErrorResponseType>;

/// What a reply means for a grant of this kind. The provider's words are kept for the log without
/// these secrets, which were sent to it: some repeat what they refuse.
///
/// `dpop` tells whether tokens that are bound to a key of ours are what was asked for.
///
/// # Errors
/// With the refusal that everybody who waits for this reply gets.
pub(crate) fn read(
    reply: &ProviderReply,
    kind: CredentialKind,
    secrets: &[&str],
    dpop: bool,
) -> Result<Tokens, Denial> {
    match reply.status {
        200 => success(reply, dpop),
        _ => Err(failure(reply, Endpoint::Token, kind, secrets)),
    }
}

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

fn success(reply: &ProviderReply, dpop: bool) -> Result<Tokens, Denial> {
    let mut object = json(reply, Endpoint::Token)?;
    // Kong's users meet providers that write the number as text; RFC 6749 §5.1 wants a number.
    // A negative or fractional one is as good as none: the token is used and not kept.
    let expires_in = match object.get("expires_in") {
        None | Some(serde_json::Value::Null) => None,
        Some(value) => Some(lifetime(value).ok_or(malformed("token_response.expires_in"))?),
    };
    object.remove("expires_in");
    let success: Success =
        serde_json::from_value(object.into()).map_err(|_| malformed("token_response.malformed"))?;
    match success.token_type() {
        BasicTokenType::Bearer => {}
        BasicTokenType::Extension(word) if dpop && word.eq_ignore_ascii_case("dpop") => {}
        _ => return Err(malformed("token_response.token_type")),
    }
    let secret = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
    Ok(Tokens {
        access_token: secret(success.access_token().secret())
            .filter(|token| is_token(token.expose()))
            .ok_or(malformed("token_response.access_token"))?,
        refresh_token: success
            .refresh_token()
            .and_then(|token| secret(token.secret())),
        id_token: success.extra_fields().id_token.as_deref().and_then(secret),
        expires_in,
        scope: success.scopes().map(|scopes| {
            scopes
                .iter()
                .map(|scope| scope.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        }),
    })
}

/// RFC 6749 A.12: an access token is printable ASCII; anything else would break a header.
fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn lifetime(value: &serde_json::Value) -> Option<Duration> {
    let seconds = match value {
        serde_json::Value::Number(number) => number.as_f64()?,
        serde_json::Value::String(text) => text.parse::<u32>().ok()?.into(),
        _ => return None,
    };
    // A century is for ever, and no arithmetic on it overflows.
    const LONGEST: f64 = 100.0 * 365.0 * 86_400.0;
    Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST).floor()))
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

const fn malformed(code: &'static str) -> Denial {
    Denial::new(Reason::ResponseMalformed(code))
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
        read(&reply(status, body), kind, &[], false)
            .expect_err("a refusal")
            .reason()
            .code()
    }

    #[test]
    fn a_token_response_is_read_whatever_the_case_of_its_type() {
        for token_type in ["Bearer", "bearer", "bEaReR"] {
            let body = format!(
                r#"{{"access_token":"a","token_type":"{token_type}","expires_in":60,"refresh_token":"r","id_token":"i","scope":"openid email","not-before-policy":0}}"#
            );
            let tokens =
                read(&reply(200, &body), CredentialKind::RefreshToken, &[], false).expect("tokens");
            assert_eq!(tokens.access_token.expose(), "a");
            assert_eq!(tokens.refresh_token.expect("present").expose(), "r");
            assert_eq!(tokens.id_token.expect("present").expose(), "i");
            assert_eq!(tokens.expires_in, Some(Duration::from_secs(60)));
            assert_eq!(tokens.scope.as_deref(), Some("openid email"));
        }
    }

    #[test]
    fn a_lifetime_is_clamped_and_never_wraps() {
        for (text, expected) in [
            ("60", Some(60)),
            ("\"60\"", Some(60)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("1.9", Some(1)),
            ("1e300", Some(3_153_600_000)),
            ("null", None),
        ] {
            let body =
                format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{text}}}"#);
            let tokens =
                read(&reply(200, &body), CredentialKind::Password, &[], false).expect("tokens");
            assert_eq!(
                tokens.expires_in.map(|life| life.as_secs()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_token_response_is_the_providers_fault() {
        for (body, expected) in [
            ("", "token_response.not_json"),
            ("<html></html>", "token_response.not_json"),
            ("\u{feff}{}", "token_response.not_json"),
            ("[]", "token_response.not_json"),
            (r#"{"access_token":"a""#, "token_response.not_json"),
            (r#"{"token_type":"Bearer"}"#, "token_response.malformed"),
            (r#"{"access_token":"a"}"#, "token_response.malformed"),
            (
                r#"{"access_token":7,"token_type":"Bearer"}"#,
                "token_response.malformed",
            ),
            (
                r#"{"access_token":"","token_type":"Bearer"}"#,
                "token_response.access_token",
            ),
            (
                r#"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#,
                "token_response.access_token",
            ),
            (
                r#"{"access_token":"a","token_type":"mac"}"#,
                "token_response.token_type",
            ),
            (
                r#"{"access_token":"a","token_type":"Bearer","expires_in":[]}"#,
                "token_response.expires_in",
            ),
            (
                r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
                "token_response.duplicate_member",
            ),
        ] {
            assert_eq!(
                code(200, body, CredentialKind::Password),
                expected,
                "{body}"
            );
        }
        let mut html = reply(200, r#"{"access_token":"a","token_type":"Bearer"}"#);
        html.content_type = Some("text/html".to_owned());
        let denial =
            read(&html, CredentialKind::Password, &[], false).expect_err("not JSON by its type");
        assert_eq!(denial.reason().code(), "token_response.not_json");
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
            let denial = read(
                &reply(400, &body.to_string()),
                CredentialKind::RefreshToken,
                &["canary-1", "", "canary-2"],
                false,
            )
            .expect_err("a refusal");
            assert_eq!(denial.hint(), Some(kept));
        }
    }
}
