//! The driver from outside: flights, rotation, outages, the wire, and what is never printed.

mod bearer;
mod errors;
mod example;
mod flights;
#[cfg(feature = "tower")]
mod layer;
mod model;
mod revocation;
mod rotation;
mod secrets;
mod standing;
mod standing_model;
mod support;
mod wire;
