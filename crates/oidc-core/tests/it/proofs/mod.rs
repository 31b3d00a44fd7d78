//! DPoP proofs: each check of RFC 9449 §4.3 against a proof that fails it, beside a twin that
//! differs in the attacked part alone and is taken.

mod defects;
mod made;
mod time;

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
