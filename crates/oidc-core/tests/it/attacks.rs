//! What is tried on access tokens that callers present, family by family: RFC 8725, RFC 7515 §10,
//! RFC 9068 §5. Each attack stands beside a twin that differs in the attacked part alone, and passes.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use oidc_core::client::assertion::SigningKey;
use oidc_core::grant::{GrantPolicy, Step};
use oidc_core::jose::{Algorithm, KeySet, KeySetLimits};
use oidc_core::{Credential, Secret};
use serde_json::{Value, json};

use crate::support::{ISSUER, at, end_of, policy, verifying};

static ISSUERS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).expect("a key"));
static ATTACKERS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).expect("a key"));

fn public(key: &SigningKey) -> Value {
    key.public_jwk(Algorithm::Rs256).expect("an RSA key")
}

fn issuers_keys() -> KeySet {
    let set = json!({"keys": [public(&ISSUERS)]}).to_string();
    KeySet::parse(set.as_bytes(), &KeySetLimits::default()).expect("a key set")
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": ISSUERS.kid()})
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "john", "typ": "Bearer", "aud": "api",
        "iat": at(0).as_secs(), "nbf": at(0).as_secs(), "exp": at(60).as_secs(),
    })
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these very texts, signed by a key.
fn written(header: &str, claims: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = key
        .sign(Algorithm::Rs256, input.as_bytes())
        .expect("signed");
    format!("{input}.{}", encode(signature))
}

fn with(mut value: Value, change: &Value) -> Value {
    for (name, to) in change.as_object().expect("an object") {
        value[name] = to.clone();
    }
    value
        .as_object_mut()
        .expect("an object")
        .retain(|_, value| !value.is_null());
    value
}

/// A token with these members changed, signed by the issuer.
fn token(header_change: &Value, claims_change: &Value) -> String {
    let (header, claims) = (with(header(), header_change), with(claims(), claims_change));
    written(&header.to_string(), &claims.to_string(), &ISSUERS)
}

/// What becomes of it: `None` if it is taken.
fn verdict(policy: &Arc<GrantPolicy>, token: &str) -> Option<&'static str> {
    let credential = Credential::Bearer(Secret::new(token));
    let step = match oidc_core::grant::Grant::start(Arc::clone(policy), credential.clone(), None) {
        Step::Done(ended) => Step::Done(ended),
        _ => verifying(policy, credential).verify(at(1)),
    };
    let mut step = step;
    for _ in 0..3 {
        step = match step {
            Step::Keys(state) => state.found(&issuers_keys(), at(1)),
            step => step,
        };
    }
    let denial = end_of(step).result.err()?;
    let reason = denial.reason();
    assert_eq!(reason.status().as_u16(), 401, "{reason}");
    Some(reason.code())
}

fn bearer() -> Arc<GrantPolicy> {
    let mut policy = policy();
    policy.access_tokens.bearer = true;
    Arc::new(policy)
}

/// One family: what is tried, the twin, and the reason.
fn tried(family: &str, attack: &str, twin: &str, expected: &str) {
    let policy = bearer();
    assert_eq!(
        verdict(&policy, twin),
        None,
        "{family}: the twin of {expected}"
    );
    assert_eq!(verdict(&policy, attack), Some(expected), "{family}");
}

fn good() -> String {
    token(&json!({}), &json!({}))
}

#[test]
fn the_algorithm_is_not_the_tokens_to_choose() {
    for name in ["none", "None", "NONE", "", "RS257", "rs256", " RS256"] {
        let attack = token(&json!({"alg": name}), &json!({}));
        tried("alg", &attack, &good(), "token.algorithm_unknown");
    }
    for gone in [json!(null), json!(["RS256"]), json!(7)] {
        let attack = token(&json!({"alg": gone}), &json!({}));
        let code = verdict(&bearer(), &attack).expect("refused");
        assert!(
            ["token.algorithm_unknown", "token.header_malformed"].contains(&code),
            "{code}"
        );
    }
    // Unsecured, as RFC 7515 A.5 writes it.
    let (header, claims) = (json!({"alg": "none"}).to_string(), claims().to_string());
    let unsecured = format!("{}.{}.", encode(header), encode(claims));
    tried("unsecured", &unsecured, &good(), "token.algorithm_unknown");
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let jwk = public(&ISSUERS);
    let modulus = URL_SAFE_NO_PAD
        .decode(jwk["n"].as_str().expect("a modulus"))
        .expect("base64url");
    for secret in [jwk.to_string().into_bytes(), modulus] {
        let header = with(header(), &json!({"alg": "HS256"}));
        let input = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims().to_string())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let attack = format!("{input}.{}", encode(hmac::sign(&key, input.as_bytes())));
        tried("confusion", &attack, &good(), "token.algorithm_not_allowed");
    }
    // The same kind of key, another way to use it: the key says that it is for RS256.
    let attack = token(&json!({"alg": "PS256"}), &json!({}));
    tried("RS256 as PS256", &attack, &good(), "token.key_unknown");
}

