//! Which route a request takes: prepared once, matched for each request.
//! Serves the contract's section on requests; the order is Kong's, most specific first.

mod forest;
mod hosts;
mod literals;
mod matcher;
mod target;
mod upstream_path;

pub(crate) use matcher::{Asked, Matched, Matcher};
pub(crate) use target::{BadTarget, lax_readings, normalise};
pub(crate) use upstream_path::upstream_path;
