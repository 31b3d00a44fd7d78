//! When a verified access token is exchanged for another: RFC 8693; Kong's `token_exchange`.

use std::sync::Arc;
use std::time::Duration;

use super::GrantPolicy;
use crate::authorize::holds;
use crate::jose::Claims;

/// Which tokens are exchanged, and for what.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TokenExchange {
    /// Whose tokens are exchanged.
    pub subjects: Vec<SubjectIssuer>,
    /// Audiences asked for.
    pub audience: Vec<String>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Whether results are kept until the new token is about to expire.
    pub cache: bool,
    /// The longest that a result is kept.
    pub cache_ttl: Option<Duration>,
}

/// An issuer whose tokens are exchanged.
#[derive(Clone, Debug)]
pub struct SubjectIssuer {
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// How its tokens are verified, where it is another issuer than the provider.
    pub policy: Option<Arc<GrantPolicy>>,
    /// When a token of the provider's own is exchanged. Those of other issuers always are.
    pub conditions: ExchangeConditions,
}

/// Conditions on the token, all of which must be met. An empty one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeConditions {
    /// Audiences that the token has.
    pub has_audience: Vec<String>,
    /// Audiences of which the token lacks one.
    pub missing_audience: Vec<String>,
    /// Scopes that the token has.
    pub has_scopes: Vec<String>,
    /// Scopes of which the token lacks one.
    pub missing_scopes: Vec<String>,
}

impl ExchangeConditions {
    fn are_met(&self, claims: &Claims) -> bool {
        let has = |claim: &str, words: &[String]| {
            let value = claims.claim(&[claim]);
            words
                .iter()
                .all(|word| value.is_some_and(|value| holds(value, word)))
        };
        let lacks = |claim: &str, words: &[String]| words.is_empty() || !has(claim, words);
        has("aud", &self.has_audience)
            && has("scope", &self.has_scopes)
            && lacks("aud", &self.missing_audience)
            && lacks("scope", &self.missing_scopes)
    }
}

impl TokenExchange {
    /// The issuer among those whose tokens are exchanged.
    pub(super) fn subject(&self, issuer: &str) -> Option<&SubjectIssuer> {
        self.subjects
            .iter()
            .find(|subject| subject.issuer == issuer)
    }

    /// Whether a token with these verified claims is exchanged.
    pub(super) fn wants(&self, claims: &Claims) -> bool {
        let subject = claims.issuer().and_then(|issuer| self.subject(issuer));
        subject
            .is_some_and(|subject| subject.policy.is_some() || subject.conditions.are_met(claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_exchanged_if_every_condition_is_met() {
        let claims = Claims::parse(br#"{"aud":["a","b"],"scope":"openid email"}"#).expect("claims");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for (has_aud, missing_aud, has_scope, missing_scope, met) in [
            ("", "", "", "", true),
            ("a b", "", "", "", true),
            ("a c", "", "", "", false),
            ("", "c", "", "", true),
            ("", "a c", "", "", true),
            ("", "a b", "", "", false),
            ("", "", "email", "profile", true),
            ("", "", "profile", "", false),
            ("", "", "", "email", false),
        ] {
            let conditions = ExchangeConditions {
                has_audience: words(has_aud),
                missing_audience: words(missing_aud),
                has_scopes: words(has_scope),
                missing_scopes: words(missing_scope),
            };
            assert_eq!(conditions.are_met(&claims), met, "{conditions:?}");
        }
    }
}
