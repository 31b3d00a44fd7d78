//! DPoP proofs: each check of RFC 9449 §4.3 against a proof that fails it, beside a twin that
//! differs in the attacked part alone and is taken.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_core::client::assertion::SigningKey;
use oidc_core::jose::{Algorithm, AlgorithmSet};
use oidc_core::possession::{
    DpopSigner, NonceKey, NonceRule, Proof, ProofCheck, ProofClaims, ProofError, proof_header,
};
use oidc_core::{Secret, UnixTime};
use serde_json::{Value, json};
use url::Url;

use crate::support::at;

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).expect("a key"));
static URL: LazyLock<Url> = LazyLock::new(|| Url::parse("https://api.test/a?b=c").expect("a URL"));
static TOKEN: LazyLock<Secret> = LazyLock::new(|| Secret::new("Kz~8mXK1EalYznwH"));
static NONCES: LazyLock<NonceKey> = LazyLock::new(|| NonceKey::new(&[5; 32]));

const LIFETIME: Duration = Duration::from_secs(300);

fn check() -> ProofCheck<'static> {
    ProofCheck {
        method: "GET",
        url: &URL,
        access_token: Some(&TOKEN),
        algorithms: AlgorithmSet::default(),
        nonce: NonceRule::Off,
        now: at(0),
        lifetime: LIFETIME,
        leeway: ProofCheck::LEEWAY,
    }
}

fn jwk(key: &SigningKey, algorithm: Algorithm) -> Value {
    let mut jwk = key.public_jwk(algorithm).expect("a public key");
    for name in ["use", "kid", "alg"] {
        jwk.as_object_mut().expect("an object").remove(name);
    }
    jwk
}

/// base64url(SHA-256), said in another way than the library does.
fn ath(token: &Secret) -> String {
    let signer = DpopSigner::generate().expect("a key");
    let proof = signer.proof(&ProofClaims {
        method: "GET",
        url: &URL,
        now: at(0),
        jti: "ath",
        nonce: None,
        access_token: Some(token),
    });
    payload(proof.expect("signed").expose())["ath"]
        .as_str()
        .expect("a hash")
        .to_owned()
}

fn payload(proof: &str) -> Value {
    let payload = proof.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(&KEY, Algorithm::Es256)})
}

fn claims() -> Value {
    json!({
        "jti": "one",
        "htm": "GET",
        "htu": "https://api.test/a",
        "iat": at(0).as_secs(),
        "ath": ath(&TOKEN),
    })
}

/// The same with some members changed; `null` takes one out.
fn with(mut whole: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    let members = whole.as_object_mut().expect("an object");
    members.retain(|_, value| !value.is_null());
    whole
}

fn sign(header: &str, claims: &str) -> String {
    sign_by(&KEY, Algorithm::Es256, header, claims)
}

