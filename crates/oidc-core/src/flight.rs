//! The table of grants under way and of grants remembered: one flight for each credential.
//! Serves the contract's guarantees "single flight" and "rotation-safe". No I/O, no lock, no clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::grant::{Granted, Received};
use crate::rotation::{Recall, Remembered, Shortcut, Subject, Successor};
use crate::{Denial, Fingerprint, UnixTime};

/// One table. `H` is what a driver gives to those who join a flight, to wait by.
///
/// ```text
///            enter: Lead                 finish(remembered)
///   (empty) ─────────────► in flight ─────────────────────────► remembered ──► (empty)
///      ▲                     │ enter: Join(H)                       │ enter: Serve, Refresh,
///      └──── finish(None) ───┘                                      │ Refuse, or Lead again
/// ```
///
/// It is bounded: flights take half of it at most, so that a flood of them leaves what is
/// remembered alone, and what is remembered gives way in the order of its use.
#[derive(Debug)]
pub struct FlightTable<H> {
    slots: HashMap<Fingerprint, Slot<H>>,
    /// The remembered slots by their end, so that what is of no use any more is found at once.
    ends: BTreeSet<(UnixTime, Fingerprint)>,
    /// The same by the time from which they give way where room is short.
    spares: BTreeSet<(UnixTime, Fingerprint)>,
    capacity: usize,
    in_flight: usize,
}

#[derive(Debug)]
enum Slot<H> {
    InFlight {
        handle: H,
        before: Option<Remembered>,
    },
    Remembered(Remembered),
}

/// What somebody who enters meets.
#[derive(Clone, Debug)]
pub enum Entered<H> {
    /// Nobody is under way with this credential: the caller is, from now on, and has to
    /// [`finish`](FlightTable::finish) exactly once.
    Lead {
        /// Whom the result must be about, if that is known.
        subject: Option<Subject>,
        /// Tokens that have come already and only have to be verified.
        received: Option<Arc<Received>>,
    },
    /// Somebody is: wait by this handle.
    Join(H),
    /// It has been done already.
    Serve {
        /// The result.
        granted: Arc<Granted>,
        /// What keys the newer refresh token, if there is one: its own line may have gone on.
        successor: Option<Fingerprint>,
    },
    /// It has been done, and a newer refresh token stands in this one's place.
    Refresh(Successor),
    /// It was refused moments ago.
    Refuse(Denial),
    /// The table is full of flights.
    Full,
}

