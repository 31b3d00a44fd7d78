//! The admin listener: health, status, metrics, and the gateway's own public keys.
//! Serves the contract's section on configuration; never exposed by default.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::keys::OwnKeys;
use crate::shared::{Shared, Stage};

type Answer = Response<Full<Bytes>>;

/// Connections at a time; probes and scrapes need few.
const CONNECTIONS: usize = 128;

/// How long a request's head may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the gateway's own keys may be kept by who has fetched them, at most.
const PUBLISHED_FOR: Duration = Duration::from_secs(60);

/// A bound admin listener.
#[derive(Debug)]
pub(crate) struct Admin {
    socket: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Binds the address.
    ///
    /// # Errors
    /// If it cannot be had.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
        })
    }

    /// The address, with the port that the system chose.
    #[must_use]
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self, shared: Arc<Shared>) {
        let bound = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&bound).acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = self.socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = if is_from_a_page(&request) {
                        with_json(StatusCode::FORBIDDEN, &json!({"message": "Forbidden"}))
                    } else {
                        answer(&shared, request.method(), request.uri().path())
                    };
                    async move { Ok::<_, Infallible>(answer) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = serving.await {
                    tracing::debug!(%error, "an admin connection ended early");
                }
                drop(permit);
            });
        }
    }
}

/// Whether a web page would change something here. No page of ours does, and a browser lets any
/// page whose name has come to mean this address do so: it names itself in `Origin`.
fn is_from_a_page<B>(request: &Request<B>) -> bool {
    !request.method().is_safe() && request.headers().contains_key(header::ORIGIN)
}

fn answer(shared: &Shared, method: &Method, path: &str) -> Answer {
    let get = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/health/live" if get => with_json(StatusCode::OK, &json!({"status": "live"})),
        "/health/ready" if get => match shared.stage() {
            Stage::Serving => with_json(StatusCode::OK, &json!({"status": "ready"})),
            Stage::Starting => with_json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "starting"}),
            ),
            Stage::Draining => with_json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "draining"}),
            ),
        },
        "/status" if get => with_json(StatusCode::OK, &status(shared)),
        "/metrics" if get => with_type(
            StatusCode::OK,
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
            shared.metrics().text(),
        ),
        "/openid-connect/jwks" if get => published(shared.app().keys()),
        "/openid-connect/jwks" if *method == Method::DELETE => match shared.app().keys().rotate() {
            Ok(()) => {
                tracing::info!("new keys of the gateway's own are published; they sign soon");
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer
            }
            Err(error) => {
                tracing::error!(%error, "the gateway's own keys were not rotated");
                with_json(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &json!({"message": "the keys were not rotated; the log says why"}),
                )
            }
        },
        "/"
        | "/health/live"
        | "/health/ready"
        | "/status"
        | "/metrics"
        | "/openid-connect/jwks" => {
            if path == "/" && get {
                return with_json(StatusCode::OK, &index());
            }
            let mut answer = with_json(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"message": "Method not allowed"}),
            );
            // RFC 9110 §15.5.6: what would do instead.
            let allowed = if path == "/openid-connect/jwks" {
                "GET, HEAD, DELETE"
            } else {
                "GET, HEAD"
            };
            answer
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        _ => not_found(),
    }
}

fn index() -> serde_json::Value {
    json!({
        "name": "oidc-proxy",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": ["/health/live", "/health/ready", "/status", "/metrics", "/openid-connect/jwks"],
    })
}

/// Kong's `/status`, as far as it means anything here.
fn status(shared: &Shared) -> serde_json::Value {
    let app = shared.app();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "stage": match shared.stage() {
            Stage::Starting => "starting",
            Stage::Serving => "serving",
            Stage::Draining => "draining",
        },
        "server": {
            "connections_active": shared.metrics().connections().get(),
            "requests_in_flight": shared.metrics().in_flight().get(),
        },
        "database": {"reachable": true},
        "configuration": {
            "services": app.services(),
            "routes": app.routes().len(),
        },
    })
}

/// The gateway's own keys; whoever keeps them has the next one before it signs.
fn published(keys: &OwnKeys) -> Answer {
    let Some(set) = keys.published() else {
        return not_found();
    };
    let mut answer = with_type(
        StatusCode::OK,
        HeaderValue::from_static("application/jwk-set+json"),
        set.to_string(),
    );
    let age = keys.overlap().min(PUBLISHED_FOR).as_secs();
    if let Ok(control) = HeaderValue::try_from(format!("max-age={age}")) {
        answer.headers_mut().insert(header::CACHE_CONTROL, control);
    }
    answer
}

fn not_found() -> Answer {
    with_json(StatusCode::NOT_FOUND, &json!({"message": "Not found"}))
}

fn with_json(status: StatusCode, body: &serde_json::Value) -> Answer {
    with_type(
        status,
        HeaderValue::from_static("application/json; charset=utf-8"),
        body.to_string(),
    )
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    answer
}
