//! Keycloak's ways to say no, as version 26.7 says them.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};

use crate::Refusal;

/// A refusal of the client itself, in whatever way it failed.
const CLIENT: &str = "Invalid client or Invalid client credentials";

pub(super) fn invalid_grant(description: &str) -> Refusal {
    Refusal::new(400, "invalid_grant", description)
}

pub(super) fn invalid_request(description: &str) -> Refusal {
    Refusal::new(400, "invalid_request", description)
}

pub(super) fn invalid_scope(scope: &str) -> Refusal {
    Refusal::new(400, "invalid_scope", &format!("Invalid scopes: {scope}"))
}

/// No client, an unknown or a disabled one.
pub(super) fn unknown_client() -> Refusal {
    Refusal::new(401, "invalid_client", CLIENT)
}

/// A known client with the wrong secret.
pub(super) fn wrong_secret() -> Refusal {
    Refusal::new(401, "unauthorized_client", CLIENT)
}

/// A known client with an assertion that is not good.
pub(super) fn bad_assertion(description: &str) -> Refusal {
    Refusal::new(400, "invalid_client", description)
}

pub(super) fn not_allowed(status: u16, description: &str) -> Refusal {
    Refusal::new(status, "unauthorized_client", description)
}

pub(super) fn response(refusal: &Refusal) -> Response<Bytes> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    json_response(
        status,
        &json!({"error": refusal.error, "error_description": refusal.description}),
    )
}

/// An answer that nobody may keep.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = http::HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed("application/json"));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::PRAGMA, fixed("no-cache"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("SAMEORIGIN"));
    response
}
