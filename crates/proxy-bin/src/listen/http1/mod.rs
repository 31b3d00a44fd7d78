//! The server's side of HTTP/1.1, in the connection's own task: one request at a time is read,
//! answered and forgotten. RFC 9112; the contract's limits and timeouts.

mod answer;
mod body;
mod date;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod head;
mod heads;
mod outgoing;
mod patience;
mod section_cache;
mod session;
mod switch;
mod wire;

#[cfg(any(test, fuzzing))]
pub use fuzzing::http1_head;
pub(super) use head::Bounds;
pub(super) use patience::Patience;
pub(super) use session::{Answerer, Settings, serve};
