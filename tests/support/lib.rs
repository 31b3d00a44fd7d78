//! What the end-to-end tests stand on: a provider, an upstream, a gateway between them, a client.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod client;
mod config;
mod eventually;
mod gateway;
mod second_provider;
mod world;

pub use client::{Answer, Client, Request, TlsClient};
pub use config::Config;
pub use eventually::eventually;
pub use gateway::Gateway;
pub use second_provider::{
    ProviderClient, ProviderOptions, ProviderRequest, ProviderTokens, SecondProvider,
};
pub use world::{APP, APP_SECRET, World, WorldBuilder};
