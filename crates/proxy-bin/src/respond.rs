//! The gateway's own answers: the contract's table of answers, RFC 6750 §3 for the challenge.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use oidc_core::{Challenge, Denial, Fault, Reason};
use serde_json::json;

use crate::forward::Body;

/// The media type of Kong's answers.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// An answer with a message.
#[must_use]
pub(crate) fn message(status: StatusCode, message: &str) -> Response<Body> {
    with_json(status, json!({ "message": message }).to_string())
}

/// What the plugin `acl` of Kong says.
const NOT_ADMITTED: &str = "You cannot consume this service";

/// The answer to a request whose groups are not let through, where no plugin has words of its own.
#[must_use]
pub(crate) fn not_admitted() -> Response<Body> {
    message(StatusCode::FORBIDDEN, NOT_ADMITTED)
}

/// The words that go with a status, where nobody configured others.
#[must_use]
pub(crate) fn words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "Bad request",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::REQUEST_TIMEOUT => "Request timeout",
        StatusCode::PAYLOAD_TOO_LARGE => "Request body too large",
        StatusCode::URI_TOO_LONG => "Request line too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "Request header too large",
        StatusCode::BAD_GATEWAY => "Bad gateway",
        StatusCode::SERVICE_UNAVAILABLE => "Service unavailable",
        StatusCode::GATEWAY_TIMEOUT => "Gateway timeout",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

fn with_json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::own(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// How refusals are answered on one route; prepared once.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    unauthorized: String,
    forbidden: String,
    display_errors: bool,
    plain: HeaderValue,
    invalid_token: HeaderValue,
    insufficient_scope: HeaderValue,
    /// The same by proof of possession, where it is on (RFC 9449 §7.1).
    dpop: Option<DpopChallenges>,
}

/// The challenges of the scheme `DPoP`, each beside one of the scheme `Bearer`.
#[derive(Clone, Debug)]
struct DpopChallenges {
    plain: HeaderValue,
    invalid_token: HeaderValue,
    insufficient_scope: HeaderValue,
    invalid_proof: HeaderValue,
    use_nonce: HeaderValue,
}

impl Refusals {
    /// Answers with these words and this realm.
    #[must_use]
    pub(crate) fn new(
        realm: &str,
        unauthorized: &str,
        forbidden: &str,
        display_errors: bool,
        expose_error_code: bool,
    ) -> Self {
        let challenge = Challenges {
            realm,
            expose_error_code,
        };
        let bearer = |error| challenge.of("Bearer", error, "");
        Self {
            unauthorized: unauthorized.to_owned(),
            forbidden: forbidden.to_owned(),
            display_errors,
            plain: bearer(None),
            invalid_token: bearer(Some("invalid_token")),
            insufficient_scope: bearer(Some("insufficient_scope")),
            dpop: None,
        }
    }

    /// The same where proofs of possession are taken, by these algorithms.
    #[must_use]
    pub(crate) fn with_dpop(
        mut self,
        realm: &str,
        expose_error_code: bool,
        algorithms: &str,
    ) -> Self {
        let challenge = Challenges {
            realm,
            expose_error_code,
        };
        let rest = format!(", algs=\"{algorithms}\"");
        let dpop = |error| challenge.of("DPoP", error, &rest);
        self.dpop = Some(DpopChallenges {
            plain: dpop(None),
            invalid_token: dpop(Some("invalid_token")),
            insufficient_scope: dpop(Some("insufficient_scope")),
            invalid_proof: dpop(Some("invalid_dpop_proof")),
            // Without its name the client would not know what to do: it is always told.
            use_nonce: Challenges {
                realm,
                expose_error_code: true,
            }
            .of("DPoP", Some("use_dpop_nonce"), &rest),
        });
        self
    }