fn sign_by(key: &SigningKey, algorithm: Algorithm, header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(algorithm, input.as_bytes()).expect("signed");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verified(header_changes: &Value, claim_changes: &Value) -> Result<Proof, ProofError> {
    let (header, claims) = (
        with(header(), header_changes),
        with(claims(), claim_changes),
    );
    check().verify(&sign(&header.to_string(), &claims.to_string()))
}

/// RFC 9449: the key of all its examples.
const RFC_HEADER: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
const RFC_JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

#[test]
fn rfc9449_4_1_a_proof_for_a_token_endpoint() {
    let proof = format!(
        "{RFC_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    );
    let url = Url::parse("https://server.example.com/token").expect("a URL");
    let check = ProofCheck {
        method: "POST",
        url: &url,
        access_token: None,
        now: UnixTime::from_secs(1_562_262_616),
        ..check()
    };
    let verified = check.verify(&proof).expect("the RFC's own");
    assert_eq!(verified.jti(), "-BwC3ESc6acc2lTc");
    assert_eq!(verified.key().to_string(), RFC_JKT);
    assert_eq!(verified.issued_at(), UnixTime::from_secs(1_562_262_616));
    let resource = ProofCheck {
        access_token: Some(&TOKEN),
        ..check
    };
    assert_eq!(
        resource.verify(&proof).err(),
        Some(ProofError::ClaimMissing("ath"))
    );
}

#[test]
fn rfc9449_7_1_a_proof_for_a_resource() {
    let proof = format!(
        "{RFC_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    );
    let url = Url::parse("https://resource.example.org/protectedresource").expect("a URL");
    let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    assert_eq!(ath(&token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    let check = ProofCheck {
        url: &url,
        access_token: Some(&token),
        now: UnixTime::from_secs(1_562_262_618),
        ..check()
    };
    let verified = check.verify(&proof).expect("the RFC's own");
    assert_eq!(verified.key().to_string(), RFC_JKT);
    let other = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV");
    let check = ProofCheck {
        access_token: Some(&other),
        ..check
    };
    assert_eq!(
        check.verify(&proof).err(),
        Some(ProofError::AccessTokenMismatch)
    );
}

#[test]
fn a_header_that_stands_once_is_the_proof() {
    let many = [b'a'; 8193];
    for (lines, expected) in [
        (&[][..], Ok(None)),
        (&[&b"a.b.c"[..]][..], Ok(Some("a.b.c"))),
        (&[b" a.b.c\t"], Ok(Some("a.b.c"))),
        (&[b"a.b.c", b"a.b.c"], Err(ProofError::Repeated)),
        (&[b"a.b.c", b""], Err(ProofError::Repeated)),
        (&[b"a.b.c, a.b.c"], Err(ProofError::Repeated)),
        (&[b""], Err(ProofError::Malformed)),
        (&[b"a.b c"], Err(ProofError::Malformed)),
        (&[b"a.b.\xc3\xa9"], Err(ProofError::Malformed)),
        (&[b"a.b.\xff"], Err(ProofError::Malformed)),
        (
            &[&many[..8192]],
            Ok(std::str::from_utf8(&many[..8192]).ok()),
        ),
        (&[&many], Err(ProofError::TooLong)),
    ] {
        assert_eq!(proof_header(lines), expected);
    }
}

#[test]
fn each_defect_of_the_header_is_told_from_its_sound_twin() {
    let public = jwk(&KEY, Algorithm::Es256);
    let key = |changes: Value| json!({"jwk": with(public.clone(), &changes)});
    let x = public["x"].as_str().expect("text").to_owned();
    let y = public["y"].as_str().expect("text").to_owned();
    for (taken, refused, error) in [
        (json!({}), json!({"typ": "JWT"}), ProofError::Type),
        (json!({}), json!({"typ": "DPoP+JWT"}), ProofError::Type),
        (json!({}), json!({"typ": null}), ProofError::Type),
        (json!({}), json!({"typ": 7}), ProofError::Malformed),
        (
            json!({}),
            json!({"alg": "none"}),
            ProofError::AlgorithmNotAllowed,
        ),
        (
            json!({}),
            json!({"alg": "HS256"}),
            ProofError::AlgorithmNotAllowed,
        ),
        (
            json!({}),
            json!({"alg": "ES256K"}),
            ProofError::AlgorithmNotAllowed,
        ),
        (
            json!({}),
            json!({"alg": null}),
            ProofError::AlgorithmNotAllowed,
        ),
        (json!({}), json!({"alg": "ES384"}), ProofError::KeyRejected),
        (json!({}), json!({"alg": "RS256"}), ProofError::KeyRejected),
        (
            json!({"x5t": []}),
            json!({"crit": []}),
            ProofError::CriticalExtension,
        ),
        (json!({}), json!({"jwk": null}), ProofError::KeyMissing),
        (json!({}), json!({"jwk": []}), ProofError::KeyMissing),
        (json!({}), json!({"jwk": "key"}), ProofError::KeyMissing),
        (
            key(json!({"alg": "ES256"})),
            key(json!({"alg": "ES384"})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({"use": "sig"})),
            key(json!({"use": "enc"})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({"key_ops": ["verify"]})),
            key(json!({"key_ops": ["sign"]})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({"kid": "a"})),
            key(json!({"kid": 7})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({})),
            key(json!({"crv": "P-384"})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({})),
            key(json!({"kty": "RSA"})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({})),
            key(json!({"kty": null})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({})),
            key(json!({"y": null})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({})),
            key(json!({"x": format!("AA{x}")})),
            ProofError::KeyRejected,
        ),
        // Off the curve.
        (
            key(json!({"x": x, "y": y})),
            key(json!({"x": y, "y": x})),
            ProofError::KeyRejected,
        ),
        (
            key(json!({"e": "AQ"})),
            key(json!({"d": "AQ"})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({"D": "AQ"})),
            key(json!({"d": false})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"p": "AQ"})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"q": "AQ"})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"dp": "AQ"})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"dq": "AQ"})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"qi": "AQ"})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"oth": []})),
            ProofError::KeyPrivate,
        ),
        (
            key(json!({})),
            key(json!({"k": "AQ"})),
            ProofError::KeyPrivate,
        ),
    ] {
        assert!(verified(&taken, &json!({})).is_ok(), "{taken}");
        assert_eq!(verified(&refused, &json!({})), Err(error), "{refused}");
    }
}