impl<H: Clone> FlightTable<H> {
    /// A table that holds at most this many slots.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            slots: HashMap::new(),
            ends: BTreeSet::new(),
            spares: BTreeSet::new(),
            capacity: capacity.max(1),
            in_flight: 0,
        }
    }

    /// Enters with a credential; `handle` is made only if the caller leads.
    pub fn enter(
        &mut self,
        key: Fingerprint,
        now: UnixTime,
        handle: impl FnOnce() -> H,
    ) -> Entered<H> {
        let (subject, received) = match self.slots.get(&key) {
            Some(Slot::InFlight { handle, .. }) => return Entered::Join(handle.clone()),
            Some(Slot::Remembered(remembered)) => match remembered.recall(now) {
                Recall::Serve { granted, successor } => {
                    return Entered::Serve { granted, successor };
                }
                Recall::Refuse(denial) => return Entered::Refuse(denial),
                Recall::Refresh(successor) => return Entered::Refresh(successor),
                Recall::Verify(received) => (None, Some(received)),
                Recall::Present { subject } => (subject, None),
            },
            None => (None, None),
        };
        if self.in_flight >= self.capacity.div_ceil(2) {
            return Entered::Full;
        }
        let before = self.forget(&key);
        if before.is_none() && !self.make_room(now) {
            return Entered::Full;
        }
        let handle = handle();
        self.slots.insert(key, Slot::InFlight { handle, before });
        self.in_flight += 1;
        Entered::Lead { subject, received }
    }

    /// What is remembered of a credential that is not under way.
    #[must_use]
    pub fn remembered(&self, key: &Fingerprint) -> Option<&Remembered> {
        match self.slots.get(key)? {
            Slot::Remembered(remembered) => Some(remembered),
            Slot::InFlight { .. } => None,
        }
    }

    /// A remembered result, for whoever needs no flight.
    #[must_use]
    pub fn served(&self, key: &Fingerprint, now: UnixTime) -> Option<Arc<Granted>> {
        match self.remembered(key)?.recall(now) {
            Recall::Serve { granted, .. } => Some(granted),
            _ => None,
        }
    }

    /// Until when a remembered result is served, or waits to be verified: those who are led here
    /// get something else from then on. `None` if it is neither.
    #[must_use]
    pub fn served_until(&self, key: &Fingerprint) -> Option<UnixTime> {
        match self.remembered(key)? {
            Remembered::Granted { serve_until, .. } => Some(*serve_until),
            Remembered::Undelivered { verify_until, .. } => Some(*verify_until),
            _ => None,
        }
    }

    /// Remembers what came of a grant that needed no flight, in place of what was remembered.
    pub fn keep(&mut self, key: Fingerprint, remembered: Remembered, now: UnixTime) {
        if let Some(Slot::InFlight { .. }) = self.slots.get(&key) {
            return;
        }
        if self.forget(&key).is_some() || self.make_room(now) {
            self.insert(key, remembered);
        }
    }

    /// Ends the flight that the caller led, and keeps what is to be remembered of it; without
    /// anything, or given up by its leader, what was remembered before is again.
    ///
    /// Whoever waits by the handle is woken by the driver, after this.
    pub fn finish(&mut self, key: Fingerprint, remembered: Option<Remembered>) {
        let before = match self.slots.get_mut(&key) {
            Some(Slot::InFlight { before, .. }) => before.take(),
            _ => return,
        };
        self.slots.remove(&key);
        self.in_flight -= 1;
        if let Some(remembered) = remembered.or(before) {
            self.insert(key, remembered);
        }
    }

    /// Remembers a refresh token that was issued and that nobody has presented; what is known of
    /// it better is left alone.
    pub fn note(&mut self, key: Fingerprint, issued: Remembered, now: UnixTime) {
        match self.slots.get(&key) {
            Some(Slot::InFlight { .. }) => return,
            Some(Slot::Remembered(known)) if known.successor().is_some() && known.until() > now => {
                return;
            }
            _ => {}
        }
        if self.forget(&key).is_some() || self.make_room(now) {
            self.insert(key, issued);
        }
    }

    /// Tells an older token of what the newest of its line has brought.
    pub fn advance(&mut self, key: Fingerprint, news: &Shortcut) {
        let advanced = self
            .remembered(&key)
            .and_then(|older| older.advanced(&news.newer, &news.newest));
        if let Some(advanced) = advanced {
            self.forget(&key);
            self.insert(key, advanced);
        }
    }

    /// How many slots are taken, and how many of them by flights.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.slots.len(), self.in_flight)
    }

    fn insert(&mut self, key: Fingerprint, remembered: Remembered) {
        self.ends.insert((remembered.until(), key));
        self.spares.insert((remembered.keep_until(), key));
        self.slots.insert(key, Slot::Remembered(remembered));
    }

    /// Takes out what is remembered under this key; a flight stays.
    fn forget(&mut self, key: &Fingerprint) -> Option<Remembered> {
        if let Some(Slot::InFlight { .. }) = self.slots.get(key) {
            return None;
        }
        let Some(Slot::Remembered(remembered)) = self.slots.remove(key) else {
            return None;
        };
        self.ends.remove(&(remembered.until(), *key));
        self.spares.remove(&(remembered.keep_until(), *key));
        Some(remembered)
    }

    /// Drops what is of no use any more, and where that is not enough, what is of the least.
    fn make_room(&mut self, now: UnixTime) -> bool {
        while let Some(&(end, key)) = self.ends.first()
            && end <= now
        {
            let ended = self.forget(&key);
            let remains = ended.and_then(|ended| ended.remains());
            if let Some(remains) = remains.filter(|remains| remains.until() > now) {
                self.insert(key, remains);
            }
        }
        while self.slots.len() >= self.capacity
            && let Some(&(_, key)) = self.spares.first()
        {
            self.forget(&key);
        }
        self.slots.len() < self.capacity
    }
}
