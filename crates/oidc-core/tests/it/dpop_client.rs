//! The gateway as a client that proves possession of a key of its own: RFC 9449 §5 and §8.

use std::sync::Arc;

use oidc_core::grant::{DpopClient, ProviderReply, Step};
use oidc_core::{Credential, Secret};
use serde_json::{Value, json};

use crate::support::*;

/// RFC 9449 §8: the server asks for a nonce before it does anything, and is asked once more.
#[test]
fn a_nonce_that_the_provider_wants_is_sent_once_and_remembered() {
    let mut policy = policy();
    policy.dpop = Some(Arc::new(DpopClient::generate().expect("a key")));
    let policy = Arc::new(policy);
    let nonce_of = |state: &oidc_core::grant::AwaitReply| {
        let headers = state.request().headers();
        let proof = headers.iter().find(|(name, _)| name == "dpop");
        let proof = proof.expect("a proof").1.expose().to_owned();
        let payload = proof.split('.').nth(1).expect("three parts").to_owned();
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
        let claims: Value = serde_json::from_slice(&payload.expect("base64url")).expect("JSON");
        (
            claims["nonce"].as_str().map(str::to_owned),
            claims["jti"].clone(),
        )
    };
    let wanted = |nonce: &str| ProviderReply {
        dpop_nonce: Some(nonce.to_owned()),
        ..reply(400, &json!({"error": "use_dpop_nonce"}))
    };
    let begun = |credential| token_of(flight(&policy, credential).lead(None, moment(at(0))));
    let state = begun(refresh());
    let (none, first) = nonce_of(&state);
    assert_eq!(none, None);
    let state = token_of(state.answered(Ok(wanted("n1")), at(1)));
    let (nonce, second) = nonce_of(&state);
    assert_eq!(nonce.as_deref(), Some("n1"));
    assert_ne!(first, second, "no proof is sent twice");
    // Once: a server that is never content is not asked for ever.
    let denial = denied(state.answered(Ok(wanted("n2")), at(2)));
    assert_eq!(denial.reason().status().as_u16(), 502);
    // The newest is used from the first request on, and one that comes with tokens replaces it.
    let state = begun(password());
    assert_eq!(nonce_of(&state).0.as_deref(), Some("n2"));
    let mut tokens = tokens(at(3), &json!({"token_type": "DPoP"}));
    tokens.dpop_nonce = Some("n3".to_owned());
    assert!(
        end_of(keys_of(state.answered(Ok(tokens), at(3))).found(&keys(), at(3)))
            .result
            .is_ok()
    );
    let state = begun(password());
    assert_eq!(nonce_of(&state).0.as_deref(), Some("n3"));
    // Without a new nonce there is nothing to say anew.
    assert_eq!(
        denied(state.answered(Ok(wanted("n3")), at(4)))
            .reason()
            .status()
            .as_u16(),
        502
    );
}

#[test]
fn tokens_that_are_bound_to_a_key_are_taken_by_whoever_has_one() {
    let dpop = || Ok(tokens(at(0), &json!({"token_type": "DPoP"})));
    let bare = code(led(policy(), refresh()).answered(dpop(), at(0)));
    assert_eq!(bare, "token_response.token_type");
    let mut policy = policy();
    policy.dpop = Some(Arc::new(DpopClient::generate().expect("a key")));
    let step = led(policy, refresh()).answered(dpop(), at(0));
    assert!(end_of(keys_of(step).found(&keys(), at(0))).result.is_ok());
}

/// RFC 9449 §8: of several who ask at the same time, each is told the nonce, and each asks anew.
#[test]
fn everybody_who_was_asked_for_a_nonce_sends_it() {
    let mut policy = policy();
    policy.dpop = Some(Arc::new(DpopClient::generate().expect("a key")));
    let policy = Arc::new(policy);
    let asking = |token: &str| {
        let credential = Credential::RefreshToken(Secret::new(token));
        match flight(&policy, credential).lead(None, moment(at(0))) {
            Step::Call(state) => state,
            other => panic!("the provider is asked: {other:?}"),
        }
    };
    let (first, second) = (asking("one"), asking("two"));
    for state in [first, second] {
        let wanted = ProviderReply {
            dpop_nonce: Some("n1".to_owned()),
            ..reply(400, &json!({"error": "use_dpop_nonce"}))
        };
        let Step::Call(again) = state.answered(Ok(wanted), at(0)) else {
            panic!("it is asked once more");
        };
        let wanted = ProviderReply {
            dpop_nonce: Some("n1".to_owned()),
            ..reply(400, &json!({"error": "use_dpop_nonce"}))
        };
        let step = again.answered(Ok(wanted), at(0));
        assert!(end_of(step).result.is_err(), "and not again");
    }
}
