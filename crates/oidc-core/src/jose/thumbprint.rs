//! The hash that names a public key: RFC 7638 with SHA-256, as a token's `cnf.jkt` carries it
//! (RFC 9449 §6.1).

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::decode;

/// A SHA-256 hash that claims carry in base64url. It compares in constant time.
#[derive(Clone, Copy)]
pub(crate) struct Sha256([u8; 32]);

impl Sha256 {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        decode(text)?.try_into().ok().map(Self)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Sha256 {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Sha256 {}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The thumbprint of a public key. It is printed in base64url without padding, and compares in
/// constant time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyThumbprint(Sha256);

impl KeyThumbprint {
    /// The thumbprint of a JSON Web Key: of the members that its type requires, and no other.
    /// `None` if it is of a type that is not for asymmetric signatures, or lacks one of them.
    #[must_use]
    pub fn of_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name)?.as_str();
        // RFC 7638 §3.2, RFC 8037 §2, in lexicographic order.
        let required: &[&str] = match text("kty")? {
            "RSA" => &["e", "kty", "n"],
            "EC" => &["crv", "kty", "x", "y"],
            "OKP" => &["crv", "kty", "x"],
            _ => return None,
        };
        let mut canonical = String::with_capacity(256);
        for name in required {
            canonical.push(if canonical.is_empty() { '{' } else { ',' });
            // JSON's own writer escapes what needs it; values of sound keys do not.
            let value = serde_json::to_string(text(name)?).ok()?;
            canonical.push_str(&format!("\"{name}\":{value}"));
        }
        canonical.push('}');
        Some(Self(Sha256::of(canonical.as_bytes())))
    }

    /// Reads what a claim carries: 32 bytes in base64url without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Sha256::parse(text).map(Self)
    }

    /// The hash as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyThumbprint({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7638 §3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn of(jwk: Value) -> Option<String> {
        Some(KeyThumbprint::of_jwk(jwk.as_object()?)?.to_string())
    }

    #[test]
    fn rfc7638_3_1_a_thumbprint_is_of_the_required_members_alone() {
        let expected = Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".to_owned());
        let plain = json!({"kty": "RSA", "n": N, "e": "AQAB"});
        let adorned =
            json!({"e": "AQAB", "n": N, "kty": "RSA", "alg": "RS256", "kid": "2011-04-29"});
        assert_eq!(of(plain), expected);
        assert_eq!(of(adorned), expected);
        assert_ne!(of(json!({"kty": "RSA", "n": N, "e": "Aw"})), expected);
        for lacking in [
            json!({"kty": "RSA", "n": N}),
            json!({"n": N, "e": "AQAB"}),
            json!({"kty": "RSA", "n": 7, "e": "AQAB"}),
            json!({"kty": "oct", "k": "AAAA"}),
        ] {
            assert_eq!(of(lacking.clone()), None, "{lacking}");
        }
    }

    #[test]
    fn a_thumbprint_is_read_as_it_is_printed_and_in_no_other_form() {
        let text = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let read = KeyThumbprint::parse(text).expect("a thumbprint");
        assert_eq!(read.to_string(), text);
        assert!(read == KeyThumbprint::parse(text).expect("a thumbprint"));
        for other in [
            &text[1..],
            &text.replace('_', "/"),
            &format!("{text}="),
            &format!("{}t", &text[..42]), // stray trailing bits
            "",
        ] {
            assert_eq!(KeyThumbprint::parse(other), None, "{other}");
        }
    }
}
