//! What came of a credential, ready to be given again: a request with the same line on the same
//! route gets the same headers, for as long as the answer stands that they were made from.
//! Serves the contract's guarantee that a token which was checked costs next to nothing.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use oidc_broker::Standing;
use oidc_core::{CredentialKind, Secret, UnixTime};
use token_extractors::Sole;

use super::identity::Caller;

/// What came of a credential on one route.
pub(crate) struct Recalled {
    route: usize,
    place: usize,
    presented: Secret,
    standing: Standing,
    pub(crate) kind: CredentialKind,
    pub(crate) caller: Caller,
    /// The header that does not go upstream.
    pub(crate) hidden: Option<HeaderName>,
    /// What the upstream is told.
    pub(crate) upstream: HeaderMap,
    /// What the client is told, or is not told by its upstream.
    pub(crate) downstream: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// A line of a request on a route: what an answer is recalled by.
#[derive(Clone, Copy)]
pub(crate) struct Line<'r> {
    hash: u64,
    route: usize,
    place: usize,
    value: &'r [u8],
}

/// As many as make it unlikely that two busy cores meet.
const SHARDS: usize = 64;
/// Sets of each shard, and the ways of each set: some 8 000 answers in all. One that gives way to
/// another is found again in the broker's memory, which is larger and costs more to ask.
const SETS: usize = 32;
const WAYS: usize = 4;

/// The longest line that is kept.
const LONGEST: usize = 8 * 1024;

type Set = [Option<(u64, Arc<Recalled>)>; WAYS];

/// The answers that can be given again. It is bounded, and made anew with each configuration.
pub(crate) struct Recall {
    shards: Box<[Mutex<Box<[Set; SETS]>>]>,
    hasher: RandomState,
}

