//! What a verified token must hold for a request to be allowed: Kong's `*_required` and `*_claim`.

use serde_json::Value;

use super::sources::{ClaimSources, valued};
use crate::grant::Granted;
use crate::{Denial, Reason};

/// Required values of one claim.
///
/// The items are alternatives; the words of one item are required together, as in Kong: `["a b",
/// "c"]` is met by `a` and `b`, or by `c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The claim's place, from the outermost name inwards.
    pub path: Vec<String>,
    /// The alternatives; none means that nothing is required.
    pub any_of: Vec<String>,
}

impl Requirement {
    /// A requirement of a top-level claim.
    #[must_use]
    pub fn of(claim: &str) -> Self {
        Self {
            path: vec![claim.to_owned()],
            any_of: Vec::new(),
        }
    }

    /// Whether the claim's value, as a word list, an array or a scalar, meets it.
    #[must_use]
    pub fn is_met(&self, value: Option<&Value>) -> bool {
        if self.any_of.is_empty() {
            return true;
        }
        let Some(value) = value else { return false };
        self.any_of.iter().any(|item| {
            let mut required = item.split_ascii_whitespace().peekable();
            required.peek().is_some() && required.all(|word| holds(value, word))
        })
    }
}

/// Everything that is required of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// `scopes_required`, `scopes_claim`.
    pub scopes: Requirement,
    /// `audience_required`, `audience_claim`.
    pub audience: Requirement,
    /// `roles_required`, `roles_claim`.
    pub roles: Requirement,
    /// `groups_required`, `groups_claim`.
    pub groups: Requirement,
    /// The names of claims that no token may have (`claims_forbidden`).
    pub forbidden: Vec<String>,
    /// Where claims are looked for.
    pub sources: ClaimSources,
}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            scopes: Requirement::of("scope"),
            audience: Requirement::of("aud"),
            roles: Requirement::of("roles"),
            groups: Requirement::of("groups"),
            forbidden: Vec::new(),
            sources: ClaimSources::default(),
        }
    }
}

impl Requirements {
    /// Whether the tokens meet all of it.
    ///
    /// # Errors
    /// With the first requirement that is missed.
    pub fn check(&self, granted: &Granted) -> Result<(), Denial> {
        let deny = |reason| Err(Denial::new(reason).for_kind(granted.kind()));
        for (requirement, reason) in [
            (&self.scopes, Reason::ScopeMissing),
            (&self.audience, Reason::AudienceMissing),
            (&self.roles, Reason::RoleMissing),
            (&self.groups, Reason::GroupMissing),
        ] {
            if requirement.any_of.is_empty() {
                continue;
            }
            let path = &requirement.path;
            let value = if reason == Reason::AudienceMissing {
                // An ID token is always for the client, and so is what is said about a user:
                // their audience says nothing of the API.
                granted.claims().and_then(|claims| valued(claims, path))
            } else {
                self.sources.find(granted, path)
            };
            if !requirement.is_met(value) {
                let told = self.tells_of_the_token(granted);
                return deny(if value.is_none() && !told {
                    Reason::ClaimsUnavailable
                } else {
                    reason
                });
            }
        }
        if self.forbidden.is_empty() {
            return Ok(());
        }
        let forbidden = self.sources.of(granted).any(|claims| {
            let mut forbidden = self.forbidden.iter();
            forbidden.any(|name| claims.get(name).is_some())
        });
        if forbidden {
            deny(Reason::ClaimForbidden)
        } else if self.tells_of_the_token(granted) {
            Ok(())
        } else {
            // What cannot be seen cannot be seen to be absent.
            deny(Reason::ClaimsUnavailable)
        }
    }

    /// Whether anything is known of what the access token says, beside an ID token.
    fn tells_of_the_token(&self, granted: &Granted) -> bool {
        granted.claims().is_some()
            || self.sources.of(granted).count() > usize::from(granted.id_token_claims().is_some())
    }
}

/// Whether a word list, an array or a scalar holds this word. Asked for every request.
pub(crate) fn holds(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.split_ascii_whitespace().any(|have| have == word),
        Value::Array(items) => items.iter().any(|item| match item {
            Value::String(text) => text == word,
            Value::Number(number) => number.to_string() == word,
            _ => false,
        }),
        Value::Number(number) => number.to_string() == word,
        Value::Bool(flag) => word == if *flag { "true" } else { "false" },
        Value::Object(_) | Value::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_are_alternatives_and_words_belong_together() {
        for (any_of, value, met) in [
            (vec![], json!(null), true),
            (vec!["a"], json!("b a"), true),
            (vec!["a"], json!(["b", "a"]), true),
            (vec!["a"], json!("ab"), false),
            (vec!["a b"], json!("b c a"), true),
            (vec!["a b"], json!("a c"), false),
            (vec!["a b", "c"], json!("c"), true),
            (vec!["7"], json!(7), true),
            (vec!["a"], json!({"a": 1}), false),
            (vec![""], json!(""), false),
            (vec!["a"], json!([["a"]]), false),
        ] {
            let requirement = Requirement {
                path: vec!["scope".to_owned()],
                any_of: any_of.iter().map(|s: &&str| (*s).to_owned()).collect(),
            };
            assert_eq!(requirement.is_met(Some(&value)), met, "{any_of:?} {value}");
        }
    }
}