#[test]
fn each_defect_of_the_claims_is_told_from_its_sound_twin() {
    let now = at(0).as_secs();
    let (early, late) = (now - 305, now + 5);
    for (taken, refused, error) in [
        (
            json!({}),
            json!({"jti": null}),
            ProofError::ClaimMissing("jti"),
        ),
        (
            json!({}),
            json!({"htm": null}),
            ProofError::ClaimMissing("htm"),
        ),
        (
            json!({}),
            json!({"htu": null}),
            ProofError::ClaimMissing("htu"),
        ),
        (
            json!({}),
            json!({"iat": null}),
            ProofError::ClaimMissing("iat"),
        ),
        (
            json!({}),
            json!({"ath": null}),
            ProofError::ClaimMissing("ath"),
        ),
        (
            json!({"jti": "1"}),
            json!({"jti": 1}),
            ProofError::ClaimType("jti"),
        ),
        (
            json!({"jti": "1"}),
            json!({"jti": ""}),
            ProofError::ClaimType("jti"),
        ),
        (
            json!({"jti": "é".repeat(128)}),
            json!({"jti": "é".repeat(128) + "e"}),
            ProofError::ClaimType("jti"),
        ),
        (
            json!({}),
            json!({"htm": ["GET"]}),
            ProofError::ClaimType("htm"),
        ),
        (
            json!({}),
            json!({"htm": "POST"}),
            ProofError::MethodMismatch,
        ),
        (json!({}), json!({"htm": "get"}), ProofError::MethodMismatch),
        (
            json!({}),
            json!({"htm": "GET "}),
            ProofError::MethodMismatch,
        ),
        (json!({}), json!({"htu": {}}), ProofError::ClaimType("htu")),
        (
            json!({"htu": "HTTPS://api.test:443/%61"}),
            json!({"htu": "https://api.test/b"}),
            ProofError::UrlMismatch,
        ),
        (
            json!({"htu": "https://api.test/a?x=y"}),
            json!({"htu": "https://api.test/a/"}),
            ProofError::UrlMismatch,
        ),
        (
            json!({"htu": "https://api.test/a#f"}),
            json!({"htu": "http://api.test/a"}),
            ProofError::UrlMismatch,
        ),
        (
            json!({}),
            json!({"htu": "https://evil.test/a"}),
            ProofError::UrlMismatch,
        ),
        (
            json!({}),
            json!({"htu": "https://api.test:8443/a"}),
            ProofError::UrlMismatch,
        ),
        (json!({}), json!({"htu": "/a"}), ProofError::UrlMismatch),
        (json!({}), json!({"ath": 7}), ProofError::ClaimType("ath")),
        (
            json!({}),
            json!({"ath": ath(&Secret::new("other"))}),
            ProofError::AccessTokenMismatch,
        ),
        (
            json!({}),
            json!({"ath": ""}),
            ProofError::AccessTokenMismatch,
        ),
        (
            json!({}),
            json!({"ath": format!("{}=", ath(&TOKEN))}),
            ProofError::AccessTokenMismatch,
        ),
        (
            json!({"iat": now}),
            json!({"iat": now.to_string()}),
            ProofError::ClaimType("iat"),
        ),
        (
            json!({"iat": late}),
            json!({"iat": late + 1}),
            ProofError::IssuedInFuture,
        ),
        (
            json!({"iat": late}),
            json!({"iat": 1e300}),
            ProofError::IssuedInFuture,
        ),
        (
            json!({"iat": early}),
            json!({"iat": early - 1}),
            ProofError::Expired,
        ),
        (
            json!({"iat": early as f64 + 0.5}),
            json!({"iat": -1}),
            ProofError::Expired,
        ),
        (
            json!({"exp": now - 5}),
            json!({"exp": now - 6}),
            ProofError::Expired,
        ),
        (
            json!({"nbf": late}),
            json!({"nbf": late + 1}),
            ProofError::IssuedInFuture,
        ),
        (
            json!({"exp": late}),
            json!({"exp": "soon"}),
            ProofError::ClaimType("exp"),
        ),
        (
            json!({"nonce": "theirs"}),
            json!({"nonce": 7}),
            ProofError::ClaimType("nonce"),
        ),
    ] {
        let twin = verified(&json!({}), &taken);
        assert!(twin.is_ok(), "{taken}: {twin:?}");
        assert_eq!(verified(&json!({}), &refused), Err(error), "{refused}");
    }
}

