//! The sockets that are listened on: opened, changed by a reload, closed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Accepted};
use super::stop::Stop;
use super::tls::{ServerTlsError, server_tls};
use crate::config::Settings;
use crate::shared::Shared;

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}{}", advice(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Its TLS settings cannot be used.
    #[error("TLS of the listener {address}: {source}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: ServerTlsError,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has it: stop that one, or set another address in gateway.listen"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

/// The listeners of a gateway.
#[derive(Debug)]
pub(crate) struct Listeners {
    shared: Arc<Shared>,
    open: BTreeMap<SocketAddr, Open>,
    connections: TaskTracker,
    bound: Arc<Semaphore>,
    /// How many connections there may be.
    places: usize,
    stop: CancellationToken,
    cut: CancellationToken,
}

#[derive(Debug)]
struct Open {
    local: SocketAddr,
    tls: Arc<ArcSwapOption<ServerConfig>>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Open {
    /// Closes the socket; when this returns, nobody can connect any more.
    async fn close(self) {
        self.stop.cancel();
        let _ = self.accepting.await;
        tracing::info!(address = %self.local, "stopped listening");
    }
}

impl Listeners {
    /// None yet.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let places = shared.app().settings().limits.connections;
        Self {
            shared,
            open: BTreeMap::new(),
            connections: TaskTracker::new(),
            bound: Arc::new(Semaphore::new(places)),
            places,
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Listens where these settings say, and nowhere else: opens what is new, closes what is not
    /// wanted any more, and takes up new certificates. Connections that are open stay open.
    ///
    /// # Errors
    /// If a listener cannot be opened; then nothing has changed.
    pub(crate) async fn apply(&mut self, settings: &Settings) -> Result<(), ListenError> {
        let mut wanted = Vec::new();
        for listener in &settings.listen {
            let address = listener.address;
            let tls = listener
                .tls
                .as_ref()
                .map(server_tls)
                .transpose()
                .map_err(|source| ListenError::Tls { address, source })?;
            let socket = if self.open.contains_key(&address) {
                None
            } else {
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|source| ListenError::Bind { address, source })?)
            };
            wanted.push((address, tls, socket));
        }
        let is_wanted = |address: &SocketAddr| wanted.iter().any(|(wanted, ..)| wanted == address);
        let (kept, closed) = std::mem::take(&mut self.open)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(address, _)| is_wanted(address));
        self.open = kept;
        for open in closed.into_values() {
            open.close().await;
        }
        for (address, tls, socket) in wanted {
            match (self.open.get(&address), socket) {
                (Some(open), _) => open.tls.store(tls),
                (None, Some(socket)) => self.open(address, tls, socket),
                (None, None) => {}
            }
        }
        self.make_places(settings.limits.connections);
        Ok(())
    }

    /// Changes how many connections there may be. If there are more now, they stay, and the next
    /// one has to wait until enough of them have ended.
    fn make_places(&mut self, places: usize) {
        if places >= self.places {
            self.bound.add_permits(places - self.places);
        } else {
            let fewer = self.places - places;
            let left = fewer - self.bound.forget_permits(fewer);
            let bound = Arc::clone(&self.bound);
            tokio::spawn(async move {
                let left = u32::try_from(left).unwrap_or(u32::MAX);
                if let Ok(permits) = bound.acquire_many_owned(left).await {
                    permits.forget();
                }
            });
        }
        self.places = places;
    }

    /// The addresses that are listened on, with the ports that the system chose.
    #[must_use]
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.values().map(|open| open.local).collect()
    }

    fn open(&mut self, address: SocketAddr, tls: Option<Arc<ServerConfig>>, socket: TcpListener) {
        let local = socket.local_addr().unwrap_or(address);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let tls = Arc::new(ArcSwapOption::new(tls));
        let stop = self.stop.child_token();
        let accepting = Accepting {
            shared: Arc::clone(&self.shared),
            socket,
            port: local.port(),
            tls: Arc::clone(&tls),
            connections: self.connections.clone(),
            bound: Arc::clone(&self.bound),
            stop: stop.clone(),
            stop_all: self.stop.clone(),
            cut: self.cut.clone(),
        };
        let open = Open {
            local,
            tls,
            stop,
            accepting: tokio::spawn(accepting.run()),
        };
        tracing::info!(address = %local, scheme, "listening on {scheme}://{local}");
        self.open.insert(address, open);
    }

    /// Takes no more connections, lets requests under way finish, and ends what is left after
    /// `patience`. Tells whether nothing had to be cut.
    pub(crate) async fn drain(self, patience: Duration) -> bool {
        self.stop.cancel();
        for open in self.open.into_values() {
            open.close().await;
        }
        self.connections.close();
        let requests = async {
            let finished = tokio::time::timeout(patience, self.connections.wait()).await;
            self.cut.cancel();
            self.connections.wait().await;
            finished.is_ok()
        };
        let (requests, upgrades) = tokio::join!(requests, self.shared.upgrades().drain(patience));
        requests && upgrades
    }
}

struct Accepting {
    shared: Arc<Shared>,
    socket: TcpListener,
    port: u16,
    tls: Arc<ArcSwapOption<ServerConfig>>,
    connections: TaskTracker,
    bound: Arc<Semaphore>,
    /// Ends this listener.
    stop: CancellationToken,
    /// Ends every listener, and tells the connections.
    stop_all: CancellationToken,
    /// Ends the connections at once.
    cut: CancellationToken,
}

/// How long accepting pauses when the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(50);

impl Accepting {
    async fn run(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // A client that was gone already is no reason to pause.
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                    continue;
                }
            };
            // A place is taken for a connection that is there: listeners that wait for one take none.
            let permit = tokio::select! {
                permit = Arc::clone(&self.bound).acquire_owned() => permit,
                () = self.stop.cancelled() => return,
            };
            let Ok(permit) = permit else { return };
            let shared = Arc::clone(&self.shared);
            let accepted = Accepted {
                peer,
                port: self.port,
                tls: self.tls.load_full(),
                place: Place::taken(&shared, permit),
            };
            let (stop, cut) = (self.stop_all.child_token(), self.cut.child_token());
            self.connections.spawn(async move {
                let mut cut = Stop::new(cut);
                let mut serving = pin!(connection::serve(shared, stream, accepted, stop));
                poll_fn(|context| match cut.poll(context) {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => serving.as_mut().poll(context),
                })
                .await;
            });
        }
    }
}

/// A connection's place among those that there may be. It is held until the connection has ended,
/// whatever protocol it carries then.
pub(crate) struct Place {
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn taken(shared: &Arc<Shared>, permit: OwnedSemaphorePermit) -> Arc<Self> {
        shared.metrics().connections().inc();
        Arc::new(Self {
            shared: Arc::clone(shared),
            _permit: permit,
        })
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.metrics().connections().dec();
    }
}
