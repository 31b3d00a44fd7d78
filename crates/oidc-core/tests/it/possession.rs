//! Whether a token's binding is asked for and was proven: every case of the one decision.

use std::sync::LazyLock;

use oidc_core::possession::{
    CertificateThumbprint, Confirmed, DpopSigner, Enforcement, NonceRule, PossessionError,
    PossessionPolicy, Presented, Proof, ProofCheck, ProofClaims, ProofError, ReplayError, Scheme,
};
use oidc_core::{Secret, jose::AlgorithmSet};
use serde_json::{Value, json};
use url::Url;

use crate::support::at;

use Enforcement::{Off, Optional, Strict};
use Scheme::{Bearer, Dpop};

static MINE: LazyLock<Proof> = LazyLock::new(proof);
static ANOTHERS: LazyLock<Proof> = LazyLock::new(proof);

fn proof() -> Proof {
    let signer = DpopSigner::generate().expect("a key");
    let url = Url::parse("https://api.test/").expect("a URL");
    let token = Secret::new("token");
    let proof = signer.proof(&ProofClaims {
        method: "GET",
        url: &url,
        now: at(0),
        jti: "one",
        nonce: None,
        access_token: Some(&token),
    });
    let check = ProofCheck {
        method: "GET",
        url: &url,
        access_token: Some(&token),
        algorithms: AlgorithmSet::default(),
        nonce: NonceRule::Off,
        now: at(0),
        lifetime: std::time::Duration::from_secs(300),
        leeway: ProofCheck::LEEWAY,
    };
    check
        .verify(proof.expect("signed").expose())
        .expect("a good proof")
}

fn certificate() -> CertificateThumbprint {
    CertificateThumbprint::of_der(b"mine")
}

fn jkt() -> Value {
    json!({"jkt": MINE.key().to_string()})
}

fn x5t() -> Value {
    json!({"x5t#S256": certificate().to_string()})
}

fn both() -> Value {
    json!({"jkt": MINE.key().to_string(), "x5t#S256": certificate().to_string()})
}

const NOTHING: Confirmed = Confirmed {
    by_certificate: false,
    by_key: false,
};
const BY_KEY: Confirmed = Confirmed {
    by_certificate: false,
    by_key: true,
};
const BY_CERTIFICATE: Confirmed = Confirmed {
    by_certificate: true,
    by_key: false,
};

fn decide(
    mtls: Enforcement,
    dpop: Enforcement,
    cnf: &Value,
    presented: &Presented<'_>,
) -> Result<Confirmed, PossessionError> {
    // No claim at all, as its absence is written here.
    let cnf = (*cnf != json!("absent")).then_some(cnf);
    PossessionPolicy { mtls, dpop }.decide(cnf, presented)
}

#[test]
fn a_binding_to_a_key_is_proven_by_its_scheme_and_a_proof_of_the_key() {
    use PossessionError as E;
    let none = json!("absent");
    let mine = Some(Ok(&*MINE));
    let anothers = Some(Ok(&*ANOTHERS));
    let bad = Some(Err(ProofError::Expired));
    for (dpop, cnf, scheme, proof, expected) in [
        (Off, &none, Bearer, None, Ok(NOTHING)),
        (Off, &jkt(), Bearer, None, Ok(NOTHING)),
        (Off, &jkt(), Bearer, bad, Ok(NOTHING)),
        (Off, &jkt(), Dpop, mine, Err(E::DpopOff)),
        (Off, &none, Dpop, None, Err(E::DpopOff)),
        (Optional, &none, Bearer, None, Ok(NOTHING)),
        (Optional, &none, Bearer, mine, Ok(NOTHING)),
        (Optional, &none, Bearer, bad, Ok(NOTHING)),
        (Optional, &none, Dpop, mine, Err(E::NotBoundToKey)),
        (Optional, &x5t(), Bearer, None, Ok(NOTHING)),
        (Optional, &x5t(), Dpop, mine, Err(E::NotBoundToKey)),
        (Optional, &jkt(), Bearer, mine, Err(E::BearerScheme)),
        (Optional, &jkt(), Bearer, None, Err(E::BearerScheme)),
        (Optional, &jkt(), Dpop, None, Err(E::ProofMissing)),
        (
            Optional,
            &jkt(),
            Dpop,
            bad,
            Err(E::Proof(ProofError::Expired)),
        ),
        (Optional, &jkt(), Dpop, anothers, Err(E::KeyMismatch)),
        (Optional, &jkt(), Dpop, mine, Ok(BY_KEY)),
        (Optional, &both(), Dpop, mine, Ok(BY_KEY)),
        (Strict, &none, Bearer, None, Err(E::NotBoundToKey)),
        (Strict, &none, Dpop, mine, Err(E::NotBoundToKey)),
        (Strict, &x5t(), Bearer, None, Err(E::NotBoundToKey)),
        (Strict, &jkt(), Bearer, mine, Err(E::BearerScheme)),
        (Strict, &jkt(), Dpop, None, Err(E::ProofMissing)),
        (
            Strict,
            &jkt(),
            Dpop,
            bad,
            Err(E::Proof(ProofError::Expired)),
        ),
        (Strict, &jkt(), Dpop, anothers, Err(E::KeyMismatch)),
        (Strict, &jkt(), Dpop, mine, Ok(BY_KEY)),
    ] {
        let presented = Presented {
            scheme,
            certificate: None,
            proof,
        };
        let decided = decide(Off, dpop, cnf, &presented);
        assert_eq!(decided, expected, "{dpop:?} {cnf} {scheme:?} {proof:?}");
    }
}

