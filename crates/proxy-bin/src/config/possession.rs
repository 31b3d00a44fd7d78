//! Proof of possession: Kong's `proof_of_possession_*` and `dpop_*` (RFC 8705 §3, RFC 9449).

use std::time::Duration;

use http::HeaderName;
use oidc_core::CredentialKind;
use oidc_core::possession::{CertificateFormat, Enforcement, PossessionPolicy};
use token_extractors::header_name;

use super::document::Tree;
use super::plugin::flag;
use super::reader::{Item, Section};

/// What clients have to prove.
#[derive(Clone, Debug, Default)]
pub struct PossessionSettings {
    /// Which proofs are asked for.
    pub policy: PossessionPolicy,
    /// Whether DPoP proofs need a nonce of the gateway's.
    pub dpop_nonce: bool,
    /// How long a DPoP proof is good for.
    pub dpop_lifetime: Duration,
    /// The header in which a trusted proxy hands on the client's certificate.
    pub certificate_header: Option<CertificateHeader>,
}

/// A header that holds a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHeader {
    /// Its name.
    pub name: HeaderName,
    /// How the certificate stands in it.
    pub format: CertificateFormat,
    /// Authorities, as PEM, one of which has to vouch for it; none asks for none.
    pub authorities: Vec<String>,
}

pub(super) fn read(s: &mut Section<'_>, auth_methods: &[CredentialKind]) -> PossessionSettings {
    let mtls_item = s.take("proof_of_possession_mtls");
    let dpop_item = s.take("proof_of_possession_dpop");
    let policy = PossessionPolicy {
        mtls: enforcement(mtls_item.as_ref()),
        dpop: enforcement(dpop_item.as_ref()),
    };
    let validated = flag(s, "proof_of_possession_auth_methods_validation", true);
    let provable = |kind: &CredentialKind| {
        matches!(kind, CredentialKind::Bearer | CredentialKind::Introspection)
    };
    if policy.is_on() && validated {
        let others: Vec<_> = auth_methods
            .iter()
            .filter(|kind| !provable(kind))
            .map(|kind| kind.name())
            .collect();
        if !others.is_empty() {
            let item = mtls_item.as_ref().or(dpop_item.as_ref());
            item.unwrap_or(&s.item).problem::<()>(format!(
                "nothing can be proven of {}: leave them out of auth_methods, or set proof_of_possession_auth_methods_validation to false, which takes them without a proof",
                others.join(", ")
            ));
        }
    }
    PossessionSettings {
        policy,
        dpop_nonce: flag(s, "dpop_use_nonce", false),
        dpop_lifetime: s
            .take("dpop_proof_lifetime")
            .and_then(|item| item.duration(Duration::from_secs(1)))
            .unwrap_or(Duration::from_secs(300)),
        certificate_header: s
            .take("proof_of_possession_mtls_from_header")
            .and_then(|item| certificate_header(&item)),
    }
}

fn enforcement(item: Option<&Item<'_>>) -> Enforcement {
    item.and_then(|item| {
        item.one_of(&[
            ("off", Enforcement::Off),
            ("optional", Enforcement::Optional),
            ("strict", Enforcement::Strict),
        ])
    })
    .unwrap_or_default()
}

fn certificate_header(item: &Item<'_>) -> Option<CertificateHeader> {
    let mut table = item.section()?;
    let name = table.take("certificate_header_name");
    let format = table.take("certificate_header_format").map_or(
        Some(CertificateFormat::UrlEncoded),
        |item| {
            item.one_of(&[
                ("url_encoded", CertificateFormat::UrlEncoded),
                ("base64_encoded", CertificateFormat::Base64),
                ("client_cert", CertificateFormat::ClientCert),
            ])
        },
    );
    if let Some(item) = table.take("secure_source")
        && !item.bool().unwrap_or(true)
    {
        item.problem::<()>(
            "a certificate is public: a header of anybody's proves nothing; list the proxy in gateway.trusted_ips",
        );
    }
    if let Some(item) = table.take("revocation_check_mode") {
        item.one_of(&[("SKIP", ()), ("IGNORE_CA_ERROR", ())]);
    }
    if let Some(item) = table.take("allow_partial_chain")
        && item.bool().unwrap_or(false)
    {
        item.problem::<()>(
            "not implemented yet, and never silently ignored: name the root in ca_certificates",
        );
    }
    let authorities = table.take("ca_certificates").map_or_else(Vec::new, |item| {
        item.list().iter().filter_map(authority).collect()
    });
    table.ignore(&[
        "cert_cache_ttl",
        "http_timeout",
        "ssl_verify",
        "http_proxy_host",
        "http_proxy_port",
        "https_proxy_host",
        "https_proxy_port",
    ]);
    table.finish(&[
        "allow_partial_chain",
        "ca_certificates",
        "certificate_header_format",
        "certificate_header_name",
        "revocation_check_mode",
        "secure_source",
    ]);
    let name = name?;
    let text = name.filled_text()?;
    match header_name(&text) {
        Ok(name) => Some(CertificateHeader {
            name,
            format: format?,
            authorities,
        }),
        Err(_) => name.problem(format!("{} cannot be a header's name", name.shown(&text))),
    }
}

/// An authority: the id of one of `ca_certificates`, or its PEM text.
fn authority(item: &Item<'_>) -> Option<String> {
    let text = match item.tree() {
        Tree::Text(_) | Tree::Loose(..) => item.filled_text()?,
        _ => return item.problem("needs the id of one of ca_certificates, or a PEM text"),
    };
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Some(text);
    }
    match item.context.authorities.get()?.get(&text) {
        Some(pem) => Some(pem.clone()),
        None => item.problem(format!(
            "there is no ca_certificate of the id {}",
            item.shown(&text)
        )),
    }
}
