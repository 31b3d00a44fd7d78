//! When a document is served, and when it is fetched: a pure state machine, one an address.
//! Serves the contract's section on keys.

use std::time::Duration;

use oidc_core::UnixTime;
use oidc_core::jose::KeySetLimits;

/// The rules of a cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The least time between two fetches for the sake of a key that is not in the set
    /// (`rediscovery_lifetime`). Default 30 s. The first load does not start it.
    pub cooldown: Duration,
    /// After how long a document is fetched again in the background, unless the other side says
    /// how long it may be kept. Default 5 min.
    pub refresh_after: Duration,
    /// The bounds within which the other side may say so. Default 1 min to 1 h; never longer than
    /// half of `max_stale`.
    pub refresh_bounds: (Duration, Duration),
    /// How long a document is served that cannot be fetched again, from its fetch on. Default 1 h.
    pub max_stale: Duration,
    /// The least time between two attempts that fail. Default 1 s, so that a provider that is
    /// back is noticed at once, while a storm of requests costs one attempt a second.
    pub retry_floor: Duration,
    /// The most addresses. Default 10 000; beyond it a document is fetched and not kept.
    pub max_documents: usize,
    /// The bounds of a key set.
    pub limits: KeySetLimits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(30),
            refresh_after: Duration::from_secs(300),
            refresh_bounds: (Duration::from_secs(60), Duration::from_secs(3600)),
            max_stale: Duration::from_secs(3600),
            retry_floor: Duration::from_secs(1),
            max_documents: 10_000,
            limits: KeySetLimits::default(),
        }
    }
}

/// What is known of one document's fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When the document at hand was fetched, and until when it is fresh.
    loaded: Option<(UnixTime, UnixTime)>,
    /// When a fetch last failed.
    failed: Option<UnixTime>,
    /// When a fetch was last made for the sake of a missing key.
    missed: Option<UnixTime>,
}

/// What is to be done for one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve what is at hand.
    Serve,
    /// Serve what is at hand, and fetch it anew in the background.
    ServeAndRefresh,
    /// Fetch, and let the caller wait for it.
    Fetch,
    /// There is nothing, and the last attempt failed a moment ago.
    Down,
}

impl Entry {
    /// What a caller gets; `satisfied` tells whether the document at hand has what it wants.
    pub(crate) fn decide(&self, policy: &Policy, satisfied: bool, now: UnixTime) -> Verdict {
        let resting = self
            .failed
            .is_some_and(|at| now < at.plus(policy.retry_floor));
        let Some((loaded, fresh_until)) = self.loaded else {
            return if resting {
                Verdict::Down
            } else {
                Verdict::Fetch
            };
        };
        if now >= loaded.plus(policy.max_stale) {
            return if resting {
                Verdict::Down
            } else {
                Verdict::Fetch
            };
        }
        let cooled = self.missed.is_none_or(|at| now >= at.plus(policy.cooldown));
        if !satisfied && cooled && !resting {
            return Verdict::Fetch;
        }
        if now >= fresh_until && !resting {
            Verdict::ServeAndRefresh
        } else {
            Verdict::Serve
        }
    }

    /// Until when what is at hand is served without a thought; `None` if it is not.
    pub(crate) fn serves_until(&self, policy: &Policy, now: UnixTime) -> Option<UnixTime> {
        if self.decide(policy, true, now) != Verdict::Serve {
            return None;
        }
        let (loaded, fresh_until) = self.loaded?;
        let rested = self.failed.map(|at| at.plus(policy.retry_floor));
        let until = if now < fresh_until {
            fresh_until
        } else {
            rested?
        };
        Some(until.min(loaded.plus(policy.max_stale)))
    }

    /// A fetch begins for the sake of a missing key. Counted when it begins, so that a slow
    /// provider is not asked once per key either.
    pub(crate) fn missed(&mut self, now: UnixTime) {
        self.missed = Some(now);
    }

    /// A fetch succeeded.
    pub(crate) fn loaded(&mut self, policy: &Policy, max_age: Option<Duration>, now: UnixTime) {
        let (least, most) = policy.refresh_bounds;
        let fresh = max_age.map_or(policy.refresh_after, |age| age.clamp(least, most));
        // In time for a document that cannot be fetched again to be served for a while still.
        let fresh = fresh.min(policy.max_stale / 2);
        self.loaded = Some((now, now.plus(fresh)));
        self.failed = None;
    }

    /// A fetch failed.
    pub(crate) fn failed(&mut self, now: UnixTime) {
        self.failed = Some(now);
    }

    /// Whether the document at hand may be served still.
    pub(crate) fn servable(&self, policy: &Policy, now: UnixTime) -> bool {
        self.loaded
            .is_some_and(|(loaded, _)| now < loaded.plus(policy.max_stale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(10_000 + seconds)
    }

    /// An entry that was loaded at 0.
    fn loaded() -> Entry {
        let mut entry = Entry::default();
        entry.loaded(&Policy::default(), None, at(0));
        entry
    }

    #[test]
    fn every_branch_of_the_rules() {
        let policy = Policy::default();
        let mut missed = loaded();
        missed.missed(at(10));
        let mut failed = loaded();
        failed.failed(at(400));
        let mut down = Entry::default();
        down.failed(at(0));
        for (name, entry, satisfied, now, verdict) in [
            ("nothing yet", Entry::default(), false, 0, Verdict::Fetch),
            ("nothing, failed now", down, false, 0, Verdict::Down),
            (
                "nothing, failed a second ago",
                down,
                false,
                1,
                Verdict::Fetch,
            ),
            ("fresh", loaded(), true, 299, Verdict::Serve),
            ("due", loaded(), true, 300, Verdict::ServeAndRefresh),
            ("due, failed now", failed, true, 400, Verdict::Serve),
            (
                "due, failed a second ago",
                failed,
                true,
                401,
                Verdict::ServeAndRefresh,
            ),
            ("too old", loaded(), true, 3600, Verdict::Fetch),
            (
                "missing, just after the first load",
                loaded(),
                false,
                0,
                Verdict::Fetch,
            ),
            (
                "missing, in the cooldown",
                missed,
                false,
                39,
                Verdict::Serve,
            ),
            (
                "missing, past the cooldown",
                missed,
                false,
                40,
                Verdict::Fetch,
            ),
        ] {
            assert_eq!(entry.decide(&policy, satisfied, at(now)), verdict, "{name}");
        }
    }

    #[test]
    fn the_other_side_may_shorten_freshness_within_bounds() {
        let policy = Policy::default();
        for (max_age, fresh_for) in [
            (None, 300),
            (Some(0), 60),
            (Some(120), 120),
            (Some(86_400), 1800),
        ] {
            let mut entry = Entry::default();
            entry.loaded(&policy, max_age.map(Duration::from_secs), at(0));
            assert_eq!(
                entry.decide(&policy, true, at(fresh_for - 1)),
                Verdict::Serve
            );
            assert_eq!(
                entry.decide(&policy, true, at(fresh_for)),
                Verdict::ServeAndRefresh
            );
        }
    }
}
