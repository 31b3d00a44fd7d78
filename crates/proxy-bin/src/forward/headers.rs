//! Header lines that are not handed on, and those that only the gateway may write.
//! RFC 9110 §7.6.1 and §7.6.3; the contract: no client forges what the gateway injects.

use std::sync::Arc;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::forwarded::is_forwarded;

/// Fields that concern one connection alone, whether `Connection` names them or not. `Trailer` and
/// `TE` are made anew where trailers can be carried.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What of a message's hop-by-hop fields matters for the next hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HopByHop {
    /// The protocol that is asked for, or switched to.
    pub(crate) upgrade: Option<HeaderValue>,
    /// Whether the other side takes trailers (`TE: trailers`).
    pub(crate) trailers_taken: bool,
    /// The trailers that were announced.
    pub(crate) trailer: Option<HeaderValue>,
}

/// Removes what concerns this connection alone, and gives what has to be made anew of it.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) -> HopByHop {
    let mut kept = HopByHop::default();
    // Most messages have none of them: to look at each name once is less than to look each up.
    if !headers.keys().any(is_hop_by_hop) {
        return kept;
    }
    if headers.contains_key(header::CONNECTION) {
        let lines: Vec<HeaderValue> = headers
            .get_all(header::CONNECTION)
            .iter()
            .cloned()
            .collect();
        let mut upgrade = false;
        for token in lines.iter().flat_map(tokens) {
            upgrade |= token.eq_ignore_ascii_case(b"upgrade");
            // Naming a field of the message's own framing or origin removes nothing.
            if let Ok(name) = HeaderName::from_bytes(token)
                && name != header::HOST
                && name != header::CONTENT_LENGTH
            {
                if name == header::UPGRADE || name == header::TE || name == header::TRAILER {
                    continue;
                }
                headers.remove(name);
            }
        }
        // On several lines it is several offers, of which one may be hidden.
        let mut offers = headers.get_all(header::UPGRADE).iter();
        if let (true, Some(offer), None) = (upgrade, offers.next(), offers.next()) {
            kept.upgrade = Some(offer.clone());
        }
    }
    if headers.contains_key(header::TE) {
        kept.trailers_taken = headers
            .get_all(header::TE)
            .iter()
            .flat_map(tokens)
            .any(|token| token.eq_ignore_ascii_case(b"trailers"));
    }
    kept.trailer = headers.get(header::TRAILER).cloned();
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    kept
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

fn tokens(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// `Via` for a message that was received by this protocol.
#[must_use]
pub(crate) fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_2 => "2 oidc-proxy",
        Version::HTTP_10 => "1.0 oidc-proxy",
        _ => "1.1 oidc-proxy",
    })
}

/// The headers that only the gateway writes: whatever a client sends under these names, in any
/// spelling, is removed before anything is injected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Managed {
    names: Arc<[HeaderName]>,
    /// A bit for each length that a name has: most headers of a request have another.
    lengths: u128,
}

impl Managed {
    /// These headers, each once.
    pub(crate) fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut names: Vec<_> = names.into_iter().map(|name| hyphenated(&name)).collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let lengths = names.iter().fold(0, |bits, name| bits | length_bit(name));
        Self {
            names: names.into(),
            lengths,
        }
    }

    /// Removes them from a client's request: as they are, and with `_` in place of `-`, which some
    /// upstreams take for the same.
    pub(crate) fn remove_from(&self, headers: &mut HeaderMap) {
        if self.names.is_empty() {
            return;
        }
        // Nothing is gathered, as a rule: a name is looked up only if one of its length is managed.
        let forged: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.lengths & length_bit(name) != 0)
            .filter(|name| self.names.contains(name) || self.has_alias(name))
            .cloned()
            .collect();
        for name in forged {
            headers.remove(name);
        }
    }

    fn has_alias(&self, name: &HeaderName) -> bool {
        name.as_str().contains('_') && self.names.contains(&hyphenated(name))
    }

    /// Removes them as they are with `_` in place of `-` alone: from a trusted peer, who writes them
    /// itself, and hands on what its clients sent under any other name.
    pub(crate) fn remove_aliases_from(&self, headers: &mut HeaderMap) {
        let aliases: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.lengths & length_bit(name) != 0 && self.has_alias(name))
            .cloned()
            .collect();
        for alias in aliases {
            headers.remove(alias);
        }
    }
}

