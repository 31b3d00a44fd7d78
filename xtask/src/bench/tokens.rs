//! The credentials of the comparison: a good one of each kind, and those that have to be refused.

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keycloak_testkit::seed::{PASSWORD, USER};
use keycloak_testkit::{ClientLogin, EmbeddedRealm, IdentityProvider as _};
use serde_json::{Value, json};

use super::contender::Credential;

/// What requests are made with. Secrets: it has no `Debug`.
pub(crate) struct Credentials {
    pub(crate) access_token: String,
    refresh_token: String,
    expired: String,
}

/// Something that has to be refused.
pub(crate) struct Bad {
    pub(crate) what: &'static str,
    /// As `name: value`; `None` for no credential at all.
    pub(crate) header: Option<String>,
}

impl Credentials {
    /// Logs in.
    ///
    /// # Errors
    /// If the provider issues no tokens.
    pub(crate) async fn issue(realm: &EmbeddedRealm) -> Result<Self> {
        let tokens = realm
            .log_in(USER, PASSWORD, ClientLogin::service())
            .await
            .map_err(|refused| anyhow!("the provider issues no tokens: {refused:?}"))?;
        let mut claims = tokens.claims();
        let issued = claims["iat"].as_u64().context("a token without iat")?;
        // Signed by the same key, and over for an hour.
        claims["iat"] = json!(issued.saturating_sub(7200));
        claims["exp"] = json!(issued.saturating_sub(3600));
        Ok(Self {
            refresh_token: tokens.refresh().to_owned(),
            expired: realm.signing_key().sign(&claims),
            access_token: tokens.access_token,
        })
    }

    /// The header of a request that is answered.
    pub(crate) fn good(&self, credential: Credential) -> String {
        match credential {
            Credential::Carried | Credential::Bearer => bearer(&self.access_token),
            Credential::Refresh => format!("Refresh-Token: {}", self.refresh_token),
            Credential::Password => basic(PASSWORD),
        }
    }

    /// What whoever checks this credential refuses.
    ///
    /// # Errors
    /// If a token is none.
    pub(crate) fn bad(&self, credential: Credential) -> Result<Vec<Bad>> {
        let bad = |what, header| Bad { what, header };
        let missing = bad("no credential", None);
        let token = &self.access_token;
        Ok(match credential {
            Credential::Carried => Vec::new(),
            Credential::Bearer => vec![
                missing,
                bad("an expired token", Some(bearer(&self.expired))),
                bad(
                    "a changed signature",
                    Some(bearer(&with_changed_signature(token)?)),
                ),
                bad(
                    "a changed payload",
                    Some(bearer(&with_changed_payload(token)?)),
                ),
            ],
            Credential::Refresh => vec![
                missing,
                bad(
                    "a changed signature",
                    Some(format!(
                        "Refresh-Token: {}",
                        with_changed_signature(&self.refresh_token)?
                    )),
                ),
            ],
            Credential::Password => vec![
                missing,
                bad("a wrong password", Some(basic("not the password"))),
            ],
        })
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn basic(password: &str) -> String {
    let pair = STANDARD.encode(format!("{USER}:{password}"));
    format!("Authorization: Basic {pair}")
}

fn with_changed_signature(token: &str) -> Result<String> {
    let (signed, signature) = token.rsplit_once('.').context("not a token")?;
    let mut signature = URL_SAFE_NO_PAD.decode(signature)?;
    let middle = signature.len() / 2;
    *signature.get_mut(middle).context("no signature")? ^= 1;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn with_changed_payload(token: &str) -> Result<String> {
    let mut parts = token.splitn(3, '.');
    let mut part = || parts.next().context("not a token");
    let (header, payload, signature) = (part()?, part()?, part()?);
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    claims["sub"] = json!("somebody else");
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    Ok(format!("{header}.{payload}.{signature}"))
}

/// An RSA key of a key set, as a PEM file has it (RFC 8017 §A.1.1, RFC 7468 §13).
///
/// # Errors
/// If it is none.
pub(crate) fn public_key_pem(jwk: &Value) -> Result<String> {
    let member = |name: &str| -> Result<Vec<u8>> {
        let text = jwk[name].as_str().with_context(|| format!("no {name}"))?;
        Ok(URL_SAFE_NO_PAD.decode(text)?)
    };
    let (n, e) = (member("n")?, member("e")?);
    let der = RsaPublicKeyComponents { n, e }
        .as_der()
        .map_err(|_| anyhow!("not an RSA key"))?;
    let text = STANDARD.encode(der.as_ref());
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use keycloak_testkit::keys::{Algorithm, SigningKey};
    use serde_json::json;

    use super::{public_key_pem, with_changed_payload, with_changed_signature};

    #[test]
    fn a_changed_token_differs_in_that_part_alone() {
        let token = SigningKey::generate(Algorithm::Es256).sign(&json!({"sub": "john"}));
        let parts = |token: &str| -> Vec<String> { token.split('.').map(str::to_owned).collect() };
        let before = parts(&token);
        let signature = parts(&with_changed_signature(&token).unwrap());
        assert_eq!(before[..2], signature[..2]);
        assert_ne!(before[2], signature[2]);
        let payload = parts(&with_changed_payload(&token).unwrap());
        assert_eq!((&before[0], &before[2]), (&payload[0], &payload[2]));
        assert_ne!(before[1], payload[1]);
        assert!(with_changed_signature("none").is_err());
        assert!(with_changed_payload("none").is_err());
    }

    #[test]
    fn a_public_key_is_written_as_pem() {
        let key = SigningKey::generate(Algorithm::Rs256);
        let pem = public_key_pem(&key.public_jwk()).unwrap();
        let lines: Vec<_> = pem.lines().collect();
        assert_eq!(lines[0], "-----BEGIN PUBLIC KEY-----");
        assert!(
            lines[1].starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"),
            "{pem}"
        );
        assert!(lines.iter().all(|line| line.len() <= 64));
        assert!(public_key_pem(&json!({"kty": "EC"})).is_err());
    }
}
