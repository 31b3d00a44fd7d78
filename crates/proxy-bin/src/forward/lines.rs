//! What the gateway adds to each request, as it is written: most of it is the same for all requests
//! of a connection, and none of it is ever looked up again.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Field lines that go after those of the client's own, as `Via` has to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines(Vec<u8>);

/// How the line of a field begins: `Via: `.
pub(crate) type Begin = &'static str;

impl Lines {
    /// These, and room for what differs from request to request.
    pub(crate) fn beginning_with(lines: &Self) -> Self {
        let mut all = Vec::with_capacity(lines.0.len() + ROOM);
        all.extend_from_slice(&lines.0);
        Self(all)
    }

    /// One more, whose value cannot hold an end of line.
    pub(crate) fn put(&mut self, begin: Begin, value: &HeaderValue) {
        self.line(begin, value.as_bytes());
    }

    /// One more, unless its value is no visible ASCII.
    pub(crate) fn put_text(&mut self, begin: Begin, value: &str) {
        let visible = |byte: &u8| byte.wrapping_sub(0x20) <= 0x7e - 0x20;
        if value
            .as_bytes()
            .iter()
            .fold(true, |all, byte| all & visible(byte))
        {
            self.line(begin, value.as_bytes());
        }
    }

    fn line(&mut self, begin: Begin, value: &[u8]) {
        self.0.extend_from_slice(begin.as_bytes());
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    /// As they are written.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as fields, for HTTP/2, which writes them otherwise.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for line in self.0.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
    }
}

/// For a host, a path, a prefix and an id.
const ROOM: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_fields_as_well_and_no_value_makes_two_of_one() {
        let mut lines = Lines::default();
        lines.put("Host: ", &HeaderValue::from_static("a.test:8000"));
        lines.put_text("X-Forwarded-Path: ", "/a:b?c");
        lines.put_text("X-Forwarded-Path: ", "/a\r\nX-Admin: 1");
        lines.put_text("X-Forwarded-Path: ", "/\u{e9}");
        assert_eq!(
            lines.as_bytes(),
            b"Host: a.test:8000\r\nX-Forwarded-Path: /a:b?c\r\n"
        );
        let mut headers = HeaderMap::new();
        lines.add_to(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["host"], "a.test:8000");
        assert_eq!(headers["x-forwarded-path"], "/a:b?c");
    }
}
