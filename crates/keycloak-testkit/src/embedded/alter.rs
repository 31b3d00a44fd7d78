//! What a test changes in tokens before they are signed, and in answers before they are sent.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// A change to a JSON value.
pub(super) type Alteration = Box<dyn Fn(&mut Value) + Send>;

#[derive(Default)]
pub(super) struct Alterations(Mutex<Set>);

#[derive(Default)]
pub(super) struct Set {
    pub(super) access_token: Option<Alteration>,
    pub(super) id_token: Option<Alteration>,
    pub(super) token_response: Option<Alteration>,
    pub(super) discovery: Option<Alteration>,
    pub(super) jwks: Option<Alteration>,
    pub(super) introspection: Option<Alteration>,
    pub(super) introspection_jwt: Option<Alteration>,
    pub(super) userinfo: Option<Alteration>,
}

impl Alterations {
    pub(super) fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value as this alteration, if any, leaves it.
    pub(super) fn apply(
        &self,
        which: impl FnOnce(&Set) -> &Option<Alteration>,
        mut value: Value,
    ) -> Value {
        if let Some(change) = which(&self.set()) {
            change(&mut value);
        }
        value
    }
}

impl fmt::Debug for Alterations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alterations")
    }
}
