//! The claims of a token, typed: RFC 7519 §4. A claim of a wrong type is refused, never absent.

use std::fmt;

use serde_json::{Map, Value};

use super::strict_json;
use crate::UnixTime;

/// A set of claims. Where it comes from, and whether to believe it, is told by what holds it.
#[derive(Clone, PartialEq)]
pub struct Claims {
    /// In the order of their names. A map's tree would take three times the room, and claims are
    /// remembered for every token.
    members: Box<[(Box<str>, Value)]>,
    audience: Vec<String>,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
}

/// Claims that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// The payload is not a JSON object.
    #[error("the claims are not a JSON object")]
    NotAnObject,
    /// A claim stands twice.
    #[error("a claim stands twice")]
    Duplicate,
    /// A registered claim has another type than RFC 7519 §4.1 gives it.
    #[error("the claim {0} has a wrong type")]
    WrongType(&'static str),
}

impl ClaimsError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAnObject => "token.claims_malformed",
            Self::Duplicate => "token.claims_duplicate",
            Self::WrongType(_) => "token.claim_type",
        }
    }
}

impl Claims {
    /// Reads a payload.
    ///
    /// # Errors
    /// If it is no JSON object, a claim stands twice, or a registered claim has a wrong type.
    pub fn parse(payload: &[u8]) -> Result<Self, ClaimsError> {
        let members = strict_json::object(payload).map_err(|error| match error {
            strict_json::StrictJsonError::DuplicateMember => ClaimsError::Duplicate,
            _ => ClaimsError::NotAnObject,
        })?;
        Self::of(members)
    }

    /// Claims that were read already, member by member.
    ///
    /// # Errors
    /// If a registered claim has a wrong type.
    pub(crate) fn of(members: Map<String, Value>) -> Result<Self, ClaimsError> {
        let mut claims = Self {
            members: Box::default(),
            audience: Vec::new(),
            expires_at: None,
            not_before: None,
            issued_at: None,
        };
        for (name, value) in &members {
            let right = match name.as_str() {
                "iss" | "sub" | "jti" | "azp" | "typ" | "nonce" | "at_hash" | "sid" => {
                    value.is_string()
                }
                "exp" => date(value, &mut claims.expires_at),
                "nbf" => date(value, &mut claims.not_before),
                "iat" => date(value, &mut claims.issued_at),
                "auth_time" => date(value, &mut None),
                "aud" => audience(value, &mut claims.audience),
                _ => true,
            };
            if !right {
                return Err(ClaimsError::WrongType(registered(name)));
            }
        }
        let mut members: Box<[_]> = members
            .into_iter()
            .map(|(name, value)| (name.into_boxed_str(), value))
            .collect();
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        claims.members = members;
        Ok(claims)
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `aud`, as a list; empty if absent.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// `exp`.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// `nbf`.
    #[must_use]
    pub const fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// All of them, by name: a copy.
    #[must_use]
    pub fn members(&self) -> Map<String, Value> {
        let members = self.members.iter();
        members
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect()
    }

    /// A claim of any type, by its top-level name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self
            .members
            .binary_search_by(|(other, _)| other.as_ref().cmp(name));
        Some(&self.members.get(found.ok()?)?.1)
    }

    /// A claim that is a string, by its top-level name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A claim by the path to it, from the outermost name inwards.
    #[must_use]
    pub fn claim<N: AsRef<str>>(&self, path: &[N]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.get(first.as_ref())?, |value, name| {
                value.get(name.as_ref())
            })
    }
}

/// Names only: the values are about a person.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.members.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// The claims whose types are known (RFC 7519 §4.1, OIDC Core §2).
const REGISTERED: [&str; 13] = [
    "iss",
    "sub",
    "jti",
    "azp",
    "typ",
    "nonce",
    "at_hash",
    "sid",
    "exp",
    "nbf",
    "iat",
    "auth_time",
    "aud",
];

/// One of them, by a name that came.
fn registered(name: &str) -> &'static str {
    let found = REGISTERED.into_iter().find(|known| *known == name);
    found.unwrap_or("of another name")
}

