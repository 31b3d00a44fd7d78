//! The gateway's own proofs, and what is so of all of them.

use proptest::prelude::*;

use super::*;

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
