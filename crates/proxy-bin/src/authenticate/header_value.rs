//! What a claim looks like in a header: one rule, so that no claim can open another header, and
//! that a reader can undo. RFC 9110 §5.5, RFC 3986 §2.1.

use std::fmt::Write as _;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// The longest value that is written.
pub(crate) const LONGEST: usize = 8 * 1024;

/// A value that is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// There is nothing to write.
    Absent,
    /// It is longer than [`LONGEST`].
    TooLong,
}

/// What is written as `%` and two digits: whatever is not visible ASCII or a space, and `%` itself,
/// so that decoding gives back what was encoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The same in a list, where a comma would make two items of one.
const ENCODED_IN_LIST: &AsciiSet = &ENCODED.add(b',');

/// A text as a header's value.
pub(crate) fn text(text: &str) -> Result<HeaderValue, Unwritten> {
    value(encoded(text, ENCODED))
}

/// Texts as a header's value: `a, b, c`.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> Result<HeaderValue, Unwritten> {
    if items.is_empty() {
        return Err(Unwritten::Absent);
    }
    let items: Vec<String> = items
        .iter()
        .map(|item| encoded(item.as_ref(), ENCODED_IN_LIST))
        .collect();
    value(items.join(", "))
}

/// A claim as a header's value: a text by [`text`], a number or a boolean as it is written in JSON,
/// an array or an object as JSON in visible ASCII.
pub(crate) fn claim(claim: &Value) -> Result<HeaderValue, Unwritten> {
    match claim {
        Value::Null => Err(Unwritten::Absent),
        Value::String(words) => text(words),
        Value::Number(_) | Value::Bool(_) => value(claim.to_string()),
        Value::Array(_) | Value::Object(_) => value(ascii_json(claim)),
    }
}

/// A token or a document in ASCII, which is written as it is or not at all.
pub(crate) fn plain(text: String) -> Result<HeaderValue, Unwritten> {
    value(text)
}

fn value(text: String) -> Result<HeaderValue, Unwritten> {
    if text.len() > LONGEST {
        return Err(Unwritten::TooLong);
    }
    // What a header cannot hold has been encoded already.
    HeaderValue::try_from(text).map_err(|_| Unwritten::Absent)
}

fn encoded(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = text.len() - before - inner.len();
    // A reader drops the spaces at both ends of a value.
    let spaces = |count: usize| std::iter::repeat_n("%20", count);
    let mut encoded = String::with_capacity(text.len());
    encoded.extend(spaces(before));
    encoded.extend(utf8_percent_encode(inner, set));
    encoded.extend(spaces(after));
    encoded
}

/// JSON in visible ASCII, without `%`: a reader who decodes as for a text changes nothing in it.
fn ascii_json(value: &Value) -> String {
    let json = value.to_string();
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') && c != '%' {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::json;

    fn shown(value: Result<HeaderValue, Unwritten>) -> String {
        match value {
            Ok(value) => value.to_str().expect("visible ASCII").to_owned(),
            Err(unwritten) => format!("{unwritten:?}"),
        }
    }

    #[test]
    fn each_kind_of_claim_has_its_form() {
        for (value, expected) in [
            (json!("john"), "john"),
            (json!("John Doe"), "John Doe"),
            (json!("a, b; c=\"d\" \\"), "a, b; c=\"d\" \\"),
            (json!(""), ""),
            (json!(" admin "), "%20admin%20"),
            (json!("  "), "%20%20"),
            (json!("100%"), "100%25"),
            (json!("%41dmin"), "%2541dmin"),
            (json!("a\r\nX-Admin: 1"), "a%0D%0AX-Admin: 1"),
            (json!("a\tb\u{0}\u{7f}"), "a%09b%00%7F"),
            (json!("Åse Łukasz"), "%C3%85se %C5%81ukasz"),
            (json!("x\u{85}y\u{2028}"), "x%C2%85y%E2%80%A8"),
            (json!(42), "42"),
            (json!(-1.5), "-1.5"),
            (json!(true), "true"),
            (json!(["a", "b"]), r#"["a","b"]"#),
            (json!([]), "[]"),
            (
                json!({"a": {"b": "é%\n😀\u{7f}"}}),
                r#"{"a":{"b":"\u00e9\u0025\n\ud83d\ude00\u007f"}}"#,
            ),
            (json!(null), "Absent"),
        ] {
            assert_eq!(shown(claim(&value)), expected, "{value}");
        }
    }

    #[test]
    fn no_item_of_a_list_is_two() {
        for (items, expected) in [
            (&["openid", "email"][..], "openid, email"),
            (&["a, admin", "b"], "a%2C admin, b"),
            (&[" a", "b%2C"], "%20a, b%252C"),
            (&["two words"], "two words"),
            (&[], "Absent"),
        ] {
            assert_eq!(shown(list(items)), expected);
        }
    }

    #[test]
    fn what_is_too_long_is_left_out_and_not_cut() {
        assert_eq!(shown(text(&"a".repeat(LONGEST))).len(), LONGEST);
        for value in [
            json!("a".repeat(LONGEST + 1)),
            json!("é".repeat(LONGEST / 6 + 1)),
            json!(["a".repeat(LONGEST)]),
        ] {
            assert_eq!(claim(&value), Err(Unwritten::TooLong));
        }
    }

    proptest! {
        #[test]
        fn whatever_a_text_holds_it_is_one_line_of_ascii_and_can_be_read_back(words in "\\PC*|[\\x00-\\xff]*") {
            let written = text(&words).expect("short");
            let ascii = written.to_str().expect("visible ASCII");
            prop_assert!(ascii.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(ascii.trim(), ascii);
            let read = percent_decode_str(ascii).decode_utf8().expect("UTF-8");
            prop_assert_eq!(read, words);
        }

        #[test]
        fn json_is_the_same_for_a_reader_who_decodes_and_one_who_does_not(words in "\\PC*|[\\x00-\\xff]*") {
            let value = json!([words]);
            let written = claim(&value).expect("short");
            let ascii = written.to_str().expect("visible ASCII");
            prop_assert_eq!(percent_decode_str(ascii).decode_utf8().expect("UTF-8"), ascii);
            prop_assert_eq!(serde_json::from_str::<Value>(ascii).expect("JSON"), value);
        }
    }
}
