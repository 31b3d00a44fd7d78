//! Members of a JSON object, found and removed without touching the others' bytes. RFC 8259.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::malformed::Malformed;

/// One top-level member.
pub(crate) struct Member<'a> {
    name: Cow<'a, str>,
    value: &'a str,
    /// From the name's quotation mark to the value's last byte.
    range: Range<usize>,
}

impl<'a> Member<'a> {
    /// The value, if the member has this name; `null` counts as absent.
    pub(crate) fn value_of(&self, name: &str) -> Option<Result<Cow<'a, str>, Malformed>> {
        (self.name == name && self.value != "null")
            .then(|| string(self.value).ok_or(Malformed::NotText))
    }
}

/// The text without these members, or `None` if none of them is in it.
pub(crate) fn without(text: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let members = members(text).ok()?;
    let gone = |member: &Member<'_>| names.contains(&member.name.as_ref());
    if !members.iter().any(gone) {
        return None;
    }
    let mut left = Vec::with_capacity(text.len());
    let mut at = 0;
    // A member goes with the comma behind it; the last ones go with the comma before them.
    let last_kept = members.iter().rposition(|member| !gone(member));
    for (index, member) in members.iter().enumerate() {
        if !gone(member) {
            continue;
        }
        let next = members.get(index + 1).map(|next| next.range.start);
        match (next, last_kept) {
            (Some(next), Some(last)) if index < last => {
                left.extend_from_slice(&text[at..member.range.start]);
                at = next;
            }
            (_, Some(last)) => {
                left.extend_from_slice(&text[at..members[last].range.end]);
                at = members.last()?.range.end;
                break;
            }
            (_, None) => {
                left.extend_from_slice(&text[at..member.range.start]);
                at = members.last()?.range.end;
                break;
            }
        }
    }
    left.extend_from_slice(&text[at..]);
    Some(left)
}

fn string(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.starts_with('"') {
        return None;
    }
    match serde_json::from_str::<&str>(raw) {
        Ok(plain) => Some(Cow::Borrowed(plain)),
        Err(_) => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
    }
}

/// The top-level members, with their places. serde_json decides what is JSON; this walks what it
/// has accepted.
pub(crate) fn members(text: &[u8]) -> Result<Vec<Member<'_>>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Body)?;
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| Malformed::Body)?;
    // An array or a scalar holds no member of its own.
    if !whole.get().starts_with('{') {
        return Ok(Vec::new());
    }
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = text.find('{').ok_or(Malformed::Body)? + 1;
    loop {
        at = skip(bytes, at, b" \t\r\n,");
        if bytes.get(at) != Some(&b'"') {
            return Ok(found);
        }
        let start = at;
        let name_end = value_end(bytes, at).ok_or(Malformed::Body)?;
        let name = string(&text[start..name_end]).ok_or(Malformed::Body)?;
        let value_start = skip(bytes, name_end, b" \t\r\n:");
        at = value_end(bytes, value_start).ok_or(Malformed::Body)?;
        found.push(Member {
            name,
            value: &text[value_start..at],
            range: start..at,
        });
    }
}

fn skip(bytes: &[u8], mut at: usize, what: &[u8]) -> usize {
    while bytes.get(at).is_some_and(|byte| what.contains(byte)) {
        at += 1;
    }
    at
}

/// The end of the value that begins here, in valid JSON.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += 1;
                while *bytes.get(at)? != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ if depth > 0 => at += 1,
            _ => {
                while bytes
                    .get(at)
                    .is_some_and(|byte| !b" \t\r\n,}]".contains(byte))
                {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_leaves_the_other_bytes_as_they_were() {
        for (text, kept) in [
            (r#"{"t":"x","a":1}"#, Some(r#"{"a":1}"#)),
            (
                r#"{ "a" : [1, {"t":2}] , "t" : "x" }"#,
                Some(r#"{ "a" : [1, {"t":2}] }"#),
            ),
            (
                r#"{"a":1,"t":"x","b":"\"t\""}"#,
                Some(r#"{"a":1,"b":"\"t\""}"#),
            ),
            (r#"{"t":"x"}"#, Some("{}")),
            (r#"{"t":"x","t":"y"}"#, Some("{}")),
            (r#"{"a":1,"t":"x","t":"y"}"#, Some(r#"{"a":1}"#)),
            (r#"{"\u0074":"x","a":1}"#, Some(r#"{"a":1}"#)),
            (r#"{"a":{"t":"x"}}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let without = without(text.as_bytes(), &["t"]);
            let without = without.map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
            assert_eq!(without.as_deref(), kept, "{text}");
            if let Some(kept) = without {
                assert!(
                    serde_json::from_str::<serde_json::Value>(&kept).is_ok(),
                    "{kept}"
                );
            }
        }
    }

    #[test]
    fn values_are_strings_or_refused() {
        for (text, expected) in [
            (r#"{"t":"x"}"#, Ok(vec![Ok("x")])),
            (r#"{"t":"\u0078"}"#, Ok(vec![Ok("x")])),
            (r#"{"t":null}"#, Ok(vec![])),
            (r#"{"t":7}"#, Ok(vec![Err(Malformed::NotText)])),
            (r#"{"t":"a","t":"b"}"#, Ok(vec![Ok("a"), Ok("b")])),
            (r#"{"t":"#, Err(Malformed::Body)),
            ("", Ok(vec![])),
        ] {
            let values = members(text.as_bytes()).map(|members| {
                let values = members.iter().filter_map(|member| member.value_of("t"));
                values.collect::<Vec<_>>()
            });
            let expected = expected.map(|values: Vec<Result<&str, _>>| {
                let values = values.into_iter().map(|value| value.map(Cow::Borrowed));
                values.collect::<Vec<_>>()
            });
            assert_eq!(values, expected, "{text}");
        }
    }
}
