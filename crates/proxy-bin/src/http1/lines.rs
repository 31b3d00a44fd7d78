//! Field lines as they are written: RFC 9112 §5. Names go out as `Refresh-Token`, since some
//! readers know no other spelling.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Writes the lines of a header or trailer section, without the empty line that ends it.
pub(crate) fn put_fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        put_field(name, value, out);
    }
}

/// Writes one of them.
pub(crate) fn put_field(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    let name = name.as_str().as_bytes();
    out.reserve(name.len() + value.len() + 4);
    let begun = out.len();
    out.extend_from_slice(name);
    title_case(&mut out[begun..]);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `x-request-id` becomes `X-Request-Id`.
fn title_case(name: &mut [u8]) {
    let mut first = true;
    for byte in name {
        if first {
            byte.make_ascii_uppercase();
        }
        first = *byte == b'-';
    }
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
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 1024, u64::MAX] {
            let mut out = Vec::new();
            put_number(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
