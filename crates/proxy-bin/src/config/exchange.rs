//! Kong's table `token_exchange`: whose tokens are exchanged, when, and for what (RFC 8693).

use std::time::Duration;

use oidc_core::grant::ExchangeConditions;
use oidc_core::provider::Provider;
use url::Url;

use super::plugin::{flag, texts};
use super::reader::{Item, Section};

/// Which tokens are exchanged.
#[derive(Debug)]
pub struct ExchangeSettings {
    /// Whose.
    pub subjects: Vec<SubjectSettings>,
    /// Audiences asked for.
    pub audience: Vec<String>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Whether results are kept.
    pub cache: bool,
    /// The longest that a result is kept.
    pub cache_ttl: Option<Duration>,
}

/// An issuer whose tokens are exchanged.
#[derive(Debug)]
pub struct SubjectSettings {
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Where it is discovered.
    pub provider: Provider,
    /// Whether signatures are checked before the exchange.
    pub verify_signature: bool,
    /// When a token of the provider's own is exchanged.
    pub conditions: ExchangeConditions,
}

pub(super) fn read(
    s: &mut Section<'_>,
    scopes: &[String],
    audience: &[String],
) -> Option<ExchangeSettings> {
    let cached = flag(s, "cache_token_exchange", true);
    let item = s.take("token_exchange")?;
    let mut table = item.section()?;
    let subjects = table
        .take("subject_token_issuers")
        .map_or_else(Vec::new, |item| {
            item.list().iter().filter_map(subject).collect()
        });
    let mut settings = ExchangeSettings {
        subjects,
        audience: audience.to_vec(),
        scopes: scopes.to_vec(),
        cache: cached,
        cache_ttl: None,
    };
    if let Some(mut request) = table.take("request").and_then(|item| item.section()) {
        for (name, into) in [
            ("audience", &mut settings.audience),
            ("scopes", &mut settings.scopes),
        ] {
            let asked = texts(&mut request, name);
            let empty = flag(&mut request, &format!("empty_{name}"), false);
            if empty {
                into.clear();
            } else if !asked.is_empty() {
                *into = asked;
            }
        }
        request.finish(&["audience", "scopes", "empty_audience", "empty_scopes"]);
    }
    if let Some(mut cache) = table.take("cache").and_then(|item| item.section()) {
        settings.cache &= flag(&mut cache, "enabled", true);
        settings.cache_ttl = cache
            .take("ttl")
            .and_then(|item| item.duration(Duration::from_secs(1)));
        cache.finish(&["enabled", "ttl"]);
    }
    table.finish(&["cache", "request", "subject_token_issuers"]);
    // An export holds the table with nothing in it.
    (!settings.subjects.is_empty()).then_some(settings)
}

fn subject(item: &Item<'_>) -> Option<SubjectSettings> {
    let mut table = item.section()?;
    let issuer_item = table.required("issuer");
    let jwks_uri: Option<Url> = table.take("jwks_uri").and_then(|item| item.url());
    // Not Kong's default: a token that nobody has verified would be sent to the provider.
    let verify_signature = flag(&mut table, "verify_signature", true);
    let mut conditions = ExchangeConditions::default();
    if let Some(mut asked) = table.take("conditions").and_then(|item| item.section()) {
        conditions.has_audience = texts(&mut asked, "has_audience");
        conditions.missing_audience = texts(&mut asked, "missing_audience");
        conditions.has_scopes = texts(&mut asked, "has_scopes");
        conditions.missing_scopes = texts(&mut asked, "missing_scopes");
        asked.finish(&[
            "has_audience",
            "has_scopes",
            "missing_audience",
            "missing_scopes",
        ]);
    }
    table.finish(&["conditions", "issuer", "jwks_uri", "verify_signature"]);
    let issuer_item = issuer_item?;
    let issuer = issuer_item.filled_text()?;
    match Provider::new(&issuer) {
        Ok(mut provider) => {
            provider.jwks_uri = jwks_uri;
            Some(SubjectSettings {
                issuer: provider.issuer().to_owned(),
                provider,
                verify_signature,
                conditions,
            })
        }
        Err(error) => issuer_item.problem(format!("cannot be an issuer: {error}")),
    }
}
