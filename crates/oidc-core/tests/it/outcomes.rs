//! Random sequences of outcomes: whatever the driver meets, the grant ends, the token endpoint is
//! asked once, and the newest refresh token is known to somebody afterwards.

use std::sync::Arc;
use std::time::Duration;

use oidc_core::grant::{Grant, KeySource, MemoryPlan, Step, Unavailable};
use oidc_core::jose::KeySet;
use oidc_core::provider::DiscoveryError;
use oidc_core::rotation::{Remembered, Successor};
use oidc_core::{Credential, Denial, Reason, Secret};
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

/// What a driver meets next; each state takes from it what fits.
#[derive(Clone, Debug)]
struct Outcome {
    metadata: u8,
    flight: u8,
    token: u8,
    keys: u8,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    // Mostly what leads on, so that deep states are reached.
    let often = |n: u8| prop_oneof![3 => Just(0u8), 2 => 0..n];
    (often(4), often(5), often(9), often(4)).prop_map(|(metadata, flight, token, keys)| Outcome {
        metadata,
        flight,
        token,
        keys,
    })
}

fn credential() -> impl Strategy<Value = Credential> {
    prop_oneof![
        4 => Just(refresh()),
        1 => Just(password()),
        1 => Just(client_credentials()),
        1 => Just(Credential::Bearer(Secret::new("b"))),
        2 => Just(Credential::Bearer(Secret::new(access_token(at(0), Duration::from_secs(60))))),
        1 => Just(Credential::TokenExchange(Secret::new("t"))),
    ]
}

#[derive(Default)]
struct Seen {
    token_requests: usize,
    /// A refresh token that the provider issued in a well-formed reply.
    issued: bool,
    plan: Option<MemoryPlan>,
}

fn take(step: Step, outcome: &Outcome, seen: &mut Seen) -> Step {
    match step {
        Step::Metadata(state) => match outcome.metadata {
            0 | 1 => state.found(metadata(), &fingerprints()),
            2 => state.malformed(DiscoveryError::Malformed),
            _ => state.unavailable(Reason::ProviderTimeout, None),
        },
        Step::Verify(state) => state.verify(at(0)),
        Step::Flight(state) => match outcome.flight {
            0 | 1 => {
                seen.plan = Some(state.memory(&fingerprints()));
                state.lead(None, moment(at(0)))
            }
            2 => state.full(),
            3 => state.landed(Err(Denial::new(Reason::ProviderCut))),
            _ => {
                let key = fingerprints().fingerprint(&[b"r1"]);
                let token = Secret::new("r1");
                state.follow(Successor { token, key })
            }
        },
        Step::Call(state) => {
            seen.token_requests += 1;
            seen.issued = matches!(outcome.token, 0..=4);
            let good = |change| Ok(tokens(at(0), &change));
            let reply = match outcome.token {
                0 | 1 => good(json!({})),
                2 => good(json!({"access_token": "opaque"})),
                3 => good(json!({"access_token": "eyJh.b.c"})),
                4 => good(json!({"expires_in": 0})),
                5 => Ok(reply(400, &json!({"error": "invalid_grant"}))),
                6 => Ok(reply(503, &json!({}))),
                7 => Err(Unavailable::Timeout),
                _ => good(json!({"token_type": "mac"})),
            };
            state.answered(reply, at(0))
        }
        Step::Keys(state) => match outcome.keys {
            0 => state.found(&keys(), at(0)),
            1 => state.found(&a_strangers_keys(), at(0)),
            2 => state.found(&KeySet::default(), at(0)),
            _ => state.unavailable(Reason::KeysUnavailable, None),
        },
        done @ Step::Done(_) => done,
    }
}

proptest! {
    #[test]
    fn every_grant_ends_and_forgets_no_refresh_token(
        credential in credential(),
        outcomes in proptest::collection::vec(outcome(), 1..12),
    ) {
        let refreshes = matches!(credential, Credential::RefreshToken(_));
        let mut seen = Seen::default();
        let mut policy = policy();
        policy.access_tokens.bearer = true;
        policy.access_tokens.introspection = true;
        policy.key_sources = vec![KeySource {
            jwks_uri: "https://keys.test/all".parse().expect("a URL"),
            issuer: None,
        }];
        let mut step = Grant::start(Arc::new(policy), credential, None);
        let mut steps = 0;
        let mut outcomes = outcomes.iter().cycle();
        while !matches!(step, Step::Done(_)) {
            let outcome = outcomes.next().expect("cycles");
            step = take(step, outcome, &mut seen);
            steps += 1;
            prop_assert!(steps <= 5_000, "it does not end");
        }
        prop_assert!(seen.token_requests <= 1);
        let ended = end_of(step);
        let Some(plan) = seen.plan else { return Ok(()) };
        let granted = ended.result.clone();
        let remember = plan.remember(&ended, at(0));
        if seen.issued && refreshes {
            let known = remember.flight.as_ref().and_then(Remembered::successor);
            prop_assert_eq!(known.map(|known| known.token.expose()), Some("r2"));
            prop_assert!(remember.issued.is_some());
        }
        if let Some(granted) = granted.ok().filter(|_| seen.issued) {
            prop_assert_eq!(granted.refresh_token().map(Secret::expose), Some("r2"));
        }
    }
}
