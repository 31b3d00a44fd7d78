//! How long a proof is good, by its own time and by a nonce's.

use super::*;

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
