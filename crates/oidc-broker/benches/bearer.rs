//! What a bearer token costs: seen before, and for the first time; beside the verification alone,
//! and the check of the signature alone, which nobody can do without.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use oidc_broker::{Broker, Transport, TransportFuture, TransportResponse, system_clock};
use oidc_core::client::assertion::SigningKey;
use oidc_core::grant::GrantPolicy;
use oidc_core::jose::{Algorithm, AlgorithmSet, KeySet, KeySetLimits};
use oidc_core::provider::Provider;
use oidc_core::verify::{AccessTokenPolicy, verify_access_token};
use oidc_core::{Credential, Secret};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.test/realms/kong";

/// A provider that answers at once, with these keys.
struct Idp(Value);

impl Transport for Idp {
    fn send(&self, request: http::Request<Secret>) -> TransportFuture<'_> {
        let body = match request.uri().path() {
            "/certs" => self.0.clone(),
            _ => json!({
                "issuer": ISSUER,
                "token_endpoint": "https://idp.test/token",
                "jwks_uri": "https://idp.test/certs",
            }),
        };
        let mut headers = http::HeaderMap::new();
        let json = http::HeaderValue::from_static("application/json");
        headers.insert("content-type", json);
        let response = TransportResponse {
            status: http::StatusCode::OK,
            headers,
            body: body.to_string().into_bytes(),
        };
        Box::pin(async { Ok(response) })
    }
}

/// A token as large as Keycloak's: what is signed, and the signature.
fn token(key: &SigningKey) -> (String, Vec<u8>) {
    let now = system_clock()().as_secs();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": key.kid()});
    let claims = json!({
        "iss": ISSUER, "sub": "f3c1d1f0-6a0e-4b53-8d7c-3a5a1b8f4a11", "typ": "Bearer",
        "azp": "kong", "aud": "account", "exp": now + 3600, "iat": now,
        "realm_access": {"roles": ["offline_access", "default-roles-kong", "uma_authorization"]},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "scope": "openid email profile", "preferred_username": "john", "name": "John Doe",
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key.sign(Algorithm::Rs256, input.as_bytes());
    (input, signature.expect("signed"))
}

fn bearer(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let key = SigningKey::generate(Algorithm::Rs256).expect("a key");
    let public = key.public_jwk(Algorithm::Rs256).expect("public");
    let set = json!({ "keys": [public] });
    let (input, signature) = token(&key);
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(&signature));

    for (name, cache) in [("cached", true), ("first seen, RS256", false)] {
        let mut policy = GrantPolicy::new(Provider::new(ISSUER).expect("an issuer"), vec![]);
        policy.access_tokens.bearer = true;
        policy.cache_tokens = cache;
        let policy = Arc::new(policy);
        // Each with a memory of its own: what one remembers, the other would be served.
        let broker = Broker::builder(Arc::new(Idp(set.clone())))
            .build()
            .expect("randomness");
        let grant = async || {
            let credential = Credential::Bearer(Secret::new(black_box(token.as_str())));
            let granted = broker.grant(&policy, credential, None).await;
            granted.expect("granted")
        };
        let twice = runtime.block_on(async { [grant().await, grant().await] });
        assert_eq!(Arc::ptr_eq(&twice[0], &twice[1]), cache, "{name}");
        criterion.bench_function(&format!("bearer/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(grant()));
        });
    }

    let policy = AccessTokenPolicy {
        issuers: &[ISSUER.to_owned()],
        algorithms: AlgorithmSet::default(),
        typ: None,
        leeway: Duration::ZERO,
        verify_signature: true,
        verify_claims: true,
    };
    let limits = KeySetLimits::default();
    let keys = KeySet::parse(set.to_string().as_bytes(), &limits).expect("a key set");
    let now = system_clock()();
    criterion.bench_function("bearer/verify_access_token, RS256", |bencher| {
        bencher.iter(|| {
            verify_access_token(black_box(&token), &keys, &policy, now).expect("verified")
        });
    });

    let bytes = |name: &str| {
        let text = public[name].as_str().expect("a member");
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let (n, e) = (bytes("n"), bytes("e"));
    let public = RsaPublicKeyComponents { n: &n, e: &e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .expect("a key");
    criterion.bench_function("bearer/signature alone, RS256", |bencher| {
        bencher.iter(|| {
            let checked = public.verify_sig(black_box(input.as_bytes()), &signature);
            checked.expect("good");
        });
    });
}

criterion_group!(benches, bearer);
criterion_main!(benches);
