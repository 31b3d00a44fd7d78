//! Where requests are taken: sockets, TLS, connections, and their orderly end.
//! Serves the contract's section on the proxy.

mod connection;
mod listeners;
mod messages;
mod phase;
mod streams;
mod syntax;
mod taking;
mod tls;
mod watch;

pub(crate) use connection::Connection;
pub use listeners::ListenError;
pub(crate) use listeners::Listeners;
pub use tls::ServerTlsError;
pub(crate) use tls::server_tls;
