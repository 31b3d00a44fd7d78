//! Documents by their address: one fetch for everybody who waits, in a task of its own.
//! Serves the contract's section on keys, and discovery, which lives by the same rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use oidc_core::UnixTime;
use tokio::sync::watch;
use url::Url;

use crate::entry::{Entry, Policy, Verdict};
use crate::fetch::{Fetch, FetchError};
use crate::standing::{Revision, Standing};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// Turns a body into what is served; its error is the document's defect.
type Parse<T, E> = Arc<dyn Fn(&Url, &[u8]) -> Result<T, E> + Send + Sync>;

/// A defect that a parser finds: small, and the same for everybody who waits.
pub trait ParseFailure: Clone + Send + Sync + 'static {}

impl<E: Clone + Send + Sync + 'static> ParseFailure for E {}

/// Why there is no document to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError<E> {
    /// It could not be fetched.
    #[error("the document could not be fetched: {0}")]
    Fetch(FetchError),
    /// It was fetched, and is malformed.
    #[error("the document is malformed: {0}")]
    Parse(E),
}

/// Documents of one kind by their address.
///
/// Reading what is at hand takes no lock. A fetch runs in a task of its own: a caller that goes
/// away does not end it.
pub struct DocumentCache<T, E> {
    shared: Arc<Shared<T, E>>,
}

struct Shared<T, E> {
    policy: Policy,
    fetch: Arc<dyn Fetch>,
    clock: Clock,
    parse: Parse<T, E>,
    slots: ArcSwap<Slots<T, E>>,
}

/// A new address copies the table: it has to be cheap to copy.
type Slots<T, E> = HashMap<Arc<Url>, Arc<Slot<T, E>>>;

type Outcome<T, E> = Option<Result<Arc<T>, CacheError<E>>>;

struct Slot<T, E> {
    at_hand: ArcSwapOption<T>,
    /// A copy of the state's entry, for readers without the lock.
    entry: ArcSwap<Entry>,
    revision: Revision,
    state: Mutex<State<T, E>>,
}

struct State<T, E> {
    entry: Entry,
    flight: Option<watch::Receiver<Outcome<T, E>>>,
    last_error: Option<CacheError<E>>,
}

impl<T, E> Slot<T, E> {
    fn new() -> Self {
        Self {
            at_hand: ArcSwapOption::empty(),
            entry: ArcSwap::from_pointee(Entry::default()),
            revision: Revision::default(),
            state: Mutex::new(State {
                entry: Entry::default(),
                flight: None,
                last_error: None,
            }),
        }
    }
}

impl<T: Send + Sync + 'static, E: ParseFailure> DocumentCache<T, E> {
    /// An empty cache.
    pub fn new(
        policy: Policy,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        parse: impl Fn(&Url, &[u8]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let slots = ArcSwap::from_pointee(HashMap::new());
        Self {
            shared: Arc::new(Shared {
                policy,
                fetch,
                clock,
                parse: Arc::new(parse),
                slots,
            }),
        }
    }

    /// The document at hand, without waiting and whatever its age.
    #[must_use]
    pub fn cached(&self, url: &Url) -> Option<Arc<T>> {
        self.shared.slots.load().get(url)?.at_hand.load_full()
    }

    /// For how long what was made from this document stands: until it would be looked at again, for
    /// its age or for a newer one. `None` if it is not the one at hand.
    #[must_use]
    pub fn standing(&self, url: &Url, document: &Arc<T>) -> Option<Standing> {
        let slots = self.shared.slots.load();
        let slot = slots.get(url)?;
        let look = slot.revision.look();
        let at_hand = slot.at_hand.load();
        if !Arc::ptr_eq(at_hand.as_ref()?, document) {
            return None;
        }
        let now = (self.shared.clock)();
        let until = slot.entry.load().serves_until(&self.shared.policy, now)?;
        Some(Standing::until(until).made_of(look))
    }

    /// The document of this address.
    ///
    /// Cancel safe: a fetch under way goes on. The caller sets the deadline.
    ///
    /// # Errors
    /// If there is none that may be served, and none can be fetched.
    pub async fn get(&self, url: &Url) -> Result<Arc<T>, CacheError<E>> {
        self.get_if(url, |_| true).await
    }

    /// The document of this address; one that does not satisfy is fetched anew, at most once in
    /// a cooldown, and then served whether it satisfies or not.
    ///
    /// Cancel safe: a fetch under way goes on. The caller sets the deadline.
    ///
    /// # Errors
    /// If there is none that may be served, and none can be fetched.
    pub async fn get_if(
        &self,
        url: &Url,
        satisfies: impl Fn(&T) -> bool,
    ) -> Result<Arc<T>, CacheError<E>> {
        let slot = self.shared.slot(url);
        loop {
            let (mut flight, joined) = match self.find(url, &slot, &satisfies)? {
                Found::AtHand(document) => return Ok(document),
                Found::Begun(flight) => (flight, false),
                Found::Joined(flight) => (flight, true),
            };
            let outcome = flight.wait_for(Option::is_some).await;
            match outcome.ok().and_then(|outcome| outcome.clone()) {
                // One that was under way already may be of before the rotation: look again, once.
                Some(Ok(document)) if joined && !satisfies(&document) => {}
                Some(Ok(document)) => return Ok(document),
                // The fetch failed, and what is at hand is better than nothing.
                Some(Err(error)) => return self.at_hand(&slot).ok_or(error),
                None => {
                    let error = CacheError::Fetch(FetchError::Cut);
                    return self.at_hand(&slot).ok_or(error);
                }
            }
        }
    }

    /// What is at hand, or the fetch to wait for.
    fn find(
        &self,
        url: &Url,
        slot: &Arc<Slot<T, E>>,
        satisfies: impl Fn(&T) -> bool,
    ) -> Result<Found<T, E>, CacheError<E>> {
        let shared = &self.shared;
        let now = (shared.clock)();
        let at_hand = slot.at_hand.load_full();
        let satisfied = at_hand.as_deref().is_some_and(&satisfies);
        if let Some(document) = &at_hand
            && slot.entry.load().decide(&shared.policy, satisfied, now) == Verdict::Serve
        {
            return Ok(Found::AtHand(Arc::clone(document)));
        }
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been faster.
        let at_hand = slot.at_hand.load_full();
        let satisfied = at_hand.as_deref().is_some_and(&satisfies);
        match (state.entry.decide(&shared.policy, satisfied, now), at_hand) {
            (Verdict::Serve, Some(document)) => Ok(Found::AtHand(document)),
            (Verdict::ServeAndRefresh, Some(document)) => {
                shared.launch(url, slot, &mut state);
                Ok(Found::AtHand(document))
            }
            (Verdict::Down, _) if state.flight.is_none() => {
                let error = state.last_error.clone();
                Err(error.unwrap_or(CacheError::Fetch(FetchError::Unreachable)))
            }
            _ => match &state.flight {
                Some(flight) => Ok(Found::Joined(flight.clone())),
                None => {
                    if !satisfied && state.entry.servable(&shared.policy, now) {
                        state.entry.missed(now);
                    }
                    Ok(Found::Begun(shared.launch(url, slot, &mut state)))
                }
            },
        }
    }

    fn at_hand(&self, slot: &Slot<T, E>) -> Option<Arc<T>> {
        let now = (self.shared.clock)();
        let servable = slot.entry.load().servable(&self.shared.policy, now);
        slot.at_hand.load_full().filter(|_| servable)
    }
}

