//! The request that goes upstream, made of the one that came: RFC 9110 §7.6, the contract's section on
//! headers.

use http::request::Parts;
use http::{Version, header};

use super::Exchange;
use super::authentication::Admitted;
use crate::app::PreparedRoute;
use crate::forward::{ForwardedHeaders, Lines, Upgrade, remove_hop_by_hop, via};
use crate::framing;
use crate::routes::Matched;

impl Exchange<'_> {
    /// Makes the request that goes upstream of the one that came, and the lines that are added to it.
    pub(super) fn rewrite(
        &self,
        route: &PreparedRoute,
        matched: &Matched,
        path: &str,
        parts: &mut Parts,
        admitted: &Admitted,
    ) -> (Lines, Option<Upgrade>) {
        let kept = remove_hop_by_hop(&mut parts.headers);
        route.managed.remove_from(&mut parts.headers);
        if self.connection.hop().is_trusted() {
            let headers = &mut parts.headers;
            route.from_trusted_peers.remove_aliases_from(headers);
        } else {
            route.from_trusted_peers.remove_from(&mut parts.headers);
        }
        framing::join_cookies(parts);
        let headers = &mut parts.headers;
        // The gateway has asked for the body itself.
        headers.remove(header::EXPECT);
        let host = headers.remove(header::HOST);
        let mut lines = ForwardedHeaders {
            host: host.as_ref(),
            path,
            prefix: route
                .strip_path
                .then(|| path.get(..matched.length))
                .flatten(),
        }
        .write(self.connection.hop(), headers);
        lines.put("Via: ", &via(parts.version));
        lines.put("X-Request-Id: ", &self.story.id_value);
        let to = host.filter(|_| route.preserve_host);
        lines.put("Host: ", to.as_ref().unwrap_or(route.upstream.host()));
        // RFC 9110 §7.8: in HTTP/1.0 it means nothing, and in HTTP/2 it is not said in this way.
        let upgrade = kept
            .upgrade
            .filter(|_| parts.version == Version::HTTP_11)
            .and_then(Upgrade::offered);
        if let Some(upgrade) = &upgrade {
            headers.insert(
                header::CONNECTION,
                http::HeaderValue::from_static("Upgrade"),
            );
            headers.insert(header::UPGRADE, upgrade.value().clone());
        } else if kept.trailers_taken {
            headers.insert(header::TE, http::HeaderValue::from_static("trailers"));
        }
        if let Some(trailer) = kept.trailer {
            headers.insert(header::TRAILER, trailer);
        }
        admitted.tell_upstream(route, headers);
        (lines, upgrade)
    }
}
