//! For how long an answer stands that was put together from several things, each of which may
//! change: what makes it safe to give it again without looking at any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oidc_core::UnixTime;

/// Counts the changes of something that answers are made from.
#[derive(Clone, Debug, Default)]
pub struct Revision(Arc<AtomicU64>);

impl Revision {
    /// It changes: answers that were made from it stand no more.
    ///
    /// To be called once the change can be seen, or under the lock that hides both: a look that
    /// counts it must not be followed by a reading of what was before.
    pub fn change(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// A look at it as it is now; to be taken before what is looked at is read, or under its lock.
    #[must_use]
    pub fn look(&self) -> Look {
        Look {
            revision: self.clone(),
            seen: self.0.load(Ordering::Acquire),
        }
    }
}

/// A look at something that may change.
#[derive(Clone, Debug)]
pub struct Look {
    revision: Revision,
    seen: u64,
}

impl Look {
    fn holds(&self) -> bool {
        self.revision.0.load(Ordering::Acquire) == self.seen
    }
}

/// For how long an answer may be given again as it is.
///
/// ```
/// use jwks_cache::{Revision, Standing};
/// use oidc_core::UnixTime;
///
/// let keys = Revision::default();
/// let standing = Standing::until(UnixTime::from_secs(100)).made_of(keys.look());
/// assert!(standing.holds(UnixTime::from_secs(99)));
/// assert!(!standing.holds(UnixTime::from_secs(100)));
/// keys.change();
/// assert!(!standing.holds(UnixTime::from_secs(99)));
/// ```
#[derive(Clone, Debug)]
pub struct Standing {
    until: UnixTime,
    looks: Vec<Look>,
}

impl Standing {
    /// An answer that stands until then, whatever happens.
    #[must_use]
    pub const fn until(until: UnixTime) -> Self {
        Self {
            until,
            looks: Vec::new(),
        }
    }

    /// The same for as long as this does not change, too.
    #[must_use]
    pub fn made_of(mut self, look: Look) -> Self {
        self.looks.push(look);
        self
    }

    /// The same for as long as another answer stands, too, on which it rests.
    #[must_use]
    pub fn resting_on(mut self, other: Self) -> Self {
        self.until = self.until.min(other.until);
        self.looks.extend(other.looks);
        self
    }

    /// Whether it stands at this time.
    #[must_use]
    pub fn holds(&self, now: UnixTime) -> bool {
        now < self.until && self.looks.iter().all(Look::holds)
    }
}