/// Reads a date; whether it is one.
fn date(value: &Value, date: &mut Option<UnixTime>) -> bool {
    *date = match value {
        Value::Number(number) => numeric_date(number),
        _ => None,
    };
    date.is_some()
}

/// Reads one audience or a list of them; whether it is either.
fn audience(value: &Value, audience: &mut Vec<String>) -> bool {
    match value {
        Value::String(one) => audience.push(one.clone()),
        Value::Array(items) => {
            for item in items {
                let Some(item) = item.as_str() else {
                    return false;
                };
                audience.push(item.to_owned());
            }
        }
        _ => return false,
    }
    true
}

/// RFC 7519 §2: seconds, perhaps with a fraction. Out of reach saturates.
fn numeric_date(number: &serde_json::Number) -> Option<UnixTime> {
    if let Some(seconds) = number.as_u64() {
        return Some(UnixTime::from_secs(seconds));
    }
    let seconds = number.as_f64()?;
    if seconds.is_nan() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, which is what is wanted"
    )]
    let millis = (seconds * 1000.0).max(0.0) as u64;
    Some(UnixTime::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_of_a_wrong_type_is_refused_and_its_twin_is_read() {
        for (good, bad) in [
            (r#"{"exp":1}"#, r#"{"exp":"1"}"#),
            (r#"{"exp":1.5}"#, r#"{"exp":null}"#),
            (r#"{"nbf":-1}"#, r#"{"nbf":[1]}"#),
            (r#"{"iat":1e300}"#, r#"{"iat":true}"#),
            (r#"{"aud":"a"}"#, r#"{"aud":7}"#),
            (r#"{"aud":["a","b"]}"#, r#"{"aud":["a",7]}"#),
            (r#"{"aud":[]}"#, r#"{"aud":{"a":1}}"#),
            (r#"{"iss":"a"}"#, r#"{"iss":["a"]}"#),
            (r#"{"sub":"a"}"#, r#"{"sub":7}"#),
            (r#"{"a":1,"b":1}"#, r#"{"a":1,"a":1}"#),
        ] {
            assert!(Claims::parse(good.as_bytes()).is_ok(), "{good}");
            assert!(Claims::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_out_of_reach_saturate() {
        for (text, millis) in [
            ("1e300", u64::MAX),
            ("-7", 0),
            ("-1e300", 0),
            ("2.5", 2500),
            ("18446744073709551615", u64::MAX),
        ] {
            let claims = Claims::parse(format!(r#"{{"exp":{text}}}"#).as_bytes()).expect("claims");
            assert_eq!(
                claims.expires_at(),
                Some(UnixTime::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn every_claim_is_found_by_its_name_and_no_other() {
        let text = br#"{"sub":"s","iat":1,"b":null,"exp":2,"aa":[],"a":{"x":1},"":0}"#;
        let claims = Claims::parse(text).expect("claims");
        let members = claims.members();
        assert_eq!(
            serde_json::to_value(&members).ok(),
            serde_json::from_slice(text).ok()
        );
        for (name, value) in &members {
            assert_eq!(claims.get(name), Some(value), "{name}");
        }
        for other in ["c", "ab", "su", "subs", "\0"] {
            assert_eq!(claims.get(other), None, "{other}");
        }
        assert_eq!(Claims::parse(b"{}").expect("claims").get("sub"), None);
    }

    #[test]
    fn nested_claims_are_found_by_their_path() {
        let claims =
            Claims::parse(br#"{"resource_access":{"x":{"roles":["a"]}}}"#).expect("claims");
        assert_eq!(
            claims.claim(&["resource_access", "x", "roles"]),
            Some(&serde_json::json!(["a"]))
        );
        assert_eq!(claims.claim(&["resource_access", "y", "roles"]), None);
        assert_eq!(claims.claim::<&str>(&[]), None);
        assert!(!format!("{:?}", Claims::parse(br#"{"sub":"canary"}"#)).contains("canary"));
    }
}
