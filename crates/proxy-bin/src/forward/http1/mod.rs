//! The client side of HTTP/1.1: one exchange at a time over one connection, run by whoever waits for
//! the answer. RFC 9112; no task of its own, no channel, no copy of what flows.

mod alarm;
mod answer;
mod connection;
mod exchange;
mod sending;

pub(super) use connection::Connection;
pub(super) use exchange::{Exchange, Failed, Patience, Received};
