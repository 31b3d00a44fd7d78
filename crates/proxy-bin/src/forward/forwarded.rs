//! `X-Forwarded-*` and their like: made by the gateway, believed from trusted peers alone.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::lines::Lines;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PATH: HeaderName = HeaderName::from_static("x-forwarded-path");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Whether a header, in any spelling, is one of those that only trusted peers may send.
#[must_use]
pub(crate) fn is_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str();
    if !name.starts_with(['x', 'f']) {
        return false;
    }
    let starts = |prefix: &str| {
        name.len() >= prefix.len()
            && name
                .bytes()
                .zip(prefix.bytes())
                .all(|(have, want)| have == want || (have == b'_' && want == b'-'))
    };
    starts("x-forwarded-")
        || name == "forwarded"
        || (name.len() == REAL_IP.as_str().len() && starts(REAL_IP.as_str()))
}

/// What is the same for all requests of one connection, as header values.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    peer: HeaderValue,
    proto: HeaderValue,
    port: HeaderValue,
    trusted: bool,
    /// The same as lines, for a peer whose own word does not count.
    lines: Lines,
}

impl Hop {
    /// The values for a peer that came by TLS or not, to this port; `trusted` if it is one whose
    /// own headers are believed.
    #[must_use]
    pub(crate) fn new(peer: IpAddr, https: bool, port: u16, trusted: bool) -> Self {
        let value = |text: String| {
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        };
        let peer = value(peer.to_canonical().to_string());
        let proto = HeaderValue::from_static(if https { "https" } else { "http" });
        let port = HeaderValue::from(port);
        let mut lines = Lines::default();
        if !trusted {
            lines.put("X-Forwarded-For: ", &peer);
            lines.put("X-Real-Ip: ", &peer);
            lines.put("X-Forwarded-Proto: ", &proto);
            lines.put("X-Forwarded-Port: ", &port);
        }
        Self {
            peer,
            proto,
            port,
            trusted,
            lines,
        }
    }

    /// Whether the peer is one whose own headers are believed.
    #[must_use]
    pub(crate) const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The host and port that the client asked for, as far as a trusted peer says so; `None` if it
    /// says so twice, or says what is more than a host and a port: it may hand on what its client
    /// sent, and no path or query is to be taken from there.
    #[must_use]
    pub(crate) fn authority<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = if self.trusted && headers.contains_key(HOST) {
            HOST
        } else {
            header::HOST
        };
        let mut lines = headers.get_all(name).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let more = |c: char| matches!(c, '/' | '?' | '#' | '\\' | '@' | ',') || c.is_whitespace();
        line.to_str().ok().filter(|host| !host.contains(more))
    }

    /// Whether the client came by TLS, as far as a trusted peer says so.
    #[must_use]
    pub(crate) fn is_https(&self, headers: &HeaderMap) -> bool {
        let proto = self
            .trusted
            .then(|| headers.get(PROTO))
            .flatten()
            .unwrap_or(&self.proto);
        proto.as_bytes().eq_ignore_ascii_case(b"https")
    }
}

/// What differs from request to request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardedHeaders<'a> {
    /// The host that was asked for.
    pub(crate) host: Option<&'a HeaderValue>,
    /// The path that was asked for.
    pub(crate) path: &'a str,
    /// The prefix that the route removes.
    pub(crate) prefix: Option<&'a str>,
}

