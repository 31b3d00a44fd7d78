//! What the token endpoint gives, read strictly: RFC 6749 §5.1.

use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenResponse as _};
use serde::{Deserialize, Serialize};

use super::reply::{ProviderReply, failure, json};
use crate::provider::Endpoint;
use crate::{CredentialKind, Denial, Reason, Secret};

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

const fn malformed(code: &'static str) -> Denial {
    Denial::new(Reason::ResponseMalformed(code))
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
}