#[test]
fn each_defect_of_the_form_is_told_from_its_sound_twin() {
    let (header, claims) = (header().to_string(), claims().to_string());
    let sound = sign(&header, &claims);
    assert!(check().verify(&sound).is_ok());
    let twice = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
    let (rest, signature) = sound.rsplit_once('.').expect("three parts");
    let (head, _) = rest.split_once('.').expect("three parts");
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let other = with(self::claims(), &json!({"jti": "two"})).to_string();
    for (refused, error) in [
        (
            sign(&twice(&header, r#""typ":"dpop+jwt""#), &claims),
            ProofError::DuplicateMember,
        ),
        (
            sign(&header.replace(r#""kty""#, r#""kty":"EC","kty""#), &claims),
            ProofError::DuplicateMember,
        ),
        (
            sign(&header, &twice(&claims, r#""jti":"one""#)),
            ProofError::DuplicateMember,
        ),
        (
            sign(&header, &twice(&claims, r#""jt\u0069":"one""#)),
            ProofError::DuplicateMember,
        ),
        (sign(&header, "[]"), ProofError::Malformed),
        (sign(&header, "{}{}"), ProofError::Malformed),
        (sign("[]", &claims), ProofError::Malformed),
        (rest.to_owned(), ProofError::Malformed),
        (format!("{sound}."), ProofError::Malformed),
        (format!("{sound}.a.b"), ProofError::Malformed),
        (format!("{sound}="), ProofError::Malformed),
        (format!(" {sound}"), ProofError::Malformed),
        (String::new(), ProofError::Malformed),
        ("a".repeat(8193), ProofError::TooLong),
        (format!("{rest}."), ProofError::SignatureInvalid),
        (
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(&other)),
            ProofError::SignatureInvalid,
        ),
        (
            sign_by(&stranger, Algorithm::Es256, &header, &claims),
            ProofError::SignatureInvalid,
        ),
    ] {
        assert_eq!(check().verify(&refused), Err(error), "{refused}");
    }
    // One as long as it may be, by a claim that says nothing.
    let filled = |n: usize| {
        let claims = with(self::claims(), &json!({"fill": "x".repeat(n)}));
        sign(&header, &claims.to_string())
    };
    let room = (8192 - filled(0).len()) / 4 * 3;
    assert!(check().verify(&filled(room - 3)).is_ok());
    assert_eq!(check().verify(&filled(room + 3)), Err(ProofError::TooLong));
}

#[test]
fn only_accepted_algorithms_are_taken() {
    let proof = sign(&header().to_string(), &claims().to_string());
    for (algorithms, expected) in [
        (&[Algorithm::Es256][..], None),
        (
            &[Algorithm::Es384, Algorithm::Rs256],
            Some(ProofError::AlgorithmNotAllowed),
        ),
        (&[], Some(ProofError::AlgorithmNotAllowed)),
    ] {
        let algorithms = AlgorithmSet::of(algorithms);
        let check = ProofCheck {
            algorithms,
            ..check()
        };
        assert_eq!(check.verify(&proof).err(), expected);
    }
    // A symmetric one is not, even if somebody accepts it: the key would be the attacker's.
    let algorithms = AlgorithmSet::of(&[Algorithm::Hs256]);
    let header = json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct"}});
    let key = SigningKey::from_secret(Secret::new("shared"));
    let proof = sign_by(
        &key,
        Algorithm::Hs256,
        &header.to_string(),
        &claims().to_string(),
    );
    let check = ProofCheck {
        algorithms,
        ..check()
    };
    assert_eq!(check.verify(&proof), Err(ProofError::AlgorithmNotAllowed));
}

/// Public keys by the length of their modulus; nothing is signed with them.
#[test]
fn an_rsa_key_is_as_large_as_it_may_be_and_as_it_must_be() {
    let of_bits = |bits: usize| {
        let mut n = vec![0xff; bits / 8];
        n[bits / 8 - 1] = 0x01;
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB"})
    };
    for (bits, error) in [
        (1024, ProofError::KeyRejected),
        (2040, ProofError::KeyRejected),
        (2048, ProofError::SignatureInvalid),
        (4096, ProofError::SignatureInvalid),
        (4104, ProofError::KeyRejected),
        (8192, ProofError::KeyRejected),
    ] {
        let changes = json!({"alg": "RS256", "jwk": of_bits(bits)});
        assert_eq!(verified(&changes, &json!({})), Err(error), "{bits}");
    }
}

#[test]
fn a_proof_is_good_until_its_last_moment() {
    let proof = sign(&header().to_string(), &claims().to_string());
    let moment = Duration::from_millis(1);
    let (first, last) = (at(0).minus(ProofCheck::LEEWAY), at(305));
    for (now, expected) in [
        (first.minus(moment), Err(ProofError::IssuedInFuture)),
        (first, Ok(last)),
        (at(0), Ok(last)),
        (last, Ok(last)),
        (last.plus(moment), Err(ProofError::Expired)),
    ] {
        let check = ProofCheck { now, ..check() };
        let end = check.verify(&proof).map(|proof| proof.expires_at());
        assert_eq!(end, expected, "{now:?}");
    }
}

#[test]
fn with_a_nonce_the_age_is_the_nonces() {
    let nonce = NONCES.issue(at(0), [1; 8]);
    let stranger = NonceKey::new(&[6; 32]).issue(at(0), [1; 8]);
    let far = at(1_000_000).as_secs();
    for (now, changes, expected) in [
        (at(0), json!({ "nonce": nonce }), Ok(at(300))),
        // A clock that is wrong by days.
        (at(0), json!({"nonce": nonce, "iat": far}), Ok(at(300))),
        (at(0), json!({"nonce": nonce, "iat": 0}), Ok(at(300))),
        (
            at(0),
            json!({"nonce": nonce, "iat": null}),
            Err(ProofError::ClaimMissing("iat")),
        ),
        (
            at(0),
            json!({"nonce": nonce, "exp": at(10).as_secs()}),
            Ok(at(15)),
        ),
        (
            at(300),
            json!({"nonce": nonce, "iat": at(300).as_secs()}),
            Ok(at(300)),
        ),
        (
            at(301),
            json!({"nonce": nonce, "iat": at(301).as_secs()}),
            Err(ProofError::NonceExpired),
        ),
        (at(0), json!({}), Err(ProofError::NonceMissing)),
        (at(0), json!({"nonce": ""}), Err(ProofError::NonceUnknown)),
        (
            at(0),
            json!({ "nonce": stranger }),
            Err(ProofError::NonceUnknown),
        ),
        (
            at(0),
            json!({"nonce": 7}),
            Err(ProofError::ClaimType("nonce")),
        ),
    ] {
        let proof = sign(&header().to_string(), &with(claims(), &changes).to_string());
        let nonce = NonceRule::Required(&NONCES);
        let verified = ProofCheck {
            now,
            nonce,
            ..check()
        }
        .verify(&proof);
        let end = verified
            .as_ref()
            .map(Proof::expires_at)
            .map_err(|error| *error);
        assert_eq!(end, expected, "{changes}");
        match verified {
            Ok(proof) => assert_eq!(proof.nonce_issued_at(), Some(at(0))),
            Err(error) => {
                let by_nonce = error.code().starts_with("dpop.nonce");
                assert_eq!(error.wants_nonce(), by_nonce, "{error}");
            }
        }
    }
}

#[test]
fn what_the_gateway_signs_it_verifies_by_each_algorithm() {
    let rsa = SigningKey::generate(Algorithm::Rs256).and_then(|key| key.to_pkcs8());
    let rsa = rsa.expect("DER");
    for algorithm in AlgorithmSet::default().iter() {
        let key = match algorithm.name().as_bytes() {
            [b'R' | b'P', ..] => SigningKey::from_pkcs8(&rsa, algorithm),
            _ => SigningKey::generate(algorithm),
        };
        let key = key.expect("a key");
        let kid = key.kid().expect("a thumbprint").to_owned();
        let signer = DpopSigner::new(key, algorithm).expect("a signer");
        let nonce = NONCES.issue(at(0), [1; 8]);
        let claims = ProofClaims {
            method: "GET",
            url: &URL,
            now: at(0),
            jti: "one",
            nonce: Some(&nonce),
            access_token: Some(&TOKEN),
        };
        let proof = signer.proof(&claims).expect("signed");
        assert_eq!(payload(proof.expose())["htu"], "https://api.test/a");
        let check = ProofCheck {
            nonce: NonceRule::Required(&NONCES),
            ..check()
        };
        let verified = check.verify(proof.expose()).expect("a good proof");
        assert_eq!(verified.key(), signer.thumbprint());
        assert_eq!(verified.key().to_string(), kid);
        // To a token endpoint there is neither.
        let bare = ProofClaims {
            nonce: None,
            access_token: None,
            ..claims
        };
        let proof = signer.proof(&bare).expect("signed");
        let members = payload(proof.expose());
        assert_eq!(members.as_object().map(serde_json::Map::len), Some(4));
        let check = ProofCheck {
            access_token: None,
            ..self::check()
        };
        assert!(check.verify(proof.expose()).is_ok());
    }
    let shared = SigningKey::from_secret(Secret::new("shared"));
    assert!(DpopSigner::new(shared, Algorithm::Hs256).is_err());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_byte_of_a_proof_can_be_changed(at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_.-]") {
            let proof = sign(&header().to_string(), &claims().to_string());
            let at = at.index(proof.len());
            let mut changed = proof.clone();
            changed.replace_range(at..=at, &other);
            prop_assert_eq!(check().verify(&changed).is_ok(), changed == proof);
        }

        #[test]
        fn a_proof_is_good_for_one_method_one_target_and_one_token(
            method in "[A-Z]{1,8}", path in "(/[a-z%é~]{0,4}){0,3}", query in "[ -~]{0,8}", token in "[a-z]{1,8}",
        ) {
            let signer = DpopSigner::generate().expect("a key");
            let url = Url::parse(&format!("https://api.test{path}?{query}")).expect("a URL");
            let token = Secret::new(token);
            let claims = ProofClaims {
                method: &method, url: &url, now: at(0), jti: "j", nonce: None, access_token: Some(&token),
            };
            let proof = signer.proof(&claims).expect("signed");
            let check = ProofCheck { method: &method, url: &url, access_token: Some(&token), ..check() };
            prop_assert!(check.verify(proof.expose()).is_ok());
            let other = format!("{method}X");
            prop_assert_eq!(
                ProofCheck { method: &other, ..check }.verify(proof.expose()),
                Err(ProofError::MethodMismatch)
            );
            let other = Url::parse(&format!("https://api.test{path}/x")).expect("a URL");
            prop_assert_eq!(
                ProofCheck { url: &other, ..check }.verify(proof.expose()),
                Err(ProofError::UrlMismatch)
            );
            let other = Secret::new(format!("{}x", token.expose()));
            prop_assert_eq!(
                ProofCheck { access_token: Some(&other), ..check }.verify(proof.expose()),
                Err(ProofError::AccessTokenMismatch)
            );
        }
    }
}
