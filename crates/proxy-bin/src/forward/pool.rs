//! Kept connections to one upstream, in shards: no lock is shared by all requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::{http1, http2};

use super::body::RequestBody;

/// How long a connection is kept that nobody uses: Kong's `upstream_keepalive_idle_timeout`.
const IDLE: Duration = Duration::from_secs(60);

/// The most that are kept in one shard.
const KEPT: usize = 256;

/// As many shards as make it unlikely that two busy cores meet.
const SHARDS: usize = 16;

/// A connection of HTTP/1.1, which carries one request at a time.
pub(super) type Http1 = http1::SendRequest<RequestBody>;

/// A connection of HTTP/2, which carries many.
pub(super) type Http2 = http2::SendRequest<RequestBody>;

/// The kept connections of one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    shards: [Mutex<Vec<Kept>>; SHARDS],
    shared: Mutex<Option<Http2>>,
}

#[derive(Debug)]
struct Kept {
    connection: Http1,
    since: Instant,
}

impl Pool {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::new(Vec::new())),
            shared: Mutex::new(None),
        })
    }

    /// A connection that is open, as far as one can tell: the caller's shard first, then others'.
    pub(super) fn take(&self, shard: usize) -> Option<Http1> {
        (0..SHARDS).find_map(|step| {
            let mut kept = self.shard(shard.wrapping_add(step));
            while let Some(last) = kept.pop() {
                if !last.connection.is_closed() && last.since.elapsed() < IDLE {
                    return Some(last.connection);
                }
            }
            None
        })
    }

    fn put(&self, shard: usize, connection: Http1) {
        if connection.is_closed() {
            return;
        }
        let mut kept = self.shard(shard);
        if kept.len() >= KEPT {
            kept.retain(|one| !one.connection.is_closed() && one.since.elapsed() < IDLE);
        }
        if kept.len() < KEPT {
            kept.push(Kept {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// The open connection of HTTP/2, if the upstream speaks it.
    pub(super) fn http2(&self) -> Option<Http2> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.as_ref().is_some_and(Http2::is_closed) {
            *shared = None;
        }
        shared.clone()
    }

    pub(super) fn keep_http2(&self, connection: Http2) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    fn shard(&self, shard: usize) -> MutexGuard<'_, Vec<Kept>> {
        // A poisoned shard is whole: nothing in it panics half-way.
        self.shards[shard % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use, which knows where it belongs.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) connection: Http1,
    pub(super) pool: Arc<Pool>,
    pub(super) shard: usize,
    /// The request's body, if it flows: a connection that is still taking it is not to be kept.
    pub(super) progress: Option<Arc<super::body::Progress>>,
}

impl Lease {
    /// Back to the pool, if it can carry another request.
    pub(super) fn give_back(self) {
        if self.progress.is_none_or(|progress| progress.is_done()) {
            self.pool.put(self.shard, self.connection);
        }
    }
}
