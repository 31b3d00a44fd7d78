//! Which proofs have been used: RFC 9449 §11.1. No lock, no clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt;

use crate::UnixTime;
use crate::jose::{KeyThumbprint, Sha256};

/// How many marks that are of no use any more are forgotten with each that comes, so that no
/// request pays for a burst that is long over.
const FORGOTTEN_AT_ONCE: usize = 8;

/// What is remembered of a proof: whose it is, a hash of its id, and until when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProofMark {
    expires_at: UnixTime,
    key: [u8; 32],
    hash: [u8; 32],
}

impl ProofMark {
    pub(super) fn new(key: &KeyThumbprint, jti: &str, expires_at: UnixTime) -> Self {
        let id = [key.as_bytes(), jti.as_bytes()].concat();
        Self {
            expires_at,
            key: *key.as_bytes(),
            hash: *Sha256::of(&id).as_bytes(),
        }
    }
}

impl fmt::Debug for ProofMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofMark")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why a proof is not taken that would be good by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It has been used.
    #[error("the DPoP proof has been used before")]
    Replayed,
    /// Its time was over by the time it came here.
    #[error("the DPoP proof is too old")]
    Expired,
    /// Its key has more proofs in the table than there is room left.
    #[error("this key's DPoP proofs come faster than they can be remembered")]
    Full,
}

impl ReplayError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Replayed => "dpop.replayed",
            Self::Expired => "dpop.expired",
            Self::Full => "dpop.replay_table_full",
        }
    }
}

/// The proofs that have been used and are not over yet.
///
/// # What happens when it is full
///
/// The table never forgets a proof that is still good: whoever could make it do so could make it
/// forget the one they mean to use again. What does not fit is refused. So that one client's flood
/// is not everybody's, a key may add to the table only while it has *fewer* proofs in it than
/// there is room left. A single key thus gets half of the table at most, n keys that flood it
/// together get an n+1st part each, and the same part stays free for everybody else: who sends
/// little is served until there are nearly as many flooding keys as there is room, each with a
/// token that the provider bound to it. Evicting the oldest of the largest holder, the other way
/// to be fair, would serve a few more requests by giving up the detection of replays just for
/// whom it matters most.
///
/// So the capacity wanted is twice the number of proofs that the busiest key sends within their
/// lifetime and leeway, or that all keys send, if that is more. A proof takes some 150 bytes.
///
/// Each process has its own table: behind a balancer a proof is good once at each gateway. A
/// nonce ([`NonceRule`](super::NonceRule)) with a short lifetime narrows that.
///
/// Entering takes O(log n).
#[derive(Debug)]
pub struct ReplayTable {
    used: HashSet<[u8; 32]>,
    /// The same by their end.
    ends: BinaryHeap<Reverse<ProofMark>>,
    /// How many of them are of each key.
    held: HashMap<[u8; 32], usize>,
    capacity: usize,
    /// The latest time seen. Callers race each other here: one that took the time before another
    /// must not find forgotten what is not over by its own clock.
    latest: UnixTime,
}

