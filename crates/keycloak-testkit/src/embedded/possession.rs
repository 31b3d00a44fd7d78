//! What a client proves to possess, and what tokens are bound to by it (RFC 7800, RFC 8705 §3,
//! RFC 9449 §5).

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::refusal::{invalid_grant, invalid_request, not_allowed};
use super::state::LiveRealm;
use crate::pki::thumbprint;
use crate::wire::Peer;
use crate::{Client, Refusal};

/// What Keycloak says of a certificate that is not the one of the token.
pub(super) const OTHER_CERTIFICATE: &str =
    "Client certificate missing, or its thumbprint and one in the token did NOT match";

/// What came with a request, beside what it says.
pub(super) struct Presented {
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// The `DPoP` headers; more than one is none.
    pub(super) proofs: Vec<String>,
    pub(super) method: String,
    /// The address that was asked, without the query.
    pub(super) url: String,
}

impl Presented {
    pub(super) fn by(request: &Request<Bytes>) -> Self {
        let peer = request.extensions().get::<Peer>();
        let scheme = if peer.is_some() { "https" } else { "http" };
        let host = host(request.headers())
            .or_else(|| request.uri().authority().map(|host| host.as_str()))
            .unwrap_or_default();
        let proofs = request.headers().get_all("dpop").iter();
        Self {
            certificate: peer.and_then(|peer| peer.certificate.clone()),
            proofs: proofs
                .map(|proof| String::from_utf8_lossy(proof.as_bytes()).into_owned())
                .filter(|proof| !proof.is_empty())
                .collect(),
            method: request.method().to_string(),
            url: format!("{scheme}://{host}{}", request.uri().path()),
        }
    }

    pub(super) fn thumbprint(&self) -> Option<String> {
        self.certificate.as_deref().map(thumbprint)
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// What tokens are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Binding {
    /// A certificate's thumbprint.
    certificate: Option<String>,
    /// A key's thumbprint.
    key: Option<String>,
}

impl Binding {
    /// The claim `cnf` of an access token.
    pub(super) fn confirmation(&self) -> Option<Value> {
        let mut claim = json!({});
        if let Some(certificate) = &self.certificate {
            claim["x5t#S256"] = json!(certificate);
        }
        if let Some(key) = &self.key {
            claim["jkt"] = json!(key);
            claim["kc-jkt-type"] = json!("DPoP");
        }
        claim
            .as_object()
            .is_some_and(|claim| !claim.is_empty())
            .then_some(claim)
    }

    /// That of a refresh token: a confidential client proves itself by its authentication, so the
    /// key is not asked for again (RFC 9449 §5).
    pub(super) fn of_refresh_token(&self, client: &Client) -> Self {
        Self {
            certificate: self.certificate.clone(),
            key: self.key.clone().filter(|_| client.is_public()),
        }
    }

    /// The type of tokens that are bound in this way.
    pub(super) const fn token_type(&self) -> &'static str {
        match self.key {
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }

    /// What the next tokens are bound to, if the binding of the refresh token is met.
    pub(super) fn again(
        mut self,
        client: &Client,
        claims: &Value,
        presented: &Presented,
    ) -> Result<Self, Refusal> {
        let bound = |name: &str| claims.get("cnf")?.get(name)?.as_str();
        if let Some(certificate) = bound("x5t#S256")
            && presented.thumbprint().as_deref() != Some(certificate)
        {
            return Err(not_allowed(401, OTHER_CERTIFICATE));
        }
        match (bound("jkt"), &self.key) {
            (Some(_), None) => return Err(invalid_grant("DPoP proof is missing")),
            (Some(bound), Some(key)) if bound != key => {
                return Err(invalid_grant("DPoP confirmation doesn't match DPoP proof"));
            }
            _ => {}
        }
        if client.certificate_bound {
            self.certificate = presented.thumbprint();
        }
        Ok(self)
    }
}

impl LiveRealm {
    /// What this client's tokens are to be bound to. A proof of a key binds them whether the
    /// client has to send one or not; a certificate only if it has to.
    pub(super) fn binding(
        &self,
        client: &Client,
        presented: &Presented,
    ) -> Result<Binding, Refusal> {
        let key = match presented.proofs.as_slice() {
            [] if client.dpop_bound => return Err(invalid_request("DPoP proof is missing")),
            [] => None,
            _ => Some(self.proven_key(presented, None)?),
        };
        Ok(Binding {
            certificate: None,
            key,
        })
    }

    /// As [`binding`](Self::binding), with the certificate that a new session needs.
    pub(super) fn binding_with_certificate(
        &self,
        client: &Client,
        presented: &Presented,
    ) -> Result<Binding, Refusal> {
        let mut binding = self.binding(client, presented)?;
        if client.certificate_bound {
            let certificate = presented.thumbprint().ok_or_else(|| {
                invalid_request("Client Certification missing for MTLS HoK Token Binding")
            })?;
            binding.certificate = Some(certificate);
        }
        Ok(binding)
    }
}
