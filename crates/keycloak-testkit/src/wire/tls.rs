//! The https side of a wire: it asks for a client's certificate and takes none, too (RFC 8705 §2).

use std::sync::{Arc, LazyLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::TlsAcceptor;

use crate::pki::{Authority, Identity, Parties};

/// Whose certificates are let in. Others end the handshake, as at Keycloak's own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Those of the shared authority.
    Issued,
    /// Those, and such as vouch for themselves.
    IssuedOrSelfSigned,
}

/// What is known of a client that came by https; it goes with each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

/// What every listener of this process shows.
static SERVER: LazyLock<Identity> =
    LazyLock::new(|| Authority::shared().server(&["127.0.0.1", "localhost", "::1"]));

impl Admission {
    /// Whether a client with this certificate gets through the handshake.
    pub(crate) fn lets_in(self, certificate: &CertificateDer<'_>) -> bool {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Doorkeeper::new(self, provider)
            .verify_client_cert(certificate, &[], UnixTime::now())
            .is_ok()
    }
}

pub(super) fn acceptor(admission: Admission) -> TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has every version")
        .with_client_cert_verifier(Arc::new(Doorkeeper::new(admission, provider)))
        .with_single_cert(SERVER.chain(), SERVER.private_key())
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Debug)]
struct Doorkeeper {
    admission: Admission,
    issued: Arc<dyn ClientCertVerifier>,
}

impl Doorkeeper {
    fn new(admission: Admission, provider: Arc<rustls::crypto::CryptoProvider>) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(Authority::shared().certificate())
            .expect("an authority's certificate");
        let issued = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("there is an authority");
        Self { admission, issued }
    }
}

impl ClientCertVerifier for Doorkeeper {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client might keep a certificate of its own back.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let self_signed = Parties::of(certificate).is_some_and(|parties| parties.self_issued);
        if self_signed && self.admission == Admission::IssuedOrSelfSigned {
            // Whose key it is, the handshake proves; whose client it is, the registration says.
            return Ok(ClientCertVerified::assertion());
        }
        self.issued.verify_client_cert(certificate, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}
