//! What has to be removed from a request before it goes upstream: `hide_credentials`.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::body::BodyFormat;
use crate::{json, pairs};

/// The removals that one request needs; none if nothing was found, or nothing is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits<'e> {
    pub(crate) headers: Vec<&'e HeaderName>,
    pub(crate) query: Vec<&'e str>,
    pub(crate) body: Vec<&'e str>,
    pub(crate) cookies: Vec<&'e str>,
}

impl Edits<'_> {
    /// Whether nothing is to be removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
            && self.query.is_empty()
            && self.body.is_empty()
            && self.cookies.is_empty()
    }

    /// Removes header lines and cookies.
    pub fn apply_to_headers(&self, headers: &mut HeaderMap) {
        for name in &self.headers {
            headers.remove(*name);
        }
        if !self.cookies.is_empty() {
            remove_cookies(headers, &self.cookies);
        }
    }

    /// The query without what is to be removed; `None` if it stays as it is.
    #[must_use]
    pub fn query(&self, query: &str) -> Option<String> {
        if self.query.is_empty() {
            return None;
        }
        let left = pairs::without(query.as_bytes(), &self.query)?;
        String::from_utf8(left).ok()
    }

    /// The body without what is to be removed; `None` if it stays as it is.
    #[must_use]
    pub fn body(&self, format: BodyFormat, body: &[u8]) -> Option<Vec<u8>> {
        if self.body.is_empty() {
            return None;
        }
        match format {
            BodyFormat::Form => pairs::without(body, &self.body),
            BodyFormat::Json => json::without(body, &self.body),
        }
    }
}

/// RFC 6265 §4.2.1: `name=value` joined by `; `, on one line or several.
pub(crate) fn remove_cookies(headers: &mut HeaderMap, names: &[&str]) {
    let lines: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for line in lines {
        let kept: Vec<&[u8]> = line
            .as_bytes()
            .split(|byte| *byte == b';')
            .filter(|cookie| {
                !names
                    .iter()
                    .any(|name| cookie_value(cookie, name).is_some())
            })
            .collect();
        let kept = kept.join(&b';');
        if let Ok(value) = HeaderValue::from_bytes(kept.trim_ascii())
            && !value.is_empty()
        {
            headers.append(header::COOKIE, value);
        }
    }
}

/// The value of one cookie, if it has this name.
pub(crate) fn cookie_value<'c>(cookie: &'c [u8], name: &str) -> Option<&'c [u8]> {
    cookie
        .trim_ascii()
        .strip_prefix(name.as_bytes())?
        .strip_prefix(b"=")
}
