//! What the gateway tells of itself: the log, the metrics, the ids of requests. Never a secret.

mod log;
mod metrics;
mod request_id;

pub(crate) use log::start_log;
pub(crate) use metrics::{IdpObserver, Metrics, RouteMetrics};
pub(crate) use request_id::{ConnectionId, RequestId};
