//! JSON in which no member stands twice: RFC 8259 §4 leaves the meaning of one that does open, and
//! two readers that choose differently are a way around a check (RFC 7519 §4).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How deep arrays and objects may nest.
const DEPTH_MAX: u8 = 32;

/// JSON that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictJsonError {
    /// It is not JSON in UTF-8.
    #[error("not JSON")]
    NotJson,
    /// It is JSON, and not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A member stands twice in one object.
    #[error("a member stands twice")]
    DuplicateMember,
    /// It nests too deeply.
    #[error("nested too deeply")]
    TooDeep,
}

/// Reads one object and nothing after it.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, StrictJsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StrictJsonError::NotJson)?;
    members(text)?;
    serde_json::from_str(text).map_err(|_| StrictJsonError::NotJson)
}

/// The members of one object, with nothing after it: their names, and their values as they are
/// written, which were read as strictly.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, StrictJsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer
        .deserialize_map(Members)
        .map_err(|error| not_a_map(text, &error))?;
    deserializer.end().map_err(|_| StrictJsonError::NotJson)?;
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    if has_twice(&mut names) {
        return Err(StrictJsonError::DuplicateMember);
    }
    for (_, value) in &members {
        // A text without escapes cannot be wrong any more.
        if value.starts_with('"') && memchr::memchr(b'\\', value.as_bytes()).is_none() {
            continue;
        }
        let mut deserializer = serde_json::Deserializer::from_str(value);
        Checked(DEPTH_MAX - 1)
            .deserialize(&mut deserializer)
            .map_err(|error| cause(&error))?;
    }
    Ok(members)
}

/// JSON that is no object is told from what is no JSON.
fn not_a_map(text: &str, error: &serde_json::Error) -> StrictJsonError {
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => cause(error),
        _ if error.is_data() => StrictJsonError::NotAnObject,
        _ => StrictJsonError::NotJson,
    }
}

fn has_twice<N: Ord>(names: &mut [N]) -> bool {
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Reads members whose values are looked at later.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(32);
        while let Some(name) = map.next_key_seed(MemberName)? {
            members.push((name, map.next_value::<&RawValue>()?.get()));
        }
        Ok(members)
    }
}

/// Reads a name, which is copied only if it was written with escapes.
struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Looks at a value with this much depth left, and keeps nothing of it.
struct Checked(u8);

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Checked {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        self.0
            .checked_sub(1)
            .map(Self)
            .ok_or_else(|| E::custom(DEEP))
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = Vec::new();
        while let Some(name) = map.next_key_seed(MemberName)? {
            names.push(name);
            map.next_value_seed(self.deeper()?)?;
        }
        if has_twice(&mut names) {
            return Err(serde::de::Error::custom(DUPLICATE));
        }
        Ok(())
    }
}

const DUPLICATE: &str = "duplicate member";
const DEEP: &str = "too deep";

/// serde carries a cause as text only; these two are ours.
fn cause(error: &serde_json::Error) -> StrictJsonError {
    let text = error.to_string();
    if text.starts_with(DUPLICATE) {
        StrictJsonError::DuplicateMember
    } else if text.starts_with(DEEP) {
        StrictJsonError::TooDeep
    } else {
        StrictJsonError::NotJson
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_is_told_apart_from_its_sound_twin() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        for (text, expected) in [
            (r#"{"a":1,"b":{"a":2}}"#.to_owned(), None),
            (
                r#"{"a":1,"a":1}"#.to_owned(),
                Some(StrictJsonError::DuplicateMember),
            ),
            (
                r#"{"a":1,"\u0061":1}"#.to_owned(),
                Some(StrictJsonError::DuplicateMember),
            ),
            (
                r#"{"b":[{"a":1,"a":2}]}"#.to_owned(),
                Some(StrictJsonError::DuplicateMember),
            ),
            (deep(31), None),
            (deep(33), Some(StrictJsonError::TooDeep)),
            ("[]".to_owned(), Some(StrictJsonError::NotAnObject)),
            ("{} {}".to_owned(), Some(StrictJsonError::NotJson)),
            ("{\"a\":1".to_owned(), Some(StrictJsonError::NotJson)),
            ("\u{feff}{}".to_owned(), Some(StrictJsonError::NotJson)),
            (String::new(), Some(StrictJsonError::NotJson)),
        ] {
            assert_eq!(object(text.as_bytes()).err(), expected, "{text}");
            assert_eq!(members(&text).err(), expected, "{text}");
        }
    }

    #[test]
    fn members_are_given_as_they_are_written_and_names_as_they_are_read() {
        let text = r#" { "a\u0062" : "x\ny" , "c":[1, {"d":null}],"e":-1.5e3 } "#;
        let found = members(text).expect("an object");
        let expected = [
            ("ab", r#""x\ny""#),
            ("c", r#"[1, {"d":null}]"#),
            ("e", "-1.5e3"),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
            .collect();
        assert_eq!(found, expected);
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_is_read_as_usual_and_what_is_refused_is_so_for_its_reason(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", ":", ",", "\"a\"", "\"b\"", "\"\\u0061\"", "\"\\ud800\"",
                    "1", "-0", "1e999", "1e5", "true", "null", " ", "\"a\":1", "\"b\":{\"a\":", "}}",
                    "\"\u{e9}\"", "\"\\n\"", "{\"a\":[", "]}",
                ]),
                0..12,
            ),
        ) {
            for text in [parts.concat(), format!("{{\"x\":{}}}", parts.concat())] {
                let usual = serde_json::from_str::<Value>(&text);
                let whole = object(text.as_bytes());
                let by_member = members(&text);
                proptest::prop_assert_eq!(whole.is_ok(), by_member.is_ok(), "{}", text);
                match (whole, by_member) {
                    (Ok(whole), Ok(by_member)) => {
                        proptest::prop_assert_eq!(whole.len(), by_member.len());
                        for (name, value) in by_member {
                            let value: Value = serde_json::from_str(value).expect("it was read");
                            proptest::prop_assert_eq!(whole.get(name.as_ref()), Some(&value));
                        }
                        proptest::prop_assert_eq!(usual.ok(), Some(Value::Object(whole)));
                    }
                    (Err(StrictJsonError::NotJson), _) => {
                        proptest::prop_assert!(usual.is_err(), "{}", text);
                    }
                    (Err(StrictJsonError::NotAnObject), _) => {
                        proptest::prop_assert!(!text.trim_start().starts_with('{'), "{}", text);
                    }
                    // Nothing here is deep: a name stands twice.
                    (Err(error), _) => {
                        proptest::prop_assert_eq!(error, StrictJsonError::DuplicateMember);
                        // In one text it is `a`, `b`, or the escaped `a`.
                        let names = ["\"a\"", "\"b\"", "\"\\u0061\""];
                        let count: usize = names.iter().map(|name| text.matches(name).count()).sum();
                        proptest::prop_assert!(count >= 2, "{}", text);
                    }
                    (Ok(_), Err(_)) => unreachable!("they are both taken or both refused"),
                }
            }
        }
    }
}