#[test]
fn a_binding_to_a_certificate_is_proven_by_presenting_it() {
    use PossessionError as E;
    let none = json!("absent");
    let mine = Some(certificate());
    let anothers = Some(CertificateThumbprint::of_der(b"another's"));
    for (mtls, cnf, certificate, expected) in [
        (Off, &none, None, Ok(NOTHING)),
        (Off, &x5t(), None, Ok(NOTHING)),
        (Off, &x5t(), anothers, Ok(NOTHING)),
        (Optional, &none, None, Ok(NOTHING)),
        (Optional, &none, mine, Ok(NOTHING)),
        (Optional, &jkt(), None, Ok(NOTHING)),
        (Optional, &x5t(), None, Err(E::CertificateMissing)),
        (Optional, &x5t(), anothers, Err(E::CertificateMismatch)),
        (Optional, &x5t(), mine, Ok(BY_CERTIFICATE)),
        (Strict, &none, mine, Err(E::NotBoundToCertificate)),
        (Strict, &jkt(), mine, Err(E::NotBoundToCertificate)),
        (Strict, &x5t(), None, Err(E::CertificateMissing)),
        (Strict, &x5t(), anothers, Err(E::CertificateMismatch)),
        (Strict, &x5t(), mine, Ok(BY_CERTIFICATE)),
        (Strict, &both(), mine, Ok(BY_CERTIFICATE)),
    ] {
        let presented = Presented {
            scheme: Bearer,
            certificate,
            proof: None,
        };
        let decided = decide(mtls, Off, cnf, &presented);
        assert_eq!(decided, expected, "{mtls:?} {cnf} {certificate:?}");
    }
}

#[test]
fn with_both_kinds_on_each_binding_is_proven_by_itself() {
    use PossessionError as E;
    let whole = Presented {
        scheme: Dpop,
        certificate: Some(certificate()),
        proof: Some(Ok(&*MINE)),
    };
    let proven = Confirmed {
        by_certificate: true,
        by_key: true,
    };
    let no_certificate = Presented {
        certificate: None,
        ..whole
    };
    let no_proof = Presented {
        proof: None,
        ..whole
    };
    for (mtls, dpop, cnf, presented, expected) in [
        (Strict, Strict, both(), whole, Ok(proven)),
        (Optional, Optional, both(), whole, Ok(proven)),
        (Strict, Strict, jkt(), whole, Err(E::NotBoundToCertificate)),
        (Optional, Strict, jkt(), whole, Ok(BY_KEY)),
        (Strict, Strict, x5t(), whole, Err(E::NotBoundToKey)),
        (
            Optional,
            Optional,
            both(),
            no_certificate,
            Err(E::CertificateMissing),
        ),
        (Optional, Optional, both(), no_proof, Err(E::ProofMissing)),
    ] {
        let decided = decide(mtls, dpop, &cnf, &presented);
        assert_eq!(decided, expected, "{mtls:?} {dpop:?} {cnf}");
    }
}