/// Those that are longer than any that is managed in earnest share one bit.
fn length_bit(name: &HeaderName) -> u128 {
    1 << name.as_str().len().min(127)
}

/// Fields that mean something only before the body, or that would forge what was decided on it.
const NEVER_TRAILERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::SET_COOKIE,
];

/// Removes from trailers what no trailer is for (RFC 9110 §6.5.1), and of a client's what only the
/// gateway may write: a reader may take trailers for headers.
pub(crate) fn guard_trailers(trailers: &mut HeaderMap, managed: &Managed) {
    remove_hop_by_hop(trailers);
    managed.remove_from(trailers);
    let forbidden: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| NEVER_TRAILERS.contains(name) || is_forwarded(name))
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

fn hyphenated(name: &HeaderName) -> HeaderName {
    if !name.as_str().contains('_') {
        return name.clone();
    }
    HeaderName::try_from(name.as_str().replace('_', "-")).unwrap_or_else(|_| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::try_from(*name).expect("a name"),
                HeaderValue::try_from(*value).expect("a value"),
            );
        }
        headers
    }

    #[test]
    fn what_concerns_one_connection_is_not_handed_on() {
        let mut map = headers(&[
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("host", "a"),
        ]);
        let kept = remove_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("x-three", "3"), ("host", "a")]));
        assert!(kept.trailers_taken);
        assert_eq!(kept.trailer, Some(HeaderValue::from_static("x-sum")));
        assert_eq!(kept.upgrade, None, "Connection does not name it");
    }

    #[test]
    fn connection_cannot_remove_framing_or_host() {
        let lines = [("host", "a"), ("content-length", "3")];
        let mut map = headers(&lines);
        map.insert(
            "connection",
            HeaderValue::from_static("host, content-length"),
        );
        remove_hop_by_hop(&mut map);
        assert_eq!(map, headers(&lines));
    }

    #[test]
    fn an_upgrade_is_kept_if_connection_names_it() {
        let mut map = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ]);
        let kept = remove_hop_by_hop(&mut map);
        assert_eq!(kept.upgrade, Some(HeaderValue::from_static("websocket")));
        assert!(map.is_empty());
    }

    #[test]
    fn a_trusted_peer_writes_a_header_by_its_own_name_alone() {
        let managed = Managed::new([HeaderName::from_static("x-client-cert")]);
        let mut map = headers(&[
            ("x-client-cert", "the peer's"),
            ("x_client_cert", "forged"),
            ("x-client_cert", "forged"),
            ("x_other", "1"),
        ]);
        managed.remove_aliases_from(&mut map);
        let kept = headers(&[("x-client-cert", "the peer's"), ("x_other", "1")]);
        assert_eq!(map, kept);
    }

    #[test]
    fn trailers_forge_nothing() {
        let mut map = headers(&[
            ("x-checksum", "1"),
            ("refresh_token", "forged"),
            ("authorization", "forged"),
            ("x_forwarded_for", "forged"),
            ("connection", "x-checksum-2"),
            ("transfer-encoding", "chunked"),
        ]);
        let managed = Managed::new([HeaderName::from_static("refresh-token")]);
        guard_trailers(&mut map, &managed);
        assert_eq!(map, headers(&[("x-checksum", "1")]));
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_managed_header_gets_through(
            upper in proptest::collection::vec(any::<bool>(), 13),
            underscore in any::<bool>(),
        ) {
            let name: String = "refresh-token"
                .chars()
                .zip(upper)
                .map(|(c, up)| match c {
                    '-' if underscore => '_',
                    c if up => c.to_ascii_uppercase(),
                    c => c,
                })
                .collect();
            let mut map = headers(&[(&name, "forged"), ("x-other", "kept"), ("a_b", "kept")]);
            Managed::new([HeaderName::from_static("refresh-token")]).remove_from(&mut map);
            prop_assert_eq!(map, headers(&[("x-other", "kept"), ("a_b", "kept")]));
        }
    }
}
