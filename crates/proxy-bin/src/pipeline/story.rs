//! What is told of a request when it has been answered: one line of the log. Never a query, never a
//! credential.

use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, Uri};
use oidc_core::{CredentialKind, Denial, Fault};
use tracing::Level;

use crate::app::App;
use crate::listen::Connection;
use crate::telemetry::RequestId;

/// What is told of a request.
pub(super) struct Story {
    pub(super) id: RequestId,
    /// The id as a header's value.
    pub(super) id_value: HeaderValue,
    peer: std::net::SocketAddr,
    method: Method,
    pub(super) path: Path,
    /// Place of the route among the configuration's.
    pub(super) route: Option<usize>,
    pub(super) kind: Option<CredentialKind>,
    pub(super) denial: Option<Denial>,
    pub(super) reason: Option<&'static str>,
}

/// The path that a request was routed by.
pub(super) enum Path {
    /// It was refused before.
    Unread,
    /// The target's own.
    AsItCame(Uri),
    Normalised(String),
}

impl Path {
    fn as_str(&self) -> &str {
        match self {
            Self::Unread => "",
            Self::AsItCame(uri) => uri.path(),
            Self::Normalised(path) => path,
        }
    }
}

impl Story {
    pub(super) fn new(connection: &Connection, method: &Method) -> Self {
        let id = connection.next_request();
        Self {
            id,
            id_value: id.header_value(),
            peer: connection.peer(),
            method: method.clone(),
            path: Path::Unread,
            route: None,
            kind: None,
            denial: None,
            reason: None,
        }
    }

    pub(super) fn tell(&self, app: &App, status: StatusCode, begun: Instant) {
        let ours = self
            .denial
            .as_ref()
            .is_some_and(|denial| denial.reason().fault() != Fault::Caller);
        let is_warning = ours || (self.reason.is_some() && status.is_server_error());
        let is_wanted = if is_warning {
            tracing::enabled!(target: "access", Level::WARN)
        } else {
            tracing::enabled!(target: "access", Level::INFO)
        };
        if !is_wanted {
            return;
        }
        let route = self
            .route
            .and_then(|place| app.routes().get(place))
            .map(|route| route.name.as_str());
        let duration_ms =
            u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX) as f64 / 1e3;
        let credential = self.kind.map(CredentialKind::name);
        let hint = self.denial.as_ref().and_then(Denial::hint);
        if is_warning {
            tracing::warn!(
                target: "access",
                request_id = %self.id,
                peer = %self.peer,
                method = %self.method,
                path = self.path.as_str(),
                route,
                credential,
                status = status.as_u16(),
                reason = self.reason,
                provider_says = hint,
                duration_ms,
                "answered by the gateway"
            );
        } else {
            tracing::info!(
                target: "access",
                request_id = %self.id,
                peer = %self.peer,
                method = %self.method,
                path = self.path.as_str(),
                route,
                credential,
                status = status.as_u16(),
                reason = self.reason,
                provider_says = hint,
                duration_ms,
                "answered"
            );
        }
    }
}
