//! Field lines as they are written: RFC 9112 §5. Names go out as `Refresh-Token`, since some
//! readers know no other spelling.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Writes the lines of a header or trailer section, without the empty line that ends it.
pub(crate) fn put_fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        put_field(name, value, out);
    }
}

/// Writes one of them.
pub(crate) fn put_field(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    if let Some(begin) = known(name) {
        out.extend_from_slice(begin);
    } else {
        let name = name.as_str().as_bytes();
        let begun = out.len();
        out.extend_from_slice(name);
        title_case(&mut out[begun..]);
        out.extend_from_slice(b": ");
    }
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

macro_rules! known {
    ($($name:ident => $begin:literal,)*) => {
        /// How the lines of these begin, which most lines are of.
        fn known(name: &HeaderName) -> Option<&'static [u8]> {
            match *name {
                $(header::$name => Some($begin.as_bytes()),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const KNOWN: &[HeaderName] = &[$(header::$name),*];
    };
}

known! {
    ACCEPT => "Accept: ",
    ACCEPT_ENCODING => "Accept-Encoding: ",
    ACCEPT_LANGUAGE => "Accept-Language: ",
    ACCEPT_RANGES => "Accept-Ranges: ",
    ACCESS_CONTROL_ALLOW_ORIGIN => "Access-Control-Allow-Origin: ",
    AGE => "Age: ",
    ALLOW => "Allow: ",
    AUTHORIZATION => "Authorization: ",
    CACHE_CONTROL => "Cache-Control: ",
    CONNECTION => "Connection: ",
    CONTENT_DISPOSITION => "Content-Disposition: ",
    CONTENT_ENCODING => "Content-Encoding: ",
    CONTENT_LANGUAGE => "Content-Language: ",
    CONTENT_LENGTH => "Content-Length: ",
    CONTENT_LOCATION => "Content-Location: ",
    CONTENT_RANGE => "Content-Range: ",
    CONTENT_SECURITY_POLICY => "Content-Security-Policy: ",
    CONTENT_TYPE => "Content-Type: ",
    COOKIE => "Cookie: ",
    DATE => "Date: ",
    ETAG => "Etag: ",
    EXPIRES => "Expires: ",
    FORWARDED => "Forwarded: ",
    HOST => "Host: ",
    IF_MATCH => "If-Match: ",
    IF_MODIFIED_SINCE => "If-Modified-Since: ",
    IF_NONE_MATCH => "If-None-Match: ",
    LAST_MODIFIED => "Last-Modified: ",
    LOCATION => "Location: ",
    ORIGIN => "Origin: ",
    PRAGMA => "Pragma: ",
    RANGE => "Range: ",
    REFERER => "Referer: ",
    RETRY_AFTER => "Retry-After: ",
    SERVER => "Server: ",
    SET_COOKIE => "Set-Cookie: ",
    STRICT_TRANSPORT_SECURITY => "Strict-Transport-Security: ",
    TE => "Te: ",
    TRAILER => "Trailer: ",
    TRANSFER_ENCODING => "Transfer-Encoding: ",
    UPGRADE => "Upgrade: ",
    USER_AGENT => "User-Agent: ",
    VARY => "Vary: ",
    VIA => "Via: ",
    WWW_AUTHENTICATE => "Www-Authenticate: ",
    X_CONTENT_TYPE_OPTIONS => "X-Content-Type-Options: ",
    X_FRAME_OPTIONS => "X-Frame-Options: ",
}

/// `x-request-id` becomes `X-Request-Id`. Eight bytes at a time, since there are so many of them;
/// the last eight overlap with those before, to which nothing happens again.
fn title_case(name: &mut [u8]) {
    const WORD: usize = 8;
    if name.len() < WORD {
        let mut before = b'-';
        for byte in name {
            if before == b'-' {
                byte.make_ascii_uppercase();
            }
            before = *byte;
        }
        return;
    }
    let mut at = 0;
    loop {
        let is_begun = at == 0 || name[at - 1] == b'-';
        let (words, _) = name[at..].as_chunks_mut::<WORD>();
        let Some(word) = words.first_mut() else {
            return;
        };
        *word = title_cased(u64::from_le_bytes(*word), is_begun).to_le_bytes();
        match name.len() - (at + WORD) {
            0 => return,
            left => at += left.min(WORD),
        }
    }
}

/// The letters of eight ASCII characters that come after a hyphen, as capitals.
const fn title_cased(word: u64, is_begun: bool) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let differs = word ^ (ONES * b'-' as u64);
    let hyphens = !(((differs & !HIGH) + !HIGH) | differs) & HIGH;
    let begun = (hyphens << 8) | ((is_begun as u64) << 7);
    // Bit 7 of each byte that is not before `a`, and of each that is beyond `z`.
    let letters = (word + ONES * (0x80 - b'a' as u64)) & !(word + ONES * (0x7f - b'z' as u64));
    word ^ ((begun & letters & HIGH) >> 2)
}

/// RFC 9110 §5.6.3: blanks around a value are none of it. Any other byte is looked at.
pub(crate) fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Writes a number in decimal digits.
pub(crate) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_title_case_each_on_its_own() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a.test"),
            ("x-request-id", "1"),
            ("te", "trailers"),
            ("x--y-", ""),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x_under", "\u{e9}"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        let mut out = Vec::new();
        put_fields(&headers, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        for line in [
            "Host: a.test\r\n",
            "X-Request-Id: 1\r\n",
            "Te: trailers\r\n",
            "X--Y-: \r\n",
            "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
            "X_under: \u{e9}\r\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text:?}");
        }
    }

    #[test]
    fn words_begin_with_a_capital_wherever_they_begin() {
        let plain = |name: &str| {
            let mut before = b'-';
            let cased = name.bytes().map(|byte| {
                let is_begun = std::mem::replace(&mut before, byte) == b'-';
                if is_begun {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                }
            });
            String::from_utf8(cased.collect()).expect("ASCII")
        };
        let name = "-x-a--{z`}-1-~a-abcdefghijklm-nopqrs-_t-uvw|xyz-^b-";
        for begin in 0..name.len() {
            for end in begin..=name.len() {
                let mut cased = name.as_bytes()[begin..end].to_vec();
                title_case(&mut cased);
                let expected = plain(&name[begin..end]);
                assert_eq!(String::from_utf8(cased).expect("ASCII"), expected);
            }
        }
    }

    #[test]
    fn a_name_that_is_known_is_written_like_any_other() {
        for name in KNOWN {
            let mut cased = name.as_str().as_bytes().to_vec();
            title_case(&mut cased);
            cased.extend_from_slice(b": ");
            assert_eq!(known(name), Some(&cased[..]), "{name}");
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 1024, u64::MAX] {
            let mut out = Vec::new();
            put_number(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
