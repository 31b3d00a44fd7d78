//! What holds for any bytes from outside: called by the fuzz targets, and by the tests below with
//! random bytes of the same shapes.

use std::time::Duration;

use serde_json::Value;

use crate::grant::ProviderReply;
use crate::grant::response::read;
use crate::jose::{Algorithm, Claims, CompactJws, KeySet, KeySetLimits, strict_json};
use crate::provider::ProviderMetadata;
use crate::verify::{TokenKind, peek, refresh_token_hint};
use crate::{CredentialKind, Secret};

/// A token is taken apart whole or not at all, and nobody's keys verify it.
pub fn jws(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = refresh_token_hint(token);
    let Ok(jws) = CompactJws::parse(token) else {
        return;
    };
    assert_eq!(token.matches('.').count(), 2);
    assert!(jws.verify(&KeySet::default()).is_err());
    let kind = TokenKind::Jws {
        kid: jws.kid().map(str::to_owned),
        algorithm: jws.algorithm(),
    };
    assert_eq!(
        peek(token),
        Ok(kind),
        "a signed token is taken for an opaque one"
    );
    if let Ok(claims) = jws.payload().map(|payload| Claims::parse(&payload)) {
        let _ = claims.map(|claims| claims.expires_at());
    }
}

/// A set is within its bounds, and its keys verify by asymmetric algorithms alone.
pub fn jwks(bytes: &[u8]) {
    let limits = KeySetLimits {
        max_bytes: 4096,
        max_keys: 8,
    };
    let Ok(keys) = KeySet::parse(bytes, &limits) else {
        return;
    };
    assert!(keys.len() + keys.skipped() <= limits.max_keys && bytes.len() <= limits.max_bytes);
    for algorithm in Algorithm::ALL.into_iter().filter(|alg| alg.is_symmetric()) {
        assert_eq!(keys.candidates(None, algorithm).count(), 0);
    }
}

/// The secret that a reply must not carry into the log.
const CANARY: &str = "canary";

/// A reply is understood or refused; what is understood can be put into a header, and what is
/// refused tells no secret.
pub fn token_response(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first() else {
        return;
    };
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    let reply = ProviderReply {
        status: [200, 200, 400, 401, 429, 500, 307, 204][usize::from(status % 8)],
        content_type: Some("application/json".to_owned()),
        retry_after: Some(Duration::from_secs(u64::MAX)),
        dpop_nonce: None,
        body: Secret::new(body),
    };
    for kind in [
        CredentialKind::RefreshToken,
        CredentialKind::Password,
        CredentialKind::ClientCredentials,
    ] {
        match read(&reply, kind, &[CANARY], false) {
            Ok(tokens) => {
                assert_eq!(reply.status, 200);
                let token = tokens.access_token.expose();
                assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
                assert!(
                    tokens
                        .refresh_token
                        .is_none_or(|token| !token.expose().is_empty())
                );
                assert!(
                    tokens
                        .expires_in
                        .is_none_or(|life| life.as_secs() < u64::MAX / 2)
                );
            }
            Err(denial) => {
                assert!(denial.reason().status().as_u16() >= 400);
                assert!(denial.hint().is_none_or(|hint| !hint.contains(CANARY)));
                assert!(!denial.hint().unwrap_or_default().contains(char::is_control));
            }
        }
    }
}

/// A document is its issuer's, with endpoints that can be asked.
pub fn discovery(bytes: &[u8]) {
    const ISSUER: &str = "https://idp.test";
    if let Ok(metadata) = ProviderMetadata::parse(bytes, ISSUER) {
        let issuer = url::Url::parse(&metadata.issuer).expect("a URL, as the other is");
        assert_eq!(issuer.as_str().trim_end_matches('/'), ISSUER);
        for url in [&metadata.token_endpoint, &metadata.jwks_uri] {
            assert!(url.scheme().starts_with("http") && url.has_host());
        }
    }
}

/// What the strict reader takes, the usual one reads in the same way.
pub fn json(bytes: &[u8]) {
    if let Ok(object) = strict_json::object(bytes) {
        let usual: Value = serde_json::from_slice(bytes).expect("the strict reader is stricter");
        assert_eq!(Value::from(object), usual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// JSON that is nearly what is expected, with names that mean something.
    fn nearly(names: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[ -~]{0,8}".prop_map(Value::from),
            proptest::sample::select(
                &[
                    "Bearer",
                    "RS256",
                    "EdDSA",
                    "none",
                    "RSA",
                    "EC",
                    "OKP",
                    "oct",
                    "AQAB",
                    "P-256",
                    "sig",
                    "https://idp.test",
                    "https://idp.test/x",
                    "invalid_grant",
                    "canary",
                    "Ed25519",
                    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                ][..]
            )
            .prop_map(Value::from),
        ];
        let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec((proptest::sample::select(names), inner), 0..6).prop_map(Value::from_iter),
            ]
        });
        let object = vec((proptest::sample::select(names), tree), 0..8);
        (object, any::<Option<(usize, u8)>>()).prop_map(|(members, damage)| {
            let mut text = Value::from_iter(members).to_string().into_bytes();
            if let Some((at, byte)) = damage.filter(|_| !text.is_empty()) {
                let at = at % text.len();
                text[at] = byte;
            }
            text
        })
    }

    const TOKEN: &[&str] = &[
        "alg", "kid", "typ", "crit", "b64", "iss", "sub", "aud", "exp", "azp",
    ];
    const KEYS: &[&str] = &[
        "keys", "kty", "n", "e", "x", "y", "crv", "alg", "use", "key_ops", "kid",
    ];
    const REPLY: &[&str] = &[
        "access_token",
        "refresh_token",
        "id_token",
        "token_type",
        "expires_in",
        "scope",
        "error",
        "error_description",
    ];
    const DOCUMENT: &[&str] = &[
        "issuer",
        "token_endpoint",
        "jwks_uri",
        "token_endpoint_auth_methods_supported",
    ];

    proptest! {
        #[test]
        fn tokens(header in nearly(TOKEN), claims in nearly(TOKEN), raw in vec(any::<u8>(), 0..80), parts in 0..6usize) {
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let all = [encode(&header), encode(&claims), encode(&raw), String::new(), "!".to_owned()];
            jws(all[..parts.min(all.len())].join(".").as_bytes());
            jws(&raw);
        }

        #[test]
        fn key_sets(set in nearly(KEYS), keys in vec(nearly(KEYS), 0..10)) {
            jwks(&set);
            let keys: Vec<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
            jwks(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes());
        }

        #[test]
        fn replies(status: u8, body in nearly(REPLY)) {
            token_response(&[&[status], body.as_slice()].concat());
        }

        #[test]
        fn documents(body in nearly(DOCUMENT), raw in vec(any::<u8>(), 0..80)) {
            for bytes in [&body, &raw] {
                discovery(bytes);
                json(bytes);
            }
        }
    }
}
