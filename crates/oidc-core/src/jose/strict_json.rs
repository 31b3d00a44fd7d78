//! JSON in which no member stands twice: RFC 8259 §4 leaves the meaning of one that does open, and
//! two readers that choose differently are a way around a check (RFC 7519 §4).

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
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
    // At once, rather than text by text.
    let text = std::str::from_utf8(bytes).map_err(|_| StrictJsonError::NotJson)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict(DEPTH_MAX)
        .deserialize(&mut deserializer)
        .map_err(|error| cause(&error))?;
    deserializer.end().map_err(|_| StrictJsonError::NotJson)?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(StrictJsonError::NotAnObject),
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

/// Reads a value with this much depth left.
struct Strict(u8);

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        self.0
            .checked_sub(1)
            .map(Self)
            .ok_or_else(|| E::custom(DEEP))
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.deeper()?)?;
            if map.insert(name, value).is_some() {
                return Err(serde::de::Error::custom(DUPLICATE));
            }
        }
        Ok(map.into())
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
        }
    }
}
