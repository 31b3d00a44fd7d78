//! From a decided request to the upstream and back: connections, headers, bodies, upgrades.
//! Serves the contract's section on the proxy.

mod body;
mod client_body;
mod connect;
mod error;
mod forwarded;
mod headers;
mod http1;
mod lines;
mod pool;
mod upgrade;
mod upstream;

pub(crate) use body::{Body, RequestBody};
pub(crate) use client_body::{BodyCut, ClientBody};
pub use connect::TlsSettingsError;
pub(crate) use connect::read_certificates;
pub(crate) use connect::{ClientTls, TlsSettings};
pub(crate) use error::ForwardError;
pub(crate) use forwarded::{ForwardedHeaders, Hop};
pub(crate) use headers::{Managed, remove_hop_by_hop, via};
pub(crate) use lines::Lines;
pub(crate) use upgrade::{Duplex, OnUpgrade, Upgrade, Upgrades};
pub use upstream::UpstreamError;
pub(crate) use upstream::{Answer, Upstream};
