//! Kong's entities `certificates` and `ca_certificates`: named in one place, referred to by id.

use std::collections::BTreeMap;
use std::sync::Arc;

use oidc_core::Secret;

use super::reader::{Item, Section};

/// A certificate and its key, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What refers to it.
    pub id: String,
    /// The chain, the certificate itself first.
    pub chain: String,
    /// The private key.
    pub key: Secret,
}

/// By what names it: two that are the same have the same id.
impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// Certificates by their ids.
pub(super) type Certificates = BTreeMap<String, Arc<Certificate>>;

/// Reads `certificates`.
pub(super) fn read(section: &mut Section<'_>) -> Certificates {
    let mut certificates = Certificates::new();
    for item in section
        .take("certificates")
        .map(|item| item.list())
        .unwrap_or_default()
    {
        let Some(certificate) = certificate(&item) else {
            continue;
        };
        let id = certificate.id.clone();
        if certificates.insert(id, Arc::new(certificate)).is_some() {
            item.problem::<()>("a second certificate of this id");
        }
    }
    certificates
}

/// Authorities by their ids, as PEM.
pub(super) type Authorities = BTreeMap<String, String>;

/// Reads `ca_certificates`.
pub(super) fn read_authorities(section: &mut Section<'_>) -> Authorities {
    let mut authorities = Authorities::new();
    for item in section
        .take("ca_certificates")
        .map(|item| item.list())
        .unwrap_or_default()
    {
        let Some(mut table) = item.section() else {
            continue;
        };
        table.ignore(&["created_at", "updated_at", "ws_id", "tags", "cert_digest"]);
        let id = table.required("id").and_then(|item| item.filled_text());
        let cert = table.required("cert");
        table.finish(&["cert", "id", "tags"]);
        let cert = cert.and_then(|item| pem(&item, "CERTIFICATE"));
        let (Some(id), Some(cert)) = (id, cert) else {
            continue;
        };
        if authorities.insert(id, cert.expose().to_owned()).is_some() {
            item.problem::<()>("a second ca_certificate of this id");
        }
    }
    authorities
}

/// The certificate of this id.
pub(super) fn referred(item: &Item<'_>, id: &str) -> Option<Arc<Certificate>> {
    match item.context.certificates.get()?.get(id) {
        Some(certificate) => Some(Arc::clone(certificate)),
        None => item.problem(format!(
            "there is no certificate of the id {}",
            item.shown(id)
        )),
    }
}

fn certificate(item: &Item<'_>) -> Option<Certificate> {
    let mut table = item.section()?;
    table.ignore(&["created_at", "updated_at", "ws_id", "tags", "snis"]);
    for name in ["cert_alt", "key_alt", "passphrase"] {
        table.only_default(name, "");
    }
    let id = table.required("id").and_then(|item| item.filled_text());
    let chain = table.required("cert");
    let key = table.required("key");
    table.finish(&["cert", "id", "key", "snis", "tags"]);
    let chain = chain.and_then(|item| pem(&item, "CERTIFICATE"));
    let key = key.and_then(|item| pem(&item, "PRIVATE KEY"));
    Some(Certificate {
        id: id?,
        chain: chain?.expose().to_owned(),
        key: key?,
    })
}

/// A text in PEM; what it holds is not printed.
fn pem(item: &Item<'_>, label: &str) -> Option<Secret> {
    let text = item.secret()?;
    if text.expose().contains("-----BEGIN ") && text.expose().contains(label) {
        Some(text)
    } else {
        item.problem(format!(
            "is not a PEM text with a {label}; a file is named as \"{{file:/path}}\""
        ))
    }
}
