//! What is held against tokens that the provider issued: the contract's section 3, RFC 9068,
//! OIDC Core §3.1.3.7 and §12.2. Each refusal stands beside a twin that passes.

use std::sync::Arc;
use std::time::Duration;

use oidc_core::grant::Step;
use oidc_core::rotation::Subject;
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn issued_tokens_that_fail_are_the_providers_fault() {
    let access = |change: Value| {
        let mut claims =
            json!({"iss": ISSUER, "sub": "john", "iat": at(0).as_secs(), "exp": at(60).as_secs()});
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        claims
    };
    for (header_change, claims_change, expected) in [
        (json!({}), json!({}), None),
        (json!({"typ": "at+jwt"}), json!({}), None),
        (json!({"typ": "application/AT+JWT"}), json!({}), None),
        (
            json!({"typ": "logout+jwt"}),
            json!({}),
            Some("token.wrong_type"),
        ),
        (
            json!({"alg": "none"}),
            json!({}),
            Some("token.algorithm_unknown"),
        ),
        (
            json!({"alg": "HS256"}),
            json!({}),
            Some("token.algorithm_not_allowed"),
        ),
        (
            json!({"crit": ["exp"]}),
            json!({}),
            Some("token.critical_extension"),
        ),
        (json!({"kid": 7}), json!({}), Some("token.header_malformed")),
        (
            json!({}),
            json!({"typ": "Refresh"}),
            Some("token.wrong_type"),
        ),
        (json!({}), json!({"typ": "ID"}), Some("token.wrong_type")),
        (
            json!({}),
            json!({"iss": "https://evil.test"}),
            Some("token.issuer_mismatch"),
        ),
        (
            json!({}),
            json!({"exp": null}),
            Some("token.expiry_missing"),
        ),
        (json!({}), json!({"exp": "1"}), Some("token.claim_type")),
        (
            json!({}),
            json!({"exp": at(0).as_secs()}),
            Some("token.expired"),
        ),
        (
            json!({}),
            json!({"nbf": at(1).as_secs()}),
            Some("token.not_yet_valid"),
        ),
        (json!({}), json!({"nbf": at(0).as_secs()}), None),
        (
            json!({}),
            json!({"iat": at(2).as_secs()}),
            Some("token.issued_in_future"),
        ),
        (json!({}), json!({"iat": at(1).as_secs()}), None),
        (json!({}), json!({"aud": [1]}), Some("token.claim_type")),
    ] {
        let mut header = header();
        for (name, value) in header_change.as_object().expect("an object") {
            header[name] = value.clone();
        }
        let token = signed(&header, &access(claims_change.clone()));
        let reply = tokens(at(0), &json!({"access_token": token}));
        let ended = match led(policy(), refresh()).answered(Ok(reply), at(0)) {
            Step::Keys(state) => end_of(match state.found(&keys(), at(0)) {
                Step::Keys(state) => state.found(&keys(), at(0)),
                step => step,
            }),
            step => end_of(step),
        };
        let reason = ended.result.err().map(|denial| {
            assert_eq!(denial.reason().status().as_u16(), 502);
            denial.reason().code()
        });
        assert_eq!(reason, expected, "{header_change} {claims_change}");
    }
}

#[test]
fn an_id_token_is_held_to_its_client_and_to_its_access_token() {
    let now = at(0);
    let access_token = access_token(now, Duration::from_secs(60));
    let hash = {
        use base64::Engine as _;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, access_token.as_bytes());
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..32])
    };
    for (change, expected) in [
        (json!({}), None),
        (json!({"at_hash": hash}), None),
        (
            json!({"at_hash": "AAAA"}),
            Some("id_token.at_hash_mismatch"),
        ),
        (json!({"aud": "other"}), Some("id_token.audience_mismatch")),
        (json!({"aud": []}), Some("id_token.audience_mismatch")),
        (
            json!({"aud": [CLIENT, "other"]}),
            Some("id_token.authorized_party_mismatch"),
        ),
        (json!({"aud": [CLIENT, "other"], "azp": CLIENT}), None),
        (
            json!({"azp": "other"}),
            Some("id_token.authorized_party_mismatch"),
        ),
        (json!({"sub": ""}), Some("id_token.subject_missing")),
        (json!({"iat": null}), Some("id_token.issued_at_missing")),
        (json!({"typ": "Bearer"}), Some("token.wrong_type")),
        (
            json!({"iss": "https://evil.test"}),
            Some("token.issuer_mismatch"),
        ),
    ] {
        let mut claims = json!({"iss": ISSUER, "sub": "john", "aud": CLIENT, "typ": "ID", "iat": now.as_secs(), "exp": now.as_secs() + 60});
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        let id_token = signed(&header(), &claims);
        let reply = tokens(
            now,
            &json!({"access_token": access_token, "id_token": id_token}),
        );
        let step = keys_of(led(policy(), refresh()).answered(Ok(reply), now)).found(&keys(), at(0));
        let reason = end_of(step)
            .result
            .err()
            .map(|denial| denial.reason().code());
        assert_eq!(reason, expected, "{change}");
    }
}

fn remembered_subject() -> Option<Subject> {
    Some(Subject {
        issuer: ISSUER.to_owned(),
        subject: "john".to_owned(),
    })
}

#[test]
fn a_refreshed_id_token_is_about_whom_it_was_before() {
    for (subject, expected) in [("john", None), ("jane", Some("id_token.subject_changed"))] {
        let state = flight(&Arc::new(policy()), refresh());
        let plan = state.memory(&fingerprints());
        let state = token_of(state.lead(remembered_subject(), moment(at(0))));
        let reply = tokens(at(0), &json!({"id_token": id_token(at(0), subject)}));
        let ended = end_of(keys_of(state.answered(Ok(reply), at(0))).found(&keys(), at(0)));
        let remember = plan.remember(&ended, at(0));
        let reason = ended.result.err().map(|denial| denial.reason().code());
        assert_eq!(reason, expected, "{subject}");
        // A refused reply replaces nothing.
        assert_eq!(remember.flight.is_some(), expected.is_none());
        assert_eq!(remember.issued.is_some(), expected.is_none());
    }
}

#[test]
fn a_user_name_is_not_bound_to_the_subject_that_it_had() {
    let state = flight(&Arc::new(policy()), password());
    let state = token_of(state.lead(remembered_subject(), moment(at(0))));
    let reply = tokens(at(0), &json!({"id_token": id_token(at(0), "jane")}));
    granted(keys_of(state.answered(Ok(reply), at(0))).found(&keys(), at(0)));
}
