//! What an end leaves in memory, and what a late caller gets of it: the contract's section 4.

use std::sync::Arc;
use std::time::Duration;

use oidc_core::Reason;
use oidc_core::grant::{GrantPolicy, Remember, Step};
use oidc_core::jose::KeySet;
use oidc_core::rotation::{Recall, Remembered};
use serde_json::{Value, json};

use crate::support::*;

/// What is remembered of a refresh that was answered so, and found these keys.
fn remember(policy: GrantPolicy, change: &Value, keys: Option<&KeySet>) -> Remember {
    let state = flight(&Arc::new(policy), refresh());
    let plan = state.memory(&fingerprints());
    let state = token_of(state.lead(None, moment(at(0))));
    let ended = end_of(match state.answered(Ok(tokens(at(0), change)), at(0)) {
        Step::Keys(state) => match keys {
            Some(keys) => match state.found(keys, at(0)) {
                Step::Keys(state) => state.found(keys, at(0)),
                step => step,
            },
            None => state.unavailable(Reason::KeysUnavailable, None),
        },
        step => step,
    });
    plan.remember(&ended, at(0))
}

fn recalls(remembered: &Remembered, seconds: &[u64]) -> Vec<String> {
    seconds
        .iter()
        .map(|second| match remembered.recall(at(*second)) {
            Recall::Serve { .. } => "serve".to_owned(),
            Recall::Verify(_) => "verify".to_owned(),
            Recall::Refresh(successor) => format!("refresh {}", successor.token.expose()),
            Recall::Refuse(_) => "refuse".to_owned(),
            Recall::Present { .. } => "present".to_owned(),
        })
        .collect()
}

#[test]
fn what_a_late_caller_gets_of_a_refresh() {
    type Change = fn(&mut GrantPolicy);
    type Case<'c> = (&'c str, Change, Value, &'c [u64], &'c [&'c str]);
    let cases: [Case<'_>; 8] = [
        (
            "a minute",
            |_| (),
            json!({}),
            &[0, 54, 55],
            &["serve", "serve", "present"],
        ),
        (
            "ten seconds",
            |_| (),
            json!({"expires_in": 10}),
            &[8, 9, 29, 30],
            &["serve", "refresh r2", "refresh r2", "present"],
        ),
        (
            "no rotation",
            |_| (),
            json!({"expires_in": 10, "refresh_token": REFRESH_TOKEN}),
            &[8, 9, 29],
            &["serve", "present", "present"],
        ),
        (
            "no caching",
            |p| p.cache_tokens = false,
            json!({}),
            &[0, 29, 30],
            &["serve", "serve", "present"],
        ),
        (
            "not to be kept",
            |_| (),
            json!({"expires_in": 0}),
            &[0, 29, 30],
            &["serve", "serve", "present"],
        ),
        (
            "a cap",
            |p| p.cache_ttl_max = Some(Duration::from_secs(3)),
            json!({}),
            &[2, 3, 29, 30],
            &["serve", "refresh r2", "refresh r2", "present"],
        ),
        (
            "leeway",
            |p| p.verification.leeway = Duration::from_secs(20),
            json!({}),
            &[39, 40],
            &["serve", "present"],
        ),
        (
            "followed",
            |p| p.follow_rotation = Some(Duration::from_secs(3600)),
            json!({}),
            &[54, 55, 3599, 3600],
            &["serve", "refresh r2", "refresh r2", "present"],
        ),
    ];
    for (name, change, reply, seconds, expected) in cases {
        let mut policy = policy();
        change(&mut policy);
        let remember = remember(policy, &reply, Some(&keys()));
        let flight = remember.flight.expect("remembered");
        assert_eq!(recalls(&flight, seconds), expected, "{name}");
        assert_eq!(remember.issued.is_some(), name != "no rotation", "{name}");
    }
}

#[test]
fn a_refresh_token_that_came_with_unverifiable_tokens_is_not_forgotten() {
    let without_keys = remember(policy(), &json!({}), None);
    assert_eq!(
        recalls(
            &without_keys.flight.expect("remembered"),
            &[0, 29, 30, 3599, 3600]
        ),
        ["verify", "verify", "refresh r2", "refresh r2", "present"]
    );
    let refused = remember(policy(), &json!({}), Some(&a_strangers_keys()));
    assert_eq!(
        recalls(&refused.flight.expect("remembered"), &[0, 3599, 3600]),
        ["refresh r2", "refresh r2", "present"]
    );
    assert!(without_keys.issued.is_some() && refused.issued.is_some());
    let malformed = remember(policy(), &json!({"access_token": "eyJh.b.c"}), None);
    assert_eq!(
        recalls(&malformed.flight.expect("remembered"), &[0]),
        ["refresh r2"]
    );
}

#[test]
fn tokens_that_wait_for_keys_are_verified_without_another_request() {
    let shared = Arc::new(policy());
    let first = remember(policy(), &json!({}), None)
        .flight
        .expect("remembered");
    let Recall::Verify(received) = first.recall(at(1)) else {
        panic!("they wait");
    };
    let state = flight(&shared, refresh());
    let plan = state.memory(&fingerprints());
    let ended = end_of(keys_of(state.verify(received)).found(&keys(), at(0)));
    let remember = plan.remember(&ended, at(1));
    assert_eq!(ended.result.expect("granted").received_at(), at(0));
    assert_eq!(
        recalls(&remember.flight.expect("remembered"), &[1, 54, 55]),
        ["serve", "serve", "present"]
    );
}

#[test]
fn refusals_are_remembered_for_a_moment_and_outages_are_not() {
    for (status, error, seconds) in [
        (400, "invalid_grant", 5),
        (400, "invalid_scope", 5),
        (503, "", 0),
        (401, "invalid_client", 0),
    ] {
        let state = flight(&Arc::new(policy()), refresh());
        let plan = state.memory(&fingerprints());
        let state = token_of(state.lead(None, moment(at(0))));
        let ended = end_of(state.answered(Ok(reply(status, &json!({"error": error}))), at(0)));
        let remember = plan.remember(&ended, at(0));
        match remember.flight {
            Some(refused) => {
                assert_eq!(seconds, 5, "{error}");
                assert_eq!(
                    recalls(&refused, &[0, 4, 5]),
                    ["refuse", "refuse", "present"]
                );
            }
            None => assert_eq!(seconds, 0, "{error}"),
        }
    }
}

#[test]
fn a_password_result_has_no_window_beyond_its_access_token() {
    let state = flight(&Arc::new(policy()), password());
    let plan = state.memory(&fingerprints());
    let state = token_of(state.lead(None, moment(at(0))));
    let reply = tokens(at(0), &json!({"expires_in": 10}));
    let ended = end_of(keys_of(state.answered(Ok(reply), at(0))).found(&keys(), at(0)));
    let flight = plan.remember(&ended, at(0)).flight.expect("remembered");
    assert_eq!(recalls(&flight, &[8, 9]), ["serve", "present"]);
    let state = self::flight(&Arc::new(policy()), password());
    let plan = state.memory(&fingerprints());
    let state = token_of(state.lead(None, moment(at(0))));
    let reply = tokens(at(0), &json!({"expires_in": 0}));
    let ended = end_of(keys_of(state.answered(Ok(reply), at(0))).found(&keys(), at(0)));
    assert!(
        plan.remember(&ended, at(0)).flight.is_none(),
        "it must not be kept"
    );
}
