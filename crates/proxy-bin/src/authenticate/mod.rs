//! From a configured plugin to what a request meets: where its credential is looked for, how the
//! grant is run, what is written into headers. All of it prepared once.

mod brokers;
mod header_value;
mod identity;
mod inject;
mod plugin;
mod policy;
mod possession;
mod recall;
mod signed_jwt;

pub use brokers::BrokersError;
pub(crate) use brokers::{BrokerSettings, Brokers};
pub(crate) use identity::{Caller, WRITTEN as IDENTITY_HEADERS, write as write_identity};
pub(crate) use plugin::Plugin;
pub use plugin::PluginError;
pub(crate) use possession::{DPOP_NONCE, Evidence, Foreseen, ProofMemory};
pub(crate) use recall::{Line, Recall, Recalled};
pub(crate) use signed_jwt::ALGORITHM as SIGNED_JWT_ALGORITHM;
