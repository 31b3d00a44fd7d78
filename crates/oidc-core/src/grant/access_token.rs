//! Access tokens that callers present: by which method each is taken, and whose keys verify it.
//! RFC 6750 §2; the contract's order of methods.

use std::sync::Arc;

use url::Url;

use super::GrantPolicy;
use crate::jose::{Claims, CompactJws};
use crate::provider::ProviderMetadata;
use crate::verify::looks_signed;
use crate::{Credential, CredentialKind, Fingerprint, FingerprintKey, Reason, Secret};

/// The methods that take an access token, in the order in which they are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessTokens {
    /// `bearer`: signed tokens are verified by the issuer's keys.
    pub bearer: bool,
    /// `introspection`: the provider is asked about the token.
    pub introspection: bool,
    /// `userinfo`: the provider is asked with the token about its user.
    pub userinfo: bool,
    /// `introspect_jwt_tokens`: the provider is asked about tokens that have been verified, too.
    pub introspect_signed: bool,
}

impl AccessTokens {
    /// The credential that a presented token is.
    ///
    /// # Errors
    /// If no method that is on takes a token of its form.
    pub(super) fn credential(self, token: Secret) -> Result<Credential, Reason> {
        // What is built like a signed token and is malformed is refused by the method for these,
        // rather than sent to the provider.
        let signed = looks_signed(token.expose());
        if self.bearer && signed {
            Ok(Credential::Bearer(token))
        } else if self.introspection {
            Ok(Credential::Introspection(token))
        } else if self.userinfo {
            Ok(Credential::UserInfo(token))
        } else if self.bearer {
            Err(Reason::AccessTokenRefused("token.opaque"))
        } else {
            Err(Reason::CredentialMissing)
        }
    }
}

/// A key set that is trusted besides the provider's own (`extra_jwks_uris`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySource {
    /// Where the keys are.
    pub jwks_uri: Url,
    /// The issuer whose keys these are. Its tokens are verified by them alone, and no other
    /// issuer's are. `None`: they verify whatever issuer is allowed and has no keys of its own.
    pub issuer: Option<String>,
}

impl KeySource {
    /// A key set, tied to the allowed issuer below whose address it stands, if there is one.
    #[must_use]
    pub fn new(jwks_uri: Url, issuers_allowed: &[String]) -> Self {
        let below = |issuer: &str| {
            // As an address: a host in upper case, or the port that goes without saying, must not
            // leave the keys of somebody in particular to nobody.
            let Ok(issuer) = Url::parse(issuer) else {
                return false;
            };
            let path = jwks_uri.path();
            let path = path.strip_prefix(issuer.path().trim_end_matches('/'));
            path.is_some_and(|path| path.starts_with('/')) && issuer.origin() == jwks_uri.origin()
        };
        let mut owners: Vec<&String> = issuers_allowed.iter().filter(|i| below(i)).collect();
        owners.sort_by_key(|issuer| issuer.len());
        Self {
            issuer: owners.pop().cloned(),
            jwks_uri,
        }
    }
}

impl GrantPolicy {
    /// The credential that a presented token is, and the policy that it is taken by: the one of
    /// its issuer, where another issuer's tokens are exchanged.
    ///
    /// # Errors
    /// If no method that is on takes a token of its form.
    pub(super) fn taking(
        policy: Arc<Self>,
        token: Secret,
    ) -> Result<(Arc<Self>, Credential), Reason> {
        let credential = policy.access_tokens.credential(token)?;
        let subject = match (&policy.exchange, &credential) {
            (Some(exchange), Credential::Bearer(token)) => unverified_issuer(token.expose())
                .and_then(|issuer| exchange.subject(&issuer)?.policy.clone()),
            _ => None,
        };
        Ok((subject.unwrap_or(policy), credential))
    }

