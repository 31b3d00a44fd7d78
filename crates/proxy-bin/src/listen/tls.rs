//! The listener's side of TLS, by rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::config::{ClientCertificates, ListenerTls};
use crate::forward::{TlsSettingsError, read_certificates};

/// TLS settings of a listener that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// Certificates cannot be read.
    #[error(transparent)]
    Certificates(#[from] TlsSettingsError),
    /// The private key cannot be read.
    #[error("the private key in {file} cannot be read: {source}")]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The authorities of client certificates cannot be used.
    #[error("the authorities of client certificates cannot be used: {0}")]
    ClientAuthorities(#[from] VerifierBuilderError),
    /// The key does not belong to the certificate, or rustls refuses them otherwise.
    #[error("the certificate {file} and its key cannot be used: {source}")]
    Refused {
        /// The certificate's file.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// The server side of TLS by these settings; HTTP/2 and HTTP/1.1 by ALPN.
///
/// # Errors
/// If files cannot be read, or do not belong together.
pub(crate) fn server_tls(settings: &ListenerTls) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let refused = |source| ServerTlsError::Refused {
        file: settings.certificate.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    let verifier = match (&settings.client_ca, settings.client_auth) {
        (Some(file), ClientCertificates::Optional | ClientCertificates::Required) => {
            let mut roots = RootCertStore::empty();
            for certificate in read_certificates(file)? {
                roots.add(certificate).map_err(refused)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if settings.client_auth == ClientCertificates::Optional {
                verifier.allow_unauthenticated()
            } else {
                verifier
            };
            Some(verifier.build()? as Arc<dyn ClientCertVerifier>)
        }
        (_, ClientCertificates::Unverified) => {
            Some(Arc::new(AnyCertificate(provider)) as Arc<dyn ClientCertVerifier>)
        }
        _ => None,
    };
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let chain = read_certificates(&settings.certificate)?;
    let key = read_key(&settings.key)?;
    let mut config = builder.with_single_cert(chain, key).map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, ServerTlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|source| ServerTlsError::Key {
        file: file.to_owned(),
        source,
    })
}

/// Takes any client certificate; that the client has its key, the handshake shows all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
