//! Proofs of possession, checked as Keycloak checks them and in its words (RFC 9449 §4.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::possession::Presented;
use super::refusal::invalid_request;
use super::state::LiveRealm;
use crate::{Refusal, claims, clock, header};

/// How old a proof may be, and by how much clocks may differ.
const AGE: u64 = 10;
const SKEW: u64 = 15;

/// What proofs may be signed with.
pub(super) const ALGORITHMS: [&str; 10] = [
    "PS384", "RS384", "EdDSA", "ES384", "ES256", "RS256", "ES512", "PS256", "PS512", "RS512",
];

/// How private keys give themselves away (RFC 7518 §6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

impl LiveRealm {
    /// The thumbprint of the key whose possession is proven, for this access token if there is one.
    pub(super) fn proven_key(
        &self,
        presented: &Presented,
        token: Option<&str>,
    ) -> Result<String, Refusal> {
        let [proof] = presented.proofs.as_slice() else {
            return Err(malformed());
        };
        let key = proving_key(proof)?;
        let claims = claims(proof);
        check_claims(&claims, presented)?;
        if let Some(token) = token {
            let expected = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
            if claims["ath"] != *expected {
                return Err(invalid_request("DPoP access token hash mismatch"));
            }
        }
        let mut state = self.state();
        if let Some(nonce) = &state.dpop_nonce
            && claims["nonce"] != **nonce
        {
            // Keycloak has no nonces; the words are those of RFC 9449 §8.
            return Err(Refusal::new(
                400,
                "use_dpop_nonce",
                "Authorization server requires nonce in DPoP proof",
            ));
        }
        let id = format!("{key} {}", claims["jti"]);
        if state.spent.insert(id) {
            Ok(key)
        } else {
            Err(invalid_request("DPoP proof has already been used"))
        }
    }
}

/// Checks the header and the signature, and gives the key's thumbprint.
fn proving_key(proof: &str) -> Result<String, Refusal> {
    let header = header(proof);
    if !header.is_object() || !claims(proof).is_object() || proof.split('.').count() != 3 {
        return Err(malformed());
    }
    let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or("null");
    if text("typ") != "dpop+jwt" {
        let typ = text("typ");
        return Err(invalid_request(&format!(
            "Invalid or missing type in DPoP header: {typ}"
        )));
    }
    let alg = text("alg");
    if !ALGORITHMS.contains(&alg) {
        return Err(invalid_request(&format!(
            "Unsupported DPoP algorithm: {alg}"
        )));
    }
    let Some(key) = header.get("jwk").filter(|jwk| jwk.is_object()) else {
        return Err(invalid_request("No JWK in DPoP header"));
    };
    if PRIVATE.iter().any(|name| key.get(name).is_some()) {
        return Err(invalid_request(
            "Private key material must not be present in DPoP JWK",
        ));
    }
    let kind = key["kty"].as_str().unwrap_or("null");
    let fitting = match alg.split_at(2).0 {
        "ES" => "EC",
        "Ed" => "OKP",
        _ => "RSA",
    };
    if kind != fitting {
        return Err(invalid_request(&format!(
            "Key with algorithm {alg} and type {kind} is incorrect for provider algorithm {alg}"
        )));
    }
    let key: Jwk = serde_json::from_value(key.clone()).map_err(|_| malformed())?;
    if !is_signed(proof, alg, &key) {
        return Err(invalid_request(
            "DPoP verification failure: org.keycloak.exceptions.TokenSignatureInvalidException: \
             Invalid token signature",
        ));
    }
    key.thumbprint(ThumbprintHash::SHA256)
        .map_err(|_| malformed())
}

fn is_signed(proof: &str, alg: &str, key: &Jwk) -> bool {
    let (Ok(alg), Ok(key)) = (alg.parse::<Algorithm>(), DecodingKey::from_jwk(key)) else {
        return false;
    };
    let Some((message, signature)) = proof.rsplit_once('.') else {
        return false;
    };
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, alg).unwrap_or_default()
}

fn check_claims(claims: &Value, presented: &Presented) -> Result<(), Refusal> {
    if ["jti", "htm", "htu", "iat"]
        .iter()
        .any(|name| claims[name].is_null())
    {
        return Err(invalid_request("DPoP mandatory claims are missing"));
    }
    let issued = claims["iat"].as_u64().ok_or_else(malformed)?;
    let now = clock::now();
    if claims["htm"] != *presented.method {
        return Err(invalid_request("DPoP HTTP method mismatch"));
    }
    let asked = claims["htu"].as_str().and_then(without_query);
    if asked.is_none() || asked != without_query(&presented.url) {
        return Err(invalid_request("DPoP HTTP URL mismatch"));
    }
    if issued + AGE + SKEW < now || issued > now + SKEW {
        return Err(invalid_request("DPoP proof is not active"));
    }
    Ok(())
}

fn without_query(url: &str) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

fn malformed() -> Refusal {
    invalid_request("DPoP header verification failure")
}
