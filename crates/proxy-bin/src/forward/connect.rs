//! Connections to upstreams and the TLS that they use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::Certificate;

/// Whom a TLS connection trusts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TlsSettings {
    /// Whether the other side's certificate is checked.
    pub(crate) verify: bool,
    /// Files of authorities to trust instead of the system's.
    pub(crate) authorities: Vec<PathBuf>,
    /// Files of authorities to trust besides those.
    pub(crate) further: Vec<PathBuf>,
    /// The certificate that is shown where one is asked for.
    pub(crate) identity: Option<Arc<Certificate>>,
}

/// TLS settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// A file of authorities cannot be read.
    #[error("the certificate authorities in {file} cannot be read")]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("there is no certificate in {0}")]
    NoCertificate(PathBuf),
    /// The certificate to be shown, or its key, cannot be read.
    #[error("the certificate {0:?} or its key cannot be read as PEM")]
    Identity(String),
    /// The certificate to be shown and its key do not belong together.
    #[error("the certificate {id:?} and its key cannot be used: {source}")]
    IdentityRefused {
        /// The certificate's id.
        id: String,
        /// Why.
        source: rustls::Error,
    },
    /// rustls refuses them.
    #[error("the TLS settings are refused")]
    Refused(#[from] rustls::Error),
}

/// The client side of TLS, made once for all that ask for the same: the system's authorities are
/// a large file to read, and as much to keep.
#[derive(Debug, Default)]
pub(crate) struct ClientTls {
    authorities: HashMap<[Vec<PathBuf>; 2], Arc<RootCertStore>>,
    made: HashMap<TlsSettings, ClientConfig>,
}

impl ClientTls {
    /// TLS by these settings. What is made of the same settings shares the sessions to resume.
    ///
    /// # Errors
    /// If authorities cannot be read.
    pub(crate) fn of(&mut self, settings: TlsSettings) -> Result<ClientConfig, TlsSettingsError> {
        if let Some(made) = self.made.get(&settings) {
            return Ok(made.clone());
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if settings.verify {
            builder.with_root_certificates(self.authorities(&settings)?)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
        };
        let config = identified(builder, settings.identity.as_deref())?;
        self.made.insert(settings, config.clone());
        Ok(config)
    }

    fn authorities(
        &mut self,
        settings: &TlsSettings,
    ) -> Result<Arc<RootCertStore>, TlsSettingsError> {
        let files = [settings.authorities.clone(), settings.further.clone()];
        if let Some(roots) = self.authorities.get(&files) {
            return Ok(Arc::clone(roots));
        }
        let mut roots = RootCertStore::empty();
        if settings.authorities.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        for file in files.iter().flatten() {
            for certificate in read_certificates(file)? {
                roots.add(certificate)?;
            }
        }
        let roots = Arc::new(roots);
        self.authorities.insert(files, Arc::clone(&roots));
        Ok(roots)
    }
}

fn identified(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<&Certificate>,
) -> Result<ClientConfig, TlsSettingsError> {
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let unreadable = |_| TlsSettingsError::Identity(identity.id.clone());
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes()).map_err(unreadable)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|source| TlsSettingsError::IdentityRefused {
            id: identity.id.clone(),
            source,
        })
}

/// The certificates of a PEM file.
///
/// # Errors
/// If it cannot be read, or holds none.
pub(crate) fn read_certificates(
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsSettingsError> {
    let unreadable = |source| TlsSettingsError::Authorities {
        file: file.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsSettingsError::NoCertificate(file.to_owned()));
    }
    Ok(certificates)
}

/// Takes any certificate (`tls_verify: false`, `ssl_verify: false`); the handshake's own signatures
/// are checked all the same.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
