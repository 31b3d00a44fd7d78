//! Key sets by their address: a [`DocumentCache`] that knows what a missing key is.
//! Serves the contract's section on keys.

use std::sync::Arc;

use oidc_core::jose::{KeySet, KeySetError};
use url::Url;

use crate::document::{CacheError, Clock, DocumentCache};
use crate::entry::Policy;
use crate::fetch::Fetch;
use crate::standing::Standing;

/// Why there are no keys.
pub type KeysError = CacheError<KeySetError>;

/// Key sets by their address.
pub struct JwksCache {
    documents: DocumentCache<KeySet, KeySetError>,
}

impl JwksCache {
    /// An empty cache.
    pub fn new(policy: Policy, fetch: Arc<dyn Fetch>, clock: Clock) -> Self {
        let limits = policy.limits;
        let parse = move |_: &Url, body: &[u8]| KeySet::parse(body, &limits);
        Self {
            documents: DocumentCache::new(policy, fetch, clock, parse),
        }
    }

    /// The keys of this address. If one of the wanted `kid`s is not among them, they are fetched
    /// anew, at most once in a cooldown however many callers ask for however many `kid`s.
    ///
    /// Cancel safe: a fetch under way goes on. The caller sets the deadline.
    ///
    /// # Errors
    /// If there are none that may be served, and none can be fetched.
    pub async fn keys(&self, jwks_uri: &Url, wanted: &[&str]) -> Result<Arc<KeySet>, KeysError> {
        self.documents
            .get_if(jwks_uri, |keys| wanted.iter().all(|kid| keys.has_kid(kid)))
            .await
    }

    /// Other keys of this address than these, which did not verify what they should have: a
    /// provider may replace a key without renaming it. Fetched at most once in a cooldown, like a
    /// missing key; the same are given back if there are no others.
    ///
    /// Cancel safe: a fetch under way goes on. The caller sets the deadline.
    ///
    /// # Errors
    /// If there are none that may be served, and none can be fetched.
    pub async fn newer(&self, jwks_uri: &Url, than: &KeySet) -> Result<Arc<KeySet>, KeysError> {
        self.documents
            .get_if(jwks_uri, |keys| !std::ptr::eq(keys, than))
            .await
    }

    /// For how long what was verified by these keys stands. `None` if they are not those at hand.
    #[must_use]
    pub fn standing(&self, jwks_uri: &Url, keys: &Arc<KeySet>) -> Option<Standing> {
        self.documents.standing(jwks_uri, keys)
    }

    /// The keys at hand, without waiting and whatever their age.
    #[must_use]
    pub fn cached(&self, jwks_uri: &Url) -> Option<Arc<KeySet>> {
        self.documents.cached(jwks_uri)
    }
}
