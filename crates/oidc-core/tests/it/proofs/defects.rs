//! What a proof says, how it is written and what it is signed with: each defect beside a sound twin.

use super::*;

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