    /// What the outcome of a token's verification is remembered by.
    ///
    /// The client is a part of it: it is whom the provider is asked as for what else belongs to the
    /// token.
    pub(super) fn verification_key(
        &self,
        client_id: &str,
        token: &Secret,
        key: &FingerprintKey,
    ) -> Fingerprint {
        let sources = self.key_sources.iter();
        // What is kept for less long is not served where it was kept for longer.
        let most = self.cache_ttl_max.map_or(u64::MAX, |most| most.as_secs());
        let salt = self.cache_salt.as_ref().map_or("", Secret::expose);
        let mut hash = key.begin();
        // By its address: an issuer is spelt with and without a slash.
        hash.part(self.provider.discovery_url().as_str().as_bytes())
            .part(CredentialKind::Bearer.name().as_bytes())
            .part(client_id.as_bytes())
            .part(&most.to_be_bytes())
            .part(salt.as_bytes())
            .list(sources.map(|source| source.jwks_uri.as_str().as_bytes()))
            .part(token.expose().as_bytes());
        hash.finish()
    }

    /// Where the keys are that may verify these tokens, in the order in which they are tried.
    pub(super) fn key_sets(&self, metadata: &ProviderMetadata, tokens: &[&Secret]) -> Vec<Url> {
        let own = self.provider.jwks_uri_of(metadata);
        if self.key_sources.is_empty() {
            return vec![own.clone()];
        }
        let issuer = tokens
            .iter()
            .find_map(|token| unverified_issuer(token.expose()));
        let sources = self.key_sources.iter();
        if let Some(issuer) = issuer.filter(|issuer| *issuer != metadata.issuer) {
            let tied = sources.clone();
            let tied = tied.filter(|source| source.issuer.as_ref() == Some(&issuer));
            let tied: Vec<Url> = tied.map(|source| source.jwks_uri.clone()).collect();
            if !tied.is_empty() {
                return tied;
            }
        }
        // The provider's own first, and then those of nobody in particular.
        let mut sets = vec![own.clone()];
        for source in sources {
            let issuer = source.issuer.as_deref();
            let fits = issuer.is_none_or(|issuer| issuer == metadata.issuer);
            if fits && !sets.contains(&source.jwks_uri) {
                sets.push(source.jwks_uri.clone());
            }
        }
        sets
    }
}

/// What a token says its issuer is: decides which keys are looked at, and nothing else.
pub(super) fn unverified_issuer(token: &str) -> Option<String> {
    let jws = CompactJws::parse(token).ok()?;
    let claims = Claims::parse(&jws.payload().ok()?).ok()?;
    claims.issuer().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CredentialKind;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn a_key_set_is_tied_to_the_issuer_below_whose_address_it_stands() {
        let allowed = [
            "https://idp/realms/a",
            "https://idp/realms/ab",
            "https://idp/realms/a/x/",
            "https://LOUD:443/realms/a",
        ]
        .map(str::to_owned);
        for (jwks_uri, issuer) in [
            ("https://idp/realms/a/certs", Some("https://idp/realms/a")),
            ("https://idp/realms/ab/certs", Some("https://idp/realms/ab")),
            (
                "https://idp/realms/a/x/certs",
                Some("https://idp/realms/a/x/"),
            ),
            ("https://idp/realms/abc/certs", None),
            ("https://idp.evil/realms/a/certs", None),
            ("https://keys.test/certs", None),
            (
                "https://loud/realms/a/certs",
                Some("https://LOUD:443/realms/a"),
            ),
        ] {
            let source = KeySource::new(url(jwks_uri), &allowed);
            assert_eq!(source.issuer.as_deref(), issuer, "{jwks_uri}");
        }
    }

    #[test]
    fn a_token_goes_to_the_first_method_that_takes_its_form() {
        let methods = |words: &str| AccessTokens {
            bearer: words.contains('b'),
            introspection: words.contains('i'),
            userinfo: words.contains('u'),
            introspect_signed: false,
        };
        let signed = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
        let malformed = "ey.b.c";
        for (on, token, kind) in [
            ("biu", signed, Ok(CredentialKind::Bearer)),
            ("biu", malformed, Ok(CredentialKind::Bearer)),
            ("biu", "opaque", Ok(CredentialKind::Introspection)),
            ("bu", "opaque", Ok(CredentialKind::UserInfo)),
            ("b", "opaque", Err("token.opaque")),
            ("iu", signed, Ok(CredentialKind::Introspection)),
            ("u", signed, Ok(CredentialKind::UserInfo)),
            ("", signed, Err("credential.missing")),
        ] {
            let found = methods(on).credential(Secret::new(token));
            let found = found
                .map(|credential| credential.kind())
                .map_err(Reason::code);
            assert_eq!(found, kind, "{on} {token}");
        }
    }
}
