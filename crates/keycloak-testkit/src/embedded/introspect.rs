//! Introspection: as JSON (RFC 7662 §2.2), or as a signed token (RFC 9701 §5).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::authenticate::Form;
use super::inspect::is_for;
use super::refusal::{invalid_request, json_response};
use super::state::LiveRealm;
use crate::{Client, Refusal, clock};

/// The media type of RFC 9701, which Keycloak (26.7) does not know.
const SIGNED: &str = "application/token-introspection+jwt";

impl LiveRealm {
    /// As of Keycloak 26.7 only a client in the token's audience learns anything, and refresh
    /// tokens are never active here.
    pub(super) fn introspection(
        &self,
        client: &Client,
        form: &Form,
        headers: &HeaderMap,
    ) -> Result<Response<Bytes>, Refusal> {
        if client.is_public() {
            return Err(Refusal::new(403, "invalid_request", "Client not allowed."));
        }
        let Some(token) = form.get("token") else {
            return Err(invalid_request("Token not provided."));
        };
        let state = self.state();
        let known = self
            .active_claims(&state, token)
            .filter(|claims| is_for(claims, &client.id));
        let accepted = headers.get(header::ACCEPT);
        let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or("");
        // Keycloak's own way to make a token that can be read of one that cannot.
        let jwt = known
            .as_ref()
            .filter(|_| client.jwt_in_introspection && accepted == "application/jwt")
            .map(|claims| state.signing_key().sign(claims));
        let mut answer = known.map_or_else(|| json!({"active": false}), with_token_members);
        if let Some(jwt) = jwt {
            answer["jwt"] = json!(jwt);
        }
        let answer = self.alterations.apply(|set| &set.introspection, answer);
        let mut response = json_response(StatusCode::OK, &answer);
        if accepted.contains(SIGNED) {
            let key = state.signing_key();
            let parts = json!({
                "header": {
                    "typ": "token-introspection+jwt",
                    "alg": key.algorithm().name(),
                    "kid": key.kid(),
                },
                "claims": {
                    "iss": self.issuer,
                    "aud": client.id,
                    "iat": clock::now(),
                    "token_introspection": answer,
                },
            });
            let parts = self.alterations.apply(|set| &set.introspection_jwt, parts);
            let signed = key.sign_with_header(&parts["header"], &parts["claims"]);
            *response.body_mut() = Bytes::from(signed);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SIGNED));
        }
        Ok(response)
    }
}

fn with_token_members(mut claims: Value) -> Value {
    let username = claims.get("preferred_username").cloned();
    claims["client_id"] = claims.get("azp").cloned().unwrap_or_default();
    claims["username"] = username.unwrap_or_default();
    claims["token_type"] = claims.get("typ").cloned().unwrap_or_default();
    claims["active"] = json!(true);
    claims
}