impl Recall {
    pub(crate) fn new() -> Self {
        let sets = || Mutex::new(Box::new([const { [const { None }; WAYS] }; SETS]));
        Self {
            shards: (0..SHARDS).map(|_| sets()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// How a line is recalled.
    pub(crate) fn line<'r>(&self, route: usize, sole: &Sole<'r>) -> Line<'r> {
        let value = sole.value.as_bytes();
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(route << 8 ^ sole.place ^ value.len() << 32);
        // Two samples tell tokens apart, which differ in what they say and in what signs it. Those
        // that do not get in each other's way; they are not taken for each other.
        let tail = value.len().saturating_sub(SAMPLE);
        hasher.write(&value[tail..]);
        let middle = tail / 2;
        hasher.write(&value[middle..middle + SAMPLE.min(tail - middle)]);
        Line {
            hash: hasher.finish(),
            route,
            place: sole.place,
            value,
        }
    }

    /// The answer to this line, if it stands.
    pub(crate) fn get(&self, line: &Line<'_>, now: UnixTime) -> Option<Arc<Recalled>> {
        let recalled = {
            let mut shard = self.shard(line);
            let set = Self::set(&mut shard, line);
            let same = |way: &&Option<(u64, Arc<Recalled>)>| {
                way.as_ref().is_some_and(|(hash, _)| *hash == line.hash)
            };
            set.iter()
                .find(same)?
                .as_ref()
                .map(|(_, recalled)| Arc::clone(recalled))?
        };
        // In constant time it would cost more than all the rest; who gets here by a guess has
        // guessed both samples under a key that nobody knows.
        let same = recalled.route == line.route
            && recalled.place == line.place
            && recalled.presented.expose().as_bytes() == line.value;
        (same && recalled.standing.holds(now)).then_some(recalled)
    }

    /// Keeps an answer, in place of one that stands no more, or else of any.
    pub(crate) fn put(&self, line: &Line<'_>, recalled: Recalled, now: UnixTime) {
        let mut shard = self.shard(line);
        let set = Self::set(&mut shard, line);
        let gives_way = |way: &Option<(u64, Arc<Recalled>)>| match way {
            None => true,
            Some((hash, recalled)) => *hash == line.hash || !recalled.standing.holds(now),
        };
        let way = set.iter().position(gives_way);
        // Whichever: the hash is as good as random.
        let way = way.unwrap_or((line.hash >> 32) as usize % WAYS);
        set[way] = Some((line.hash, Arc::new(recalled)));
    }

    /// Lets go of what stands no more.
    pub(crate) fn sweep(&self, now: UnixTime) {
        for shard in &self.shards {
            let mut sets = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for way in sets.iter_mut().flatten() {
                if way
                    .as_ref()
                    .is_some_and(|(_, recalled)| !recalled.standing.holds(now))
                {
                    *way = None;
                }
            }
        }
    }

    fn shard(&self, line: &Line<'_>) -> MutexGuard<'_, Box<[Set; SETS]>> {
        // Whoever panics with it in hand has changed nothing by half.
        self.shards[line.hash as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set<'s>(sets: &'s mut [Set; SETS], line: &Line<'_>) -> &'s mut Set {
        &mut sets[line.hash as usize / SHARDS % SETS]
    }
}

/// How many bytes of a line are hashed, at its end and in its middle.
const SAMPLE: usize = 32;

impl Recalled {
    /// An answer to this line, which stands for so long. None to one that is longer than any token
    /// of an ordinary kind: blanks make many lines of one token, each of which would be kept.
    pub(crate) fn new(
        line: &Line<'_>,
        kind: CredentialKind,
        caller: Caller,
        standing: Standing,
    ) -> Option<Self> {
        if line.value.len() > LONGEST {
            return None;
        }
        Some(Self {
            route: line.route,
            place: line.place,
            presented: Secret::new(std::str::from_utf8(line.value).ok()?),
            standing,
            kind,
            caller,
            hidden: None,
            upstream: HeaderMap::new(),
            downstream: Vec::new(),
        })
    }
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recall")
    }
}

impl fmt::Debug for Recalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recalled({}, [redacted])", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(100);

    fn put(recall: &Recall, route: usize, value: &str, until: u64) {
        let value = HeaderValue::from_str(value).expect("a value");
        let sole = Sole {
            place: 0,
            value: &value,
        };
        let line = recall.line(route, &sole);
        let standing = Standing::until(UnixTime::from_secs(until));
        let made = Recalled::new(&line, CredentialKind::Bearer, Caller::unasked(), standing);
        recall.put(&line, made.expect("text"), NOW);
    }

    fn has(recall: &Recall, route: usize, place: usize, value: &str, now: u64) -> bool {
        let value = HeaderValue::from_str(value).expect("a value");
        let sole = Sole {
            place,
            value: &value,
        };
        let line = recall.line(route, &sole);
        recall.get(&line, UnixTime::from_secs(now)).is_some()
    }

    #[test]
    fn an_answer_is_given_to_the_same_line_on_the_same_route_while_it_stands() {
        let recall = Recall::new();
        let token = format!("Bearer {}", "x".repeat(1400));
        put(&recall, 1, &token, 200);
        assert!(has(&recall, 1, 0, &token, 199));
        assert!(!has(&recall, 1, 0, &token, 200));
        assert!(!has(&recall, 2, 0, &token, 199));
        assert!(!has(&recall, 1, 1, &token, 199));
        for at in [0, 1, 7, 8, 500, 700, 1000, token.len() - 1] {
            let mut other = token.clone();
            other.replace_range(at..=at, "y");
            assert!(!has(&recall, 1, 0, &other, 199), "{at}");
        }
        assert!(!has(&recall, 1, 0, &token[..token.len() - 1], 199));
    }

    #[test]
    fn lines_of_any_length_are_told_apart() {
        let recall = Recall::new();
        for length in 0..200 {
            put(&recall, 0, &"z".repeat(length), 200);
            assert!(has(&recall, 0, 0, &"z".repeat(length), 100), "{length}");
            assert!(
                !has(&recall, 0, 0, &"z".repeat(length + 1), 100),
                "{length}"
            );
        }
    }

    #[test]
    fn it_is_bounded_and_keeps_what_came_last() {
        let recall = Recall::new();
        let count = 3 * SHARDS * SETS * WAYS;
        for n in 0..count {
            put(&recall, 0, &n.to_string(), 200);
            assert!(has(&recall, 0, 0, &n.to_string(), 100));
        }
        let kept = (0..count).filter(|n| has(&recall, 0, 0, &n.to_string(), 100));
        let kept = kept.count();
        assert!(
            kept <= SHARDS * SETS * WAYS && kept > SHARDS * SETS * WAYS / 2,
            "{kept}"
        );
    }

    #[test]
    fn no_line_is_kept_that_blanks_have_made_long() {
        let recall = Recall::new();
        let value = HeaderValue::from_str(&"x".repeat(LONGEST + 1)).expect("a value");
        let sole = Sole {
            place: 0,
            value: &value,
        };
        let line = recall.line(0, &sole);
        let standing = Standing::until(UnixTime::from_secs(200));
        let made = Recalled::new(&line, CredentialKind::Bearer, Caller::unasked(), standing);
        assert!(made.is_none());
        put(&recall, 0, &"x".repeat(LONGEST), 200);
        assert!(has(&recall, 0, 0, &"x".repeat(LONGEST), 100));
    }

    #[test]
    fn what_stands_no_more_is_swept_away_and_nothing_else_is() {
        let recall = Recall::new();
        put(&recall, 0, "short", 150);
        put(&recall, 0, "long", 200);
        recall.sweep(UnixTime::from_secs(150));
        let kept = recall.shards.iter().map(|shard| {
            let sets = shard.lock().expect("a lock");
            sets.iter().flatten().flatten().count()
        });
        assert_eq!(kept.sum::<usize>(), 1);
        assert!(has(&recall, 0, 0, "long", 199));
    }

    #[test]
    fn what_stands_no_more_gives_way_first() {
        let recall = Recall::new();
        for n in 0..10_000 {
            put(&recall, 0, &n.to_string(), 50);
        }
        for n in 0..1_000 {
            put(&recall, 1, &n.to_string(), 200);
        }
        let kept = (0..1_000).filter(|n| has(&recall, 1, 0, &n.to_string(), 100));
        assert!(kept.count() > 980);
    }
}
