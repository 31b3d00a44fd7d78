#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod broker;
mod clock;
mod dry;
mod fetcher;
mod http_transport;
#[cfg(feature = "tower")]
pub mod layer;
mod leader;
mod memory;
mod oauth_client;
mod transport;

pub use broker::{Broker, BrokerBuilder, BuildError};
pub use clock::system_clock;
pub use dry::{Dry, Found};
pub use http_transport::{HttpTransport, HttpTransportError};
pub use jwks_cache::Standing;
pub use memory::MemorySize;
pub use oauth_client::OAuthHttpClient;
pub use transport::{Observer, Transport, TransportError, TransportFuture, TransportResponse};
