//! Tokens of several issuers, and key sets of several places: whose keys verify whose tokens.

use std::sync::Arc;

use oidc_core::Reason;
use oidc_core::grant::{GrantPolicy, KeySource, Step};
use serde_json::json;

use crate::access_tokens::{good_token, presented, taking};
use crate::support::*;

const OTHER: &str = "https://other.test";

/// A token of another allowed issuer.
fn foreign_token() -> String {
    let claims = json!({"iss": OTHER, "sub": "jane", "exp": at(60).as_secs()});
    signed(&header(), &claims)
}

fn several(jwks_uri: &str) -> Arc<GrantPolicy> {
    let mut policy = taking("bearer");
    policy.verification.issuers_allowed = vec![ISSUER.to_owned(), OTHER.to_owned()];
    let uri = jwks_uri.parse().expect("a URL");
    let allowed = policy.verification.issuers_allowed.clone();
    policy.key_sources = vec![KeySource::new(uri, &allowed)];
    Arc::new(policy)
}

#[test]
fn an_issuers_own_keys_verify_its_tokens_and_nobody_elses() {
    let policy = several("https://other.test/keys");
    let asked = |token: &str| {
        let state = keys_of(verifying(&policy, presented(token)).verify(at(0)));
        state.jwks_uri().as_str().to_owned()
    };
    assert_eq!(asked(&foreign_token()), "https://other.test/keys");
    assert_eq!(asked(&good_token()), "https://idp.test/certs");
    // The provider's keys are not even tried on the other's token.
    let state = keys_of(verifying(&policy, presented(&foreign_token())).verify(at(0)));
    let state = keys_of(state.found(&a_strangers_keys(), at(0)));
    assert!(state.wants_newer());
    assert_eq!(state.jwks_uri().as_str(), "https://other.test/keys");
    assert_eq!(
        code(state.found(&a_strangers_keys(), at(0))),
        "token.key_unknown"
    );
}

#[test]
fn keys_of_nobody_in_particular_are_tried_after_the_providers() {
    let policy = several("https://keys.test/all");
    let state = keys_of(verifying(&policy, presented(&foreign_token())).verify(at(0)));
    assert_eq!(state.jwks_uri().as_str(), "https://idp.test/certs");
    assert_eq!(
        state.wanted(),
        [""; 0],
        "a set among several may lack a key"
    );
    let state = keys_of(state.found(&a_strangers_keys(), at(0)));
    assert_eq!(state.jwks_uri().as_str(), "https://keys.test/all");
    assert!(end_of(state.found(&keys(), at(0))).result.is_ok());
    // A set that cannot be had is no reason to call the token bad.
    let state = keys_of(verifying(&policy, presented(&foreign_token())).verify(at(0)));
    let mut step = state.unavailable(Reason::KeysUnavailable, None);
    for _ in 0..6 {
        step = match step {
            Step::Keys(state) => state.found(&a_strangers_keys(), at(0)),
            step => step,
        };
    }
    assert_eq!(denied(step).reason(), Reason::KeysUnavailable);
}