impl ForwardedHeaders<'_> {
    /// Writes them; a client's own are replaced, unless the peer is trusted.
    #[must_use]
    pub(crate) fn write(&self, hop: &Hop, headers: &mut HeaderMap) -> Lines {
        // Nobody means well with an underscore: a trusted peer hands on what its clients sent.
        let forged: Vec<HeaderName> = headers
            .keys()
            .filter(|name| is_forwarded(name) && (!hop.trusted || name.as_str().contains('_')))
            .cloned()
            .collect();
        for name in forged {
            headers.remove(name);
        }
        let mut lines = Lines::beginning_with(&hop.lines);
        if hop.trusted {
            self.add_to_a_trusted_peers(hop, headers);
        } else {
            if let Some(host) = self.host {
                lines.put("X-Forwarded-Host: ", host);
            }
            lines.put_text("X-Forwarded-Path: ", self.path);
            if let Some(prefix) = self.prefix {
                lines.put_text("X-Forwarded-Prefix: ", prefix);
            }
            debug_assert!(!headers.contains_key(header::FORWARDED));
        }
        lines
    }

    fn add_to_a_trusted_peers(&self, hop: &Hop, headers: &mut HeaderMap) {
        let before = headers
            .get_all(FOR)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .collect::<Vec<_>>()
            .join(", ");
        let peer = hop.peer.to_str().unwrap_or("unknown");
        let chain = if before.is_empty() {
            peer.to_owned()
        } else {
            format!("{before}, {peer}")
        };
        if let Ok(chain) = HeaderValue::try_from(chain) {
            headers.insert(FOR, chain);
        }
        headers.entry(REAL_IP).or_insert_with(|| hop.peer.clone());
        headers.entry(PROTO).or_insert_with(|| hop.proto.clone());
        headers.entry(PORT).or_insert_with(|| hop.port.clone());
        if let Some(host) = self.host {
            headers.entry(HOST).or_insert_with(|| host.clone());
        }
        if let Ok(path) = HeaderValue::from_str(self.path) {
            headers.entry(PATH).or_insert(path);
        }
        if let Some(prefix) = self.prefix
            && let Ok(prefix) = HeaderValue::from_str(prefix)
        {
            headers.entry(PREFIX).or_insert(prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ForwardedHeaders<'static> = ForwardedHeaders {
        host: None,
        path: "/a",
        prefix: Some("/"),
    };

    fn forged() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x_forwarded_for",
            "x-forwarded-user",
            "x-real-ip",
            "x_real_ip",
            "forwarded",
        ] {
            headers.insert(
                HeaderName::try_from(name).expect("a name"),
                HeaderValue::from_static("forged"),
            );
        }
        headers
    }

    #[test]
    fn an_untrusted_peers_word_is_replaced_in_every_spelling() {
        let hop = Hop::new(IpAddr::from([192, 0, 2, 7]), false, 8000, false);
        let mut headers = forged();
        CLIENT.write(&hop, &mut headers).add_to(&mut headers);
        assert!(
            headers.values().all(|value| value != "forged"),
            "{headers:?}"
        );
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-real-ip"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-port"], "8000");
        assert_eq!(headers["x-forwarded-path"], "/a");
    }

    #[test]
    fn a_trusted_peers_word_is_kept_and_added_to() {
        let hop = Hop::new(IpAddr::from([10, 0, 0, 1]), false, 8000, true);
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert("x_forwarded_for", HeaderValue::from_static("forged"));
        assert!(hop.is_https(&headers));
        CLIENT.write(&hop, &mut headers).add_to(&mut headers);
        assert!(!headers.contains_key("x_forwarded_for"));
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7, 10.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "https");
    }

    #[test]
    fn a_trusted_peers_word_for_the_host_is_one_host_and_no_path() {
        let hop = |trusted| Hop::new(IpAddr::from([10, 0, 0, 1]), false, 8000, trusted);
        for (told, expected) in [
            (&["api.test:8443"][..], Some("api.test:8443")),
            (&["[::1]:80"], Some("[::1]:80")),
            (&[], Some("own.test")),
            (&["api.test", "own.test"], None),
            (&["api.test, own.test"], None),
            (&["api.test/other?x="], None),
            (&["api.test?"], None),
            (&["api.test#"], None),
            (&["api.test\\other"], None),
            (&["john@api.test"], None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("own.test"));
            for line in told {
                headers.append("x-forwarded-host", HeaderValue::from_static(line));
            }
            assert_eq!(hop(true).authority(&headers), expected, "{told:?}");
            assert_eq!(hop(false).authority(&headers), Some("own.test"));
        }
    }

    #[test]
    fn an_untrusted_peer_cannot_claim_tls() {
        let hop = Hop::new(IpAddr::from([192, 0, 2, 7]), false, 8000, false);
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert!(!hop.is_https(&headers));
    }
}
