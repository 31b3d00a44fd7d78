//! Answers that are given again without asking: for how long they stand, and what ends them.

use std::sync::Arc;
use std::time::Duration;

use oidc_broker::{Broker, Standing};
use oidc_core::grant::{GrantPolicy, Granted, KeySource};
use oidc_core::{Credential, Denial, Secret};
use serde_json::json;
use tokio::time::sleep;

use crate::support::*;

const HOUR: u64 = 3600;
/// For how long keys and metadata are fresh.
const FRESH: u64 = 300;

pub(crate) type Answered = Result<(Arc<Granted>, Option<Standing>), Denial>;

pub(crate) struct World {
    pub(crate) idp: Arc<Idp>,
    pub(crate) broker: Broker,
    pub(crate) policy: Arc<GrantPolicy>,
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

    pub(crate) fn bearer() -> Self {
        Self::new(Idp::rotating(), bearer_policy())
    }

    async fn answer(&self, credential: Credential) -> Answered {
        answer(&self.broker, &self.policy, credential).await
    }

    /// What the second and every later caller gets, and for how long it stands.
    async fn again(&self, credential: Credential) -> (Arc<Granted>, Standing) {
        let (granted, standing) = self.answer(credential).await.expect("granted");
        (granted, standing.expect("from memory"))
    }
}

pub(crate) async fn answer(
    broker: &Broker,
    policy: &Arc<GrantPolicy>,
    credential: Credential,
) -> Answered {
    let deadline = broker.deadline();
    broker.answer_by(policy, credential, None, deadline).await
}

pub(crate) fn bearer(token: &str) -> Credential {
    Credential::Bearer(Secret::new(token))
}

pub(crate) fn holds(standing: &Standing) -> bool {
    standing.holds(clock()())
}

fn refresh_of(granted: &Granted) -> &str {
    granted.refresh_token().expect("issued").expose()
}

