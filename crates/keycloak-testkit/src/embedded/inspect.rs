//! What becomes of tokens afterwards: whether they are still good, revocation, logout.

use bytes::Bytes;
use http::{Response, StatusCode};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

use super::authenticate::Form;
use super::refusal::{invalid_grant, invalid_request};
use super::state::{LiveRealm, State};
use crate::{Client, Refusal, clock};

impl LiveRealm {
    /// RFC 7009: a refresh token ends what its client has in the session, an access token ends
    /// alone. Keycloak says with status 200 that something is no token.
    pub(super) fn revocation(
        &self,
        client: &Client,
        form: &Form,
    ) -> Result<Response<Bytes>, Refusal> {
        let Some(token) = form.get("token") else {
            return Err(invalid_request("Token not provided"));
        };
        let mut state = self.state();
        let invalid = Refusal::new(200, "invalid_token", "Invalid token");
        let refresh = self
            .refresh_claims(&state, token)
            .filter(|claims| session_of(&state, claims).is_some());
        let is_refresh = refresh.is_some();
        let claims = refresh
            .or_else(|| self.active_claims(&state, token))
            .ok_or(invalid)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("azp") != Some(&client.id) {
            return Err(invalid_request("Unmatching clients"));
        }
        if is_refresh {
            let session_id = text("sid").unwrap_or_default();
            if let Some(session) = state.sessions.get_mut(session_id) {
                session.clients.remove(&client.id);
                if session.clients.is_empty() {
                    state.sessions.remove(session_id);
                }
            }
        } else {
            let id = text("jti").unwrap_or_default().to_owned();
            state.revoked.insert(id);
        }
        Ok(Response::new(Bytes::new()))
    }

    /// The end of the session that a refresh token belongs to.
    pub(super) fn logout(&self, client: &Client, form: &Form) -> Result<Response<Bytes>, Refusal> {
        let Some(token) = form.get("refresh_token") else {
            return Err(invalid_request("No refresh token"));
        };
        let mut state = self.state();
        let claims = self
            .refresh_claims(&state, token)
            .ok_or_else(|| invalid_grant("Invalid refresh token"))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("azp") != Some(&client.id) {
            return Err(invalid_grant(
                "Invalid refresh token. Token client and authorized client don't match",
            ));
        }
        state.sessions.remove(text("sid").unwrap_or_default());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    /// The claims of an access or ID token that is still good.
    pub(super) fn active_claims(&self, state: &State, token: &str) -> Option<Value> {
        let token = state.opaque.get(token).map_or(token, String::as_str);
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = state
            .keys
            .iter()
            .find(|key| header.kid.as_deref() == Some(key.kid()))?;
        let jwk: Jwk = serde_json::from_value(key.public_jwk()).ok()?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_issuer(&[&self.issuer]);
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let claims: Value = jsonwebtoken::decode(token, &key, &validation).ok()?.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let account = state.account(text("sub")?)?;
        let issued = claims.get("iat").and_then(Value::as_u64)?;
        let good = account.user.enabled
            && issued >= state.not_before.max(account.not_before)
            && !state.revoked.contains(text("jti")?)
            && (text("sid").is_none() || session_of(state, &claims).is_some());
        good.then_some(claims)
    }
}

/// The running session of a token, if its client still has a part in it.
fn session_of<'a>(state: &'a State, claims: &Value) -> Option<&'a super::session::Session> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let session = state.sessions.get(text("sid")?)?;
    let alive =
        session.is_active(&state.realm, clock::now()) && session.clients.contains_key(text("azp")?);
    alive.then_some(session)
}

pub(super) fn is_for(claims: &Value, client: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(audience)) => audience == client,
        Some(Value::Array(several)) => several.iter().any(|audience| audience == client),
        _ => false,
    }
}
