//! What a request is allowed, and whom its upstream is told that it is from: decisions on what a
//! grant gave, without I/O. Serves the contract's section on what a request meets.

mod acl;
mod consumer;
mod identity;
mod requirement;
mod sources;

pub use acl::{Acl, AclRule};
pub use consumer::{Consumer, ConsumerBy, Consumers};
pub use identity::{ConsumerGroupRule, ConsumerRule, Identity, IdentityRule};
pub(crate) use requirement::holds;
pub use requirement::{Requirement, Requirements};
pub use sources::{ClaimSources, scalar, words};
