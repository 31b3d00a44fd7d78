//! An OpenID Connect gateway: takes a credential, trades it at the identity provider, forwards with
//! an access token. The library behind the binary `oidc-proxy`.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = proxy_bin::config::load("gateway.yaml".as_ref(), std::env::vars())?;
//! let server = proxy_bin::Server::start(gateway, None).await?;
//! println!("taking requests on {:?}", server.addresses());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod admin;
mod app;
mod authenticate;
pub mod cli;
pub mod config;
mod forward;
mod framing;
mod http1;
mod keys;
mod listen;
mod pipeline;
mod respond;
mod routes;
mod server;
mod shared;
mod telemetry;

/// What holds for any bytes that a client sends; for the fuzz targets.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::listen::http1_head;
}

pub use app::PrepareError;
pub use authenticate::{BrokersError, PluginError};
pub use forward::{TlsSettingsError, UpstreamError};
pub use keys::KeysError;
pub use listen::{ListenError, ServerTlsError};
pub use server::{Server, ServerError};
pub use shared::{ReloadError, Stage};
