//! Kept connections to one upstream, in shards: no lock is shared by all requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http2;

use super::body::RequestBody;
use super::http1::Connection;

/// How long a connection is kept that nobody uses: Kong's `upstream_keepalive_idle_timeout`.
const IDLE: Duration = Duration::from_secs(60);

/// The most that are kept in one shard.
const KEPT: usize = 256;

/// As many shards as make it unlikely that two busy cores meet.
const SHARDS: usize = 16;

/// A connection of HTTP/2, which carries many requests at a time.
pub(super) type Http2 = http2::SendRequest<RequestBody>;

/// The kept connections of one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    shards: [Mutex<Vec<Kept>>; SHARDS],
    shared: Mutex<Option<Http2>>,
}

#[derive(Debug)]
struct Kept {
    connection: Box<Connection>,
    since: Instant,
}

impl Kept {
    fn is_open(&mut self) -> bool {
        self.since.elapsed() < IDLE && !self.connection.is_spent()
    }
}

impl Pool {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::new(Vec::new())),
            shared: Mutex::new(None),
        })
    }

    /// A connection that is open, as far as one can tell: the caller's shard first, then others'.
    pub(super) fn take(&self, shard: usize) -> Option<Box<Connection>> {
        (0..SHARDS).find_map(|step| {
            loop {
                // The lock is not held while the connection is looked at.
                let mut kept = self.shard(shard.wrapping_add(step)).pop()?;
                if kept.is_open() {
                    return Some(kept.connection);
                }
            }
        })
    }

    /// Keeps a connection that is free.
    pub(super) fn put(&self, shard: usize, connection: Box<Connection>) {
        let mut kept = self.shard(shard);
        if kept.len() >= KEPT {
            kept.retain_mut(Kept::is_open);
        }
        if kept.len() < KEPT {
            kept.push(Kept {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Closes the connections that nobody wants any more, or that their other side has closed.
    pub(super) fn sweep(&self) {
        for shard in 0..SHARDS {
            self.shard(shard).retain_mut(Kept::is_open);
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

/// Where a connection goes when its exchange has ended.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) pool: Arc<Pool>,
    pub(super) shard: usize,
}

impl Place {
    pub(super) fn keep(&self, connection: Option<Box<Connection>>) {
        if let Some(connection) = connection {
            self.pool.put(self.shard, connection);
        }
    }
}