impl ReplayTable {
    /// A table for so many proofs.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            used: HashSet::new(),
            ends: BinaryHeap::new(),
            held: HashMap::new(),
            capacity: capacity.max(1),
            latest: UnixTime::from_secs(0),
        }
    }

    /// Uses a proof: it must have been verified, and be by the key that the token is bound to, or
    /// anybody could fill the table.
    ///
    /// # Errors
    /// If the proof has been used, is over, or there is no room for it.
    pub fn enter(&mut self, mark: ProofMark, now: UnixTime) -> Result<(), ReplayError> {
        self.latest = self.latest.max(now);
        if mark.expires_at < self.latest {
            return Err(ReplayError::Expired);
        }
        self.forget(FORGOTTEN_AT_ONCE);
        if self.refusal(&mark).is_some() {
            // It may be for the sake of marks that are over.
            self.forget(usize::MAX);
        }
        if let Some(refusal) = self.refusal(&mark) {
            return Err(refusal);
        }
        self.used.insert(mark.hash);
        self.ends.push(Reverse(mark));
        *self.held.entry(mark.key).or_default() += 1;
        Ok(())
    }

    /// How many proofs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    fn refusal(&self, mark: &ProofMark) -> Option<ReplayError> {
        if self.used.contains(&mark.hash) {
            return Some(ReplayError::Replayed);
        }
        let room = self.capacity - self.used.len();
        let held = self.held.get(&mark.key).copied().unwrap_or_default();
        (held >= room).then_some(ReplayError::Full)
    }

    /// Forgets at most so many proofs whose time is over.
    fn forget(&mut self, most: usize) {
        for _ in 0..most {
            let Some(end) = self.ends.peek_mut() else {
                return;
            };
            if end.0.expires_at >= self.latest {
                return;
            }
            let Reverse(mark) = std::collections::binary_heap::PeekMut::pop(end);
            self.used.remove(&mark.hash);
            if let Some(held) = self.held.get_mut(&mark.key) {
                *held -= 1;
                if *held == 0 {
                    self.held.remove(&mark.key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn mark(key: u8, jti: &str, expires_at: u64) -> ProofMark {
        let key = KeyThumbprint::parse(&Sha256::of(&[key]).to_string()).expect("a thumbprint");
        ProofMark::new(&key, jti, UnixTime::from_secs(expires_at))
    }

    const fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn a_proof_is_good_once_and_its_id_again_when_it_is_over() {
        let mut table = ReplayTable::new(8);
        assert_eq!(table.enter(mark(1, "a", 10), at(0)), Ok(()));
        assert_eq!(
            table.enter(mark(1, "a", 10), at(0)),
            Err(ReplayError::Replayed)
        );
        // Another proof with the id, too.
        assert_eq!(
            table.enter(mark(1, "a", 20), at(10)),
            Err(ReplayError::Replayed)
        );
        assert_eq!(table.enter(mark(1, "b", 10), at(10)), Ok(()));
        assert_eq!(table.enter(mark(2, "a", 10), at(10)), Ok(()));
        let past = at(10).plus(Duration::from_millis(1));
        assert_eq!(
            table.enter(mark(1, "a", 10), past),
            Err(ReplayError::Expired)
        );
        assert_eq!(table.enter(mark(1, "a", 20), past), Ok(()));
    }

    #[test]
    fn a_caller_whose_time_is_older_finds_nothing_forgotten() {
        let mut table = ReplayTable::new(8);
        assert_eq!(table.enter(mark(1, "a", 10), at(9)), Ok(()));
        assert_eq!(table.enter(mark(1, "b", 20), at(11)), Ok(()));
        assert_eq!(
            table.enter(mark(1, "a", 10), at(9)),
            Err(ReplayError::Expired)
        );
    }

    #[test]
    fn a_flood_of_one_key_is_refused_to_that_key_alone() {
        let mut table = ReplayTable::new(100);
        let taken = (0..1000)
            .filter(|n| table.enter(mark(1, &n.to_string(), 10), at(0)).is_ok())
            .count();
        assert_eq!(taken, 50);
        for n in 0..10 {
            assert_eq!(table.enter(mark(2, &n.to_string(), 10), at(0)), Ok(()));
        }
        assert_eq!(
            table.enter(mark(1, "more", 10), at(0)),
            Err(ReplayError::Full)
        );
        // What it has used is not forgotten for that, and is when it is over.
        assert_eq!(
            table.enter(mark(1, "0", 10), at(0)),
            Err(ReplayError::Replayed)
        );
        assert_eq!(table.enter(mark(1, "0", 30), at(20)), Ok(()));
    }

    #[test]
    fn many_floods_together_leave_each_other_key_its_share() {
        let mut table = ReplayTable::new(1000);
        for n in 0..1000 {
            for key in 0..9 {
                let _ = table.enter(mark(key, &n.to_string(), 10), at(0));
            }
        }
        assert!((890..=910).contains(&table.len()), "{}", table.len());
        for n in 0..40 {
            assert_eq!(table.enter(mark(9, &n.to_string(), 10), at(0)), Ok(()));
        }
    }

    #[test]
    fn a_burst_is_forgotten_step_by_step() {
        let mut table = ReplayTable::new(1000);
        for n in 0..400 {
            assert_eq!(table.enter(mark(1, &n.to_string(), 10), at(0)), Ok(()));
        }
        assert_eq!(table.enter(mark(2, "a", 30), at(20)), Ok(()));
        assert_eq!(table.len(), 400 - FORGOTTEN_AT_ONCE + 1);
        for n in 0..49 {
            assert_eq!(table.enter(mark(2, &n.to_string(), 30), at(20)), Ok(()));
        }
        assert_eq!(table.len(), 50);
    }

    proptest! {
        /// Against a table that keeps everything: what is refused as used was used and is not
        /// over, and what was is never taken.
        #[test]
        fn it_agrees_with_one_that_remembers_all(
            capacity in 1..12_usize,
            events in vec((0..3_u8, 0..6_u8, 0..8_u64, 0..3_u64), 0..60),
        ) {
            let mut table = ReplayTable::new(capacity);
            let mut model: Vec<ProofMark> = Vec::new();
            let mut now = 0;
            for (key, jti, life, step) in events {
                now += step;
                let mark = mark(key, &jti.to_string(), now + life);
                model.retain(|seen| seen.expires_at >= at(now));
                let used = model.iter().any(|seen| seen.hash == mark.hash);
                let held = model.iter().filter(|seen| seen.key == mark.key).count();
                let expected = if used {
                    Err(ReplayError::Replayed)
                } else if held >= capacity - model.len() {
                    Err(ReplayError::Full)
                } else {
                    model.push(mark);
                    Ok(())
                };
                prop_assert_eq!(table.enter(mark, at(now)), expected);
                prop_assert!(table.len() <= capacity);
                prop_assert_eq!(table.held.values().sum::<usize>(), table.len());
                prop_assert_eq!(table.ends.len(), table.len());
            }
        }
    }
}