#[test]
fn a_token_does_not_bring_its_own_key() {
    let own = public(&ATTACKERS);
    for (name, value) in [
        ("jwk", own.clone()),
        ("jku", json!("https://evil.test/keys")),
        ("x5u", json!("https://evil.test/certificate")),
        ("x5c", json!(["MIIB"])),
        ("x5t#S256", json!("AAAA")),
    ] {
        let change = json!({ name: value });
        let header = with(header(), &change).to_string();
        let attack = written(&header, &claims().to_string(), &ATTACKERS);
        // The twin says the same and is signed by the issuer: the member is passed over.
        let twin = token(&change, &json!({}));
        tried(name, &attack, &twin, "token.signature_invalid");
    }
    let header = with(header(), &json!({"kid": ATTACKERS.kid(), "jwk": own}));
    let attack = written(&header.to_string(), &claims().to_string(), &ATTACKERS);
    tried("jwk and kid", &attack, &good(), "token.key_unknown");
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    for kid in [
        "../../../../dev/null",
        "' OR '1'='1",
        "file:///etc/passwd",
        "a\u{0}b",
        "| whoami",
        "",
    ] {
        let attack = token(&json!({"kid": kid}), &json!({}));
        tried("kid", &attack, &good(), "token.key_unknown");
    }
    let attack = token(&json!({"kid": {"a": 1}}), &json!({}));
    tried("kid", &attack, &good(), "token.header_malformed");
    // Without a name every key of the issuer's is tried.
    assert_eq!(
        verdict(&bearer(), &token(&json!({"kid": null}), &json!({}))),
        None
    );
}

#[test]
fn a_signature_is_whole_canonical_and_the_issuers() {
    let good = good();
    let (rest, signature) = good.rsplit_once('.').expect("three parts");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let raw = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    for attack in [
        format!("{rest}."),
        format!("{rest}.AAAA"),
        format!("{rest}.{flipped}{}", &signature[1..]),
        format!("{rest}.{}", encode(&raw[1..])),
        format!("{rest}.{}", encode([&[0][..], &raw].concat())),
        format!("{rest}.{}", encode(vec![0; raw.len()])),
    ] {
        tried("signature", &attack, &good, "token.signature_invalid");
    }
    let stranger = written(&header().to_string(), &claims().to_string(), &ATTACKERS);
    tried("stranger", &stranger, &good, "token.signature_invalid");
}

#[test]
fn base64url_has_one_form() {
    let good = good();
    let (rest, signature) = good.rsplit_once('.').expect("three parts");
    let raw = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let padded = format!("{rest}.{}", URL_SAFE.encode(&raw));
    assert_ne!(padded, good, "256 bytes need padding");
    tried("padding", &padded, &good, "token.not_compact");
    // The last character of 256 bytes carries four bits that mean nothing.
    let last = signature.chars().last().expect("not empty");
    let next = char::from(last as u8 + 1);
    let loose = format!("{rest}.{}{next}", &signature[..signature.len() - 1]);
    tried("trailing bits", &loose, &good, "token.not_compact");
    for stray in ["+", "/", "=", " ", "\n"] {
        let attack = format!("{rest}.{stray}{signature}");
        tried("alphabet", &attack, &good, "token.not_compact");
    }
}

