//! The driver from outside: flights, rotation, outages, the wire, and what is never printed.

mod errors;
mod example;
mod flights;
mod model;
mod rotation;
mod secrets;
mod support;
mod wire;
