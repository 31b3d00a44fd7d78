//! A request's path, normalised once, then routed on and forwarded in that form: RFC 3986 §6.2.2.
//! Serves the contract: one decision, one set of bytes.

use std::borrow::Cow;

/// Why a target is refused before anything is decided on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BadTarget {
    /// It is not a path, nor a URL with one.
    #[error("the target is not a path")]
    NotAPath,
    /// A raw backslash, which some readers take for a slash.
    #[error("the target has a backslash")]
    Backslash,
    /// A fragment, which is never sent (RFC 9112 §3.2).
    #[error("the target has a fragment")]
    Fragment,
    /// An encoded NUL, where some readers stop.
    #[error("the target has an encoded NUL")]
    Nul,
    /// A percent sign without two hexadecimal digits.
    #[error("the target has a malformed percent-encoding")]
    PercentEncoding,
    /// A byte that no target has.
    #[error("the target has a byte that is not printable ASCII")]
    Bytes,
    /// A laxer reader would find another route for it.
    #[error("the target means another route to a reader that decodes it differently")]
    Ambiguous,
}

impl BadTarget {
    /// The stable reason code.
    #[must_use]
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::NotAPath => "request.target_not_a_path",
            Self::Backslash => "request.target_backslash",
            Self::Fragment => "request.target_fragment",
            Self::Nul => "request.target_nul",
            Self::PercentEncoding => "request.target_percent_encoding",
            Self::Bytes => "request.target_bytes",
            Self::Ambiguous => "request.target_ambiguous",
        }
    }
}

/// The path with unreserved characters decoded, the other encodings in upper case, and dot
/// segments removed. Borrowed where it is so already.
///
/// # Errors
/// If it is no path, or holds what two readers would read differently.
pub(crate) fn normalise(path: &str) -> Result<Cow<'_, str>, BadTarget> {
    if !path.starts_with('/') {
        return Err(BadTarget::NotAPath);
    }
    let mut plain = true;
    let mut before = b'/';
    for &byte in path.as_bytes() {
        match byte {
            b'\\' => return Err(BadTarget::Backslash),
            b'#' => return Err(BadTarget::Fragment),
            0x21..=0x7e => {}
            _ => return Err(BadTarget::Bytes),
        }
        plain &= byte != b'%' && !(byte == b'.' && before == b'/');
        before = byte;
    }
    if plain {
        return Ok(Cow::Borrowed(path));
    }
    Ok(Cow::Owned(without_dot_segments(&decode_unreserved(path)?)))
}

/// What laxer readers could make of a normalised path; empty if they all agree.
///
/// They decode `%2f` and `%5c`, drop `;parameters`, decode a second time, or take several slashes
/// for one; and any of these together.
#[must_use]
pub(crate) fn lax_readings(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    for reading in decodings(path) {
        let reading = without_dot_segments(&reading);
        if reading != path && !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings
}

/// Whether a path, or a part of one, leads above where it begins, or has dot segments at all, in
/// any reading.
#[must_use]
pub(crate) fn climbs(path: &str) -> bool {
    let dotted = path.split('/').any(|segment| matches!(segment, "." | ".."));
    dotted
        || decodings(path).iter().any(|reading| {
            let mut depth = 0_usize;
            reading.split('/').any(|segment| match segment {
                "" | "." => false,
                ".." if depth == 0 => true,
                ".." => {
                    depth -= 1;
                    false
                }
                _ => {
                    depth += 1;
                    false
                }
            })
        })
}

/// What laxer readers make of a path before they remove dot segments.
fn decodings(path: &str) -> Vec<String> {
    let suspicious = path.contains(['%', ';']) || path.contains("//");
    if !suspicious {
        return Vec::new();
    }
    let mut readings = Vec::new();
    for choice in 0..16u8 {
        let on = |bit: u8| choice & bit != 0;
        let mut reading = path.to_owned();
        if on(1) {
            reading = decode(&reading, |byte| matches!(byte, b'/' | b'\\'));
        }
        if on(2) {
            // As often as it changes anything: each round may uncover another.
            for _ in 0..4 {
                reading = decode(&reading, |byte| byte != 0);
            }
        }
        reading = reading.replace('\\', "/");
        if on(4) {
            reading = without_parameters(&reading);
        }
        if on(8) {
            while reading.contains("//") {
                reading = reading.replace("//", "/");
            }
        }
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings
}

fn decode_unreserved(path: &str) -> Result<String, BadTarget> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let digits = rest
            .get(at + 1..at + 3)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or(BadTarget::PercentEncoding)?;
        match u8::from_str_radix(digits, 16) {
            Ok(0) => return Err(BadTarget::Nul),
            Ok(byte) if is_unreserved(byte) => decoded.push(char::from(byte)),
            _ => {
                decoded.push('%');
                decoded.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Decodes, once, the encoded bytes that are wanted, as far as they are ASCII.
fn decode(path: &str, wanted: impl Fn(u8) -> bool) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let byte = rest
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|byte| byte.is_ascii() && wanted(*byte));
        match byte {
            Some(byte) => {
                decoded.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                decoded.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

fn without_parameters(path: &str) -> String {
    path.split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("/")
}

/// RFC 3986 §5.2.4, on an absolute path.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    let mut whole = String::with_capacity(path.len());
    for segment in kept {
        whole.push('/');
        whole.push_str(segment);
    }
    if whole.is_empty() {
        whole.push('/');
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_has_one_form() {
        for (path, normal) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/%61%2Db", "/a-b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/../../a", "/a"),
            ("/...", "/..."),
            ("/.well-known", "/.well-known"),
            ("/a//b", "/a//b"),
            ("/a;x=1/b", "/a;x=1/b"),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for (path, error) in [
            ("", BadTarget::NotAPath),
            ("a", BadTarget::NotAPath),
            ("*", BadTarget::NotAPath),
            ("/a\\b", BadTarget::Backslash),
            ("/a#b", BadTarget::Fragment),
            ("/a%00b", BadTarget::Nul),
            ("/a%", BadTarget::PercentEncoding),
            ("/a%2", BadTarget::PercentEncoding),
            ("/a%zz", BadTarget::PercentEncoding),
            ("/a%+1", BadTarget::PercentEncoding),
            ("/a b", BadTarget::Bytes),
            ("/\u{e9}", BadTarget::Bytes),
        ] {
            assert_eq!(normalise(path), Err(error), "{path}");
        }
    }

    #[test]
    fn a_laxer_reading_is_found() {
        for (path, reading) in [
            ("/public/..%2Fadmin", "/admin"),
            ("/public/..%5Cadmin", "/admin"),
            ("/public/..;/admin", "/admin"),
            ("/public/%252e%252e/admin", "/admin"),
            ("//admin", "/admin"),
            ("/public%2F..%2Fadmin", "/admin"),
        ] {
            let readings = lax_readings(path);
            assert!(
                readings.iter().any(|found| found == reading),
                "{path}: {readings:?}"
            );
        }
        assert!(lax_readings("/a/b.c/~d").is_empty());
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(path in "/[ -~]{0,40}") {
            if let Ok(once) = normalise(&path) {
                let twice = normalise(&once).map(Cow::into_owned);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert!(once.starts_with('/'));
            }
            let _ = lax_readings(&path);
        }
    }
}