    /// The answer to a refused request.
    #[must_use]
    pub(crate) fn answer(&self, denial: &Denial) -> Response<Body> {
        let reason = denial.reason();
        let status = reason.status();
        let words = match (reason, status) {
            (Reason::GroupNotAllowed, _) => NOT_ADMITTED,
            (_, StatusCode::UNAUTHORIZED) => &self.unauthorized,
            (_, StatusCode::FORBIDDEN) => &self.forbidden,
            (_, status) => words(status),
        };
        // Only the caller's own mistakes are the caller's business.
        let mut response = if self.display_errors && reason.fault() == Fault::Caller {
            let body = json!({ "message": words, "reason": reason.code() });
            with_json(status, body.to_string())
        } else {
            message(status, words)
        };
        let dpop = self.dpop.as_ref();
        let (bearer, dpop) = match reason.challenge() {
            Challenge::None => (None, None),
            Challenge::Plain => (Some(&self.plain), dpop.map(|dpop| &dpop.plain)),
            Challenge::InvalidToken => (
                Some(&self.invalid_token),
                dpop.map(|dpop| &dpop.invalid_token),
            ),
            Challenge::InsufficientScope => (
                Some(&self.insufficient_scope),
                dpop.map(|dpop| &dpop.insufficient_scope),
            ),
            Challenge::InvalidDpopProof => (None, dpop.map(|dpop| &dpop.invalid_proof)),
            Challenge::UseDpopNonce => (None, dpop.map(|dpop| &dpop.use_nonce)),
        };
        let headers = response.headers_mut();
        for challenge in [bearer, dpop].into_iter().flatten() {
            headers.append(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(after) = denial.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds(after));
        }
        response
    }
}

/// What all challenges of one route share.
struct Challenges<'a> {
    realm: &'a str,
    expose_error_code: bool,
}

impl Challenges<'_> {
    fn of(&self, scheme: &'static str, error: Option<&str>, rest: &str) -> HeaderValue {
        // RFC 9110 §5.6.4: what would end the quoted string is escaped.
        let realm = self.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let text = match error.filter(|_| self.expose_error_code) {
            Some(error) => format!("{scheme} realm=\"{realm}\", error=\"{error}\"{rest}"),
            None => format!("{scheme} realm=\"{realm}\"{rest}"),
        };
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(scheme))
    }
}

/// RFC 9110 §10.2.3: whole seconds, and never none.
fn seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(duration.as_secs().max(1))
}

/// The header in which a request's id goes both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn shown(response: Response<Body>) -> String {
        let (parts, body) = response.into_parts();
        let header = |name| {
            parts
                .headers
                .get(name)
                .map_or("-", |value: &HeaderValue| value.to_str().expect("text"))
        };
        let bytes = body.collect().await.expect("a body").to_bytes();
        format!(
            "{} | {} | {} | {}",
            parts.status.as_u16(),
            header(header::WWW_AUTHENTICATE),
            header(header::RETRY_AFTER),
            std::str::from_utf8(&bytes).expect("text")
        )
    }

    #[tokio::test]
    async fn each_refusal_has_its_answer() {
        let refusals = Refusals::new("idp.test", "Unauthorized", "Forbidden", false, true);
        for (reason, expected) in [
            (
                Reason::CredentialMissing,
                r#"401 | Bearer realm="idp.test" | - | {"message":"Unauthorized"}"#,
            ),
            (
                Reason::RefreshTokenRefused,
                r#"401 | Bearer realm="idp.test", error="invalid_token" | - | {"message":"Unauthorized"}"#,
            ),
            (
                Reason::PasswordRefused,
                r#"401 | Bearer realm="idp.test" | - | {"message":"Unauthorized"}"#,
            ),
            (
                Reason::CredentialMalformed("credential.repeated"),
                r#"400 | - | - | {"message":"Bad request"}"#,
            ),
            (
                Reason::ScopeMissing,
                r#"403 | Bearer realm="idp.test", error="insufficient_scope" | - | {"message":"Forbidden"}"#,
            ),
            (
                Reason::GroupNotAllowed,
                r#"403 | - | - | {"message":"You cannot consume this service"}"#,
            ),
            (
                Reason::ClientRefused,
                r#"502 | - | - | {"message":"Bad gateway"}"#,
            ),
            (
                Reason::ProviderTimeout,
                r#"503 | - | 5 | {"message":"Service unavailable"}"#,
            ),
        ] {
            let shown = shown(refusals.answer(&Denial::new(reason))).await;
            assert_eq!(shown, expected, "{reason}");
        }
    }

    #[tokio::test]
    async fn the_reason_is_shown_only_where_asked_and_only_of_the_callers_fault() {
        let refusals = Refusals::new("idp.test", "No", "Never", true, false);
        let refused = Denial::new(Reason::RefreshTokenRefused).with_hint("of the provider");
        assert_eq!(
            shown(refusals.answer(&refused)).await,
            r#"401 | Bearer realm="idp.test" | - | {"message":"No","reason":"refresh_token.invalid_grant"}"#
        );
        assert_eq!(
            shown(refusals.answer(&Denial::new(Reason::ClientRefused))).await,
            r#"502 | - | - | {"message":"Bad gateway"}"#
        );
    }
}
