//! What is under way and what is remembered, in shards: no lock is shared by all requests.
//! Serves the contract's guarantees "single flight" and "rotation-safe"; the rules are oidc-core's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oidc_core::flight::{Entered, FlightTable};
use oidc_core::grant::{Granted, Remember};
use oidc_core::rotation::{Remembered, newest};
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
        let Entered::Serve {
            granted,
            successor: Some(successor),
        } = entered
        else {
            return entered;
        };
        let found = newest(granted, successor, now, |key| self.remembered(key));
        if let Some(shortcut) = found.shortcut {
            self.shard(&key).advance(key, &shortcut);
        }
        Entered::Serve {
            granted: found.granted,
            successor: None,
        }
    }

    /// Leads an older token to a newer one of its line at once, where it has been served by it.
    pub(crate) fn followed(&self, older: Fingerprint, newer: Fingerprint) {
        let shortcut = self.remembered(&newer).and_then(|r| r.shortcut(newer));
        if let Some(shortcut) = shortcut {
            self.shard(&older).advance(older, &shortcut);
        }
    }

    /// A result that is served again, without a flight.
    pub(crate) fn served(&self, key: &Fingerprint, now: UnixTime) -> Option<Arc<Granted>> {
        self.shard(key).served(key, now)
    }

    /// Remembers what came of a grant that needed no flight.
    pub(crate) fn keep(&self, key: Fingerprint, remember: Remember, now: UnixTime) {
        if let Some(remembered) = remember.flight {
            self.shard(&key).keep(key, remembered, now);
        }
    }

    /// What is remembered, without entering.
    pub(crate) fn remembered(&self, key: &Fingerprint) -> Option<Remembered> {
        self.shard(key).remembered(key).cloned()
    }

    /// Ends a flight. The successor's note is made first, so that nobody meets the one without
    /// the other.
    pub(crate) fn finish(&self, key: Fingerprint, remember: Remember, now: UnixTime) {
        if let Some((successor, note)) = remember.issued {
            self.shard(&successor).note(successor, note, now);
        }
        if let Some((presented, news)) = remember.presented {
            self.shard(&presented).advance(presented, &news);
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
