//! Discovery: the members of Keycloak's answer that concern clients without a browser.

use serde_json::{Value, json};

use super::{dpop, exchange};
use crate::provider::path;
use crate::{Endpoint, TlsSide};

pub(super) fn metadata(issuer: &str, tls: &TlsSide) -> Value {
    let url = |endpoint| format!("{issuer}{}", path(endpoint));
    let below = |rest: &str| format!("{issuer}/protocol/openid-connect/{rest}");
    let algorithms = [
        "PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512",
        "PS256", "PS512", "RS512",
    ];
    let methods = [
        "private_key_jwt",
        "client_secret_basic",
        "client_secret_post",
        "tls_client_auth",
        "client_secret_jwt",
    ];
    json!({
        "issuer": issuer,
        "authorization_endpoint": below("auth"),
        "token_endpoint": url(Endpoint::Token),
        "introspection_endpoint": url(Endpoint::Introspection),
        "userinfo_endpoint": url(Endpoint::Userinfo),
        "end_session_endpoint": url(Endpoint::Logout),
        "jwks_uri": url(Endpoint::Jwks),
        "revocation_endpoint": url(Endpoint::Revocation),
        "grant_types_supported": [
            "client_credentials", "password", "refresh_token", exchange::GRANT,
        ],
        "acr_values_supported": ["0", "1"],
        "response_types_supported": ["code", "none"],
        "subject_types_supported": ["public", "pairwise"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "name", "given_name", "family_name",
            "preferred_username", "email", "acr", "azp", "nonce",
        ],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "scopes_supported": [
            "openid", "profile", "email", "address", "phone", "roles", "web-origins", "acr",
            "basic", "offline_access", "microprofile-jwt", "service_account",
        ],
        "request_parameter_supported": true,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "code_challenge_methods_supported": ["plain", "S256"],
        "tls_client_certificate_bound_access_tokens": true,
        "dpop_signing_alg_values_supported": dpop::ALGORITHMS,
        "mtls_endpoint_aliases": {
            "token_endpoint": tls.url(Endpoint::Token),
            "revocation_endpoint": tls.url(Endpoint::Revocation),
            "introspection_endpoint": tls.url(Endpoint::Introspection),
            "userinfo_endpoint": tls.url(Endpoint::Userinfo),
        },
        "authorization_response_iss_parameter_supported": true,
    })
}
