//! Whether a client proves that its token is its own: RFC 8705 §3, RFC 9449 §7 and §9.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use oidc_core::grant::Granted;
use oidc_core::jose::AlgorithmSet;
use oidc_core::possession::{
    CertificateThumbprint, Enforcement, NonceKey, NonceRule, PossessionError, PossessionPolicy,
    Presented, PresentedCertificate, Proof, ProofCheck, ProofError, ReplayTable, Scheme,
    proof_header,
};
use oidc_core::{Denial, Reason, Secret, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use url::Url;

use crate::config::{CertificateHeader, PossessionSettings};
use crate::listen::Connection;

/// The header of a proof.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The header of a nonce.
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The algorithms of proofs, as a challenge names them.
pub(crate) const DPOP_ALGORITHMS: &str =
    "ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA";

/// The proofs that have been used, and the key of nonces: one for the whole process, since a proof
/// is good once, whatever route it is used on.
pub(crate) struct ProofMemory {
    used: Vec<Mutex<ReplayTable>>,
    nonces: NonceKey,
}

/// As many as make it unlikely that two busy cores meet.
const SHARDS: usize = 16;
/// Proofs that are remembered, of some 150 bytes each.
const CAPACITY: usize = 400_000;

impl ProofMemory {
    /// An empty memory.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let table = || Mutex::new(ReplayTable::new(CAPACITY / SHARDS));
        Ok(Self {
            used: (0..SHARDS).map(|_| table()).collect(),
            nonces: NonceKey::new(&key),
        })
    }

    fn enter(&self, proof: &Proof, now: UnixTime) -> Result<(), PossessionError> {
        // By the key, so that the table's fairness among keys holds.
        let shard = usize::from(proof.key().as_bytes()[0]) % SHARDS;
        let mut table = self.used[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.enter(proof.mark(), now).map_err(Into::into)
    }

    /// A fresh nonce.
    fn nonce(&self, now: UnixTime) -> Option<HeaderValue> {
        // Randomness that only sets nonces of one moment apart.
        let random = RandomState::new().hash_one(now.as_millis()).to_be_bytes();
        HeaderValue::try_from(self.nonces.issue(now, random)).ok()
    }
}

impl std::fmt::Debug for ProofMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProofMemory")
    }
}

/// What clients of one plugin have to prove, prepared.
#[derive(Debug)]
pub(crate) struct Possession {
    policy: PossessionPolicy,
    lifetime: Duration,
    nonce: bool,
    algorithms: AlgorithmSet,
    header: Option<(CertificateHeader, Option<Arc<dyn ClientCertVerifier>>)>,
    memory: Arc<ProofMemory>,
}

/// Authorities of client certificates that cannot be used.
#[derive(Debug)]
pub(crate) struct AuthoritiesError;

impl Possession {
    /// Prepares it.
    ///
    /// # Errors
    /// If authorities cannot be used.
    pub(crate) fn prepare(
        settings: &PossessionSettings,
        memory: Arc<ProofMemory>,
    ) -> Result<Self, AuthoritiesError> {
        let header = match &settings.certificate_header {
            None => None,
            Some(header) => Some((header.clone(), verifier(&header.authorities)?)),
        };
        Ok(Self {
            policy: settings.policy,
            lifetime: settings.dpop_lifetime,
            nonce: settings.dpop_nonce,
            algorithms: AlgorithmSet::default(),
            header,
            memory,
        })
    }

    /// Which proofs are asked for.
    #[must_use]
    pub(crate) const fn policy(&self) -> &PossessionPolicy {
        &self.policy
    }

    /// Whether proofs by a key are taken.
    #[must_use]
    pub(crate) fn takes_dpop(&self) -> bool {
        self.policy.dpop != Enforcement::Off
    }

    /// The header in which a trusted proxy hands on a certificate.
    #[must_use]
    pub(crate) fn certificate_header(&self) -> Option<&HeaderName> {
        self.header.as_ref().map(|(header, _)| &header.name)
    }

