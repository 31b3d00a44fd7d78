//! From a configured plugin to what a request meets: where its credential is looked for, how the
//! grant is run, what is written into headers. All of it prepared once.

mod brokers;
mod inject;
mod plugin;
mod policy;

pub use brokers::BrokersError;
pub(crate) use brokers::{BrokerSettings, Brokers};
pub(crate) use plugin::Plugin;
pub use plugin::PluginError;
