//! Where claims are looked for, and what words a claim holds: Kong's order since 3.15, the access
//! token before the ID token.

use serde_json::Value;

use crate::CredentialKind;
use crate::grant::{Answer, Granted};
use crate::jose::Claims;

/// Where claims are looked for: in the access token or what its introspection says, then in the ID
/// token, then, where that is wanted, in what the provider says about the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimSources {
    /// Whether the answer of the userinfo endpoint counts (`search_user_info`). It always does for
    /// a token that this answer alone vouches for.
    pub user_info: bool,
}

impl ClaimSources {
    /// These sources.
    #[must_use]
    pub const fn new(user_info: bool) -> Self {
        Self { user_info }
    }

    /// The claims of each source that there is, in order.
    pub fn of(self, granted: &Granted) -> impl Iterator<Item = &Claims> {
        let vouched = granted.kind() == CredentialKind::UserInfo;
        let told = granted
            .user_info()
            .filter(|_| self.user_info || vouched)
            .map(Answer::claims);
        [granted.claims(), granted.id_token_claims(), told]
            .into_iter()
            .flatten()
    }

    /// The value of a claim in the first source that has one.
    #[must_use]
    pub fn find<'g, N: AsRef<str>>(self, granted: &'g Granted, path: &[N]) -> Option<&'g Value> {
        self.of(granted).find_map(|claims| valued(claims, path))
    }
}

/// A claim that is there and says something.
pub(super) fn valued<'c, N: AsRef<str>>(claims: &'c Claims, path: &[N]) -> Option<&'c Value> {
    claims.claim(path).filter(|value| !value.is_null())
}

/// A scalar as text; `None` of anything else, and of an empty text.
#[must_use]
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(_) | Value::Object(_) | Value::Null => None,
    }
}

/// The words of a claim: those of a text as in `scope` (RFC 6749 §3.3), the scalars of an array, or
/// the one scalar.
#[must_use]
pub fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Value::Array(items) => items.iter().filter_map(scalar).collect(),
        other => scalar(other).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_form_of_a_claim_has_its_words() {
        for (value, expected) in [
            (json!("openid email"), &["openid", "email"][..]),
            (json!("  "), &[]),
            (
                json!(["a b", "c", 7, null, {"d": 1}, ["e"], ""]),
                &["a b", "c", "7"],
            ),
            (json!(true), &["true"]),
            (json!({"a": 1}), &[]),
            (json!(null), &[]),
        ] {
            assert_eq!(words(&value), expected, "{value}");
        }
    }
}
