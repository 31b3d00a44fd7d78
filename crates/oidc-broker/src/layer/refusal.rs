//! How a refused request is answered: the contract's table of answers, RFC 6750 §3 for the
//! challenge.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use oidc_core::{Challenge, Denial, Fault};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// How refusals are answered behind one layer.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    /// As it stands in a quoted string (RFC 9110 §5.6.4).
    realm: String,
    pub(super) expose_error_code: bool,
    pub(super) display_errors: bool,
}

impl Refusals {
    pub(super) fn new(realm: &str) -> Self {
        Self {
            realm: realm.replace('\\', "\\\\").replace('"', "\\\""),
            expose_error_code: true,
            display_errors: false,
        }
    }

    /// The answer to a refused request.
    pub(super) fn answer(&self, denial: &Denial) -> Response<Bytes> {
        let reason = denial.reason();
        let words = words(reason.status());
        // Words and codes are ours: nothing in them is to be escaped. Only the caller's own
        // mistakes are the caller's business.
        let body = if self.display_errors && reason.fault() == Fault::Caller {
            let code = reason.code();
            format!(r#"{{"message":"{words}","reason":"{code}"}}"#)
        } else {
            format!(r#"{{"message":"{words}"}}"#)
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = reason.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(challenge) = self.challenge(reason.challenge()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = denial.retry_after() {
            // RFC 9110 §10.2.3: whole seconds, and never none.
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }

    fn challenge(&self, challenge: Challenge) -> Option<HeaderValue> {
        let (scheme, error) = match challenge {
            Challenge::None => return None,
            Challenge::Plain => ("Bearer", None),
            Challenge::InvalidToken => ("Bearer", Some("invalid_token")),
            Challenge::InsufficientScope => ("Bearer", Some("insufficient_scope")),
            // Of an `Extract` that takes proofs; the layer's own takes none.
            Challenge::InvalidDpopProof => ("DPoP", Some("invalid_dpop_proof")),
            Challenge::UseDpopNonce => ("DPoP", Some("use_dpop_nonce")),
        };
        let realm = &self.realm;
        let text = match error.filter(|_| self.expose_error_code) {
            Some(error) => format!(r#"{scheme} realm="{realm}", error="{error}""#),
            None => format!(r#"{scheme} realm="{realm}""#),
        };
        Some(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(scheme)))
    }
}

fn words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "Bad request",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::BAD_GATEWAY => "Bad gateway",
        StatusCode::SERVICE_UNAVAILABLE => "Service unavailable",
        status => status.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use oidc_core::Reason;

    use super::*;

    fn shown(response: &Response<Bytes>) -> String {
        let header = |name| {
            let value = response.headers().get(name);
            value.map_or("-", |value: &HeaderValue| value.to_str().expect("text"))
        };
        format!(
            "{} | {} | {} | {}",
            response.status().as_u16(),
            header(WWW_AUTHENTICATE),
            header(RETRY_AFTER),
            std::str::from_utf8(response.body()).expect("text")
        )
    }

    #[test]
    fn each_refusal_is_answered_as_the_gateway_answers_it() {
        let refusals = Refusals::new("idp.test");
        for (reason, expected) in [
            (
                Reason::CredentialMissing,
                r#"401 | Bearer realm="idp.test" | - | {"message":"Unauthorized"}"#,
            ),
            (
                Reason::AccessTokenRefused("token.expired"),
                r#"401 | Bearer realm="idp.test", error="invalid_token" | - | {"message":"Unauthorized"}"#,
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
                Reason::ClientRefused,
                r#"502 | - | - | {"message":"Bad gateway"}"#,
            ),
            (
                Reason::KeysUnavailable,
                r#"503 | - | 5 | {"message":"Service unavailable"}"#,
            ),
            (
                Reason::ProofRefused("dpop.proof_missing"),
                r#"401 | DPoP realm="idp.test", error="invalid_dpop_proof" | - | {"message":"Unauthorized"}"#,
            ),
        ] {
            assert_eq!(shown(&refusals.answer(&reason.into())), expected);
        }
        let busy = Denial::new(Reason::ProviderBusy).with_retry_after(Some(Duration::ZERO));
        assert_eq!(
            shown(&refusals.answer(&busy)),
            r#"503 | - | 1 | {"message":"Service unavailable"}"#
        );
    }

    #[test]
    fn more_and_less_is_said_where_asked_and_only_of_the_callers_fault() {
        let mut refusals = Refusals::new(r#"a"b\c"#);
        refusals.display_errors = true;
        refusals.expose_error_code = false;
        let refused = Denial::from(Reason::AccessTokenRefused("token.expired"));
        assert_eq!(
            shown(&refusals.answer(&refused.with_hint("of the provider"))),
            r#"401 | Bearer realm="a\"b\\c" | - | {"message":"Unauthorized","reason":"token.expired"}"#
        );
        assert_eq!(
            shown(&refusals.answer(&Reason::ClientRefused.into())),
            r#"502 | - | - | {"message":"Bad gateway"}"#
        );
    }
}
