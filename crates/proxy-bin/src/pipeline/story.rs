//! What is told of a request when it has been answered: one line of the log. Never a query, never a
//! credential.

use std::time::Instant;

use http::{Method, StatusCode};
use oidc_core::{CredentialKind, Denial, Fault};

use crate::app::App;
use crate::listen::Connection;
use crate::telemetry::RequestId;

/// What is told of a request.
pub(super) struct Story {
    pub(super) id: RequestId,
    peer: std::net::SocketAddr,
    method: Method,
    pub(super) path: String,
    /// Place of the route among the configuration's.
    pub(super) route: Option<usize>,
    pub(super) kind: Option<CredentialKind>,
    pub(super) denial: Option<Denial>,
    pub(super) reason: Option<&'static str>,
}

impl Story {
    pub(super) fn new(connection: &Connection, method: &Method) -> Self {
        Self {
            id: connection.next_request(),
            peer: connection.peer(),
            method: method.clone(),
            path: String::new(),
            route: None,
            kind: None,
            denial: None,
            reason: None,
        }
    }

    pub(super) fn tell(&self, app: &App, status: StatusCode, begun: Instant) {
        let route = self
            .route
            .and_then(|place| app.routes().get(place))
            .map(|route| route.name.as_str());
        let duration_ms =
            u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX) as f64 / 1e3;
        let credential = self.kind.map(CredentialKind::name);
        let hint = self.denial.as_ref().and_then(Denial::hint);
        let ours = self
            .denial
            .as_ref()
            .is_some_and(|denial| denial.reason().fault() != Fault::Caller);
        if ours || (self.reason.is_some() && status.is_server_error()) {
            tracing::warn!(
                target: "access",
                request_id = %self.id,
                peer = %self.peer,
                method = %self.method,
                path = self.path,
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
                path = self.path,
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
