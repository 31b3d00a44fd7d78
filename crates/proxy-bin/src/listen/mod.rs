//! Where requests are taken: sockets, TLS, connections, and their orderly end.
//! Serves the contract's section on the proxy.

mod connection;
mod http1;
mod listeners;
mod stop;
mod streams;
mod taking;
mod tls;

pub(crate) use connection::Connection;
#[cfg(any(test, fuzzing))]
pub use http1::http1_head;
pub use listeners::ListenError;
pub(crate) use listeners::Listeners;
pub use tls::ServerTlsError;
pub(crate) use tls::server_tls;
