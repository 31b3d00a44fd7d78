//! The protocol from outside: transitions, rules, vectors, and a provider that detects reuse.

mod access_tokens;
mod attacks;
mod authorize;
mod dpop_client;
mod edges;
mod key_sources;
mod memories;
mod oracle;
mod outcomes;
mod possession;
mod proofs;
mod simulation;
mod support;
mod table;
mod tokens;
mod vectors;
