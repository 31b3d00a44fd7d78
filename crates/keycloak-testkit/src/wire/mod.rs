//! What passes between clients and a provider: listened to, counted, and made to go wrong.

mod accept;
mod endpoint;
mod faults;
mod gate;
mod listener;
mod record;
mod tls;
mod watch;

pub use endpoint::Endpoint;
pub use faults::{Fault, Faults};
pub use gate::Gate;
pub use record::TokenRequest;

pub(crate) use accept::accept;
pub(crate) use listener::{AnswerFuture, Gone, Responder, Wire};
pub(crate) use record::basic;
pub(crate) use tls::{Admission, Peer};
pub(crate) use watch::Watch;

/// How long a test waits for what must happen, before it says that it did not.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
