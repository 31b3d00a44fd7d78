//! Access tokens that callers bring: verified once, by keys that a flood does not fetch again and an
//! outage does not take away at once; or asked about once, for all who present the same.

use std::sync::Arc;
use std::time::Duration;

use oidc_broker::Broker;
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::{Credential, CredentialKind, Denial, Secret};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::*;

const HOUR: u64 = 3600;

struct World {
    idp: Arc<Idp>,
    broker: Broker,
    policy: Arc<GrantPolicy>,
}

impl World {
    fn new(idp: Arc<Idp>, policy: GrantPolicy) -> Self {
        idp.set(|idp| idp.life = 4 * HOUR);
        Self {
            broker: broker(&idp),
            idp,
            policy: Arc::new(policy),
        }
    }

    async fn present(&self, token: &str) -> Result<Arc<Granted>, Denial> {
        present_bearer(&self.broker, &self.policy, token).await
    }

    /// Presents all of them at once.
    async fn flood(
        &self,
        tokens: impl Iterator<Item = String>,
    ) -> Vec<Result<Arc<Granted>, Denial>> {
        let mut callers = JoinSet::new();
        for token in tokens {
            let (broker, policy) = (self.broker.clone(), Arc::clone(&self.policy));
            callers.spawn(async move { present_bearer(&broker, &policy, &token).await });
        }
        callers.join_all().await
    }
}

async fn present_bearer(
    broker: &Broker,
    policy: &Arc<GrantPolicy>,
    token: &str,
) -> Result<Arc<Granted>, Denial> {
    let credential = Credential::Bearer(Secret::new(token));
    broker.grant(policy, credential, None).await
}

#[tokio::test(start_paused = true)]
async fn a_token_is_verified_once_and_served_from_memory_until_it_ends() {
    let world = World::new(Idp::rotating(), bearer_policy());
    let token = world.idp.access_token("t");
    let first = world.present(&token).await.expect("good");
    assert_eq!(first.claims().and_then(|c| c.subject()), Some("john"));
    for _ in 0..10 {
        let again = world.present(&token).await.expect("good");
        assert!(Arc::ptr_eq(&first, &again), "verified again");
    }
    let calls = ["discovery", "jwks", "token", "introspection"].map(|what| world.idp.calls(what));
    assert_eq!(calls, [1, 1, 0, 0]);
    seconds(4 * HOUR).await;
    assert_eq!(code(&world.present(&token).await), "token.expired");
}

#[tokio::test(start_paused = true)]
async fn without_a_cache_it_is_verified_each_time() {
    let mut policy = bearer_policy();
    policy.cache_tokens = false;
    let world = World::new(Idp::rotating(), policy);
    let token = world.idp.access_token("t");
    let first = world.present(&token).await.expect("good");
    let again = world.present(&token).await.expect("good");
    assert!(!Arc::ptr_eq(&first, &again));
    assert_eq!(world.idp.calls("jwks"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_costs_one_fetch_in_a_cooldown() {
    let world = World::new(Idp::rotating(), bearer_policy());
    let good = world.idp.access_token("t");
    world.present(&good).await.expect("good");
    assert_eq!(world.idp.calls("jwks"), 1);
    for cooldown in 0..3 {
        for wait in [29, 1] {
            let kids = (0..100).map(|n| format!("unknown-{cooldown}-{wait}-{n}"));
            let results = world.flood(kids.map(|kid| forged(&good, &kid))).await;
            assert_eq!(results.len(), 100);
            for result in &results {
                assert_eq!(code(result), "token.key_unknown");
            }
            assert_eq!(world.idp.calls("jwks"), 2 + cooldown);
            world.present(&good).await.expect("good");
            seconds(wait).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_served_while_their_provider_is_away_up_to_a_bound() {
    let world = World::new(Idp::rotating(), bearer_policy());
    let [seen, unseen, late] = ["a", "b", "c"].map(|name| world.idp.access_token(name));
    world.present(&seen).await.expect("good");
    world.idp.set(|idp| idp.keys_down = true);
    seconds(HOUR - 1).await;
    world.present(&seen).await.expect("good");
    world
        .present(&unseen)
        .await
        .expect("good, by keys of an hour ago");
    seconds(1).await;
    for token in [&seen, &late] {
        let result = world.present(token).await;
        assert_eq!(code(&result), "provider.keys_unavailable");
        let denial = result.expect_err("denied");
        assert_eq!(denial.reason().status(), 503);
        assert!(denial.retry_after().is_some());
    }
    world.idp.set(|idp| idp.keys_down = false);
    seconds(1).await;
    for token in [&seen, &late] {
        world.present(token).await.expect("good");
    }
}

/// A provider that thinks for a moment about opaque tokens, and finds them good.
fn introspecting() -> World {
    let idp = Idp::answering(|token, _| {
        let exp = clock()().as_secs() + 60;
        let claims = json!({"active": true, "token_type": "Bearer", "sub": "john", "exp": exp});
        assert_eq!(token, "opaque");
        (Duration::from_millis(50), Answer::Reply(200, claims))
    });
    let mut policy = policy();
    policy.access_tokens.introspection = true;
    World::new(idp, policy)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_present_one_opaque_token_make_one_call() {
    let world = introspecting();
    let results = world.flood((0..100).map(|_| "opaque".to_owned())).await;
    assert_eq!(results.len(), 100);
    for result in results {
        let granted = result.expect("active");
        assert_eq!(granted.kind(), CredentialKind::Introspection);
        assert_eq!(granted.claims().and_then(|c| c.subject()), Some("john"));
    }
    assert_eq!(world.idp.calls("introspection"), 1);
    world.present("opaque").await.expect("remembered");
    assert_eq!(world.idp.calls("introspection"), 1);
    seconds(60).await;
    world.present("opaque").await.expect("asked again");
    assert_eq!(world.idp.calls("introspection"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_survives_whoever_asked_it() {
    let world = introspecting();
    let asking = tokio::spawn({
        let (broker, policy) = (world.broker.clone(), Arc::clone(&world.policy));
        async move { present_bearer(&broker, &policy, "opaque").await }
    });
    sleep(Duration::from_millis(10)).await;
    assert_eq!(world.idp.calls("introspection"), 1);
    asking.abort();
    assert!(asking.await.expect_err("gone").is_cancelled());
    world.present("opaque").await.expect("joined");
    world.present("opaque").await.expect("remembered");
    assert_eq!(world.idp.calls("introspection"), 1);
}

/// What belongs to one request is waited for within one deadline, however many calls it takes.
#[tokio::test(start_paused = true)]
async fn all_calls_for_one_request_share_its_deadline() {
    let idp = Idp::answering(|_, _| {
        let answer = json!({"active": true, "token_type": "Bearer"});
        (Duration::from_secs(6), Answer::Reply(200, answer))
    });
    let mut policy = bearer_policy();
    policy.access_tokens.introspect_signed = true;
    let world = World::new(idp, policy);
    for (gone, passes) in [
        (Duration::from_secs(3), true),
        (Duration::from_secs(5), false),
    ] {
        let token = world.idp.access_token(&format!("{gone:?}"));
        let (deadline, credential) = (
            world.broker.deadline(),
            Credential::Bearer(Secret::new(token)),
        );
        let granted = world
            .broker
            .grant_by(&world.policy, credential, None, deadline)
            .await
            .expect("good");
        sleep(gone).await;
        let completed = world
            .broker
            .complete_by(&world.policy, granted, deadline)
            .await;
        assert_eq!(completed.is_ok(), passes, "{gone:?}");
    }
}
