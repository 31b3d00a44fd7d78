//! Parameters of a query or a form, found and removed without touching the others' bytes.
//! WHATWG URL §5.1: `name=value` joined by `&`, `+` a space, percent-encoded.

use std::borrow::Cow;

use crate::malformed::Malformed;

/// The values of a parameter, decoded; the names are compared decoded as well.
pub(crate) fn values<'a, 'n>(
    text: &'a [u8],
    name: &'n str,
) -> impl Iterator<Item = Result<Cow<'a, [u8]>, Malformed>> + use<'a, 'n> {
    pairs(text)
        .filter(move |(have, _)| is(have, name))
        .map(|(_, value)| decode(value).ok_or(Malformed::PercentEncoding))
}

/// The text without these parameters, or `None` if none of them is in it.
pub(crate) fn without(text: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let gone = |pair: &[u8]| names.iter().any(|name| is(split(pair).0, name));
    if !text.split(|byte| *byte == b'&').any(gone) {
        return None;
    }
    let kept: Vec<&[u8]> = text
        .split(|byte| *byte == b'&')
        .filter(|pair| !gone(pair))
        .collect();
    Some(kept.join(&b'&'))
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').map(split)
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[]),
    }
}

fn is(encoded: &[u8], name: &str) -> bool {
    if encoded == name.as_bytes() {
        return true;
    }
    // Only what is encoded can be the same and look different.
    memchr::memchr2(b'%', b'+', encoded).is_some()
        && decode(encoded).is_some_and(|decoded| *decoded == *name.as_bytes())
}

fn decode(encoded: &[u8]) -> Option<Cow<'_, [u8]>> {
    if memchr::memchr2(b'%', b'+', encoded).is_none() {
        return Some(Cow::Borrowed(encoded));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?,
            byte => *byte,
        });
    }
    Some(Cow::Owned(decoded))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_leaves_the_other_bytes_as_they_were() {
        for (text, kept) in [
            ("a=1&refresh_token=x&b=%7e+", Some("a=1&b=%7e+")),
            ("refresh_token=x", Some("")),
            ("refresh%5Ftoken=x&&a", Some("&a")),
            ("refresh_token", Some("")),
            ("a=refresh_token", None),
            ("refresh_token2=x", None),
            ("", None),
        ] {
            let without = without(text.as_bytes(), &["refresh_token"]);
            assert_eq!(without.as_deref(), kept.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn malformed_encodings_are_told() {
        for (text, expected) in [
            ("t=%41", Some(&b"A"[..])),
            ("t=%4", None),
            ("t=%zz", None),
            ("t=a+b", Some(b"a b")),
        ] {
            let value = values(text.as_bytes(), "t").next().expect("present");
            assert_eq!(value.ok().as_deref(), expected, "{text}");
        }
    }
}