    /// Takes what a request has to prove with, before anything of it is changed.
    pub(crate) fn look(&self, parts: &Parts, connection: &Connection, https: bool) -> Evidence {
        if !self.policy.is_on() {
            return Evidence::default();
        }
        Evidence {
            method: parts.method.as_str().to_owned(),
            url: url_of(parts, connection, https),
            proof: proof_of(parts),
            certificate: self.certificate(parts, connection),
        }
    }

    /// The client's certificate: of its own connection, or as a trusted proxy hands it on.
    fn certificate(
        &self,
        parts: &Parts,
        connection: &Connection,
    ) -> Result<Option<CertificateThumbprint>, Reason> {
        let Some((header, verifier)) = &self.header else {
            return Ok(connection.certificate());
        };
        if !connection.hop().is_trusted() {
            return Ok(connection.certificate());
        }
        let mut lines = parts.headers.get_all(&header.name).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return match parts.headers.get(&header.name) {
                Some(_) => Err(Reason::PossessionUnproven("mtls.certificate_repeated")),
                None => Ok(None),
            };
        };
        let certificate = PresentedCertificate::parse(line.as_bytes(), header.format)
            .map_err(|error| Reason::PossessionUnproven(error.code()))?;
        if let Some(verifier) = verifier {
            let leaf = CertificateDer::from(certificate.der());
            let chain: Vec<CertificateDer<'_>> = certificate
                .intermediates()
                .iter()
                .map(|der| CertificateDer::from(der.as_slice()))
                .collect();
            verifier
                .verify_client_cert(&leaf, &chain, rustls_pki_types::UnixTime::now())
                .map_err(|_| Reason::PossessionUnproven("mtls.certificate_untrusted"))?;
        }
        Ok(Some(certificate.thumbprint()))
    }

    /// Holds a verified token to what came with it.
    ///
    /// # Errors
    /// If it is not proven to be the caller's.
    pub(crate) fn prove(
        &self,
        granted: &Granted,
        by_dpop: bool,
        evidence: &Evidence,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let kind = granted.kind();
        if !self.policy.is_on() || !kind.is_access_token() {
            return Ok(());
        }
        let refuse = |reason: Reason| Denial::new(reason).for_kind(kind);
        let scheme = if by_dpop {
            Scheme::Dpop
        } else {
            Scheme::Bearer
        };
        let proof = match (&evidence.proof, scheme) {
            (Some(Ok(proof)), Scheme::Dpop) => Some(self.verified(granted, proof, evidence, now)),
            (Some(Err(error)), _) => Some(Err(*error)),
            _ => None,
        };
        let presented = Presented {
            scheme,
            certificate: evidence.certificate.map_err(refuse)?,
            proof: proof
                .as_ref()
                .map(|proof| proof.as_ref().map_err(|error| *error)),
        };
        let cnf = granted.claims().and_then(|claims| claims.claim(&["cnf"]));
        let confirmed = self
            .policy
            .decide(cnf, &presented)
            .map_err(|error| refuse(error.into()))?;
        if confirmed.by_key
            && let Some(Ok(proof)) = &proof
        {
            self.memory
                .enter(proof, now)
                .map_err(|error| refuse(error.into()))?;
        }
        Ok(())
    }

    /// What of [`prove`](Self::prove) can be told of a request that is only asked about: whether a
    /// certificate would have to be shown, which nobody can tell.
    ///
    /// # Errors
    /// If it would be refused whatever was shown.
    pub(crate) fn foresee(
        &self,
        granted: &Granted,
        by_dpop: bool,
        parts: &Parts,
        https: bool,
        now: UnixTime,
    ) -> Result<Foreseen, Denial> {
        let kind = granted.kind();
        if !self.policy.is_on() || !kind.is_access_token() {
            return Ok(Foreseen::Proven);
        }
        let scheme = if https { "https" } else { "http" };
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let url = host.map(|host| format!("{scheme}://{host}{}", parts.uri.path()));
        let evidence = Evidence {
            method: parts.method.as_str().to_owned(),
            url: url.and_then(|url| Url::parse(&url).ok()),
            proof: proof_of(parts),
            certificate: Ok(None),
        };
        let by_key = Self {
            policy: PossessionPolicy {
                mtls: Enforcement::Off,
                ..self.policy
            },
            memory: Arc::clone(&self.memory),
            header: None,
            ..*self
        };
        by_key.prove(granted, by_dpop, &evidence, now)?;
        let by_certificate = PossessionPolicy {
            dpop: Enforcement::Off,
            ..self.policy
        };
        let presented = Presented {
            scheme: Scheme::Bearer,
            certificate: None,
            proof: None,
        };
        let cnf = granted.claims().and_then(|claims| claims.claim(&["cnf"]));
        match by_certificate.decide(cnf, &presented) {
            Ok(_) => Ok(Foreseen::Proven),
            Err(PossessionError::CertificateMissing) => Ok(Foreseen::ByCertificate),
            Err(error) => Err(Denial::new(error.into()).for_kind(kind)),
        }
    }

    fn verified(
        &self,
        granted: &Granted,
        proof: &Secret,
        evidence: &Evidence,
        now: UnixTime,
    ) -> Result<Proof, ProofError> {
        let Some(url) = &evidence.url else {
            return Err(ProofError::UrlMismatch);
        };
        ProofCheck {
            method: &evidence.method,
            url,
            access_token: Some(granted.access_token()),
            algorithms: self.algorithms,
            nonce: if self.nonce {
                NonceRule::Required(&self.memory.nonces)
            } else {
                NonceRule::Off
            },
            now,
            lifetime: self.lifetime,
            leeway: ProofCheck::LEEWAY,
        }
        .verify(proof.expose())
    }

    /// The nonce that goes with an answer, where proofs need one.
    pub(crate) fn fresh_nonce(&self, now: UnixTime) -> Option<HeaderValue> {
        self.nonce.then(|| self.memory.nonce(now)).flatten()
    }
}

