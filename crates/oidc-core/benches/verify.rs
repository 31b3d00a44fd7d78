//! What a token costs that is verified, and a credential that is looked up.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use oidc_core::client::assertion::SigningKey;
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{Grant, GrantPolicy, Step};
use oidc_core::jose::{Algorithm, AlgorithmSet, KeySet, KeySetLimits};
use oidc_core::provider::{Provider, ProviderMetadata};
use oidc_core::verify::{AccessTokenPolicy, verify_access_token};
use oidc_core::{Credential, FingerprintKey, Secret, UnixTime};
use serde_json::json;

const ISSUER: &str = "https://idp.test/realms/kong";

fn verify(criterion: &mut Criterion) {
    let now = UnixTime::from_secs(1_800_000_000);
    let policy = AccessTokenPolicy {
        issuers: vec![ISSUER.to_owned()],
        algorithms: AlgorithmSet::default(),
        typ: None,
        leeway: Duration::ZERO,
        verify_signature: true,
        verify_claims: true,
    };
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).expect("a key");
        let set = json!({"keys": [key.public_jwk(algorithm)]}).to_string();
        let keys = KeySet::parse(set.as_bytes(), &KeySetLimits::default()).expect("a key set");
        let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": key.kid()});
        // As large as Keycloak's.
        let claims = json!({
            "iss": ISSUER, "sub": "f3c1d1f0-6a0e-4b53-8d7c-3a5a1b8f4a11", "typ": "Bearer",
            "azp": "kong", "aud": "account", "exp": now.as_secs() + 60, "iat": now.as_secs(),
            "realm_access": {"roles": ["offline_access", "default-roles-kong", "uma_authorization"]},
            "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
            "scope": "openid email profile", "preferred_username": "john", "name": "John Doe",
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(&header), encode(&claims));
        let signature = key.sign(algorithm, input.as_bytes()).expect("signed");
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
        criterion.bench_function(&format!("verify/{algorithm}"), |bencher| {
            bencher.iter(|| {
                verify_access_token(black_box(&token), &keys, &policy, now).expect("verified")
            });
        });
    }
}

fn fingerprint(criterion: &mut Criterion) {
    let secret = ClientAuthentication::SecretBasic(Secret::new("secret"));
    let provider = Provider::new(ISSUER).expect("an issuer");
    let policy = Arc::new(GrantPolicy::new(
        provider,
        vec![Client::new("kong", secret)],
    ));
    let document = json!({
        "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/certs"),
    });
    let metadata = ProviderMetadata::parse(document.to_string().as_bytes(), ISSUER);
    let metadata = Arc::new(metadata.expect("metadata"));
    let key = FingerprintKey::new(&[7; 32]);
    let token = "eyJhbGciOiJIUzUxMiJ9.".repeat(40);
    criterion.bench_function("fingerprint/850 bytes", |bencher| {
        bencher.iter(|| {
            let credential = Credential::RefreshToken(Secret::new(token.as_str()));
            let step = Grant::start(Arc::clone(&policy), credential, None);
            let Step::Metadata(state) = step else {
                panic!("metadata come first")
            };
            state.found(Arc::clone(&metadata), &key)
        });
    });
}

criterion_group!(benches, verify, fingerprint);
criterion_main!(benches);