#[tokio::test(start_paused = true)]
async fn what_was_found_out_just_now_is_not_from_memory_and_what_is_stands() {
    let world = World::bearer();
    let token = world.idp.access_token("t");
    for credential in [bearer(&token), refresh("rt0"), password()] {
        let (first, none) = world.answer(credential.clone()).await.expect("granted");
        assert!(none.is_none(), "{credential:?}");
        for _ in 0..3 {
            let (again, standing) = world.again(credential.clone()).await;
            assert!(Arc::ptr_eq(&first, &again), "{credential:?}");
            assert!(holds(&standing), "{credential:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_not_kept_stands() {
    let mut policy = bearer_policy();
    policy.cache_tokens = false;
    let world = World::new(Idp::rotating(), policy);
    let token = world.idp.access_token("t");
    for _ in 0..3 {
        let (_, standing) = world.answer(bearer(&token)).await.expect("good");
        assert!(standing.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_when_the_machine_would_serve_it_no_more() {
    let world = World::bearer();
    world.idp.set(|idp| idp.life = 60);
    let token = world.idp.access_token("t");
    // A presented token is the caller's own to its end; an issued one is traded 5 s before.
    for (credential, end) in [(bearer(&token), 60), (refresh("rt0"), 55), (password(), 55)] {
        let world = World::bearer();
        world.idp.set(|idp| idp.life = 60);
        world.answer(credential.clone()).await.expect("granted");
        let begun = clock()();
        let (_, standing) = world.again(credential.clone()).await;
        let after = |millis| begun.plus(Duration::from_millis(millis));
        assert!(standing.holds(after(end * 1000 - 1_500)), "{credential:?}");
        assert!(!standing.holds(after(end * 1000)), "{credential:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_withdrawn_ends_what_it_signed_as_soon_as_that_is_known() {
    let world = World::bearer();
    let token = world.idp.access_token("t");
    world.answer(bearer(&token)).await.expect("good");
    let (_, standing) = world.again(bearer(&token)).await;
    world.idp.set(|idp| idp.key = 1);
    assert!(holds(&standing), "nobody has seen it yet");
    // Somebody brings a token of the new key.
    let newer = world.idp.access_token("newer");
    world.answer(bearer(&newer)).await.expect("good");
    assert!(!holds(&standing));
    let refused = world.answer(bearer(&token)).await.expect_err("refused");
    assert_eq!(refused.reason().code(), "token.key_unknown");
    // The twin: the token of the new key goes on to be served.
    assert!(holds(&world.again(bearer(&newer)).await.1));
}

#[tokio::test(start_paused = true)]
async fn keys_and_metadata_that_are_due_are_looked_at_again() {
    let world = World::bearer();
    let token = world.idp.access_token("t");
    for credential in [bearer(&token), refresh("rt0")] {
        world.answer(credential.clone()).await.expect("granted");
    }
    let (_, by_keys) = world.again(bearer(&token)).await;
    let (_, by_provider) = world.again(refresh("rt0")).await;
    seconds(FRESH - 1).await;
    assert!(holds(&by_keys) && holds(&by_provider));
    seconds(1).await;
    assert!(!holds(&by_keys) && !holds(&by_provider));
    // Served all the same, while both are fetched anew.
    for _ in 0..2 {
        world.answer(bearer(&token)).await.expect("good");
        world.answer(refresh("rt0")).await.expect("good");
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        ["discovery", "jwks"].map(|what| world.idp.calls(what)),
        [2, 2]
    );
    assert!(holds(&world.again(bearer(&token)).await.1));
    assert!(holds(&world.again(refresh("rt0")).await.1));
    assert!(!holds(&by_keys) && !holds(&by_provider));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_is_traded_on_ends_what_its_elders_are_served() {
    let world = World::new(Idp::rotating(), policy());
    for (presented, number) in [("rt0", 1), ("rt1", 2), ("rt2", 3)] {
        let elders = world.again_of_line(number - 1).await;
        let trading = tokio::spawn({
            let (broker, policy) = (world.broker.clone(), Arc::clone(&world.policy));
            async move { answer(&broker, &policy, refresh(presented)).await }
        });
        sleep(Duration::from_millis(10)).await;
        // As soon as it is under way: whoever comes now may have to wait for the newer one.
        for standing in &elders {
            assert!(!holds(standing), "{presented}");
        }
        let (granted, _) = trading.await.expect("no panic").expect("granted");
        assert_eq!(refresh_of(&granted), format!("rt{number}"));
    }
    assert_eq!(world.idp.refresh_tokens(), ["rt0", "rt1", "rt2"]);
}

impl World {
    /// What the first so many tokens of the line are served by now; each stands.
    async fn again_of_line(&self, count: usize) -> Vec<Standing> {
        let mut elders = Vec::new();
        for number in 0..count {
            // The first to come shortens the way for the next.
            for _ in 0..2 {
                let credential = refresh(&format!("rt{number}"));
                let (granted, _) = self.answer(credential).await.expect("granted");
                assert_eq!(refresh_of(&granted), format!("rt{count}"));
            }
            let (_, standing) = self.again(refresh(&format!("rt{number}"))).await;
            assert!(holds(&standing), "rt{number} of {count}");
            elders.push(standing);
        }
        elders
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_never_rotated_stands_whatever_becomes_of_others() {
    let world = World::bearer();
    let token = world.idp.access_token("t");
    world.answer(bearer(&token)).await.expect("good");
    let (_, standing) = world.again(bearer(&token)).await;
    // Enough for each part of the memory to have seen some.
    for number in 0..500 {
        let result = world.answer(refresh(&format!("other{number}"))).await;
        result.expect("granted");
    }
    let later = world.idp.access_token("later");
    world.answer(bearer(&later)).await.expect("good");
    assert_eq!(world.idp.calls("token"), 500);
    assert!(holds(&standing));
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_token_stands_for_as_long_as_it_is_remembered() {
    let idp = Idp::answering(|_, _| {
        let exp = clock()().as_secs() + 60;
        let claims = json!({"active": true, "token_type": "Bearer", "sub": "john", "exp": exp});
        (Duration::ZERO, Answer::Reply(200, claims))
    });
    let mut policy = policy();
    policy.access_tokens.introspection = true;
    let world = World::new(idp, policy);
    assert!(
        world
            .answer(bearer("opaque"))
            .await
            .expect("active")
            .1
            .is_none()
    );
    let (_, standing) = world.again(bearer("opaque")).await;
    seconds(58).await;
    assert!(holds(&standing));
    seconds(2).await;
    assert!(!holds(&standing));
    assert!(
        world
            .answer(bearer("opaque"))
            .await
            .expect("active")
            .1
            .is_none()
    );
    assert_eq!(world.idp.calls("introspection"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_never_stands() {
    let idp = Idp::answering(|token, n| match token {
        "bad" => {
            let answer = json!({"error": "invalid_grant"});
            (Duration::ZERO, Answer::Reply(400, answer))
        }
        _ => (Duration::ZERO, Answer::Tokens(format!("rt{n}"))),
    });
    let world = World::new(idp, policy());
    for _ in 0..3 {
        let refused = world.answer(refresh("bad")).await.expect_err("refused");
        assert_eq!(refused.reason().code(), "refresh_token.invalid_grant");
    }
}

/// Tokens that came while the keys were away are given out by their own flight alone, as long as
/// they may be; from then on the elders of their line get what came after them.
#[tokio::test(start_paused = true)]
async fn an_elder_stands_no_longer_than_newer_tokens_wait_to_be_given_out() {
    let world = World::new(Idp::rotating(), policy());
    world.answer(refresh("rt0")).await.expect("granted");
    // Until the keys at hand are too old to be served.
    seconds(HOUR).await;
    world.idp.set(|idp| (idp.life, idp.keys_down) = (20, true));
    let denial = world.answer(refresh("rt1")).await.expect_err("no keys");
    assert_eq!(denial.reason().code(), "provider.keys_unavailable");
    let (granted, standing) = world.again(refresh("rt0")).await;
    assert_eq!(refresh_of(&granted), "rt1");
    assert!(holds(&standing));
    seconds(25).await;
    let (granted, _) = world.answer(refresh("rt0")).await.expect("granted");
    assert_eq!(refresh_of(&granted), "rt2");
    assert!(!holds(&standing), "the machine says something newer");
}

/// Who verifies in another way verifies again what others were given, by keys.
#[tokio::test(start_paused = true)]
async fn what_is_verified_again_rests_on_the_keys_that_it_is_verified_by() {
    let idp = Idp::answering(|_, n| (Duration::ZERO, Answer::Tokens(format!("rt{n}"))));
    let world = World::new(idp, bearer_policy());
    let mut other = bearer_policy();
    other.verification.leeway = Duration::from_secs(3);
    let other = Arc::new(other);
    let token = world.idp.access_token("t");
    let mut standings = Vec::new();
    for credential in [bearer(&token), refresh("rt0")] {
        world.answer(credential.clone()).await.expect("granted");
        for _ in 0..3 {
            let answered = answer(&world.broker, &other, credential.clone()).await;
            let (_, standing) = answered.expect("granted");
            standings.extend(standing);
        }
    }
    world.idp.set(|idp| idp.key = 1);
    let newer = world.idp.access_token("newer");
    world.answer(bearer(&newer)).await.expect("good");
    let ended: Vec<_> = standings.iter().map(holds).collect();
    for credential in [bearer(&token), refresh("rt0")] {
        let answered = answer(&world.broker, &other, credential).await;
        assert!(answered.is_err(), "the key is withdrawn");
    }
    assert_eq!(ended, [false; 3], "of the access token alone");
}

#[tokio::test(start_paused = true)]
async fn where_several_key_sets_are_trusted_the_one_counts_that_verified() {
    let world = World::bearer();
    let others: url::Url = OTHERS.parse().expect("a URL");
    let with = |leeway, issuer: Option<&str>| {
        let mut policy = bearer_policy();
        policy.verification.leeway = Duration::from_secs(leeway);
        policy.verification.issuers_allowed =
            vec![ISSUER.to_owned(), "https://other.test".to_owned()];
        let issuer = issuer.map(str::to_owned);
        let jwks_uri = others.clone();
        policy.key_sources = vec![KeySource { jwks_uri, issuer }];
        Arc::new(policy)
    };
    let (one, two) = (with(0, None), with(3, None));
    world.idp.set(|idp| idp.key = 1);
    let token = world.idp.access_token("t");
    world.idp.set(|idp| (idp.key, idp.others) = (0, 1));
    let mut standings = Vec::new();
    for policy in [&one, &one, &two, &two] {
        let answered = answer(&world.broker, policy, bearer(&token)).await;
        standings.extend(answered.expect("good").1);
    }
    assert_eq!(standings.len(), 3);
    assert!(standings.iter().all(holds));
    // Somebody has these keys, and no others, fetched anew.
    world.idp.set(|idp| idp.others = 0);
    let claims = json!({"iss": "https://other.test", "exp": clock()().as_secs() + 60});
    let stranger = forged(&world.idp.signed(&claims), "unknown");
    let fetches = world.idp.calls("jwks");
    let tied = with(0, Some("https://other.test"));
    let answered = answer(&world.broker, &tied, bearer(&stranger)).await;
    assert_eq!(
        answered.expect_err("unknown").reason().code(),
        "token.key_unknown"
    );
    assert_eq!(world.idp.calls("jwks"), fetches);
    let standing: Vec<_> = standings.iter().map(holds).collect();
    for policy in [&one, &two] {
        let answered = answer(&world.broker, policy, bearer(&token)).await;
        assert!(answered.is_err(), "the key is withdrawn");
    }
    assert_eq!(standing, [false; 3]);
}
