//! The gateway as a client that proves possession of a key of its own: RFC 9449 §5, §7 and §8.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use url::Url;

use super::request::{Moment, ProviderRequest};
use crate::client::assertion::SignError;
use crate::jose::{Claims, CompactJws, KeyThumbprint};
use crate::possession::{DpopSigner, ProofClaims};
use crate::{Denial, Reason, Secret};

/// A key, and the nonce that each server gave out last (RFC 9449 §8.2).
#[derive(Debug)]
pub struct DpopClient {
    signer: DpopSigner,
    nonces: Mutex<BTreeMap<String, String>>,
}

/// The most servers whose nonces are remembered; those of others are asked for each time.
const SERVERS_MAX: usize = 1000;

impl DpopClient {
    /// A client with this key.
    #[must_use]
    pub const fn new(signer: DpopSigner) -> Self {
        Self {
            signer,
            nonces: Mutex::new(BTreeMap::new()),
        }
    }

    /// A client with a new key.
    ///
    /// # Errors
    /// If the library fails.
    pub fn generate() -> Result<Self, SignError> {
        DpopSigner::generate().map(Self::new)
    }

    /// The key's thumbprint, to which tokens are bound.
    #[must_use]
    pub const fn thumbprint(&self) -> &KeyThumbprint {
        self.signer.thumbprint()
    }

    /// Whether this token is bound to the key: what it says of itself is enough, since a proof
    /// that nobody wanted does no harm.
    pub(super) fn owns(&self, token: &Secret) -> bool {
        let claims = CompactJws::parse(token.expose())
            .ok()
            .and_then(|jws| Claims::parse(&jws.payload().ok()?).ok());
        let bound = claims
            .as_ref()
            .and_then(|claims| claims.claim(&["cnf", "jkt"]));
        bound.and_then(serde_json::Value::as_str) == Some(&self.signer.thumbprint().to_string())
    }

    /// The proof for one request.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub(super) fn proof(
        &self,
        method: &str,
        url: &Url,
        access_token: Option<&Secret>,
        moment: Moment,
    ) -> Result<Secret, Denial> {
        let nonce = {
            let nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            nonces.get(&url.origin().ascii_serialization()).cloned()
        };
        let proof = self.signer.proof(&ProofClaims {
            method,
            url,
            now: moment.now,
            jti: &moment.id(),
            nonce: nonce.as_deref(),
            access_token,
        });
        proof.map_err(|error| Denial::new(Reason::AssertionFailed).with_hint(&error.to_string()))
    }

    /// Takes the nonce of a server's answer; tells whether it is another than the one sent. Of two
    /// who ask at the same time both are told the same one, and the second learns it as well.
    pub(super) fn heard(&self, request: &ProviderRequest, nonce: Option<&str>) -> bool {
        // RFC 9449 §8.1: a nonce is of these characters; anything else would break the proof.
        let sound = |nonce: &&str| {
            !nonce.is_empty() && nonce.len() <= 1024 && nonce.bytes().all(|b| b.is_ascii_graphic())
        };
        let Some(nonce) = nonce.filter(sound) else {
            return false;
        };
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let server = request.url().origin().ascii_serialization();
        if nonces.len() < SERVERS_MAX || nonces.contains_key(&server) {
            nonces.insert(server, nonce.to_owned());
        }
        request.nonce().as_deref() != Some(nonce)
    }
}
