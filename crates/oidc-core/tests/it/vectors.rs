//! Vectors of the RFCs, as printed there: RFC 7515 A.2 and A.3, RFC 7517 A.1, RFC 7638 §3.1,
//! RFC 8037 A.3 and A.4.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_core::client::assertion::SigningKey;
use oidc_core::jose::{Algorithm, CompactJws, JwsError, KeySet, KeySetLimits};
use serde_json::{Value, json};

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515 A.2.1: header, key and signature.
const RS256: (&str, &str, &str) = (
    "eyJhbGciOiJSUzI1NiJ9",
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);

/// RFC 7515 A.3.1.
const ES256: (&str, &str, &str, &str) = (
    "eyJhbGciOiJFUzI1NiJ9",
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);

fn set(keys: &Value) -> KeySet {
    let set = json!({ "keys": keys }).to_string();
    KeySet::parse(set.as_bytes(), &KeySetLimits::default()).expect("a key set")
}

#[track_caller]
fn check(token: &str, key: &Value, algorithm: Algorithm) {
    let keys = set(&json!([key]));
    let jws = CompactJws::parse(token).expect("a JWS");
    assert_eq!(jws.algorithm(), algorithm);
    jws.verify(&keys).expect("the signature is good");
    // The twin differs in one bit of what is signed.
    let mut tampered = token.to_owned();
    let at = token.find('.').expect("three parts") + 10;
    let twin = if tampered.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    tampered.replace_range(at..=at, twin);
    let jws = CompactJws::parse(&tampered).expect("a JWS");
    assert_eq!(jws.verify(&keys).err(), Some(JwsError::SignatureInvalid));
}

#[test]
fn rfc7515_a2_an_rsa_signature() {
    let (header, n, signature) = RS256;
    let key = json!({"kty": "RSA", "n": n, "e": "AQAB"});
    check(
        &format!("{header}.{PAYLOAD}.{signature}"),
        &key,
        Algorithm::Rs256,
    );
}

#[test]
fn rfc7515_a3_an_elliptic_signature() {
    let (header, x, y, signature) = ES256;
    let key = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    check(
        &format!("{header}.{PAYLOAD}.{signature}"),
        &key,
        Algorithm::Es256,
    );
}

#[test]
fn rfc7515_a5_an_unsecured_token_is_none() {
    let token = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
    assert_eq!(
        CompactJws::parse(&token).err(),
        Some(JwsError::AlgorithmUnknown)
    );
}

#[test]
fn rfc8037_a4_an_edwards_signature() {
    let key =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    check(token, &key, Algorithm::EdDsa);
}

#[test]
fn rfc8037_a3_a_key_is_named_by_its_thumbprint() {
    let key = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let key = SigningKey::from_jwk(&key, Algorithm::EdDsa).expect("a key");
    assert_eq!(
        key.kid(),
        Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    );
}

#[test]
fn a_key_set_keeps_what_it_can_use_and_skips_the_rest() {
    let (_, n, _) = RS256;
    let (_, x, y, _) = ES256;
    let rsa = |change: Value| {
        let mut key = json!({"kty": "RSA", "n": n, "e": "AQAB"});
        for (name, value) in change.as_object().expect("an object") {
            key[name] = value.clone();
        }
        key
    };
    let modulus = |bytes: usize| {
        let n = [&vec![0xff; bytes - 1][..], &[1]].concat();
        json!({"n": URL_SAFE_NO_PAD.encode(n)})
    };
    let ec = |x: &str, y: &str| json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    for (key, kept) in [
        (rsa(json!({})), true),
        (rsa(json!({"use": "sig", "alg": "PS512"})), true),
        (rsa(json!({"key_ops": ["verify"]})), true),
        (rsa(json!({"use": "enc"})), false),
        (rsa(json!({"use": 7})), false),
        (rsa(json!({"key_ops": ["encrypt"]})), false),
        (rsa(json!({"alg": "RSA-OAEP"})), false),
        (rsa(json!({"alg": "ES256"})), false),
        (rsa(json!({"e": "AQ"})), false),
        (rsa(json!({"e": "Ag"})), false),
        (rsa(modulus(128)), false),
        (rsa(modulus(255)), false),
        (rsa(modulus(256)), true),
        (rsa(modulus(1024)), true),
        (rsa(modulus(1025)), false),
        (rsa(json!({"n": "!"})), false),
        (ec(x, y), true),
        (ec(y, x), false), // off the curve
        (ec(&format!("AA{x}"), y), false),
        (
            json!({"kty": "EC", "crv": "secp256k1", "x": x, "y": y}),
            false,
        ),
        (json!({"kty": "oct", "k": "AAAA"}), false),
        (json!({"kty": "OKP", "crv": "X25519", "x": x}), false),
        (json!({"kty": "tomorrow"}), false),
        (json!({}), false),
        (json!([]), false),
        (json!(null), false),
    ] {
        let keys = set(&json!([key, ec(x, y)]));
        assert_eq!(
            (keys.len(), keys.skipped()),
            (1 + usize::from(kept), usize::from(!kept)),
            "{key}"
        );
    }
}

#[test]
fn what_is_no_key_set_is_refused() {
    let limits = KeySetLimits {
        max_bytes: 100,
        max_keys: 2,
    };
    for (document, taken) in [
        (r#"{"keys":[]}"#.to_owned(), true),
        (r#"{"keys":[{},{}]}"#.to_owned(), true),
        (r#"{"keys":[{},{},{}]}"#.to_owned(), false),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), false),
        (r#"{"keys":{}}"#.to_owned(), false),
        ("{}".to_owned(), false),
        ("[]".to_owned(), false),
        (String::new(), false),
        (format!(r#"{{"keys":[]{}}}"#, " ".repeat(100)), false),
    ] {
        let parsed = KeySet::parse(document.as_bytes(), &limits);
        assert_eq!(parsed.is_ok(), taken, "{document}");
    }
}

#[test]
fn a_token_finds_its_key_by_name_and_otherwise_by_kind() {
    let (header, n, signature) = RS256;
    let key = |kid: Value| json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": kid});
    let nameless = format!("{header}.{PAYLOAD}.{signature}");
    let jws = CompactJws::parse(&nameless).expect("a JWS");
    assert!(jws.verify(&set(&json!([key(json!("a"))]))).is_ok());
    let keys = set(&json!([key(json!("a")), {"kty": "RSA", "n": n, "e": "AQAB"}]));
    let found = |kid| keys.candidates(kid, Algorithm::Rs256).count();
    assert_eq!((found(None), found(Some("a")), found(Some("b"))), (2, 2, 1));
    assert_eq!(keys.candidates(None, Algorithm::Es256).count(), 0);
    assert!(keys.has_kid("a") && !keys.has_kid("b"));
}
