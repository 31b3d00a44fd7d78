//! One fetch for everybody who waits, which none of them can end.

use std::sync::Arc;
use std::time::Duration;

use jwks_cache::Policy;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn all_who_come_at_once_share_one_fetch() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let cache = Arc::clone(&cache);
        callers.spawn(async move { served(&cache, "a").await });
    }
    for result in callers.join_all().await {
        assert_eq!(result.as_deref(), Ok("a"));
    }
    assert_eq!(server.fetches(), 1);
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
    assert_eq!(server.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_end_the_fetch() {
    let server = Server::new(Answer::Keys(&["a"]));
    server.takes(Duration::from_secs(3));
    let cache = cache(&server);
    let gone = timeout(Duration::from_secs(1), served(&cache, "a")).await;
    assert!(gone.is_err());
    assert!(cache.cached(&uri(0)).is_none());
    let began = Instant::now();
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(server.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_panics_is_told_to_its_waiters_and_tried_again() {
    let server = Server::new(Answer::Panic);
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_err());
    server.set(Answer::Keys(&["a"]));
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
}

#[tokio::test(start_paused = true)]
async fn two_addresses_never_wait_for_each_other() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    server.takes(Duration::from_secs(30));
    let slow = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.keys(&uri(0), &["a"]).await.is_ok() }
    });
    sleep(Duration::from_millis(1)).await;
    server.takes(Duration::from_secs(1));
    let began = Instant::now();
    assert!(cache.keys(&uri(1), &["a"]).await.is_ok());
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert!(slow.await.expect("ends"));
}

#[tokio::test(start_paused = true)]
async fn addresses_beyond_the_bound_are_fetched_and_not_kept() {
    let server = Server::new(Answer::Keys(&["a"]));
    let mut policy = Policy::default();
    policy.max_documents = 2;
    let cache = cache_with(&server, policy);
    for place in [0, 1, 2, 0, 1, 2] {
        assert!(cache.keys(&uri(place), &["a"]).await.is_ok());
    }
    let kept = [0, 1, 2].map(|place| cache.cached(&uri(place)).is_some());
    assert_eq!(kept, [true, true, false]);
    assert_eq!(server.fetches(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_no_key_set() {
    let server = Server::new(Answer::Keys(&["a", "b", "c"]));
    let mut policy = Policy::default();
    policy.limits.max_keys = 2;
    let cache = cache_with(&server, policy);
    let refused = served(&cache, "a").await.expect_err("too many");
    assert!(refused.contains("too many keys"), "{refused}");
}
