//! What is under way and what is remembered, in shards: no lock is shared by all requests.
//! Serves the contract's guarantees "single flight" and "rotation-safe"; the rules are oidc-core's.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jwks_cache::{Revision, Standing};
use oidc_core::flight::{Entered, FlightTable};
use oidc_core::grant::{Granted, Remember};
use oidc_core::rotation::{Remembered, Shortcut, newest};
use oidc_core::{Denial, Fingerprint, UnixTime};
use tokio::sync::watch;

/// The outcome of a flight, once there is one.
pub(crate) type Outcome = Option<Result<Arc<Granted>, Denial>>;

/// What those who join a flight wait by.
pub(crate) type Handle = watch::Receiver<Outcome>;

/// How much is remembered, over all providers and clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySize {
    /// The most entries. Default 100 000, of some 4.5 KiB each with access tokens of 760 bytes.
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
    shards: Box<[Shard]>,
}

struct Shard {
    table: Mutex<FlightTable<Handle>>,
    /// Of what is remembered of tokens that may be rotated. What was found of a token that never is
    /// holds whatever else happens.
    revision: Revision,
}

impl Memory {
    pub(crate) fn new(size: MemorySize) -> Self {
        let each = size.entries.div_ceil(SHARDS).max(1);
        Self {
            shards: (0..SHARDS)
                .map(|_| Shard {
                    table: Mutex::new(FlightTable::new(each)),
                    revision: Revision::default(),
                })
                .collect(),
        }
    }

    pub(crate) fn enter(
        &self,
        key: Fingerprint,
        now: UnixTime,
        handle: impl FnOnce() -> Handle,
    ) -> (Entered<Handle>, Option<Standing>) {
        let (entered, standing) = {
            let (mut table, revision) = self.shard(&key);
            let entered = table.enter(key, now, handle);
            if matches!(entered, Entered::Lead { .. }) {
                revision.change();
            }
            let until = table.served_until(&key);
            let standing = until.map(|until| Standing::until(until).made_of(revision.look()));
            (entered, standing)
        };
        match entered {
            Entered::Serve {
                granted,
                successor: Some(successor),
            } => self.serve_newest(key, granted, successor, standing, now),
            Entered::Serve { .. } => (entered, standing),
            _ => (entered, None),
        }
    }

    /// A remembered result whose refresh token may have been traded since.
    fn serve_newest(
        &self,
        key: Fingerprint,
        granted: Arc<Granted>,
        successor: Fingerprint,
        standing: Option<Standing>,
        now: UnixTime,
    ) -> (Entered<Handle>, Option<Standing>) {
        let standing = RefCell::new(standing);
        let found = newest(granted, successor, now, |key| {
            let (table, revision) = self.shard(key);
            // What was found of the line rests on each of its tokens.
            let rests = standing.take().map(|standing| {
                let standing = standing.made_of(revision.look());
                match table.served_until(key) {
                    Some(until) if until > now => standing.resting_on(Standing::until(until)),
                    _ => standing,
                }
            });
            standing.replace(rests);
            table.remembered(key).cloned()
        });
        if let Some(shortcut) = found.shortcut {
            self.advance(key, &shortcut);
            // The next one to come finds it made shorter.
            standing.replace(None);
        }
        let entered = Entered::Serve {
            granted: found.granted,
            successor: None,
        };
        (entered, standing.into_inner())
    }

    fn advance(&self, key: Fingerprint, news: &Shortcut) {
        let (mut table, revision) = self.shard(&key);
        revision.change();
        table.advance(key, news);
    }

    /// Leads an older token to a newer one of its line at once, where it has been served by it.
    pub(crate) fn followed(&self, older: Fingerprint, newer: Fingerprint) {
        let shortcut = self.remembered(&newer).and_then(|r| r.shortcut(newer));
        if let Some(shortcut) = shortcut {
            self.advance(older, &shortcut);
        }
    }

    /// A result that is served again, without a flight.
    pub(crate) fn served(
        &self,
        key: &Fingerprint,
        now: UnixTime,
    ) -> Option<(Arc<Granted>, Option<Standing>)> {
        let (table, _) = self.shard(key);
        let granted = table.served(key, now)?;
        Some((granted, table.served_until(key).map(Standing::until)))
    }

    /// Remembers what came of a grant that needed no flight.
    pub(crate) fn keep(&self, key: Fingerprint, remember: Remember, now: UnixTime) {
        if let Some(remembered) = remember.flight {
            self.shard(&key).0.keep(key, remembered, now);
        }
    }

    /// What is remembered, without entering.
    pub(crate) fn remembered(&self, key: &Fingerprint) -> Option<Remembered> {
        self.shard(key).0.remembered(key).cloned()
    }

    /// Ends a flight. The successor's note is made first, so that nobody meets the one without
    /// the other.
    pub(crate) fn finish(&self, key: Fingerprint, remember: Remember, now: UnixTime) {
        if let Some((successor, note)) = remember.issued {
            let (mut table, revision) = self.shard(&successor);
            revision.change();
            table.note(successor, note, now);
        }
        if let Some((presented, news)) = remember.presented {
            self.advance(presented, &news);
        }
        self.end(key, remember.flight);
    }

    pub(crate) fn abandon(&self, key: Fingerprint) {
        self.end(key, None);
    }

    fn end(&self, key: Fingerprint, remembered: Option<Remembered>) {
        let (mut table, revision) = self.shard(&key);
        revision.change();
        table.finish(key, remembered);
    }

    fn shard(&self, key: &Fingerprint) -> (MutexGuard<'_, FlightTable<Handle>>, &Revision) {
        let shard = &self.shards[usize::from(key.as_bytes()[0]) % SHARDS];
        // A poisoned table is whole: no method of it panics half-way.
        let table = shard.table.lock().unwrap_or_else(PoisonError::into_inner);
        (table, &shard.revision)
    }
}
