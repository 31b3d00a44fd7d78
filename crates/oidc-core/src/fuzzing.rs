//! What holds for any bytes from outside: called by the fuzz targets, and by the tests below with
//! random bytes of the same shapes.

use std::time::Duration;

use serde_json::Value;

use crate::client::{Client, ClientAuthentication};
use crate::grant::response::read;
use crate::grant::{Grant, GrantPolicy, Granted, Moment, ProviderReply, Step};
use crate::jose::{Algorithm, AlgorithmSet, Claims, CompactJws, KeySet, KeySetLimits, strict_json};
use crate::possession::{
    CertificateFormat, NonceRule, PresentedCertificate, ProofCheck, ProofError, proof_header,
};
use crate::provider::{Provider, ProviderMetadata};
use crate::verify::{TokenKind, peek, refresh_token_hint};
use crate::{Credential, CredentialKind, Denial, FingerprintKey, Secret, UnixTime};

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
    let expected = jws.signature().map(|_| kind);
    assert_eq!(
        peek(token),
        expected,
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

/// What the provider says about a token or its user lets a token pass only if it says so.
pub fn inquiry(bytes: &[u8]) {
    let Some((kinds, body)) = bytes.split_first() else {
        return;
    };
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    let media_type = [
        "application/json",
        "application/jwt",
        "application/token-introspection+jwt",
        "text/html",
    ][usize::from(kinds >> 4) % 4];
    let reply = ProviderReply {
        status: [200, 200, 200, 400, 401, 403, 500, 307][usize::from(kinds % 8)],
        content_type: Some(media_type.to_owned()),
        retry_after: None,
        dpop_nonce: None,
        body: Secret::new(body),
    };
    let now = UnixTime::from_secs(1_800_000_000);
    for introspection in [true, false] {
        let Some(result) = asked(introspection, &reply, now) else {
            continue;
        };
        match result {
            Ok(granted) => {
                // Nobody's keys verify anything here: only what is plain can be believed.
                assert_eq!((reply.status, media_type), (200, "application/json"));
                let said = granted.introspection().or(granted.user_info());
                let claims = said.expect("what was said").claims();
                if introspection {
                    assert_eq!(claims.claim(&["active"]), Some(&Value::Bool(true)));
                    assert!(claims.expires_at().is_none_or(|end| end > now));
                } else {
                    assert!(claims.subject().is_some_and(|subject| !subject.is_empty()));
                }
            }
            Err(denial) => assert!(denial.reason().status().as_u16() >= 400),
        }
    }
}

/// What becomes of a token about which the provider says this.
fn asked(
    introspection: bool,
    reply: &ProviderReply,
    now: UnixTime,
) -> Option<Result<std::sync::Arc<Granted>, Denial>> {
    const DOCUMENT: &[u8] = br#"{"issuer":"https://idp.test","token_endpoint":"https://idp.test/t",
        "jwks_uri":"https://idp.test/k","introspection_endpoint":"https://idp.test/i",
        "userinfo_endpoint":"https://idp.test/u"}"#;
    let provider = Provider::new("https://idp.test").ok()?;
    let metadata = ProviderMetadata::parse(DOCUMENT, "https://idp.test").ok()?;
    let client = Client::new("c", ClientAuthentication::None);
    let mut policy = GrantPolicy::new(provider, vec![client]);
    policy.access_tokens.introspection = introspection;
    policy.access_tokens.userinfo = !introspection;
    let credential = Credential::Bearer(Secret::new("opaque"));
    let key = FingerprintKey::new(&[0; 32]);
    let mut step = Grant::start(policy.into(), credential, None);
    for _ in 0..9 {
        step = match step {
            Step::Metadata(state) => state.found(metadata.clone().into(), &key),
            Step::Verify(state) => state.verify(now),
            Step::Flight(state) => state.lead(
                None,
                Moment {
                    now,
                    random: [0; 16],
                },
            ),
            Step::Call(state) => state.answered(Ok(reply.clone()), now),
            Step::Keys(state) => state.found(&KeySet::default(), now),
            Step::Done(ended) => return Some(ended.result),
        };
    }
    panic!("it does not end");
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

/// A proof is taken for one method, one URL and one access token, and for a time within bounds.
///
/// The time is that of the RFC's examples, which are among the seeds: no random bytes are signed.
pub fn dpop_proof(bytes: &[u8]) {
    let Ok(Some(proof)) = proof_header(&[bytes]) else {
        return;
    };
    for (method, url, token, other) in [
        ("POST", "https://server.example.com/token", None, "GET"),
        (
            "GET",
            "https://resource.example.org/protectedresource",
            Some(Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")),
            "POST",
        ),
    ] {
        let url = url::Url::parse(url).expect("a URL");
        let check = ProofCheck {
            method,
            url: &url,
            access_token: token.as_ref(),
            algorithms: AlgorithmSet::default(),
            nonce: NonceRule::Off,
            now: UnixTime::from_secs(1_562_262_618),
            lifetime: Duration::from_secs(300),
            leeway: ProofCheck::LEEWAY,
        };
        match check.verify(proof) {
            Err(error) => assert!(error.code().starts_with("dpop.")),
            Ok(good) => {
                assert!(proof.len() <= 8192 && proof.matches('.').count() == 2);
                assert!((1..=256).contains(&good.jti().len()));
                assert!(good.expires_at() >= check.now);
                let method = ProofCheck {
                    method: other,
                    ..check
                };
                assert_eq!(method.verify(proof), Err(ProofError::MethodMismatch));
                let elsewhere = url.join("/elsewhere").expect("a URL");
                let target = ProofCheck {
                    url: &elsewhere,
                    ..check
                };
                assert_eq!(target.verify(proof), Err(ProofError::UrlMismatch));
                let another = Secret::new("another");
                let token = ProofCheck {
                    access_token: Some(&another),
                    ..check
                };
                assert!(token.verify(proof).is_err());
                let later = check.now.plus(Duration::from_secs(700));
                let late = ProofCheck {
                    now: later,
                    ..check
                };
                assert_eq!(late.verify(proof), Err(ProofError::Expired));
            }
        }
    }
}

/// What is read out of a header is a certificate by its framing, and reads the same however it
/// is written. The first byte chooses the format.
pub fn client_certificate_header(bytes: &[u8]) {
    use base64::Engine as _;
    const FORMATS: [CertificateFormat; 3] = [
        CertificateFormat::Base64,
        CertificateFormat::UrlEncoded,
        CertificateFormat::ClientCert,
    ];
    let Some((format, value)) = bytes.split_first() else {
        return;
    };
    let Ok(read) = PresentedCertificate::parse(value, FORMATS[usize::from(format % 3)]) else {
        return;
    };
    assert!(value.len() <= 16 * 1024 && read.intermediates().len() < 8);
    let der = read.der();
    assert!(der.len() < value.len() && der[0] == 0x30);
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    let url: String = pem.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let written = [base64.clone(), url, format!(":{base64}:")];
    for (format, value) in FORMATS.into_iter().zip(written) {
        // One that only just found room as it was may find none with all of it encoded.
        if value.len() <= 16 * 1024 {
            let again = PresentedCertificate::parse(value.as_bytes(), format).expect("the same");
            assert_eq!(again.der(), der);
            assert_eq!(again.thumbprint(), read.thumbprint());
        }
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

    fn damaged(bytes: &[u8], damage: Option<(usize, u8)>) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if let Some((at, byte)) = damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes
    }

    const PROOF: &[&str] = &[
        "typ", "alg", "jwk", "jti", "htm", "htu", "iat", "ath", "nonce", "exp",
    ];
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
    const INQUIRY: &[&str] = &[
        "active",
        "exp",
        "iat",
        "nbf",
        "iss",
        "sub",
        "aud",
        "typ",
        "token_type",
        "jwt",
        "cnf",
        "error",
    ];
    const DOCUMENT: &[&str] = &[
        "issuer",
        "token_endpoint",
        "jwks_uri",
        "token_endpoint_auth_methods_supported",
    ];

    /// What fuzzing began with, and found: it holds for each of them.
    #[test]
    fn the_corpora_of_the_fuzz_targets_hold() {
        type Target = fn(&[u8]);
        let targets: [(&str, Target); 8] = [
            ("client_certificate_header", client_certificate_header),
            ("discovery", discovery),
            ("dpop_proof", dpop_proof),
            ("inquiry", inquiry),
            ("json", json),
            ("jwks", jwks),
            ("jws", jws),
            ("token_response", token_response),
        ];
        let corpora = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, target) in targets {
            let mut count = 0;
            for file in std::fs::read_dir(corpora.join(name)).expect("a corpus") {
                target(&std::fs::read(file.expect("a file").path()).expect("readable"));
                count += 1;
            }
            assert!(count > 0, "{name}");
        }
    }

    proptest! {
        #[test]
        fn tokens(header in nearly(TOKEN), claims in nearly(TOKEN), raw in vec(any::<u8>(), 0..80), parts in 0..6usize) {
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let all = [encode(&header), encode(&claims), encode(&raw), String::new(), "!".to_owned()];
            jws(all[..parts.min(all.len())].join(".").as_bytes());
            jws(&raw);
        }

        #[test]
        fn inquiries(kinds: u8, body in nearly(INQUIRY), active: bool) {
            let body = String::from_utf8_lossy(&body);
            let likely = body.replacen('{', if active { r#"{"active":true,"# } else { "{" }, 1);
            inquiry(&[&[kinds], body.as_bytes()].concat());
            inquiry(&[&[0], likely.replace(",}", "}").as_bytes()].concat());
        }

        #[test]
        fn proofs(header in nearly(PROOF), key in nearly(KEYS), claims in nearly(PROOF), raw in vec(any::<u8>(), 0..80)) {
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let key = String::from_utf8_lossy(&key);
            let likely = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{key}}}"#);
            let rest = format!("{}.{}", encode(&claims), encode(&raw));
            dpop_proof(format!("{}.{rest}", encode(&header)).as_bytes());
            dpop_proof(format!("{}.{rest}", encode(likely.as_bytes())).as_bytes());
            dpop_proof(&raw);
        }

        /// The RFC's proof, damaged or not.
        #[test]
        fn a_proof_that_was_signed(damage: Option<(usize, u8)>, seed in 0..2_usize) {
            let seeds: [&[u8]; 2] = [
                include_bytes!("../../../fuzz/corpus/dpop_proof/seed-rfc9449-4-1"),
                include_bytes!("../../../fuzz/corpus/dpop_proof/seed-rfc9449-7-1"),
            ];
            dpop_proof(&damaged(seeds[seed], damage));
        }

        #[test]
        fn certificates(damage: Option<(usize, u8)>, seed in 0..4_usize, format: u8, raw in vec(any::<u8>(), 0..80)) {
            let seeds: [&[u8]; 4] = [
                include_bytes!("../../../fuzz/corpus/client_certificate_header/seed-base64"),
                include_bytes!("../../../fuzz/corpus/client_certificate_header/seed-escaped"),
                include_bytes!("../../../fuzz/corpus/client_certificate_header/seed-pem-in-one-line"),
                include_bytes!("../../../fuzz/corpus/client_certificate_header/seed-rfc9440"),
            ];
            client_certificate_header(&damaged(seeds[seed], damage));
            client_certificate_header(&[&[format], raw.as_slice()].concat());
            let base64 = base64::engine::general_purpose::STANDARD.encode(&raw);
            client_certificate_header(&[b"\0", base64.as_bytes()].concat());
            client_certificate_header(format!("\u{2}:{base64}:").as_bytes());
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
