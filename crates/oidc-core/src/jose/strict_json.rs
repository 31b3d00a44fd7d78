//! JSON in which no member stands twice: RFC 8259 §4 leaves the meaning of one that does open, and
//! two readers that choose differently are a way around a check (RFC 7519 §4).

mod reader;

use std::borrow::Cow;

use serde_json::{Map, Value};

use self::reader::Reader;
pub(super) use self::reader::in_order;

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

/// The members of one object, with nothing after it, [in order](in_order): their names, and their
/// values as they are written, which were read as strictly.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, StrictJsonError> {
    Reader::new(text).whole_object()
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
            ("c", r#"[1, {"d":null}]"#),
            ("e", "-1.5e3"),
            ("ab", r#""x\ny""#),
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