#[test]
fn a_binding_that_cannot_be_read_is_refused_where_any_is_looked_at() {
    use PossessionError as E;
    let text = MINE.key().to_string();
    let unbound = Presented {
        scheme: Bearer,
        certificate: None,
        proof: None,
    };
    for (cnf, error) in [
        (Value::Null, E::ConfirmationMalformed),
        (json!([]), E::ConfirmationMalformed),
        (json!(text), E::ConfirmationMalformed),
        (json!({"jkt": 7}), E::ConfirmationMalformed),
        (json!({"jkt": null}), E::ConfirmationMalformed),
        (json!({"jkt": [text]}), E::ConfirmationMalformed),
        (json!({"jkt": ""}), E::ConfirmationMalformed),
        (json!({"jkt": format!("{text}=")}), E::ConfirmationMalformed),
        (json!({"jkt": text[1..]}), E::ConfirmationMalformed),
        (
            json!({"jkt": text, "x5t#S256": false}),
            E::ConfirmationMalformed,
        ),
        (
            json!({"jkt": text, "x5t#S256": "!"}),
            E::ConfirmationMalformed,
        ),
        (json!({}), E::ConfirmationUnknown),
        (json!({"kid": "a"}), E::ConfirmationUnknown),
        (json!({"JKT": text}), E::ConfirmationUnknown),
        (json!({"x5t": text}), E::ConfirmationUnknown),
    ] {
        for (mtls, dpop) in [
            (Optional, Off),
            (Off, Optional),
            (Strict, Off),
            (Off, Strict),
        ] {
            let decided = decide(mtls, dpop, &cnf, &unbound);
            assert_eq!(decided, Err(error), "{mtls:?} {dpop:?} {cnf}");
        }
        assert_eq!(decide(Off, Off, &cnf, &unbound), Ok(NOTHING), "{cnf}");
    }
    // What is not understood beside what is changes nothing.
    let cnf = json!({"jkt": text, "kid": "a"});
    let presented = Presented {
        scheme: Dpop,
        proof: Some(Ok(&*MINE)),
        ..unbound
    };
    assert_eq!(decide(Off, Strict, &cnf, &presented), Ok(BY_KEY));
}

#[test]
fn each_refusal_has_its_code_and_its_error_of_the_challenge() {
    use PossessionError as E;
    for (error, code, challenge) in [
        (
            E::ConfirmationMalformed,
            "possession.confirmation_malformed",
            "invalid_token",
        ),
        (
            E::ConfirmationUnknown,
            "possession.confirmation_unknown",
            "invalid_token",
        ),
        (
            E::NotBoundToCertificate,
            "mtls.token_not_bound",
            "invalid_token",
        ),
        (
            E::CertificateMissing,
            "mtls.certificate_missing",
            "invalid_token",
        ),
        (
            E::CertificateMismatch,
            "mtls.certificate_mismatch",
            "invalid_token",
        ),
        (E::DpopOff, "dpop.off", "invalid_token"),
        (E::NotBoundToKey, "dpop.token_not_bound", "invalid_token"),
        (E::BearerScheme, "dpop.bearer_scheme", "invalid_token"),
        (E::ProofMissing, "dpop.proof_missing", "invalid_dpop_proof"),
        (E::KeyMismatch, "dpop.key_mismatch", "invalid_token"),
        (
            ProofError::MethodMismatch.into(),
            "dpop.method_mismatch",
            "invalid_dpop_proof",
        ),
        (
            ProofError::NonceMissing.into(),
            "dpop.nonce_missing",
            "use_dpop_nonce",
        ),
        (
            ProofError::NonceExpired.into(),
            "dpop.nonce_expired",
            "use_dpop_nonce",
        ),
        (
            ReplayError::Replayed.into(),
            "dpop.replayed",
            "invalid_dpop_proof",
        ),
        (
            ReplayError::Full.into(),
            "dpop.replay_table_full",
            "invalid_dpop_proof",
        ),
    ] {
        assert_eq!((error.code(), error.oauth_error()), (code, challenge));
    }
}
