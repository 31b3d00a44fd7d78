//! The other side is away: stale keys serve up to a bound, and a storm costs one attempt a second.

use jwks_cache::FetchError;

use crate::support::*;

const AWAY: Answer = Answer::Fail(FetchError::Unreachable);

#[tokio::test(start_paused = true)]
async fn a_cold_start_fails_and_recovers_by_itself() {
    let server = Server::new(AWAY);
    let cache = cache(&server);
    for _ in 0..50 {
        assert!(served(&cache, "a").await.is_err());
    }
    // Nobody waits for an attempt that was made a moment ago, nor makes another.
    assert_eq!(server.fetches(), 1);
    server.set(Answer::Keys(&["a"]));
    seconds(1).await;
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_behind_the_callers_back() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_ok());
    server.set(Answer::Keys(&["b"]));
    seconds(300).await;
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
    a_moment().await;
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("b"));
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn stale_keys_serve_up_to_the_bound_and_then_no_more() {
    for fault in [
        AWAY,
        Answer::Nonsense,
        Answer::Fail(FetchError::Status {
            code: 500,
            retry_after: None,
        }),
    ] {
        let server = Server::new(Answer::Keys(&["a"]));
        let cache = cache(&server);
        assert!(served(&cache, "a").await.is_ok());
        server.set(fault.clone());
        for _ in 0..59 {
            seconds(60).await;
            assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"), "{fault:?}");
        }
        seconds(60).await;
        assert!(served(&cache, "a").await.is_err(), "{fault:?}");
        server.set(Answer::Keys(&["a"]));
        seconds(1).await;
        assert!(served(&cache, "a").await.is_ok(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_one_attempt_a_second_at_most() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    assert!(served(&cache, "a").await.is_ok());
    server.set(AWAY);
    seconds(300).await;
    let before = server.fetches();
    for _ in 0..100 {
        assert!(served(&cache, "a").await.is_ok());
        a_moment().await;
    }
    assert!(
        server.fetches() - before <= 11,
        "{}",
        server.fetches() - before
    );
}

#[tokio::test(start_paused = true)]
async fn the_other_side_may_say_how_long_within_bounds() {
    for (says, fresh) in [(0, 60), (90, 90), (86_400, 1800)] {
        let server = Server::new(Answer::KeptFor(&["a"], says));
        let cache = cache(&server);
        assert!(served(&cache, "a").await.is_ok());
        seconds(fresh - 1).await;
        assert!(served(&cache, "a").await.is_ok());
        a_moment().await;
        assert_eq!(server.fetches(), 1, "{says}");
        seconds(1).await;
        assert!(served(&cache, "a").await.is_ok());
        a_moment().await;
        assert_eq!(server.fetches(), 2, "{says}");
    }
}
