//! Headers that the gateway writes from what a grant gave: `upstream_*_header`, `downstream_*_header`,
//! `upstream_headers`, `downstream_headers`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use oidc_core::Secret;
use oidc_core::authorize::ClaimSources;
use oidc_core::grant::{Answer, Granted};
use oidc_core::jose::VerificationKey;

use super::header_value::{self, Unwritten};
use crate::config::{Carried, HeaderTarget, Injection};

/// Writes a header, in place of whatever stood there; removes it if there is nothing to write.
pub(crate) fn put(
    headers: &mut HeaderMap,
    name: &HeaderName,
    value: Result<HeaderValue, Unwritten>,
) {
    match value {
        Ok(mut value) => {
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Err(unwritten) => {
            headers.remove(name);
            if unwritten == Unwritten::TooLong {
                let most = header_value::LONGEST;
                tracing::warn!(header = %name, most, "left out: its value would be too long");
            }
        }
    }
}

/// Writes one header of what a grant gave.
pub(crate) fn write(
    injection: &Injection,
    sources: ClaimSources,
    granted: &Granted,
    headers: &mut HeaderMap,
) {
    let target = &injection.target;
    let value = match &injection.carried {
        Carried::AccessToken => token(target, Some(granted.access_token())),
        Carried::RefreshToken => token(target, granted.refresh_token()),
        Carried::IdToken => token(target, granted.id_token()),
        Carried::IntrospectionJwt => introspection_jwt(target, granted),
        Carried::UserInfoJwt => token(target, granted.user_info().and_then(Answer::jwt)),
        Carried::AccessTokenJwk => key(granted.access_token_key().map(|key| &**key)),
        Carried::IdTokenJwk => key(granted.id_token_key().map(|key| &**key)),
        Carried::Introspection => document(granted.introspection().map(Answer::json)),
        Carried::UserInfo => document(granted.user_info().map(Answer::json)),
        Carried::Claim(path) => sources
            .find(granted, path)
            .ok_or(Unwritten::Absent)
            .and_then(header_value::claim),
    };
    put(headers, &target.name, value);
}

/// `Absent` of a token that no header can hold: it opens no second line, and is not cut.
fn token(target: &HeaderTarget, secret: Option<&Secret>) -> Result<HeaderValue, Unwritten> {
    let token = secret.ok_or(Unwritten::Absent)?.expose();
    let value = if target.bearer {
        let mut text = String::with_capacity("Bearer ".len() + token.len());
        text.push_str("Bearer ");
        text.push_str(token);
        HeaderValue::try_from(text)
    } else {
        HeaderValue::from_str(token)
    };
    value.map_err(|_| Unwritten::Absent)
}

/// The answer as it was signed, or the token within it that Keycloak signs (its member `jwt`).
fn introspection_jwt(target: &HeaderTarget, granted: &Granted) -> Result<HeaderValue, Unwritten> {
    let answer = granted.introspection().ok_or(Unwritten::Absent)?;
    match answer.jwt() {
        Some(jwt) => token(target, Some(jwt)),
        None => token(
            target,
            answer.claims().text("jwt").map(Secret::new).as_ref(),
        ),
    }
}

fn key(key: Option<&VerificationKey>) -> Result<HeaderValue, Unwritten> {
    document(key.map(VerificationKey::jwk))
}

/// A JSON document as Kong writes it: in base64 (RFC 4648 §4).
fn document(json: Option<&str>) -> Result<HeaderValue, Unwritten> {
    header_value::plain(STANDARD.encode(json.ok_or(Unwritten::Absent)?))
}
