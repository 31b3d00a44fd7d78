//! What is under way and what is remembered, in shards: no lock is shared by all requests.
//! Serves the contract's guarantees "single flight" and "rotation-safe"; the rules are oidc-core's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oidc_core::flight::{Entered, FlightTable};
use oidc_core::grant::{Granted, Remember};
use oidc_core::rotation::{Recall, Remembered, Successor};
use oidc_core::{Denial, Fingerprint, UnixTime};
use tokio::sync::watch;

/// The outcome of a flight, once there is one.
pub(crate) type Outcome = Option<Result<Arc<Granted>, Denial>>;

/// What those who join a flight wait by.
pub(crate) type Handle = watch::Receiver<Outcome>;

/// How much is remembered, over all providers and clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySize {
    /// The most entries. Default 100 000, of some 4 KiB each for a provider such as Keycloak.
    pub entries: usize,
}

impl Default for MemorySize {
    fn default() -> Self {
        Self { entries: 100_000 }
    }
}

/// As many as make it unlikely that two busy cores meet.
const SHARDS: usize = 64;

pub(crate) struct Memory {
    shards: Box<[Mutex<FlightTable<Handle>>]>,
}

/// How far a line of refresh tokens is walked for the newest. Every walk shortens the next.
const LINE_MAX: usize = 4096;

impl Memory {
    pub(crate) fn new(size: MemorySize) -> Self {
        let each = size.entries.div_ceil(SHARDS).max(1);
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(FlightTable::new(each)))
                .collect(),
        }
    }

    pub(crate) fn enter(
        &self,
        key: Fingerprint,
        now: UnixTime,
        handle: impl FnOnce() -> Handle,
    ) -> Entered<Handle> {
        let entered = self.shard(&key).enter(key, now, handle);
        match entered {
            Entered::Serve {
                granted,
                successor: Some(successor),
            } => Entered::Serve {
                granted: self.newest(key, granted, successor, now),
                successor: None,
            },
            other => other,
        }
    }

    /// The result that is served for a remembered one: if its refresh token has been traded since,
    /// the result of that. Who were given the older one would present it, and be taken for a thief.
    fn newest(
        &self,
        key: Fingerprint,
        mut granted: Arc<Granted>,
        mut successor: Fingerprint,
        now: UnixTime,
    ) -> Arc<Granted> {
        let mut newest = None;
        let mut result = None;
        for _ in 0..LINE_MAX {
            let newer = match self.shard(&successor).remembered(&successor) {
                Some(newer @ (Remembered::Granted { .. } | Remembered::Undelivered { .. })) => {
                    newer.clone()
                }
                _ => break,
            };
            if let Recall::Serve { granted, .. } = newer.recall(now) {
                result = Some((successor, granted, newer.clone()));
            }
            let Some(next) = newer.successor() else {
                newest = None;
                break;
            };
            successor = next.key;
            newest = Some(next.clone());
        }
        if let Some((of, newer, remembered)) = result {
            self.shorten(key, of, &remembered);
            granted = newer;
        }
        match newest {
            Some(newest) if granted.refresh_token() != Some(&newest.token) => {
                Arc::new(granted.with_refresh_token(&newest.token))
            }
            _ => granted,
        }
    }

    /// Leads an older token to a newer one of its line at once, where it has been served by it.
    pub(crate) fn followed(&self, older: Fingerprint, newer: Fingerprint) {
        let remembered = self.shard(&newer).remembered(&newer).cloned();
        if let Some(remembered) = remembered {
            self.shorten(older, newer, &remembered);
        }
    }

    fn shorten(&self, older: Fingerprint, newer: Fingerprint, remembered: &Remembered) {
        let Remembered::Granted {
            granted, successor, ..
        } = remembered
        else {
            return;
        };
        let stays = granted.refresh_token().map(|token| Successor {
            key: newer,
            token: token.clone(),
        });
        if let Some(newest) = successor.clone().or(stays) {
            self.shard(&older).advance(older, remembered, &newest);
        }
    }

    /// What is remembered, without entering.
    pub(crate) fn recall(&self, key: &Fingerprint, now: UnixTime) -> Option<Recall> {
        self.shard(key)
            .remembered(key)
            .map(|remembered| remembered.recall(now))
    }

    /// Ends a flight. The successor's note is made first, so that nobody meets the one without
    /// the other.
    pub(crate) fn finish(&self, key: Fingerprint, remember: Remember, now: UnixTime) {
        if let Some((successor, note)) = remember.issued {
            self.shard(&successor).note(successor, note, now);
        }
        if let Some((presented, news)) = remember.presented {
            self.shard(&presented)
                .advance(presented, &news.newer, &news.newest);
        }
        self.shard(&key).finish(key, remember.flight);
    }

    pub(crate) fn abandon(&self, key: Fingerprint) {
        self.shard(&key).finish(key, None);
    }

    fn shard(&self, key: &Fingerprint) -> MutexGuard<'_, FlightTable<Handle>> {
        let index = usize::from(key.as_bytes()[0]) % SHARDS;
        // A poisoned table is whole: no method of it panics half-way.
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
