//! The table of grants under way and of grants remembered: one flight for each credential.
//! Serves the contract's guarantees "single flight" and "rotation-safe". No I/O, no lock, no clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::grant::Granted;
use crate::rotation::{Recall, Remembered, Subject, Successor};
use crate::{Denial, Fingerprint, UnixTime};

/// One table. `H` is what a driver gives to those who join a flight, to wait by.
///
/// ```text
///            enter: Lead                 finish(remembered)
///   (empty) ─────────────► in flight ─────────────────────────► remembered ──► (empty)
///      ▲                     │ enter: Join(H)                       │ enter: Serve, Refresh,
///      └──── finish(None) ───┘                                      │ Refuse, or Lead again
/// ```
#[derive(Debug)]
pub struct FlightTable<H> {
    slots: HashMap<Fingerprint, Slot<H>>,
    /// The remembered slots by their end, so that what is of no use any more is found at once.
    ends: BTreeSet<(UnixTime, Fingerprint)>,
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
    },
    /// Somebody is: wait by this handle.
    Join(H),
    /// It has been done already.
    Serve(Arc<Granted>),
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
        let subject = match self.slots.get(&key) {
            Some(Slot::InFlight { handle, .. }) => return Entered::Join(handle.clone()),
            Some(Slot::Remembered(remembered)) => match remembered.recall(now) {
                Recall::Serve(granted) => return Entered::Serve(granted),
                Recall::Refuse(denial) => return Entered::Refuse(denial),
                // A provider that does not rotate names the same token again: that is no detour.
                Recall::Refresh(successor) if successor.key != key => {
                    return Entered::Refresh(successor);
                }
                Recall::Refresh(_) => remembered.subject(),
                Recall::Present { subject } => subject,
            },
            None => None,
        };
        if !self.slots.contains_key(&key) && !self.make_room(now) {
            return Entered::Full;
        }
        let before = match self.slots.remove(&key) {
            Some(Slot::Remembered(remembered)) => {
                self.ends.remove(&(remembered.until(), key));
                Some(remembered)
            }
            _ => None,
        };
        self.slots.insert(
            key,
            Slot::InFlight {
                handle: handle(),
                before,
            },
        );
        self.in_flight += 1;
        Entered::Lead { subject }
    }

    /// What is remembered of a credential that is not under way.
    #[must_use]
    pub fn remembered(&self, key: &Fingerprint) -> Option<&Remembered> {
        match self.slots.get(key)? {
            Slot::Remembered(remembered) => Some(remembered),
            Slot::InFlight { .. } => None,
        }
    }

    /// Ends the flight that the caller led, and keeps what is to be remembered of it.
    ///
    /// Whoever waits by the handle is woken by the driver, after this.
    pub fn finish(&mut self, key: Fingerprint, remembered: Option<Remembered>) {
        if !matches!(self.slots.get(&key), Some(Slot::InFlight { .. })) {
            return;
        }
        self.slots.remove(&key);
        self.in_flight -= 1;
        if let Some(remembered) = remembered {
            self.insert(key, remembered);
        }
    }

    /// Ends a flight whose leader is gone without a result: what was remembered before is again.
    pub fn abandon(&mut self, key: Fingerprint) {
        let before = match self.slots.get_mut(&key) {
            Some(Slot::InFlight { before, .. }) => before.take(),
            _ => return,
        };
        self.finish(key, before);
    }

    /// Remembers something of a credential that nobody has presented, or replaces what is
    /// remembered; a flight under way is left alone.
    pub fn note(&mut self, key: Fingerprint, remembered: Remembered, now: UnixTime) {
        if matches!(self.slots.get(&key), Some(Slot::InFlight { .. })) {
            return;
        }
        if let Some(Slot::Remembered(old)) = self.slots.remove(&key) {
            self.ends.remove(&(old.until(), key));
        } else if !self.make_room(now) {
            return;
        }
        self.insert(key, remembered);
    }

    /// How many slots are taken, and how many of them by flights.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.slots.len(), self.in_flight)
    }

    fn insert(&mut self, key: Fingerprint, remembered: Remembered) {
        self.ends.insert((remembered.until(), key));
        self.slots.insert(key, Slot::Remembered(remembered));
    }

    /// Drops what is of no use any more, and where that is not enough, what ends first.
    fn make_room(&mut self, now: UnixTime) -> bool {
        while let Some(&(end, key)) = self.ends.first() {
            if end > now && self.slots.len() < self.capacity {
                break;
            }
            self.ends.remove(&(end, key));
            self.slots.remove(&key);
        }
        self.slots.len() < self.capacity
    }
}

impl Remembered {
    fn subject(&self) -> Option<Subject> {
        match self {
            Self::Granted { granted, .. } => granted.subject(),
            Self::Issued { subject, .. } => subject.clone(),
            Self::Refused { .. } => None,
        }
    }
}
