//! Single flight: one token request for all who present the same, none waits for another's.

use std::sync::Arc;
use std::time::Duration;

use oidc_broker::{MemorySize, TransportError};
use oidc_core::Fault;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::*;

const SOON: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_make_one_token_request() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let broker = broker.clone();
        callers.spawn(async move { present(&broker, "rt0").await });
    }
    let results = callers.join_all().await;
    assert_eq!(results.len(), 200);
    for result in &results {
        assert_eq!(newest(result), "rt1");
    }
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
    assert_eq!((idp.calls("discovery"), idp.calls("jwks")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_flight_survives_whoever_started_it() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    let leader = tokio::spawn({
        let broker = broker.clone();
        async move { present(&broker, "rt0").await }
    });
    sleep(Duration::from_millis(10)).await;
    assert_eq!(idp.calls("token"), 1);
    leader.abort();
    assert!(leader.await.expect_err("gone").is_cancelled());
    // One who comes while it is under way, and one who comes after it has landed.
    assert_eq!(newest(&present(&broker, "rt0").await), "rt1");
    assert_eq!(newest(&present(&broker, "rt0").await), "rt1");
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
}

#[tokio::test(start_paused = true)]
async fn one_waiters_deadline_is_not_the_others() {
    let idp = Idp::answering(|_, n| (Duration::from_secs(3), Answer::Tokens(format!("rt{n}"))));
    let patient = builder(&idp)
        .timeout(Duration::from_secs(5))
        .build()
        .expect("made");
    let hasty = builder(&idp)
        .timeout(Duration::from_secs(1))
        .share_memory_with(&patient)
        .build()
        .expect("made");
    let began = Instant::now();
    let (first, second) = tokio::join!(present(&hasty, "rt0"), present(&patient, "rt0"));
    assert_eq!(code(&first), "provider.timeout");
    assert_eq!(newest(&second), "rt1");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_late_for_its_waiters_is_there_for_whoever_asks_again() {
    let idp = Idp::answering(|_, n| (Duration::from_secs(15), Answer::Tokens(format!("rt{n}"))));
    let broker = broker(&idp);
    let began = Instant::now();
    assert_eq!(code(&present(&broker, "rt0").await), "provider.timeout");
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    // The one request is under way still: it is waited for, and not sent again.
    assert_eq!(newest(&present(&broker, "rt0").await), "rt1");
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
}

#[tokio::test(start_paused = true)]
async fn no_leader_waits_for_ever() {
    let idp = Idp::answering(|_, n| match n {
        1 => (Duration::ZERO, Answer::Silence),
        n => (Duration::ZERO, Answer::Tokens(format!("rt{n}"))),
    });
    let broker = broker(&idp);
    assert_eq!(code(&present(&broker, "rt0").await), "provider.timeout");
    sleep(Duration::from_secs(21)).await;
    assert_eq!(newest(&present(&broker, "rt0").await), "rt2");
}

#[tokio::test(start_paused = true)]
async fn two_tokens_never_wait_for_each_other() {
    let idp = Idp::answering(|token, n| match token {
        "stuck" => (Duration::ZERO, Answer::Silence),
        _ => (SOON, Answer::Tokens(format!("rt{n}"))),
    });
    let broker = broker(&idp);
    let stuck = tokio::spawn({
        let broker = broker.clone();
        async move { present(&broker, "stuck").await }
    });
    let began = Instant::now();
    for token in 0..100 {
        assert!(present(&broker, &format!("other{token}")).await.is_ok());
    }
    assert!(began.elapsed() < Duration::from_secs(9));
    assert_eq!(code(&stuck.await.expect("ends")), "provider.timeout");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_is_told_to_its_waiters_and_the_next_may_lead() {
    let idp = Idp::answering(|_, n| match n {
        1 => (SOON, Answer::Panic),
        n => (SOON, Answer::Tokens(format!("rt{n}"))),
    });
    let broker = broker(&idp);
    let (first, second) = tokio::join!(present(&broker, "rt0"), present(&broker, "rt0"));
    assert_eq!(
        (code(&first), code(&second)),
        ("provider.cut", "provider.cut")
    );
    assert_eq!(newest(&present(&broker, "rt0").await), "rt2");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shared_and_remembered_for_a_moment() {
    let idp = Idp::answering(|_, _| (SOON, Answer::Reply(400, json!({"error": "invalid_grant"}))));
    let broker = broker(&idp);
    let (first, second) = tokio::join!(present(&broker, "rt0"), present(&broker, "rt0"));
    for result in [first, second, present(&broker, "rt0").await] {
        assert_eq!(code(&result), "refresh_token.invalid_grant");
    }
    assert_eq!(idp.calls("token"), 1);
    seconds(5).await;
    assert!(present(&broker, "rt0").await.is_err());
    assert_eq!(idp.calls("token"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_of_the_token_is_not_remembered() {
    for answer in [
        || Answer::Reply(503, json!({})),
        || Answer::Reply(401, json!({"error": "invalid_client"})),
        || Answer::Fail(TransportError::Cut),
        || Answer::Fail(TransportError::Unreachable),
    ] {
        let idp = Idp::answering(move |_, n| match n {
            1 => (SOON, answer()),
            n => (SOON, Answer::Tokens(format!("rt{n}"))),
        });
        let broker = broker(&idp);
        let refused = present(&broker, "rt0").await;
        assert_ne!(refused.expect_err("denied").reason().fault(), Fault::Caller);
        assert_eq!(newest(&present(&broker, "rt0").await), "rt2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_flights_is_bounded() {
    let idp = Idp::answering(|_, _| (Duration::ZERO, Answer::Silence));
    let broker = builder(&idp)
        .memory(MemorySize { entries: 128 })
        .build()
        .expect("made");
    let mut callers = JoinSet::new();
    for token in 0..500 {
        let broker = broker.clone();
        callers.spawn(async move { present(&broker, &format!("junk{token}")).await });
    }
    let results = callers.join_all().await;
    let full = results
        .iter()
        .filter(|r| code(r) == "gateway.too_many_flights")
        .count();
    assert!(idp.calls("token") <= 64, "{}", idp.calls("token"));
    assert_eq!(full + idp.calls("token"), 500);
}

#[tokio::test(start_paused = true)]
async fn passwords_are_traded_once_while_their_result_is_good() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    let policy = Arc::new(policy());
    for _ in 0..3 {
        assert!(broker.grant(&policy, password(), None).await.is_ok());
    }
    assert_eq!(idp.calls("token"), 1);
    seconds(56).await;
    idp.set(|idp| idp.subject = "jane");
    let granted = broker
        .grant(&policy, password(), None)
        .await
        .expect("another john");
    assert_eq!(granted.subject().expect("an ID token").subject, "jane");
    assert_eq!(idp.calls("token"), 2);
}
