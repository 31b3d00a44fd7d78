//! For how long an answer stands: until its time, and until anything changes that it was made of.

use jwks_cache::{FetchError, Policy, Revision, Standing};
use oidc_core::UnixTime;

use crate::support::*;

const fn at(second: u64) -> UnixTime {
    UnixTime::from_secs(second)
}

#[test]
fn an_answer_made_of_nothing_stands_until_its_time_and_not_at_it() {
    let standing = Standing::until(at(100));
    for (now, holds) in [(0, true), (99, true), (100, false), (101, false)] {
        assert_eq!(standing.holds(at(now)), holds, "{now}");
    }
    assert!(Standing::until(UnixTime::MAX).holds(at(u64::from(u32::MAX))));
    assert!(!Standing::until(at(0)).holds(at(0)));
}

#[test]
fn a_change_of_any_part_ends_it_for_good_and_that_of_another_thing_does_not() {
    let (parts, other) = ([(); 3].map(|()| Revision::default()), Revision::default());
    for changed in 0..parts.len() {
        let made = || {
            let standing = Standing::until(at(100));
            let looks = parts.iter().map(Revision::look);
            looks.fold(standing, Standing::made_of)
        };
        let standing = made();
        let copy = standing.clone();
        other.change();
        assert!(standing.holds(at(1)));
        parts[changed].change();
        assert!(!standing.holds(at(1)), "{changed}");
        assert!(!copy.holds(at(1)), "{changed}");
        assert!(made().holds(at(1)), "what is made after the change stands");
        parts[changed].change();
        assert!(!standing.holds(at(1)), "{changed}");
    }
}

#[test]
fn a_look_is_as_old_as_it_was_taken_whenever_it_is_used() {
    let part = Revision::default();
    let before = part.look();
    part.change();
    let after = part.look();
    let made_of = |look| Standing::until(at(100)).made_of(look);
    assert!(!made_of(before.clone()).holds(at(1)));
    assert!(made_of(after.clone()).holds(at(1)));
    assert!(!made_of(after).made_of(before).holds(at(1)));
}

#[test]
fn copies_of_a_revision_are_one() {
    let part = Revision::default();
    let standing = Standing::until(at(100)).made_of(part.clone().look());
    part.clone().change();
    assert!(!standing.holds(at(1)));
}

#[test]
fn what_rests_on_another_ends_with_the_first_of_both() {
    for (own, other) in [(100, 50), (50, 100), (50, 50)] {
        let standing = Standing::until(at(own)).resting_on(Standing::until(at(other)));
        assert!(standing.holds(at(49)), "{own} {other}");
        assert!(!standing.holds(at(50)), "{own} {other}");
    }
    for changed in [0, 1] {
        let parts = [Revision::default(), Revision::default()];
        let [own, other] = [0, 1].map(|part| Standing::until(at(100)).made_of(parts[part].look()));
        let standing = own.resting_on(other);
        assert!(standing.holds(at(99)));
        parts[changed].change();
        assert!(!standing.holds(at(99)), "{changed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_keys_verified_stands_until_they_would_be_looked_at_again() {
    let server = Server::new(Answer::KeptFor(&["a"], 120));
    let cache = cache(&server);
    let keys = cache.keys(&uri(0), &["a"]).await.expect("keys");
    let standing = cache.standing(&uri(0), &keys).expect("at hand");
    assert!(standing.holds(now()));
    seconds(119).await;
    assert!(standing.holds(now()));
    seconds(1).await;
    // They are served still, but fetched anew in the background: somebody has to come by for that.
    assert!(!standing.holds(now()));
    assert!(cache.standing(&uri(0), &keys).is_none());
    cache.keys(&uri(0), &["a"]).await.expect("keys");
    a_moment().await;
    assert_eq!(server.fetches(), 2);
    let newer = cache.cached(&uri(0)).expect("keys");
    assert!(
        cache
            .standing(&uri(0), &newer)
            .expect("at hand")
            .holds(now())
    );
}

#[tokio::test(start_paused = true)]
async fn a_fetch_of_others_ends_what_the_keys_before_verified() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    let keys = cache.keys(&uri(0), &["a"]).await.expect("keys");
    let elsewhere = cache.keys(&uri(1), &["a"]).await.expect("keys");
    let standing = cache.standing(&uri(0), &keys).expect("at hand");
    let other = cache.standing(&uri(1), &elsewhere).expect("at hand");
    server.set(Answer::Keys(&["b"]));
    // For the sake of a key that somebody else wants.
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("b"));
    assert!(!standing.holds(now()));
    assert!(other.holds(now()));
    // Whoever verified with keys that are not at hand any more has nothing that stands.
    assert!(cache.standing(&uri(0), &keys).is_none());
    assert!(cache.standing(&uri(2), &keys).is_none(), "never fetched");
    let newer = cache.cached(&uri(0)).expect("keys");
    assert!(cache.standing(&uri(0), &newer).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_leaves_what_stands_and_bounds_what_comes() {
    let server = Server::new(Answer::Keys(&["a"]));
    let cache = cache(&server);
    let keys = cache.keys(&uri(0), &["a"]).await.expect("keys");
    let standing = cache.standing(&uri(0), &keys).expect("at hand");
    server.set(Answer::Fail(FetchError::Unreachable));
    assert_eq!(served(&cache, "b").await.as_deref(), Ok("a"));
    assert!(standing.holds(now()), "the keys are the same");
    // Past their freshness they are served while the other side rests, and asked for after.
    seconds(301).await;
    assert_eq!(served(&cache, "a").await.as_deref(), Ok("a"));
    a_moment().await;
    let resting = cache.standing(&uri(0), &keys).expect("served meanwhile");
    assert!(resting.holds(now()));
    seconds(1).await;
    assert!(!resting.holds(now()));
}

#[tokio::test(start_paused = true)]
async fn nothing_stands_for_longer_than_keys_are_served() {
    let server = Server::new(Answer::Keys(&["a"]));
    let mut policy = Policy::default();
    policy.max_stale = std::time::Duration::from_secs(100);
    policy.retry_floor = std::time::Duration::from_secs(1_000);
    let cache = cache_with(&server, policy);
    let keys = cache.keys(&uri(0), &["a"]).await.expect("keys");
    server.set(Answer::Fail(FetchError::Unreachable));
    seconds(60).await;
    assert!(served(&cache, "a").await.is_ok());
    a_moment().await;
    let standing = cache.standing(&uri(0), &keys).expect("served meanwhile");
    seconds(39).await;
    assert!(standing.holds(now()));
    seconds(1).await;
    assert!(!standing.holds(now()));
    assert!(served(&cache, "a").await.is_err());
}
