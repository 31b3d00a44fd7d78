//! A certificate and its private key, in every form that a test may need (RFC 7468, RFC 8705 §3.1).

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::authority::client_params;

/// A certificate with its private key, which is one of P-256. Clones are the same.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

/// The files of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM, for nobody else to read.
    pub key: PathBuf,
}

/// Everything issued in this process, by thumbprint: a wire that ends a client's TLS shows the
/// same certificate to the server behind it, and for that it needs the key.
static ISSUED: LazyLock<Mutex<HashMap<String, Identity>>> = LazyLock::new(Mutex::default);

impl Identity {
    /// A certificate that vouches for itself, with this subject, written as in RFC 4514.
    ///
    /// # Panics
    /// If the subject cannot be read, or names one type of attribute twice.
    #[must_use]
    pub fn self_signed(subject: &str) -> Self {
        Self::issued(&client_params(subject), None)
    }

    pub(super) fn issued(params: &CertificateParams, issuer: Option<&Issuer<'_, KeyPair>>) -> Self {
        let key = KeyPair::generate().expect("an EC key can be made");
        let certificate = match issuer {
            Some(issuer) => params.signed_by(&key, issuer),
            None => params.self_signed(&key),
        };
        let certificate = certificate.expect("a certificate can be made");
        let identity = Self(Arc::new(Inner {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        }));
        let mut issued = ISSUED.lock().unwrap_or_else(PoisonError::into_inner);
        issued.insert(identity.thumbprint(), identity.clone());
        identity
    }

    /// The one with this certificate, if it was made in this process.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let issued = ISSUED.lock().unwrap_or_else(PoisonError::into_inner);
        issued.get(&thumbprint(certificate)).cloned()
    }

    /// The certificate, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.0.certificate_pem
    }

    /// The certificate, in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.0.certificate
    }

    /// The private key, in PEM (PKCS #8).
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.0.key.serialize_pem()
    }

    /// The private key, in DER (PKCS #8).
    #[must_use]
    pub fn key_der(&self) -> Vec<u8> {
        self.0.key.serialize_der()
    }

    /// The certificate's thumbprint, as `x5t#S256` says it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.0.certificate)
    }

    /// The public key as a JSON Web Key with the certificate in `x5c`: what a client registers
    /// for `self_signed_tls_client_auth` (RFC 8705 §2.2.2).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        // Uncompressed: a mark and two halves of equal length.
        let point = self.0.key.der_bytes();
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
            "x5c": [STANDARD.encode(self.certificate_der())],
            "x5t#S256": self.thumbprint(),
        })
    }

    /// Writes the certificate to `{name}.pem` and the key to `{name}.key` in this directory; the
    /// key is for nobody else to read.
    ///
    /// # Errors
    /// If a file cannot be written, or that of the key is there already.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<CertificateFiles> {
        let certificate = directory.join(format!("{name}.pem"));
        std::fs::write(&certificate, self.certificate_pem())?;
        let key = directory.join(format!("{name}.key"));
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        options.open(&key)?.write_all(self.key_pem().as_bytes())?;
        Ok(CertificateFiles { certificate, key })
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.0.certificate.clone()]
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der()))
    }
}

/// RFC 8705 §3.1: the SHA-256 of the whole certificate.
pub(crate) fn thumbprint(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(certificate))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn keys_are_written_for_nobody_else_and_shown_to_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::self_signed("CN=loner");
        let files = identity.write(directory.path(), "loner").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let pem = std::fs::read_to_string(files.certificate).unwrap();
        assert_eq!(pem, identity.certificate_pem());
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_public_key_has_both_halves_and_its_certificate() {
        let jwk = Identity::self_signed("CN=loner").public_jwk();
        for half in ["x", "y"] {
            assert_eq!(jwk[half].as_str().unwrap().len(), 43, "{half}");
        }
        assert!(jwk["x5c"][0].as_str().unwrap().starts_with("MII"));
    }
}
