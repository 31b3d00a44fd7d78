//! An authority that nobody trusts but who is told to (RFC 5280 §4).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use super::identity::Identity;
use super::subject::Subject;

/// A certificate authority for tests. It lives as long as the value; nothing is written anywhere
/// unless asked for.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

/// The one that the providers of this process have their certificates from, and whose clients
/// they trust.
static SHARED: LazyLock<Authority> = LazyLock::new(|| Authority::new("keycloak-testkit CA"));

impl Authority {
    /// A new authority of this name.
    ///
    /// # Panics
    /// If the cryptographic library cannot make a key.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("an EC key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate can be made");
        let pem = issuer.pem();
        Self { issuer, pem }
    }

    /// The authority that the providers of this process have their certificates from, and whose
    /// clients they trust.
    #[must_use]
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// A server's certificate for these names or IP addresses; the first one is also its subject.
    ///
    /// # Panics
    /// If a name is none of DNS.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let subject = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).expect("names of DNS, or IP addresses");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Identity::issued(&params, Some(&self.issuer))
    }

    /// A client's certificate with this subject, written as in RFC 4514: `CN=JohnDoe, OU=IT`.
    ///
    /// # Panics
    /// If the subject cannot be read, or names one type of attribute twice.
    #[must_use]
    pub fn client(&self, subject: &str) -> Identity {
        Identity::issued(&client_params(subject), Some(&self.issuer))
    }

    /// A client's certificate whose time is over.
    ///
    /// # Panics
    /// As [`client`](Self::client).
    #[must_use]
    pub fn expired_client(&self, subject: &str) -> Identity {
        let mut params = client_params(subject);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Identity::issued(&params, Some(&self.issuer))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// Its own certificate, in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        self.issuer.der()
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Writes its certificate to `{name}.pem` in this directory.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<PathBuf> {
        let path = directory.join(format!("{name}.pem"));
        std::fs::write(&path, &self.pem)?;
        Ok(path)
    }
}

pub(super) fn client_params(subject: &str) -> CertificateParams {
    let subject = Subject::read(subject).unwrap_or_else(|| panic!("no subject: {subject:?}"));
    let mut params = CertificateParams::default();
    params.distinguished_name = subject.to_name();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