#[test]
fn what_stands_twice_is_not_read() {
    let (header, claims) = (header().to_string(), claims().to_string());
    let twice = |text: &str, member: &str| format!("{},{member}}}", &text[..text.len() - 1]);
    let attack = written(&twice(&header, r#""alg":"RS256""#), &claims, &ISSUERS);
    tried("header", &attack, &good(), "token.header_duplicate_member");
    let attack = written(&header, &twice(&claims, r#""sub":"admin""#), &ISSUERS);
    tried("claims", &attack, &good(), "token.claims_duplicate");
    let nested = token(&json!({}), &json!({"realm_access": {"roles": []}}));
    let text = with(serde_json::from_str(&claims).expect("claims"), &json!({}));
    let text = twice(
        &text.to_string(),
        r#""realm_access":{"roles":[],"roles":["admin"]}"#,
    );
    tried(
        "nested",
        &written(&header, &text, &ISSUERS),
        &nested,
        "token.claims_duplicate",
    );
}

#[test]
fn times_and_audiences_are_of_their_types_and_hold() {
    let now = at(1).as_secs();
    for (attack, twin, expected) in [
        (json!({"exp": null}), json!({}), "token.expiry_missing"),
        (json!({"exp": "9999999999"}), json!({}), "token.claim_type"),
        (json!({"exp": [now + 60]}), json!({}), "token.claim_type"),
        (json!({"exp": true}), json!({}), "token.claim_type"),
        (json!({"exp": {"$gt": 0}}), json!({}), "token.claim_type"),
        (json!({"exp": -1}), json!({}), "token.expired"),
        (
            json!({"exp": now}),
            json!({"exp": now + 1}),
            "token.expired",
        ),
        (json!({"nbf": "0"}), json!({"nbf": 0}), "token.claim_type"),
        (
            json!({"nbf": now + 1}),
            json!({"nbf": now}),
            "token.not_yet_valid",
        ),
        (json!({"iat": "0"}), json!({"iat": 0}), "token.claim_type"),
        (
            json!({"iat": now + 9}),
            json!({"iat": now}),
            "token.issued_in_future",
        ),
        (json!({"aud": 7}), json!({"aud": "7"}), "token.claim_type"),
        (
            json!({"aud": ["a", null]}),
            json!({"aud": ["a"]}),
            "token.claim_type",
        ),
        (
            json!({"aud": {"a": 1}}),
            json!({"aud": []}),
            "token.claim_type",
        ),
        (json!({"iss": null}), json!({}), "token.issuer_mismatch"),
        (json!({"iss": [ISSUER]}), json!({}), "token.claim_type"),
        (
            json!({"iss": format!("{ISSUER}/")}),
            json!({}),
            "token.issuer_mismatch",
        ),
        (
            json!({"iss": format!("{ISSUER}.evil.test")}),
            json!({}),
            "token.issuer_mismatch",
        ),
        (json!({"sub": 7}), json!({"sub": "7"}), "token.claim_type"),
    ] {
        tried(
            &attack.to_string(),
            &token(&json!({}), &attack),
            &token(&json!({}), &twin),
            expected,
        );
    }
}

#[test]
fn no_extension_is_understood_and_no_encryption() {
    for (change, expected) in [
        (
            json!({"crit": ["exp"], "exp": 1}),
            "token.critical_extension",
        ),
        (json!({"crit": []}), "token.critical_extension"),
        (
            json!({"b64": false, "crit": ["b64"]}),
            "token.critical_extension",
        ),
        (json!({"b64": false}), "token.critical_extension"),
        (json!({"zip": "DEF"}), "token.critical_extension"),
    ] {
        let attack = token(&change, &json!({}));
        tried("crit", &attack, &good(), expected);
    }
    // Five parts are an encrypted token, which nobody here can read; four or six are nothing.
    let header = encode(json!({"alg": "dir", "enc": "A256GCM"}).to_string());
    for token in [
        format!("{header}.a.b.c.d"),
        format!("{}.a", good()),
        format!("{}.a.b.c", good()),
    ] {
        assert_eq!(verdict(&bearer(), &token), Some("token.opaque"), "{token}");
    }
}

#[test]
fn other_kinds_of_tokens_are_no_access_tokens() {
    for (header, claims) in [
        (json!({"typ": "dpop+jwt"}), json!({})),
        (json!({"typ": "logout+jwt"}), json!({})),
        (json!({"typ": "secevent+jwt"}), json!({})),
        (json!({"typ": "token-introspection+jwt"}), json!({})),
        (json!({}), json!({"typ": "ID"})),
        (json!({}), json!({"typ": "Refresh"})),
        (json!({}), json!({"typ": "Offline"})),
        (json!({}), json!({"typ": "Logout"})),
        (json!({}), json!({"at_hash": "AAAA"})),
        (json!({}), json!({"c_hash": "AAAA"})),
        (
            json!({}),
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ),
    ] {
        let twin = if header == json!({}) {
            good()
        } else {
            token(&json!({"typ": "at+jwt"}), &json!({}))
        };
        tried("kind", &token(&header, &claims), &twin, "token.wrong_type");
    }
}

#[test]
fn whoever_asks_for_rfc_9068_gets_all_of_it() {
    let mut policy = policy();
    policy.access_tokens.bearer = true;
    policy.verification.typ = Some("at+jwt".to_owned());
    let policy = Arc::new(policy);
    let typed = json!({"typ": "at+jwt"});
    let whole = json!({"client_id": "c", "jti": "1"});
    assert_eq!(verdict(&policy, &token(&typed, &whole)), None);
    let spelt = json!({"typ": "application/AT+JWT"});
    assert_eq!(verdict(&policy, &token(&spelt, &whole)), None);
    for missing in ["client_id", "jti", "sub", "aud", "iat"] {
        let claims = with(whole.clone(), &json!({}));
        let change = with(claims, &json!({}));
        let mut change = change;
        change[missing] = Value::Null;
        assert_eq!(
            verdict(&policy, &token(&typed, &change)),
            Some("token.claim_missing"),
            "{missing}"
        );
    }
    for typ in [json!(null), json!("JWT")] {
        let plain = token(&json!({"typ": typ}), &whole);
        assert_eq!(verdict(&policy, &plain), Some("token.wrong_type"));
    }
}

#[test]
fn what_is_no_token_at_all_is_refused_without_a_panic() {
    let long = format!("eyJ{}.e30.c2ln", "A".repeat(70_000));
    for (token, expected) in [
        (long.as_str(), "token.too_long"),
        ("eyJhbGciOiJSUzI1NiJ9..", "token.signature_invalid"),
        ("eyJ.e30.c2ln", "token.not_compact"),
        ("eyJh.e30.c2ln", "token.header_malformed"),
        ("..", "token.opaque"),
        (".", "token.opaque"),
    ] {
        assert_eq!(verdict(&bearer(), token), Some(expected), "{token:.40}");
    }
}
