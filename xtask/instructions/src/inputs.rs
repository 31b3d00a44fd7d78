//! What the parts are fed with: keys and tokens as large as Keycloak's, the same on each machine.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_core::client::assertion::SigningKey;
use oidc_core::jose::Algorithm;
use oidc_core::{Secret, UnixTime};
use serde_json::{Value, json};

/// Whose tokens they are.
pub(crate) const ISSUER: &str = "https://id.example.com/realms/customers-of-the-shop";

/// When they are presented: always the same moment.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

/// How long they are good for.
const LIFETIME: u64 = 300;

/// The keys and tokens that are kept with the source.
pub(crate) struct Inputs {
    /// A JWK Set.
    pub(crate) keys: String,
    pub(crate) rs256: String,
    pub(crate) es256: String,
    pub(crate) refresh_token: String,
}

impl Inputs {
    /// # Errors
    /// If the file is not what [`new`] makes.
    pub(crate) fn kept() -> Result<Self> {
        let kept: Value = serde_json::from_str(include_str!("../inputs.json"))?;
        let text = |name: &str| -> Result<String> {
            Ok(kept[name]
                .as_str()
                .context("a member is missing")?
                .to_owned())
        };
        Ok(Self {
            keys: json!({ "keys": kept["keys"] }).to_string(),
            rs256: text("rs256")?,
            es256: text("es256")?,
            refresh_token: text("refresh_token")?,
        })
    }
}

/// New keys, and tokens that they sign.
///
/// # Errors
/// If the cryptographic library fails.
pub(crate) fn new() -> Result<Value> {
    let rsa = SigningKey::generate(Algorithm::Rs256)?;
    let ec = SigningKey::generate(Algorithm::Es256)?;
    let own = SigningKey::from_secret(Secret::new("known to the provider alone, as it should be"));
    let (access, refresh) = (access_claims(), refresh_claims());
    Ok(json!({
        "keys": [rsa.public_jwk(Algorithm::Rs256), ec.public_jwk(Algorithm::Es256)],
        "rs256": signed(&rsa, Algorithm::Rs256, &access)?,
        "es256": signed(&ec, Algorithm::Es256, &access)?,
        "refresh_token": signed(&own, Algorithm::Hs512, &refresh)?,
    }))
}

fn signed(key: &SigningKey, algorithm: Algorithm, claims: &Value) -> Result<String> {
    let kid = key.kid().unwrap_or("0b1f5d4e-8f5f-4c53-9c33-0c6f3ff27d5a");
    let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": kid});
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(algorithm, input.as_bytes())?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn access_claims() -> Value {
    let now = NOW.as_secs();
    json!({
        "exp": now + LIFETIME,
        "iat": now,
        "jti": "onrtro:4b6d6c0e-2f2b-4d0c-9a39-0f8e4f3f3f11",
        "iss": ISSUER,
        "aud": "account",
        "sub": "f3c1d1f0-6a0e-4b53-8d7c-3a5a1b8f4a11",
        "typ": "Bearer",
        "azp": "shop",
        "sid": "6e0f8f1c-8d4e-4f9b-8f60-2d9c8b7a6f55",
        "acr": "1",
        "allowed-origins": ["https://app.example.com"],
        "realm_access": {"roles": ["offline_access", "default-roles-customers-of-the-shop", "uma_authorization"]},
        "resource_access": {
            "account": {"roles": ["manage-account", "manage-account-links", "view-profile"]},
        },
        "scope": "openid email profile",
        "email_verified": true,
        "name": "John Doe",
        "preferred_username": "john",
        "given_name": "John",
        "family_name": "Doe",
        "email": "john.doe@example.com",
    })
}

fn refresh_claims() -> Value {
    let now = NOW.as_secs();
    json!({
        "exp": now + 6 * LIFETIME,
        "iat": now,
        "jti": "0f8e4f3f-3f11-4d0c-9a39-4b6d6c0e2f2b",
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "f3c1d1f0-6a0e-4b53-8d7c-3a5a1b8f4a11",
        "typ": "Refresh",
        "azp": "shop",
        "sid": "6e0f8f1c-8d4e-4f9b-8f60-2d9c8b7a6f55",
        "scope": "openid acr web-origins roles basic email profile",
    })
}
