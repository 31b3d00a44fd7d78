//! What a token costs that is verified, a proof of possession beside it, and a credential that is
//! looked up.

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
use oidc_core::possession::{DpopSigner, NonceRule, Proof, ProofCheck, ProofClaims, ReplayTable};
use oidc_core::provider::{Provider, ProviderMetadata};
use oidc_core::verify::{AccessTokenPolicy, verify_access_token};
use oidc_core::{Credential, FingerprintKey, Secret, UnixTime};
use serde_json::json;
use url::Url;

const ISSUER: &str = "https://idp.test/realms/kong";

fn verify(criterion: &mut Criterion) {
    let now = UnixTime::from_secs(1_800_000_000);
    let policy = AccessTokenPolicy {
        issuers: &[ISSUER.to_owned()],
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

/// The key comes with each proof, and is prepared for it alone.
fn proof(criterion: &mut Criterion) {
    let token = Secret::new("token");
    let url = Url::parse("https://api.test/anything/42").expect("a URL");
    let claims = ProofClaims {
        method: "GET",
        url: &url,
        now: UnixTime::from_secs(1_800_000_000),
        jti: "f3c1d1f0-6a0e-4b53-8d7c-3a5a1b8f4a11",
        nonce: None,
        access_token: Some(&token),
    };
    let check = ProofCheck {
        method: "GET",
        url: &url,
        access_token: Some(&token),
        algorithms: AlgorithmSet::default(),
        nonce: NonceRule::Off,
        now: claims.now,
        lifetime: Duration::from_secs(300),
        leeway: ProofCheck::LEEWAY,
    };
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).expect("a key");
        let signer = DpopSigner::new(key, algorithm).expect("a signer");
        let proof = signer.proof(&claims).expect("signed");
        criterion.bench_function(&format!("proof/{algorithm}"), |bencher| {
            bencher.iter(|| check.verify(black_box(proof.expose())).expect("good"));
        });
        criterion.bench_function(&format!("proof/sign {algorithm}"), |bencher| {
            bencher.iter(|| signer.proof(black_box(&claims)).expect("signed"));
        });
    }
    let signer = DpopSigner::generate().expect("a signer");
    let proof = signer.proof(&claims).expect("signed");
    let check = ProofCheck {
        method: "POST",
        ..check
    };
    criterion.bench_function("proof/refused before its signature", |bencher| {
        bencher.iter(|| check.verify(black_box(proof.expose())).expect_err("a GET"));
    });
}

/// A proof entered into a table of many, of which one goes for each that comes.
fn replay(criterion: &mut Criterion) {
    let url = Url::parse("https://api.test/").expect("a URL");
    let signer = DpopSigner::generate().expect("a signer");
    let lifetime = Duration::from_secs(300);
    let made = |n: u64| -> Proof {
        let now = UnixTime::from_millis(1_800_000_000_000 + 10 * n);
        let claims = ProofClaims {
            method: "GET",
            url: &url,
            now,
            jti: &n.to_string(),
            nonce: None,
            access_token: None,
        };
        let check = ProofCheck {
            method: "GET",
            url: &url,
            access_token: None,
            algorithms: AlgorithmSet::default(),
            nonce: NonceRule::Off,
            now,
            lifetime,
            leeway: ProofCheck::LEEWAY,
        };
        let proof = signer.proof(&claims).expect("signed");
        check.verify(proof.expose()).expect("good")
    };
    // 100 a second for ten minutes: half of them are over when the last comes.
    let proofs: Vec<_> = (0..60_000).map(made).collect();
    let mut table = ReplayTable::new(1 << 17);
    let mut at = 0;
    criterion.bench_function("proof/enter the table", |bencher| {
        bencher.iter(|| {
            if at == proofs.len() {
                (table, at) = (ReplayTable::new(1 << 17), 0);
            }
            let proof = black_box(&proofs[at]);
            at += 1;
            table.enter(proof.mark(), proof.issued_at()).expect("room")
        });
    });
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

criterion_group!(benches, verify, proof, replay, fingerprint);
criterion_main!(benches);
