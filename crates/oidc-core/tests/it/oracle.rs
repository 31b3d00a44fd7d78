//! A second opinion: the crate `openidconnect` verifies what this one does, with other code on
//! another cryptographic library, and the two have to agree.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_core::UnixTime;
use oidc_core::client::assertion::SigningKey;
use oidc_core::jose::{Algorithm, AlgorithmSet, KeySet, KeySetLimits};
use oidc_core::verify::{IdTokenPolicy, verify_id_token};
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet};
use openidconnect::{ClientId, IssuerUrl, Nonce};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.test/realms/kong";
const CLIENT: &str = "kong";

/// What both know of the provider.
struct Provider {
    key: SigningKey,
    algorithm: Algorithm,
    now: u64,
}

impl Provider {
    fn new(algorithm: Algorithm) -> Self {
        // The other crate reads the system's clock, so this test has to live by it.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        Self {
            key: SigningKey::generate(algorithm).expect("a key"),
            algorithm,
            now: now.as_secs(),
        }
    }

    fn jwks(&self) -> Value {
        json!({"keys": [self.key.public_jwk(self.algorithm).expect("a public half")]})
    }

    /// A good ID token but for this change of its claims.
    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": ISSUER,
            "aud": CLIENT,
            "azp": CLIENT,
            "sub": "john",
            "iat": self.now,
            "exp": self.now + 300,
        });
        change(&mut claims);
        let header = json!({
            "alg": self.algorithm.name(),
            "typ": "JWT",
            "kid": self.key.kid(),
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let input = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .key
            .sign(self.algorithm, input.as_bytes())
            .expect("signed");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn ours(&self, token: &str) -> bool {
        let limits = KeySetLimits::default();
        let keys = KeySet::parse(self.jwks().to_string().as_bytes(), &limits).expect("a key set");
        let policy = IdTokenPolicy {
            issuers: &[ISSUER.to_owned()],
            client_id: CLIENT,
            algorithms: AlgorithmSet::default(),
            leeway: Duration::ZERO,
            nonce: None,
            access_token: None,
            verify_signature: true,
            verify_claims: true,
        };
        verify_id_token(token, &keys, &policy, UnixTime::from_secs(self.now)).is_ok()
    }

    fn theirs(&self, token: &str) -> bool {
        let keys: CoreJsonWebKeySet = serde_json::from_value(self.jwks()).expect("a key set");
        let issuer = IssuerUrl::new(ISSUER.to_owned()).expect("an issuer");
        let verifier =
            CoreIdTokenVerifier::new_public_client(ClientId::new(CLIENT.to_owned()), issuer, keys)
                .allow_any_alg();
        let Ok(token) = token.parse::<CoreIdToken>() else {
            return false;
        };
        token.claims(&verifier, |_: Option<&Nonce>| Ok(())).is_ok()
    }

    #[track_caller]
    fn agree(&self, what: &str, token: &str, good: bool) {
        let algorithm = self.algorithm;
        assert_eq!(self.ours(token), good, "ours: {what}, {algorithm}");
        assert_eq!(self.theirs(token), good, "theirs: {what}, {algorithm}");
    }
}

#[test]
fn two_verifiers_agree_on_what_is_good_and_on_what_is_not() {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Ps384,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let provider = Provider::new(algorithm);
        let good = provider.token(|_| ());
        provider.agree("as it should be", &good, true);
        let another = Provider::new(algorithm);
        provider.agree("another's key", &another.token(|_| ()), false);
        let (signed, _) = good.rsplit_once('.').expect("three parts");
        provider.agree("no signature", &format!("{signed}."), false);
        for (what, change) in [
            ("another issuer", json!({"iss": "https://evil.test"})),
            ("another audience", json!({"aud": "somebody-else"})),
            ("no audience", json!({"aud": null})),
            ("expired", json!({"exp": provider.now - 1})),
            ("no expiry", json!({"exp": null})),
            ("an expiry of text", json!({"exp": "soon"})),
            ("no subject", json!({"sub": null})),
        ] {
            let token = provider.token(|claims| {
                for (name, value) in change.as_object().expect("a change") {
                    if value.is_null() {
                        claims.as_object_mut().expect("claims").remove(name);
                    } else {
                        claims[name] = value.clone();
                    }
                }
            });
            provider.agree(what, &token, false);
        }
    }
}
