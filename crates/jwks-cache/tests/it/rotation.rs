//! Keys come and go: an unknown one costs at most one fetch in a cooldown.

use std::sync::Arc;
use std::time::Duration;

use jwks_cache::FetchError;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_at_once_since_the_first_load_is_no_refetch() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_ok());
    server.set(Answer::Keys(&["a", "b"]));
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("ab"));
    assert_eq!(server.fetches(), 2);
    // The next one has to wait for the cooldown.
    server.set(Answer::Keys(&["b", "c"]));
    assert_eq!(served(&cache, "c").await.as_deref(), Ok("ab"));
    seconds(30).await;
    assert_eq!(served(&cache, "c").await.as_deref(), Ok("bc"));
    assert_eq!(server.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn random_kids_cost_one_fetch_in_a_cooldown_however_many_there_are() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    let mut callers = JoinSet::new();
    for number in 0..1_000 {
        let cache = Arc::clone(&cache);
        callers.spawn(async move { served(&cache, &format!("random{number}")).await });
    }
    for result in callers.join_all().await {
        assert_eq!(result.as_deref(), Ok("a"));
    }
    // The first load, and one for the sake of all that were not in it.
    assert_eq!(server.fetches(), 2);
    for second in 0..60 {
        assert_eq!(
            served(&cache, &format!("later{second}")).await.as_deref(),
            Ok("a")
        );
        seconds(1).await;
    }
    assert!(server.fetches() <= 4, "{}", server.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_of_before_the_rotation_is_looked_behind() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_ok());
    seconds(300).await;
    // A fetch in the background is under way with the old keys when the new one is wanted.
    server.takes(Duration::from_secs(1));
    assert!(served(&cache, "a").await.is_ok());
    sleep(Duration::from_millis(500)).await;
    server.set(Answer::Keys(&["b"]));
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("b"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_during_an_outage_is_answered_from_what_is_at_hand() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_ok());
    server.set(Answer::Fail(FetchError::Timeout));
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("a"));
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_key_is_gone_once_the_keys_are_no_longer_fresh() {
    let server = Server::new(Answer::Keys(&["a", "b"]));
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_ok());
    server.set(Answer::Keys(&["b"]));
    seconds(301).await;
    assert!(served(&cache, "b").await.is_ok());
    a_moment().await;
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("b"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_do_not_verify_are_fetched_anew_under_the_same_cooldown() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    let first = cache.keys(&uri(0), &["a"]).await.expect("keys");
    let second = cache.newer(&uri(0), &first).await.expect("keys");
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(server.fetches(), 2);
    let third = cache.newer(&uri(0), &second).await.expect("keys");
    assert!(Arc::ptr_eq(&second, &third));
    // Others have been fetched since: those are newer, without another fetch.
    let again = cache.newer(&uri(0), &first).await.expect("keys");
    assert!(Arc::ptr_eq(&second, &again));
    assert_eq!(server.fetches(), 2);
}