/// What can be told of a proof before there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// Nothing is missing.
    Proven,
    /// It depends on the certificate that the client shows.
    ByCertificate,
}

fn proof_of(parts: &Parts) -> Option<Result<Secret, ProofError>> {
    let lines = parts.headers.get_all(DPOP).iter();
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    match proof_header(&lines) {
        Ok(None) => None,
        Ok(Some(proof)) => Some(Ok(Secret::new(proof))),
        Err(error) => Some(Err(error)),
    }
}

/// What a request has to prove with.
pub(crate) struct Evidence {
    method: String,
    url: Option<Url>,
    proof: Option<Result<Secret, ProofError>>,
    certificate: Result<Option<CertificateThumbprint>, Reason>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            method: String::new(),
            url: None,
            proof: None,
            certificate: Ok(None),
        }
    }
}

/// The URL that the client asked for, as it sees it.
fn url_of(parts: &Parts, connection: &Connection, https: bool) -> Option<Url> {
    let scheme = if https { "https" } else { "http" };
    let authority = connection.hop().authority(&parts.headers)?;
    Url::parse(&format!("{scheme}://{authority}{}", parts.uri.path())).ok()
}

impl PossessionSettings {
    /// Whether the authorities of the header's certificates cannot be used.
    #[must_use]
    pub(crate) fn has_bad_authorities(&self) -> bool {
        let header = self.certificate_header.as_ref();
        header.is_some_and(|header| verifier(&header.authorities).is_err())
    }
}

fn verifier(
    authorities: &[String],
) -> Result<Option<Arc<dyn ClientCertVerifier>>, AuthoritiesError> {
    if authorities.is_empty() {
        return Ok(None);
    }
    let mut roots = rustls::RootCertStore::empty();
    for pem in authorities {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| AuthoritiesError)?;
            roots.add(certificate).map_err(|_| AuthoritiesError)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| AuthoritiesError)?;
    Ok(Some(verifier))
}
