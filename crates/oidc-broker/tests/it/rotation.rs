//! Rotation: no refresh token is replayed within its window, and none that is new is lost.

use std::sync::Arc;
use std::time::Duration;

use oidc_broker::Found;
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_late_caller_with_the_old_token_is_given_the_new_one() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    assert_eq!(newest(&present(&broker, "rt0").await), "rt1");
    seconds(29).await;
    assert_eq!(newest(&present(&broker, "rt0").await), "rt1");
    assert_eq!(newest(&present(&broker, "rt1").await), "rt2");
    // The old one leads to the newest, not to its own successor.
    assert_eq!(newest(&present(&broker, "rt0").await), "rt2");
    assert_eq!(idp.refresh_tokens(), ["rt0", "rt1"]);
}

#[tokio::test(start_paused = true)]
async fn within_the_window_the_gateway_refreshes_with_the_successor() {
    let idp = Idp::rotating();
    idp.set(|idp| idp.life = 10);
    let broker = broker(&idp);
    for (after, expected) in [
        (0, "rt1"),
        (8, "rt1"),
        (1, "rt2"),
        (8, "rt2"),
        (1, "rt3"),
        (9, "rt4"),
    ] {
        seconds(after).await;
        assert_eq!(newest(&present(&broker, "rt0").await), expected);
    }
    assert_eq!(idp.refresh_tokens(), ["rt0", "rt1", "rt2", "rt3"]);
    // Past the window it is the provider's to judge.
    seconds(31).await;
    let _ = present(&broker, "rt0").await;
    assert_eq!(idp.refresh_tokens().last().expect("sent"), "rt0");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_learns_is_followed_if_that_is_wanted() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    let mut policy = policy();
    policy.follow_rotation = Some(Duration::from_secs(86_400));
    let policy = Arc::new(policy);
    for round in 1..200 {
        let result = broker.grant(&policy, refresh("rt0"), None).await;
        assert_eq!(newest(&result), format!("rt{round}"));
        seconds(56).await;
    }
    assert_eq!(idp.refresh_tokens()[150], "rt150");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_came_while_the_keys_were_away_are_verified_when_they_are_back() {
    let idp = Idp::rotating();
    idp.set(|idp| idp.keys_down = true);
    let broker = broker(&idp);
    assert_eq!(
        code(&present(&broker, "rt0").await),
        "provider.keys_unavailable"
    );
    seconds(2).await;
    assert_eq!(
        code(&present(&broker, "rt0").await),
        "provider.keys_unavailable"
    );
    seconds(2).await;
    idp.set(|idp| idp.keys_down = false);
    assert_eq!(newest(&present(&broker, "rt0").await), "rt1");
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
    // A long outage costs an access token, not the session.
    let idp = Idp::rotating();
    idp.set(|idp| idp.keys_down = true);
    let broker = crate::support::broker(&idp);
    assert!(present(&broker, "rt0").await.is_err());
    seconds(600).await;
    idp.set(|idp| idp.keys_down = false);
    assert_eq!(newest(&present(&broker, "rt0").await), "rt2");
    assert_eq!(idp.refresh_tokens(), ["rt0", "rt1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_came_with_a_bad_access_token_is_not_lost() {
    let idp = Idp::answering(|_, n| match n {
        1 => (
            Duration::ZERO,
            Answer::Reply(
                200,
                json!({"access_token": "eyJhbGciOiJub25lIn0.e30.", "token_type": "Bearer", "refresh_token": "rt1"}),
            ),
        ),
        n => (Duration::ZERO, Answer::Tokens(format!("rt{n}"))),
    });
    let broker = broker(&idp);
    assert_eq!(
        code(&present(&broker, "rt0").await),
        "token.algorithm_unknown"
    );
    assert_eq!(newest(&present(&broker, "rt0").await), "rt2");
    assert_eq!(idp.refresh_tokens(), ["rt0", "rt1"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_rotated_just_before_signing_costs_one_fetch() {
    for renamed in [false, true] {
        let idp = Idp::rotating();
        idp.set(|idp| idp.renamed = renamed);
        let broker = broker(&idp);
        assert!(present(&broker, "rt0").await.is_ok());
        idp.set(|idp| idp.key = 1);
        assert_eq!(newest(&present(&broker, "rt1").await), "rt2");
        assert_eq!(idp.calls("jwks"), 2, "renamed: {renamed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_is_about_whom_it_was_before() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    let policy = Arc::new(policy());
    let result = broker.grant(&policy, password(), None).await;
    assert_eq!(newest(&result), "rt1");
    // Long after the access token has ended, and after a failure in between.
    seconds(600).await;
    idp.set(|idp| idp.subject = "jane");
    assert_eq!(
        code(&present(&broker, "rt1").await),
        "id_token.subject_changed"
    );
    assert_eq!(
        code(&present(&broker, "rt1").await),
        "id_token.subject_changed"
    );
    idp.set(|idp| idp.subject = "john");
    assert!(present(&broker, "rt1").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn routes_that_differ_in_what_is_not_sent_share_a_refresh() {
    let idp = Idp::rotating();
    let broker = broker(&idp);
    assert!(present(&broker, "rt0").await.is_ok());
    let mut other = policy();
    other.scopes = vec!["openid".to_owned(), "email".to_owned()];
    other.cache_salt = Some("salt".into());
    other.verification.leeway = Duration::from_secs(3);
    let result = broker.grant(&Arc::new(other), refresh("rt0"), None).await;
    assert_eq!(newest(&result), "rt1");
    assert_eq!(idp.calls("token"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_is_remembered_and_sends_nothing() {
    let idp = Idp::answering(|token, n| match token {
        "bad" => (
            Duration::ZERO,
            Answer::Reply(400, json!({"error": "invalid_grant"})),
        ),
        _ => (Duration::ZERO, Answer::Tokens(format!("rt{n}"))),
    });
    idp.set(|idp| idp.life = 10);
    let broker = broker(&idp);
    let policy = Arc::new(policy());
    let dry = async |token: &str| {
        let dry = broker.dry_run(&policy, refresh(token), None).await;
        dry.expect("gets as far as the flight")
    };
    assert!(matches!(dry("rt0").await.found, Found::Nothing));
    assert!(present(&broker, "rt0").await.is_ok());
    assert!(present(&broker, "bad").await.is_err());
    assert!(matches!(dry("rt0").await.found, Found::Result(_)));
    assert!(matches!(dry("bad").await.found, Found::Refusal(_)));
    seconds(10).await;
    assert!(matches!(dry("rt0").await.found, Found::Successor));
    assert!(matches!(dry("bad").await.found, Found::Nothing));
    let asked = dry("rt0").await;
    let (endpoint, url) = asked.question().expect("the provider is asked");
    let url = url.map(url::Url::as_str);
    assert_eq!(
        (endpoint.name(), url),
        ("token", Some("https://idp.test/token"))
    );
    assert_eq!(idp.calls("token"), 2);
    idp.set(|idp| idp.discovery_down = true);
    let away = crate::support::broker(&idp)
        .dry_run(&policy, refresh("rt0"), None)
        .await;
    assert_eq!(
        away.expect_err("away").reason().code(),
        "provider.unreachable"
    );
}
