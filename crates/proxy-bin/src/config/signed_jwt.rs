//! The token that the gateway itself signs for an upstream: an addition of this gateway.

use std::time::Duration;

use http::HeaderName;

use super::clients::ClientConfig;
use super::plugin::duration;
use super::reader::Section;
use super::targets;

/// How it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedJwtSettings {
    /// The header that carries it.
    pub header: HeaderName,
    /// `aud`; the service's name without one.
    pub audience: Option<String>,
    /// `iss`. Default: `oidc-proxy`.
    pub issuer: String,
    /// How long it is good for. Default: 60 s.
    pub lifetime: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

/// Shorter ones would be over before they arrive, and longer ones outlive what they are made of.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(3600);

pub(super) fn read(s: &mut Section<'_>, clients: &[ClientConfig]) -> Option<SignedJwtSettings> {
    let header = s.take("upstream_signed_jwt_header");
    let audience = s
        .take("upstream_signed_jwt_audience")
        .and_then(|item| item.filled_text());
    let issuer = s.take("upstream_signed_jwt_issuer");
    let lifetime = duration(s, "upstream_signed_jwt_lifetime", SECOND).unwrap_or(60 * SECOND);
    let item = header?;
    let target = targets::read(&item)?;
    if target.bearer {
        return item.problem("give the header's name alone");
    }
    if !LIFETIMES.contains(&lifetime) {
        s.item
            .problem::<()>("upstream_signed_jwt_lifetime is from 10s to 1h");
    }
    let named = match &issuer {
        Some(item) => item.filled_text()?,
        None => "oidc-proxy".to_owned(),
    };
    // Signed by the key of client assertions, it could be taken for one: those are issued by the
    // client (RFC 7523 §3).
    if clients.iter().any(|client| client.id == named) {
        let item = issuer.as_ref().unwrap_or(&item);
        item.problem::<()>(format!(
            "{} is one of client_id: set upstream_signed_jwt_issuer to another name",
            item.shown(&named)
        ));
    }
    Some(SignedJwtSettings {
        header: target.name,
        audience,
        issuer: named,
        lifetime,
    })
}
