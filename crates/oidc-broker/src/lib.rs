//! The async driver of oidc-core's grant machine: it performs what the machine asks for, shares
//! one flight among all who present the same credential, and remembers what the rules say.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use oidc_broker::{Broker, HttpTransport};
//! use oidc_core::client::{Client, ClientAuthentication};
//! use oidc_core::grant::GrantPolicy;
//! use oidc_core::provider::Provider;
//! use oidc_core::{Credential, Secret};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Provider::new("https://idp.example/realms/kong")?;
//! let secret = ClientAuthentication::SecretBasic(Secret::new("…"));
//! let policy = Arc::new(GrantPolicy::new(provider, vec![Client::new("service", secret)]));
//! let broker = Broker::builder(Arc::new(HttpTransport::new()?)).build()?;
//!
//! let credential = Credential::RefreshToken(Secret::new("eyJ…"));
//! let granted = broker.grant(&policy, credential, None).await?;
//! println!("good until {:?}", granted.expires_at());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod broker;
mod clock;
mod fetcher;
mod http_transport;
mod leader;
mod memory;
mod oauth_client;
mod transport;

pub use broker::{Broker, BrokerBuilder, BuildError, Dry, Found};
pub use clock::system_clock;
pub use http_transport::{HttpTransport, HttpTransportError};
pub use memory::MemorySize;
pub use oauth_client::OAuthHttpClient;
pub use transport::{Observer, Transport, TransportError, TransportFuture, TransportResponse};
