//! The lines of HTTP/1 that the listener reads before the parser does: RFC 9112 §3, §5 and §7.1.

use crate::framing::BadRequest;

/// Checks a request line, and tells whether it is of HTTP/1.0.
///
/// # Errors
/// With how many bytes of it can be handed on.
pub(super) fn request_line(line: &[u8]) -> Result<bool, (BadRequest, usize)> {
    let malformed = (BadRequest::Malformed, 0);
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = match (words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version)) if words.next().is_none() => {
            (method, target, version)
        }
        _ => return Err(malformed),
    };
    if method.is_empty() || !method.iter().copied().all(is_token) || target.is_empty() {
        return Err(malformed);
    }
    if let Some(at) = target.iter().position(|byte| *byte == b'#') {
        return Err((BadRequest::Fragment, method.len() + 1 + at));
    }
    let is_url = target.windows(3).any(|part| part == b"://");
    if !(target.starts_with(b"/") || target == b"*" || is_url || method == b"CONNECT")
        || !target.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
    {
        return Err(malformed);
    }
    match version {
        b"HTTP/1.1" => Ok(false),
        b"HTTP/1.0" => Ok(true),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err((BadRequest::Version, 0))
        }
        _ => Err(malformed),
    }
}

/// A line of a header section.
pub(super) struct Header<'l> {
    pub(super) name: &'l [u8],
    pub(super) value: &'l [u8],
}

impl<'l> Header<'l> {
    /// RFC 9112 §5.1 and §5.2: nothing stands between the name and the colon, and no line goes on
    /// on the next.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        let colon = line.iter().position(|byte| !is_token(*byte))?;
        let (name, rest) = line.split_at(colon);
        let value = rest.strip_prefix(b":").filter(|_| !name.is_empty())?;
        is_text(value).then(|| Self {
            name,
            value: value.trim_ascii(),
        })
    }
}

/// A length in decimal digits and nothing else, small enough to be counted in.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The size of a chunk, from the line before it.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, extensions) = line.split_at(digits);
    let plausible = extensions.is_empty() || (extensions.starts_with(b";") && is_text(extensions));
    if !(1..=15).contains(&digits.len()) || !plausible {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What makes a whole head of one that has come in part, up to this part of a line.
pub(super) fn completion(is_first: bool, line: &[u8]) -> Vec<u8> {
    const VERSION: &[u8] = b"HTTP/1.1";
    let end: &[u8] = if line.ends_with(b"\r") {
        b"\n"
    } else {
        b"\r\n"
    };
    let mut completion = Vec::with_capacity(32);
    if !is_first {
        // A name alone is not a line.
        if !line.is_empty() && !line.contains(&b':') && !line.ends_with(b"\r") {
            completion.push(b':');
        }
        completion.extend_from_slice(end);
        if !(line.is_empty() || line == b"\r") {
            completion.extend_from_slice(b"\r\n");
        }
        return completion;
    }
    if line == b"\r" {
        completion.push(b'\n');
    }
    let line = line
        .strip_suffix(b"\r")
        .filter(|line| line.is_empty())
        .unwrap_or(line);
    if line.ends_with(b"\r") {
        completion.extend_from_slice(b"\n\r\n");
        return completion;
    }
    let mut words = line.split(|byte| *byte == b' ').skip(1);
    match (words.next(), words.next()) {
        _ if line.is_empty() => completion.extend_from_slice(b"GET / "),
        (None, _) => completion.extend_from_slice(b" / "),
        (Some(b""), None) => completion.extend_from_slice(b"/ "),
        (Some(_), None) => completion.push(b' '),
        (_, Some(version)) => {
            completion.extend_from_slice(VERSION.get(version.len()..).unwrap_or_default());
            completion.extend_from_slice(b"\r\n\r\n");
            return completion;
        }
    }
    completion.extend_from_slice(VERSION);
    completion.extend_from_slice(b"\r\n\r\n");
    completion
}

/// Whether no byte is one that some readers end a line or a value at. All are looked at, since
/// that goes many at a time.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |text, byte| {
        text & ((*byte >= b' ' && *byte != 0x7f) || *byte == b'\t')
    })
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_token_character(byte as u8);
        byte += 1;
    }
    table
};

const fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_head_is_completed() {
        for (is_first, line, whole) in [
            (true, "", "GET / HTTP/1.1\r\n\r\n"),
            (true, "\r", "\r\nGET / HTTP/1.1\r\n\r\n"),
            (true, "PU", "PU / HTTP/1.1\r\n\r\n"),
            (true, "PUT ", "PUT / HTTP/1.1\r\n\r\n"),
            (true, "PUT /a", "PUT /a HTTP/1.1\r\n\r\n"),
            (true, "PUT /a ", "PUT /a HTTP/1.1\r\n\r\n"),
            (true, "PUT /a HT", "PUT /a HTTP/1.1\r\n\r\n"),
            (true, "PUT /a HTTP/1.1", "PUT /a HTTP/1.1\r\n\r\n"),
            (true, "PUT /a HTTP/1.1\r", "PUT /a HTTP/1.1\r\n\r\n"),
            (false, "", "\r\n"),
            (false, "\r", "\r\n"),
            (false, "Ho", "Ho:\r\n\r\n"),
            (false, "Host: a", "Host: a\r\n\r\n"),
            (false, "Host: a\r", "Host: a\r\n\r\n"),
        ] {
            let mut completed = line.as_bytes().to_vec();
            completed.extend(completion(is_first, line.as_bytes()));
            assert_eq!(String::from_utf8_lossy(&completed), whole, "{line:?}");
        }
    }
}
