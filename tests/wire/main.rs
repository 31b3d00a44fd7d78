//! What the gateway does on the wire, byte by byte.
#![forbid(unsafe_code)]

mod support;

mod admin;
mod answers;
mod chunks;
mod credentials;
mod crowd;
mod drain;
mod expectations;
mod failures;
mod forwarded;
mod hop_by_hop;
mod http2;
mod http2_frames;
mod identity;
mod limits;
mod long_bodies;
mod managed;
mod patience;
mod pipelining;
mod providers;
mod recall;
mod reload;
mod reuse;
mod smuggling;
mod streaming;
mod targets;
mod tls;
mod trailers;
mod unasked;
mod upgrades;
mod upstream_tls;
mod versions;
mod written_once;
