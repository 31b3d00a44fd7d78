//! Upgraded connections: WebSocket and its like, relayed byte for byte. RFC 9110 §7.8.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A protocol that may be switched to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade(HeaderValue);

impl Upgrade {
    /// The protocol that is asked for; `None` if it is one that is not relayed: HTTP itself, by
    /// which requests would get past the gateway unseen, and TLS, which would blind it.
    #[must_use]
    pub(crate) fn offered(value: HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let hidden = text.split(',').any(|protocol| {
            let name = protocol.trim().split('/').next().unwrap_or_default();
            ["h2c", "h2", "http", "tls"]
                .iter()
                .any(|hidden| name.eq_ignore_ascii_case(hidden))
        });
        (!hidden && !text.trim().is_empty()).then_some(Self(value))
    }

    /// Whether this was among what was offered.
    #[must_use]
    pub(crate) fn includes(&self, chosen: &HeaderValue) -> bool {
        let names = |value: &HeaderValue| -> Vec<String> {
            let text = value.to_str().unwrap_or_default();
            text.split(',')
                .map(|protocol| protocol.trim().to_ascii_lowercase())
                .collect()
        };
        let offered = names(&self.0);
        names(chosen).iter().all(|name| offered.contains(name))
    }

    /// The value of `Upgrade`.
    #[must_use]
    pub(crate) const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// A connection that carries another protocol from now on.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// One side of a switch: its connection, once that has taken leave of HTTP; `None` if it ended
/// before.
#[derive(Clone)]
pub(crate) struct OnUpgrade(Arc<Mutex<Switching>>);

type Switching = Pin<Box<dyn Future<Output = Option<Box<dyn Duplex>>> + Send>>;

impl OnUpgrade {
    /// A side that switches when this says so.
    pub(crate) fn new(
        switched: impl Future<Output = Option<Box<dyn Duplex>>> + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(switched))))
    }

    /// A side that is hyper's.
    pub(crate) fn of_hyper(switch: hyper::upgrade::OnUpgrade) -> Self {
        Self::new(async {
            let stream = switch.await.ok()?;
            Some(Box::new(TokioIo::new(stream)) as Box<dyn Duplex>)
        })
    }
}

impl Future for OnUpgrade {
    type Output = Option<Box<dyn Duplex>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Whoever panicked with it has not left it half-way: it is polled from its beginning or not.
        let mut switching = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        switching.as_mut().poll(context)
    }
}

impl fmt::Debug for OnUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnUpgrade")
    }
}

/// The upgraded connections of a gateway, to be ended when it stops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgrades {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Upgrades {
    /// Relays between the two sides until one of them ends; `held` is held for so long.
    pub(crate) fn relay(&self, client: OnUpgrade, upstream: OnUpgrade, held: impl Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let both = async {
                let (Some(mut client), Some(mut upstream)) = tokio::join!(client, upstream) else {
                    return;
                };
                let moved = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                tracing::debug!(?moved, "an upgraded connection ended");
            };
            tokio::select! {
                () = both => {}
                () = stop.cancelled() => {}
            }
            drop(held);
        });
    }

    /// Waits for them to end by themselves, then ends them. Tells whether none had to be ended.
    pub(crate) async fn drain(&self, patience: Duration) -> bool {
        self.tasks.close();
        let ended = tokio::time::timeout(patience, self.tasks.wait()).await;
        self.stop.cancel();
        self.tasks.wait().await;
        ended.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_within_http_is_not_relayed() {
        for (value, relayed) in [
            ("websocket", true),
            ("WebSocket", true),
            ("h2c", false),
            ("H2C", false),
            ("websocket, h2c", false),
            ("HTTP/2.0", false),
            ("TLS/1.0", false),
            ("", false),
        ] {
            let offered = Upgrade::offered(HeaderValue::from_static(value));
            assert_eq!(offered.is_some(), relayed, "{value}");
        }
    }

    #[test]
    fn nothing_is_switched_to_that_was_not_offered() {
        let offered = Upgrade::offered(HeaderValue::from_static("WebSocket, echo/1"));
        let offered = offered.expect("an offer");
        for (chosen, good) in [
            ("websocket", true),
            ("echo/1", true),
            ("echo/2", false),
            ("h2c", false),
            ("websocket, h2c", false),
            ("", false),
        ] {
            let included = offered.includes(&HeaderValue::from_static(chosen));
            assert_eq!(included, good, "{chosen}");
        }
    }
}
