//! The headers that a plugin writes: which names they may have.

use http::HeaderName;
use token_extractors::header_name;

use super::reader::Item;

/// A header that the gateway writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTarget {
    /// The header.
    pub name: HeaderName,
    /// Whether `Bearer ` stands before the value.
    pub bearer: bool,
}

/// Headers that belong to the message itself, not to whoever configures a gateway.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
    "x-request-id",
];

pub(super) fn read(item: &Item<'_>) -> Option<HeaderTarget> {
    let text = item.filled_text()?;
    let (name, bearer) = match text.split_once(':') {
        Some((name, "bearer")) => (name, true),
        Some(_) => {
            return item.problem(format!(
                "{} is not a header; allowed: a header's name, or name:bearer",
                item.shown(&text)
            ));
        }
        None => (text.as_str(), false),
    };
    match header_name(name) {
        Ok(header)
            if RESERVED.contains(&header.as_str())
                || header.as_str().starts_with("x-forwarded-") =>
        {
            item.problem(format!(
                "{} belongs to the message itself and cannot be written by a plugin",
                item.shown(name)
            ))
        }
        Ok(name) => Some(HeaderTarget { name, bearer }),
        Err(_) => item.problem(format!("{} is not a header's name", item.shown(name))),
    }
}
