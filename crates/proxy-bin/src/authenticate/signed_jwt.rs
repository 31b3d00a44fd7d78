//! A token of the gateway's own, for an upstream that wants to be sure who forwarded a request:
//! what is known of the caller, signed by a key that the gateway publishes. RFC 7519, RFC 7515.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use jwks_cache::Clock;
use oidc_broker::system_clock;
use oidc_core::authorize::{ClaimSources, Identity, scalar};
use oidc_core::grant::Granted;
use oidc_core::jose::Algorithm;
use oidc_core::{Fingerprint, FingerprintKey, UnixTime};
use serde_json::{Map, Value, json};

use super::header_value::{self, Unwritten};
use super::inject::put;
use crate::config::SignedJwtSettings;
use crate::keys::{KeysError, OwnKeys, TokenSigner};

/// The algorithm: small tokens, quickly made.
pub(crate) const ALGORITHM: Algorithm = Algorithm::Es256;

/// For how long a token is served again to the same caller.
const SERVED_AGAIN: Duration = Duration::from_secs(5);

/// What is left of a token's life at least when it is made, even if the access token ends sooner.
const LEAST_LIFE: Duration = Duration::from_secs(10);

/// How many tokens are kept at most.
const KEPT: usize = 1024;

/// How tokens are made for one plugin.
pub(crate) struct SignedJwt {
    settings: SignedJwtSettings,
    sources: ClaimSources,
    signer: TokenSigner,
    fingerprints: FingerprintKey,
    made: Mutex<HashMap<Fingerprint, Made>>,
    clock: Clock,
}

/// A token that was made, and until when it is served again.
struct Made {
    value: HeaderValue,
    until: UnixTime,
}

impl SignedJwt {
    /// Tokens by these settings, under the gateway's own key.
    ///
    /// # Errors
    /// If the key cannot be read, made or kept.
    pub(crate) fn prepare(
        settings: &SignedJwtSettings,
        sources: ClaimSources,
        keys: &OwnKeys,
    ) -> Result<Self, KeysError> {
        let mut random = [0; 32];
        // Without randomness the fingerprints are only as secret as the memory that they are in.
        let _ = getrandom::fill(&mut random);
        Ok(Self {
            settings: settings.clone(),
            sources,
            signer: keys.token_signer(ALGORITHM)?,
            fingerprints: FingerprintKey::new(&random),
            made: Mutex::new(HashMap::new()),
            clock: system_clock(),
        })
    }

    /// The header that is written.
    #[must_use]
    pub(crate) const fn header(&self) -> &HeaderName {
        &self.settings.header
    }

    /// Writes a token about this caller, for this service.
    pub(crate) fn write(
        &self,
        granted: &Granted,
        identity: Option<&Identity>,
        service: &str,
        headers: &mut HeaderMap,
    ) {
        let token = self.token(granted, identity, service);
        put(headers, self.header(), token);
    }

    fn token(
        &self,
        granted: &Granted,
        identity: Option<&Identity>,
        service: &str,
    ) -> Result<HeaderValue, Unwritten> {
        let now = (self.clock)();
        let claims = self.claims(granted, identity, service);
        let access_token = granted.access_token().expose().as_bytes();
        let shown = Value::Object(claims.clone()).to_string();
        let key = self
            .fingerprints
            .fingerprint(&[access_token, shown.as_bytes()]);
        let kept = |made: &HashMap<Fingerprint, Made>| {
            let made = made.get(&key).filter(|made| now < made.until)?;
            Some(made.value.clone())
        };
        if let Some(value) = kept(&self.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(value);
        }
        let value = self.sign(claims, granted, now)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= KEPT {
            made.retain(|_, made| now < made.until);
        }
        if made.len() < KEPT {
            let until = now.plus(SERVED_AGAIN.min(self.settings.lifetime / 4));
            let value = value.clone();
            made.insert(key, Made { value, until });
        }
        Ok(value)
    }

    /// What is said, apart from the times and the token's own id.
    fn claims(
        &self,
        granted: &Granted,
        identity: Option<&Identity>,
        service: &str,
    ) -> Map<String, Value> {
        let told = |name: &str| self.sources.find(granted, &[name]).and_then(scalar);
        let own = (!granted.kind().is_access_token()).then(|| granted.client_id().to_owned());
        let consumer = identity.and_then(Identity::consumer).map(|consumer| {
            present([
                ("id", Some(json!(consumer.id))),
                (
                    "username",
                    consumer.username.as_ref().map(|name| json!(name)),
                ),
                (
                    "custom_id",
                    consumer.custom_id.as_ref().map(|name| json!(name)),
                ),
            ])
        });
        let client_id = told("azp").or_else(|| told("client_id")).or(own);
        let scope = told("scope").or_else(|| granted.scope().map(str::to_owned));
        present([
            ("iss", Some(json!(self.settings.issuer))),
            (
                "aud",
                Some(json!(self.settings.audience.as_deref().unwrap_or(service))),
            ),
            ("sub", told("sub").map(Value::String)),
            ("client_id", client_id.map(Value::String)),
            ("scope", scope.map(Value::String)),
            ("consumer", consumer.map(Value::Object)),
        ])
    }

    fn sign(
        &self,
        mut claims: Map<String, Value>,
        granted: &Granted,
        now: UnixTime,
    ) -> Result<HeaderValue, Unwritten> {
        let mut id = [0; 16];
        let failed = |error: &dyn std::error::Error| {
            tracing::error!(%error, header = %self.header(), "left out: it cannot be signed");
            Unwritten::Absent
        };
        getrandom::fill(&mut id).map_err(|error| failed(&error))?;
        let least = now.plus(LEAST_LIFE);
        let ends = now
            .plus(self.settings.lifetime)
            .min(granted.expires_at().max(least));
        claims.insert("iat".to_owned(), json!(now.as_secs()));
        claims.insert("exp".to_owned(), json!(ends.as_secs()));
        claims.insert("jti".to_owned(), json!(URL_SAFE_NO_PAD.encode(id)));
        let token = self
            .signer
            .sign(&Value::Object(claims))
            .map_err(|error| failed(&error))?;
        header_value::plain(token.expose().to_owned())
    }
}

/// The members that have a value.
fn present<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}
