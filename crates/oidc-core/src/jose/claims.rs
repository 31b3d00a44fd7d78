//! The claims of a token, typed: RFC 7519 §4. A claim of a wrong type is refused, never absent.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::strict_json::{self, StrictJsonError, in_order};
use crate::UnixTime;

/// A set of claims. Where it comes from, and whether to believe it, is told by what holds it.
///
/// They are kept as they were written, and each is made a value when it is first asked for: of the
/// twenty that a token has, hardly any is.
#[derive(Clone)]
pub struct Claims {
    text: Box<str>,
    /// Shorter names first, and those of one length in their order.
    members: Box<[Member]>,
    audience: Vec<String>,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
}

/// A place in the text, which is no longer than a token.
type Span = Range<u32>;

#[derive(Clone)]
struct Member {
    name: Name,
    value: Span,
    read: OnceLock<Value>,
}

#[derive(Clone)]
enum Name {
    AsWritten(Span),
    /// It was written with escapes.
    Read(Box<str>),
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
        let text = std::str::from_utf8(payload).map_err(|_| ClaimsError::NotAnObject)?;
        Self::read(text)
    }

    /// Claims that were read already, member by member.
    ///
    /// # Errors
    /// If a registered claim has a wrong type.
    pub(crate) fn of(members: Map<String, Value>) -> Result<Self, ClaimsError> {
        Self::read(&Value::Object(members).to_string())
    }

    fn read(text: &str) -> Result<Self, ClaimsError> {
        let came = strict_json::members(text).map_err(|error| match error {
            StrictJsonError::DuplicateMember => ClaimsError::Duplicate,
            _ => ClaimsError::NotAnObject,
        })?;
        let mut claims = Self {
            text: text.into(),
            members: Box::default(),
            audience: Vec::new(),
            expires_at: None,
            not_before: None,
            issued_at: None,
        };
        for (name, value) in &came {
            let right = match name.as_ref() {
                "iss" | "sub" | "jti" | "azp" | "typ" | "nonce" | "at_hash" | "sid" => {
                    value.starts_with('"')
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
        let member = |(name, value): (Cow<'_, str>, &str)| {
            Some(Member {
                name: match name {
                    Cow::Borrowed(name) => Name::AsWritten(span(text, name)?),
                    Cow::Owned(name) => Name::Read(name.into()),
                },
                value: span(text, value)?,
                read: OnceLock::new(),
            })
        };
        let members: Option<_> = came.into_iter().map(member).collect();
        claims.members = members.ok_or(ClaimsError::NotAnObject)?;
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
            .map(|member| (self.name(member).to_owned(), self.value(member).clone()))
            .collect()
    }

    /// A claim of any type, by its top-level name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        Some(self.value(self.member(name)?))
    }

    /// Whether there is a claim of this top-level name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// A claim that is a string, by its top-level name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let member = self.member(name)?;
        let written = self.at(&member.value);
        match written.strip_prefix('"')?.strip_suffix('"') {
            Some(text) if memchr::memchr(b'\\', text.as_bytes()).is_none() => Some(text),
            _ => self.value(member).as_str(),
        }
    }

    fn member(&self, name: &str) -> Option<&Member> {
        let found = self
            .members
            .binary_search_by(|member| in_order(self.name(member), name));
        self.members.get(found.ok()?)
    }

    fn name<'c>(&'c self, member: &'c Member) -> &'c str {
        match &member.name {
            Name::AsWritten(span) => self.at(span),
            Name::Read(name) => name,
        }
    }

    fn value<'c>(&'c self, member: &'c Member) -> &'c Value {
        // It was read when the claims were, and nothing was wrong with it.
        let read = || serde_json::from_str(self.at(&member.value)).unwrap_or_default();
        member.read.get_or_init(read)
    }

    fn at(&self, span: &Span) -> &str {
        let (start, end) = (span.start as usize, span.end as usize);
        self.text.get(start..end).unwrap_or_default()
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
        let names = self.members.iter().map(|member| self.name(member));
        f.debug_list().entries(names).finish()
    }
}

/// However they were written.
impl PartialEq for Claims {
    fn eq(&self, other: &Self) -> bool {
        let all = |claims: &Self| -> Vec<_> {
            let members = claims.members.iter();
            members
                .map(|member| (claims.name(member).to_owned(), claims.value(member).clone()))
                .collect()
        };
        all(self) == all(other)
    }
}

/// Where a part of a text stands in it.
fn span(text: &str, part: &str) -> Option<Span> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(())?;
    Some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
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
fn date(written: &str, date: &mut Option<UnixTime>) -> bool {
    if let Some(seconds) = plain_seconds(written.as_bytes()) {
        *date = Some(UnixTime::from_secs(seconds));
        return true;
    }
    *date = match serde_json::from_str(written) {
        Ok(Value::Number(number)) => numeric_date(&number),
        _ => None,
    };
    date.is_some()
}

/// A number of seconds as it is usually written: digits, too few to be out of reach.
fn plain_seconds(written: &[u8]) -> Option<u64> {
    let is_plain = (1..=18).contains(&written.len()) && written.iter().all(u8::is_ascii_digit);
    is_plain.then(|| {
        let value = |sum, digit: &u8| sum * 10 + u64::from(digit - b'0');
        written.iter().fold(0, value)
    })
}

/// Reads one audience or a list of them; whether it is either.
fn audience(written: &str, audience: &mut Vec<String>) -> bool {
    match serde_json::from_str(written) {
        Ok(Value::String(one)) => audience.push(one),
        Ok(Value::Array(items)) => {
            for item in items {
                let Value::String(item) = item else {
                    return false;
                };
                audience.push(item);
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
