//! A scripted other side, and a cache before it. Key sets are told apart by their `kid`s.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jwks_cache::{Clock, Fetch, FetchError, FetchFuture, Fetched, JwksCache, Policy};
use oidc_core::UnixTime;
use oidc_core::client::assertion::SigningKey;
use oidc_core::jose::Algorithm;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

static KEY: LazyLock<Value> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    key.public_jwk(Algorithm::EdDsa).expect("public")
});

/// What the other side answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A set of keys of these names.
    Keys(&'static [&'static str]),
    /// The same, to be kept for so long.
    KeptFor(&'static [&'static str], u64),
    /// Something that is no key set.
    Nonsense,
    /// No answer.
    Fail(FetchError),
    /// A panic in the fetcher.
    Panic,
}

/// The other side: answers as it is told, after a while.
pub(crate) struct Server {
    answer: Mutex<Answer>,
    takes: Mutex<Duration>,
    fetches: AtomicUsize,
}

impl Server {
    pub(crate) fn new(answer: Answer) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(answer),
            takes: Mutex::new(Duration::from_millis(20)),
            fetches: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.answer.lock().expect("unpoisoned") = answer;
    }

    pub(crate) fn takes(&self, time: Duration) {
        *self.takes.lock().expect("unpoisoned") = time;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

/// What a fetch by this server gives.
struct Fetcher(Arc<Server>);

impl Fetch for Fetcher {
    fn fetch(&self, _: Url) -> FetchFuture {
        self.0.fetches.fetch_add(1, Ordering::Relaxed);
        let answer = self.0.answer.lock().expect("unpoisoned").clone();
        let takes = *self.0.takes.lock().expect("unpoisoned");
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let keys = |kids: &[&str]| {
                let keys: Vec<Value> = kids
                    .iter()
                    .map(|kid| {
                        let mut key = KEY.clone();
                        key["kid"] = (*kid).into();
                        key
                    })
                    .collect();
                json!({ "keys": keys }).to_string().into_bytes()
            };
            let (body, max_age) = match answer {
                Answer::Keys(kids) => (keys(kids), None),
                Answer::KeptFor(kids, seconds) => (keys(kids), Some(Duration::from_secs(seconds))),
                Answer::Nonsense => (b"<html>".to_vec(), None),
                Answer::Fail(error) => return Err(error),
                Answer::Panic => panic!("the fetcher goes down"),
            };
            Ok(Fetched { body, max_age })
        })
    }
}

pub(crate) fn cache(server: &Arc<Server>) -> Arc<JwksCache> {
    cache_with(server, Policy::default())
}

pub(crate) fn cache_with(server: &Arc<Server>, policy: Policy) -> Arc<JwksCache> {
    let fetcher = Arc::new(Fetcher(Arc::clone(server)));
    Arc::new(JwksCache::new(policy, fetcher, clock()))
}

/// The clock of the runtime, which tests pause.
fn clock() -> Clock {
    Arc::new(now)
}

/// What it tells: the same for all caches of one process.
pub(crate) fn now() -> UnixTime {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    // A test whose clock was paused before another began this one: no moment of it comes before.
    const EARLIER: Duration = Duration::from_secs(3600);
    let began = *BEGAN;
    let now = Instant::now().into_std() + EARLIER;
    UnixTime::from_secs(1_800_000_000).plus(now.saturating_duration_since(began))
}

pub(crate) fn uri(place: usize) -> Url {
    format!("https://idp.test/certs/{place}")
        .parse()
        .expect("a URL")
}

/// The names of the keys that are served to somebody who wants this one, or why there are none.
pub(crate) async fn served(cache: &JwksCache, wanted: &str) -> Result<String, String> {
    let keys = cache
        .keys(&uri(0), &[wanted])
        .await
        .map_err(|error| error.to_string())?;
    let known: BTreeSet<&str> = ["a", "b", "c"]
        .into_iter()
        .filter(|kid| keys.has_kid(kid))
        .collect();
    Ok(known.into_iter().collect())
}

/// Lets time pass, and what runs in the background come to its end.
pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Long enough for a fetch, too short to count.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}