/// What a caller meets.
enum Found<T, E> {
    AtHand(Arc<T>),
    /// A fetch that was begun for this caller.
    Begun(watch::Receiver<Outcome<T, E>>),
    /// A fetch that was under way.
    Joined(watch::Receiver<Outcome<T, E>>),
}

impl<T: Send + Sync + 'static, E: ParseFailure> Shared<T, E> {
    fn slot(&self, url: &Url) -> Arc<Slot<T, E>> {
        if let Some(slot) = self.slots.load().get(url) {
            return Arc::clone(slot);
        }
        let (key, new) = (Arc::new(url.clone()), Arc::new(Slot::new()));
        if self.slots.load().len() >= self.policy.max_documents {
            return new;
        }
        self.slots.rcu(|slots| {
            let mut slots = HashMap::clone(slots);
            if slots.len() < self.policy.max_documents {
                let slot = slots.entry(Arc::clone(&key));
                slot.or_insert_with(|| Arc::clone(&new));
            }
            slots
        });
        self.slots.load().get(url).map_or(new, Arc::clone)
    }

    /// Joins the fetch under way, or begins one.
    fn launch(
        self: &Arc<Self>,
        url: &Url,
        slot: &Arc<Slot<T, E>>,
        state: &mut State<T, E>,
    ) -> watch::Receiver<Outcome<T, E>> {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        slot.entry.store(Arc::new(state.entry));
        let (sender, receiver) = watch::channel(None);
        state.flight = Some(receiver.clone());
        let (shared, slot, url) = (Arc::clone(self), Arc::clone(slot), url.clone());
        tokio::spawn(async move {
            let landing = Landing {
                shared: &shared,
                slot: &slot,
            };
            let fetched = shared.fetch.fetch(url.clone()).await;
            let outcome = match fetched {
                Ok(fetched) => (shared.parse)(&url, &fetched.body)
                    .map(|document| (Arc::new(document), fetched.max_age))
                    .map_err(CacheError::Parse),
                Err(error) => Err(CacheError::Fetch(error)),
            };
            sender.send_replace(Some(landing.land(outcome)));
        });
        receiver
    }
}

/// Ends a flight, also if the fetch panics.
struct Landing<'a, T: Send + Sync + 'static, E: ParseFailure> {
    shared: &'a Shared<T, E>,
    slot: &'a Slot<T, E>,
}

impl<T: Send + Sync + 'static, E: ParseFailure> Landing<'_, T, E> {
    fn land(
        self,
        outcome: Result<(Arc<T>, Option<std::time::Duration>), CacheError<E>>,
    ) -> Result<Arc<T>, CacheError<E>> {
        let now = (self.shared.clock)();
        let mut state = self
            .slot
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = match outcome {
            Ok((document, max_age)) => {
                state.entry.loaded(&self.shared.policy, max_age, now);
                state.last_error = None;
                self.slot.at_hand.store(Some(Arc::clone(&document)));
                Ok(document)
            }
            Err(error) => {
                state.entry.failed(now);
                state.last_error = Some(error.clone());
                Err(error)
            }
        };
        self.slot.entry.store(Arc::new(state.entry));
        // Last: whoever sees the count sees the document that it stands for.
        if outcome.is_ok() {
            self.slot.revision.change();
        }
        outcome
    }
}

impl<T: Send + Sync + 'static, E: ParseFailure> Drop for Landing<'_, T, E> {
    fn drop(&mut self) {
        self.slot
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flight = None;
    }
}
