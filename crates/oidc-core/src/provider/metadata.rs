//! A provider's metadata, read strictly from its discovery document: OIDC Discovery §3 and §4.3.

use std::fmt;

use serde::Deserialize;
use url::Url;

use crate::Reason;
use crate::jose::strict_json;

/// What the gateway needs of a discovery document.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderMetadata {
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Where token requests go.
    pub token_endpoint: Url,
    /// Where the keys are.
    pub jwks_uri: Url,
    /// Where tokens are introspected (RFC 7662).
    pub introspection_endpoint: Option<Url>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// Where claims about the user are (OIDC Core §5.3).
    pub userinfo_endpoint: Option<Url>,
    /// Where clients go instead that authenticate by a certificate (RFC 8705 §5).
    pub mtls_endpoint_aliases: EndpointAliases,
    /// How clients may authenticate; empty if the document does not say.
    pub token_endpoint_auth_methods_supported: Vec<String>,
}

/// Endpoints that ask for a client certificate (RFC 8705 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct EndpointAliases {
    /// Where token requests go.
    pub token_endpoint: Option<Url>,
    /// Where tokens are introspected.
    pub introspection_endpoint: Option<Url>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// Where claims about the user are.
    pub userinfo_endpoint: Option<Url>,
}

impl fmt::Debug for ProviderMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProviderMetadata")
            .field(&self.issuer)
            .finish()
    }
}

/// A discovery document that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// It is not a JSON object with the members that OIDC Discovery §3 asks for.
    #[error("not a discovery document")]
    Malformed,
    /// A member stands twice.
    #[error("a member of the discovery document stands twice")]
    DuplicateMember,
    /// An endpoint is not an `https` or `http` URL.
    #[error("an endpoint of the discovery document is not an http(s) URL")]
    EndpointNotHttp,
    /// An endpoint is `http`, and the document came by `https` (OIDC Discovery §3): secrets and keys
    /// would go in the clear.
    #[error("an endpoint of the discovery document is http, and the issuer https")]
    EndpointNotHttps,
    /// It is another issuer's (OIDC Discovery §4.3).
    #[error("the discovery document is another issuer's")]
    IssuerMismatch,
}

impl DiscoveryError {
    /// The reason that a request is refused for.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Malformed => Reason::DiscoveryMalformed("discovery.malformed"),
            Self::DuplicateMember => Reason::DiscoveryMalformed("discovery.duplicate_member"),
            Self::EndpointNotHttp => Reason::DiscoveryMalformed("discovery.endpoint_not_http"),
            Self::EndpointNotHttps => Reason::DiscoveryMalformed("discovery.endpoint_not_https"),
            Self::IssuerMismatch => Reason::DiscoveryIssuerMismatch,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Url,
    jwks_uri: Url,
    introspection_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    mtls_endpoint_aliases: EndpointAliases,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl ProviderMetadata {
    /// Reads a discovery document that was fetched for `issuer`.
    ///
    /// A trailing slash more or less is forgiven, since users copy issuers without it, and so is
    /// what makes no difference in a URL; the document's own spelling is what tokens are held to.
    ///
    /// # Errors
    /// If it is malformed, or another issuer's.
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let value = strict_json::object(document).map_err(|error| match error {
            strict_json::StrictJsonError::DuplicateMember => DiscoveryError::DuplicateMember,
            _ => DiscoveryError::Malformed,
        })?;
        let document: Document =
            serde_json::from_value(value.into()).map_err(|_| DiscoveryError::Malformed)?;
        if !same_issuer(&document.issuer, issuer) {
            return Err(DiscoveryError::IssuerMismatch);
        }
        let aliases = &document.mtls_endpoint_aliases;
        let endpoints = [Some(&document.token_endpoint), Some(&document.jwks_uri)]
            .into_iter()
            .chain([
                document.introspection_endpoint.as_ref(),
                document.revocation_endpoint.as_ref(),
                document.userinfo_endpoint.as_ref(),
                aliases.token_endpoint.as_ref(),
                aliases.introspection_endpoint.as_ref(),
                aliases.revocation_endpoint.as_ref(),
                aliases.userinfo_endpoint.as_ref(),
            ])
            .flatten();
        let secure = Url::parse(issuer).is_ok_and(|issuer| issuer.scheme() == "https");
        for url in endpoints {
            if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
                return Err(DiscoveryError::EndpointNotHttp);
            }
            if secure && url.scheme() != "https" {
                return Err(DiscoveryError::EndpointNotHttps);
            }
        }
        Ok(Self {
            issuer: document.issuer,
            token_endpoint: document.token_endpoint,
            jwks_uri: document.jwks_uri,
            introspection_endpoint: document.introspection_endpoint,
            revocation_endpoint: document.revocation_endpoint,
            userinfo_endpoint: document.userinfo_endpoint,
            mtls_endpoint_aliases: document.mtls_endpoint_aliases,
            token_endpoint_auth_methods_supported: document.token_endpoint_auth_methods_supported,
        })
    }
}

fn same_issuer(one: &str, other: &str) -> bool {
    let trim = |text: &str| text.trim_end_matches('/').to_owned();
    let normal = |text: &str| Url::parse(text).ok().map(|url| trim(url.as_str()));
    trim(one) == trim(other) || normal(one).is_some_and(|one| normal(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp.test/realms/kong";

    fn document(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut document = serde_json::json!({
            "issuer": ISSUER,
            "token_endpoint": "https://idp.test/token",
            "jwks_uri": "https://idp.test/certs",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "member_of_tomorrow": {"a": [1, null]},
        });
        change(&mut document);
        document.to_string().into_bytes()
    }

    #[test]
    fn a_document_is_read_and_unknown_members_are_passed_over() {
        let metadata = ProviderMetadata::parse(&document(|_| ()), ISSUER).expect("well-formed");
        assert_eq!(metadata.token_endpoint.as_str(), "https://idp.test/token");
        for same in [
            "https://idp.test/realms/kong/",
            "https://IDP.test:443/realms/kong",
        ] {
            assert!(
                ProviderMetadata::parse(&document(|_| ()), same).is_ok(),
                "{same}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_document_is_told_apart() {
        let cases: [(Vec<u8>, DiscoveryError); 10] = [
            (
                document(|d| d["issuer"] = "https://idp.test/realms/Kong".into()),
                DiscoveryError::IssuerMismatch,
            ),
            (
                document(|d| d["issuer"] = "https://evil.test/realms/kong".into()),
                DiscoveryError::IssuerMismatch,
            ),
            (
                document(|d| d["issuer"] = 7.into()),
                DiscoveryError::Malformed,
            ),
            (
                document(|d| d["token_endpoint"] = serde_json::Value::Null),
                DiscoveryError::Malformed,
            ),
            (
                document(|d| d["jwks_uri"] = "file:///etc/passwd".into()),
                DiscoveryError::EndpointNotHttp,
            ),
            (
                document(|d| d["jwks_uri"] = "http://idp.test/certs".into()),
                DiscoveryError::EndpointNotHttps,
            ),
            (
                document(|d| d["userinfo_endpoint"] = "HTTP://idp.test/me".into()),
                DiscoveryError::EndpointNotHttps,
            ),
            (b"<html>".to_vec(), DiscoveryError::Malformed),
            (b"\xef\xbb\xbf{}".to_vec(), DiscoveryError::Malformed),
            (
                br#"{"issuer":"a","issuer":"b"}"#.to_vec(),
                DiscoveryError::DuplicateMember,
            ),
        ];
        for (bytes, error) in cases {
            assert_eq!(
                ProviderMetadata::parse(&bytes, ISSUER).err(),
                Some(error),
                "{}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}
