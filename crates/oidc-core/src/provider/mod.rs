//! The identity provider: its issuer, where it is discovered, and the endpoints in force.
//! OIDC Discovery §4, RFC 8414.

mod endpoint;
mod metadata;

pub(crate) use endpoint::Defect;
pub use endpoint::{Endpoint, Endpoints};
pub use metadata::{DiscoveryError, EndpointAliases, ProviderMetadata};

use std::fmt;

use url::Url;

/// The path below an issuer at which its metadata stand (OIDC Discovery §4).
pub const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// A URL as it may be printed: users put names, passwords and keys around the path.
#[must_use]
pub fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// A provider as configured: where to find it, and what is said here instead of there.
#[derive(Clone)]
pub struct Provider {
    issuer: String,
    discovery_url: Url,
    /// Used instead of the discovered endpoints.
    pub endpoints: Endpoints,
    /// Used instead of both by clients that authenticate by a certificate.
    pub mtls_endpoints: Endpoints,
    /// Used instead of the discovered `jwks_uri`.
    pub jwks_uri: Option<Url>,
}

/// An issuer that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// It is not an absolute URL.
    #[error("an issuer is an absolute URL")]
    NotAUrl,
    /// Its scheme is neither `https` nor `http`.
    #[error("an issuer's scheme is https, or http for a test")]
    Scheme,
    /// It has a user name, a query or a fragment.
    #[error("an issuer has no user name, query or fragment")]
    Decorated,
}

impl Provider {
    /// A provider by its issuer, or by the full URL of its discovery document, as in Kong.
    ///
    /// # Errors
    /// If the text cannot be an issuer (OIDC Discovery §3).
    pub fn new(issuer_or_discovery_url: &str) -> Result<Self, IssuerError> {
        let text = issuer_or_discovery_url.trim_end_matches('/');
        let issuer = text
            .strip_suffix(WELL_KNOWN)
            .unwrap_or(issuer_or_discovery_url);
        let url = Url::parse(issuer).map_err(|_| IssuerError::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err(IssuerError::Scheme);
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(IssuerError::Decorated);
        }
        let discovery_url = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
        Ok(Self {
            issuer: issuer.to_owned(),
            discovery_url: Url::parse(&discovery_url).map_err(|_| IssuerError::NotAUrl)?,
            endpoints: Endpoints::default(),
            mtls_endpoints: Endpoints::default(),
            jwks_uri: None,
        })
    }

    /// The issuer as configured; what tokens name is the discovered one.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where the metadata are.
    #[must_use]
    pub const fn discovery_url(&self) -> &Url {
        &self.discovery_url
    }

    /// The host of the issuer's URL, without a port: the realm of a challenge.
    #[must_use]
    pub fn realm(&self) -> &str {
        self.discovery_url.host_str().unwrap_or_default()
    }

    /// The token endpoint in force.
    #[must_use]
    pub fn token_endpoint_of<'a>(&'a self, metadata: &'a ProviderMetadata) -> &'a Url {
        self.endpoints
            .token
            .as_ref()
            .unwrap_or(&metadata.token_endpoint)
    }

    /// An endpoint in force; `None` if neither the configuration nor the provider names it.
    ///
    /// A client that authenticates by a certificate (`by_certificate`) goes to the endpoint that
    /// asks for one (RFC 8705 §5).
    #[must_use]
    pub fn endpoint<'a>(
        &'a self,
        endpoint: Endpoint,
        metadata: &'a ProviderMetadata,
        by_certificate: bool,
    ) -> Option<&'a Url> {
        let alias = || self.mtls_endpoints.get(endpoint);
        let discovered_alias = || metadata.mtls_endpoint_aliases.get(endpoint);
        by_certificate
            .then(alias)
            .flatten()
            .or_else(|| self.endpoints.get(endpoint))
            .or_else(|| by_certificate.then(discovered_alias).flatten())
            .or_else(|| metadata.get(endpoint))
    }

    /// The key set in force.
    #[must_use]
    pub fn jwks_uri_of<'a>(&'a self, metadata: &'a ProviderMetadata) -> &'a Url {
        self.jwks_uri.as_ref().unwrap_or(&metadata.jwks_uri)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.issuer).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_and_its_discovery_url_mean_the_same() {
        for (text, issuer, discovery) in [
            (
                "http://idp/realms/kong",
                "http://idp/realms/kong",
                "http://idp/realms/kong/.well-known/openid-configuration",
            ),
            (
                "http://idp/realms/kong/.well-known/openid-configuration",
                "http://idp/realms/kong",
                "http://idp/realms/kong/.well-known/openid-configuration",
            ),
            (
                "https://idp.test/",
                "https://idp.test/",
                "https://idp.test/.well-known/openid-configuration",
            ),
        ] {
            let provider = Provider::new(text).expect("an issuer");
            assert_eq!(provider.issuer(), issuer);
            assert_eq!(provider.discovery_url().as_str(), discovery);
        }
    }

    #[test]
    fn what_cannot_be_an_issuer_is_refused() {
        for (text, error) in [
            ("kong", IssuerError::NotAUrl),
            ("ftp://idp", IssuerError::Scheme),
            ("https://idp/?a=b", IssuerError::Decorated),
            ("https://idp/#a", IssuerError::Decorated),
            ("https://john@idp/", IssuerError::Decorated),
        ] {
            assert_eq!(Provider::new(text).err(), Some(error), "{text}");
        }
    }
}
