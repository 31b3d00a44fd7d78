//! The plugin `openid-connect`: Kong's parameters, typed. Nothing is stringly typed after this.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use oidc_core::authorize::{ClaimSources, IdentityRule, Requirement, Requirements};
use oidc_core::provider::{Endpoints, Provider};
use oidc_core::{CredentialKind, Secret};
use token_extractors::{Place, header_name};

use super::access_tokens::{self, AccessTokenSettings};
use super::certificates::{self, Certificate};
use super::clients::{self, ClientConfig};
use super::exchange::{self, ExchangeSettings};
use super::identity;
use super::injections::{self, Injections};
use super::parameters::PARAMETERS;
use super::possession::{self, PossessionSettings};
use super::reader::{Item, Section};
use super::signed_jwt::{self, SignedJwtSettings};
use super::unsupported;

const SECOND: Duration = Duration::from_secs(1);

/// A plugin as it runs.
#[derive(Debug)]
pub struct OidcPlugin {
    /// The provider.
    pub provider: Provider,
    /// Which credentials are taken.
    pub auth_methods: Vec<CredentialKind>,
    /// The clients, the default one first.
    pub clients: Vec<ClientConfig>,
    /// The parameter by which a request names its client.
    pub client_arg: String,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Audiences asked for.
    pub audience: Vec<String>,
    /// How access tokens are taken that clients present.
    pub access_tokens: AccessTokenSettings,
    /// Which of them are exchanged.
    pub exchange: Option<ExchangeSettings>,
    /// What clients have to prove.
    pub possession: PossessionSettings,
    /// Whether the gateway proves possession of a key of its own at the token endpoint.
    pub client_dpop: bool,
    /// The certificate that the gateway shows to the provider.
    pub certificate: Option<Arc<Certificate>>,
    /// Whether the provider's certificate is checked where the gateway shows its own.
    pub certificate_ssl_verify: bool,
    /// The parameter that holds a token to be revoked.
    pub revocation_token_param: String,
    /// Name and places of refresh tokens.
    pub refresh_token: Option<(String, Vec<Place>)>,
    /// Places of passwords.
    pub password_places: Vec<Place>,
    /// Places of client credentials.
    pub client_credentials_places: Vec<Place>,
    /// Further parameters of token requests.
    pub token_post_args: Vec<(String, Secret)>,
    /// Further headers of token requests.
    pub token_headers: Vec<(String, Secret)>,
    /// Further headers of discovery requests.
    pub discovery_headers: Vec<(HeaderName, HeaderValue)>,
    /// The cooldown of key fetches.
    pub rediscovery_lifetime: Duration,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Whether signatures are checked.
    pub verify_signature: bool,
    /// Whether claims are checked.
    pub verify_claims: bool,
    /// Grants whose signatures are not checked.
    pub ignore_signature: Vec<CredentialKind>,
    /// Accepted issuers.
    pub issuers_allowed: Vec<String>,
    /// What is required of a token.
    pub required: RequiredClaims,
    /// Whether credentials are removed.
    pub hide_credentials: bool,
    /// Whom requests are from.
    pub identity: IdentityRule,
    /// The headers that carry what a grant gave.
    pub headers: Injections,
    /// The token that the gateway itself signs for the upstream.
    pub signed_jwt: Option<SignedJwtSettings>,
    /// The message of a 401.
    pub unauthorized_message: String,
    /// The message of a 403.
    pub forbidden_message: String,
    /// Whether the reason is told to the caller.
    pub display_errors: bool,
    /// Whether the challenge names the error.
    pub expose_error_code: bool,
    /// Whether results are kept.
    pub cache_tokens: bool,
    /// How long a result without expiry is kept.
    pub cache_ttl: Duration,
    /// The longest that a result is kept.
    pub cache_ttl_max: Option<Duration>,
    /// Sets results apart.
    pub cache_salt: Option<Secret>,
    /// For all calls to the provider that one request waits for.
    pub timeout: Duration,
    /// Whether the provider's certificate is checked.
    pub ssl_verify: bool,
    /// Whether `OPTIONS` is authenticated.
    pub run_on_preflight: bool,
    /// How long at least a rotated token is answered by its successor.
    pub successor_window: Duration,
    /// How long rotation is followed.
    pub follow_rotation: Option<Duration>,
}

/// What is required of a token.
pub type RequiredClaims = Requirements;

const SUPPORTED_METHODS: &str =
    "bearer, introspection, userinfo, refresh_token, password, client_credentials";

pub(super) fn read(item: &Item<'_>) -> Option<OidcPlugin> {
    let mut section = item.section()?;
    unsupported::refuse(&mut section);
    let s = &mut section;

    let provider = provider(s);
    let auth_methods = auth_methods(s);
    let scopes = s
        .take("scopes")
        .map_or_else(|| vec!["openid".to_owned()], |item| item.texts());
    let audience = texts(s, "audience");
    let issuers_allowed = texts(s, "issuers_allowed");
    let mut access_tokens = access_tokens::read(s, &auth_methods, &issuers_allowed);
    let exchange = exchange::read(s, &scopes, &audience);
    let takes_tokens = auth_methods
        .iter()
        .any(|kind| matches!(kind, CredentialKind::Bearer | CredentialKind::Introspection));
    if exchange.is_some() && !takes_tokens && !auth_methods.is_empty() {
        s.item.problem::<()>(
            "token_exchange exchanges access tokens that clients present: it needs bearer or introspection in auth_methods",
        );
    }
    let asks_nobody =
        |kind: &CredentialKind| matches!(kind, CredentialKind::Bearer | CredentialKind::UserInfo);
    let needs_client = !auth_methods.iter().all(asks_nobody)
        || access_tokens.methods.introspect_signed
        || exchange.is_some();
    let certificate = certificate(s);
    let possession = possession::read(s, &auth_methods);
    let clients = clients::read(s, needs_client, certificate.is_some());
    let refresh_places = places(s, "refresh_token_param_type");
    let refresh_name = s
        .take("refresh_token_param_name")
        .and_then(|item| param_name(&item));
    let refresh_on = auth_methods.contains(&CredentialKind::RefreshToken);
    if refresh_on && refresh_name.is_none() && !s.item.is_null() {
        s.item.problem::<()>("auth_methods has refresh_token, which finds nothing until refresh_token_param_name is set, such as refresh_token");
    }
    let mut required = Requirements::default();
    requirement(s, "scopes", &mut required.scopes);
    requirement(s, "audience", &mut required.audience);
    requirement(s, "roles", &mut required.roles);
    requirement(s, "groups", &mut required.groups);
    required.forbidden = texts(s, "claims_forbidden");
    required.sources = ClaimSources::new(access_tokens.user_info.wanted);
    let identity = identity::read(s, required.sources);
    let signed_jwt = signed_jwt::read(s, &clients);
    let headers = injections::read(s, &identity, signed_jwt.as_ref());
    access_tokens.user_info.wanted |= headers.carry_user_info();
    let token_post_args = pairs(s, "token_post_args", false)
        .into_iter()
        .map(|(name, value, _)| (name, value))
        .collect();
    let token_headers = pairs(s, "token_headers", true)
        .into_iter()
        .map(|(name, value, _)| (name.to_ascii_lowercase(), value))
        .collect();
    let discovery_headers = pairs(s, "discovery_headers", true)
        .into_iter()
        .filter_map(|(name, value, item)| header_pair(&name, &value, &item))
        .collect();
    let ignore_signature = s.take("ignore_signature").map_or_else(Vec::new, |item| {
        item.list()
            .iter()
            .filter_map(grant_word)
            .flatten()
            .collect()
    });

    let plugin = OidcPlugin {
        provider: provider?,
        auth_methods,
        clients,
        client_arg: text(s, "client_arg", "client_id"),
        scopes,
        audience,
        access_tokens,
        exchange,
        possession,
        client_dpop: flag(s, "client_dpop", false),
        certificate,
        certificate_ssl_verify: flag(s, "tls_client_auth_ssl_verify", true),
        revocation_token_param: text(s, "revocation_token_param_name", "token"),
        refresh_token: refresh_name
            .filter(|_| refresh_on)
            .map(|name| (name, refresh_places)),
        password_places: places(s, "password_param_type"),
        client_credentials_places: places(s, "client_credentials_param_type"),
        token_post_args,
        token_headers,
        discovery_headers,
        rediscovery_lifetime: duration(s, "rediscovery_lifetime", SECOND).unwrap_or(30 * SECOND),
        leeway: duration(s, "leeway", SECOND).unwrap_or_default(),
        verify_signature: flag(s, "verify_signature", true),
        verify_claims: flag(s, "verify_claims", true),
        ignore_signature,
        issuers_allowed,
        required,
        hide_credentials: flag(s, "hide_credentials", true),
        identity,
        headers,
        signed_jwt,
        unauthorized_message: text(s, "unauthorized_error_message", "Unauthorized"),
        forbidden_message: text(s, "forbidden_error_message", "Forbidden"),
        display_errors: flag(s, "display_errors", false),
        expose_error_code: flag(s, "expose_error_code", true),
        cache_tokens: flag(s, "cache_tokens", true),
        cache_ttl: duration(s, "cache_ttl", SECOND).unwrap_or(3600 * SECOND),
        cache_ttl_max: duration(s, "cache_ttl_max", SECOND),
        cache_salt: s.take("cache_tokens_salt").and_then(|item| item.secret()),
        timeout: duration(s, "timeout", Duration::from_millis(1)).unwrap_or(10 * SECOND),
        ssl_verify: flag(s, "ssl_verify", true),
        run_on_preflight: flag(s, "run_on_preflight", true),
        successor_window: duration(s, "successor_window", SECOND).unwrap_or(30 * SECOND),
        follow_rotation: duration(s, "follow_rotation", SECOND),
    };
    s.ignore(&[
        "token_cache_key_include_scope",
        "verify_parameters",
        "keepalive",
    ]);
    let names: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    section.finish(&names);
    Some(plugin)
}

fn provider(s: &mut Section<'_>) -> Option<Provider> {
    let issuer = s.required("issuer");
    let mut url = |name: &str| s.take(name).and_then(|item| item.url());
    let mut endpoints = Endpoints::default();
    endpoints.token = url("token_endpoint");
    endpoints.introspection = url("introspection_endpoint");
    endpoints.userinfo = url("userinfo_endpoint");
    endpoints.revocation = url("revocation_endpoint");
    let mut mtls_endpoints = Endpoints::default();
    mtls_endpoints.token = url("mtls_token_endpoint");
    mtls_endpoints.introspection = url("mtls_introspection_endpoint");
    mtls_endpoints.revocation = url("mtls_revocation_endpoint");
    let jwks = s.take("jwks_endpoint").and_then(|item| item.url());
    let issuer = issuer?;
    let text = issuer.filled_text()?;
    match Provider::new(&text) {
        Ok(mut provider) => {
            provider.endpoints = endpoints;
            provider.mtls_endpoints = mtls_endpoints;
            provider.jwks_uri = jwks;
            Some(provider)
        }
        // Not as it was written: there may be a password in it.
        Err(error) => issuer.problem(format!("cannot be an issuer: {error}")),
    }
}

/// The certificate that `tls_client_auth_cert_id` refers to.
fn certificate(s: &mut Section<'_>) -> Option<Arc<Certificate>> {
    let item = s.take("tls_client_auth_cert_id")?;
    certificates::referred(&item, &item.filled_text()?)
}

fn auth_methods(s: &mut Section<'_>) -> Vec<CredentialKind> {
    let Some(item) = s.take("auth_methods") else {
        s.item.problem::<()>(format!(
            "auth_methods is required here: Kong's default enables methods that are not implemented yet; set it to one or more of {SUPPORTED_METHODS}"
        ));
        return Vec::new();
    };
    let mut methods: Vec<_> = item
        .list()
        .iter()
        .filter_map(|item| match item.text()?.as_str() {
            "bearer" => Some(CredentialKind::Bearer),
            "introspection" => Some(CredentialKind::Introspection),
            "userinfo" => Some(CredentialKind::UserInfo),
            "refresh_token" => Some(CredentialKind::RefreshToken),
            "password" => Some(CredentialKind::Password),
            "client_credentials" => Some(CredentialKind::ClientCredentials),
            word @ ("authorization_code" | "kong_oauth2" | "session") => item.problem(format!(
                "{word} is not implemented yet; allowed: {SUPPORTED_METHODS}"
            )),
            word => item.problem(format!(
                "{} is not an authentication method; allowed: {SUPPORTED_METHODS}",
                item.shown(word)
            )),
        })
        .collect();
    if methods.is_empty() && item.list().is_empty() {
        item.problem::<()>(format!(
            "names no method: nobody could ever pass; allowed: {SUPPORTED_METHODS}"
        ));
    }
    methods.sort_unstable();
    methods.dedup();
    methods
}

fn grant_word(item: &Item<'_>) -> Option<Option<CredentialKind>> {
    item.one_of(&[
        ("refresh_token", Some(CredentialKind::RefreshToken)),
        ("password", Some(CredentialKind::Password)),
        (
            "client_credentials",
            Some(CredentialKind::ClientCredentials),
        ),
        // Kong's other words are for methods that are off here: nothing of theirs is verified.
        ("authorization_code", None),
        ("session", None),
        ("introspection", Some(CredentialKind::Introspection)),
        ("userinfo", Some(CredentialKind::UserInfo)),
    ])
}

fn places(s: &mut Section<'_>, name: &str) -> Vec<Place> {
    let words = [
        ("body", Place::Body),
        ("header", Place::Header),
        ("query", Place::Query),
    ];
    places_or(s, name, &words, &[Place::Header, Place::Query, Place::Body])
}

/// The places that a list names, or those that Kong looks at.
pub(super) fn places_or(
    s: &mut Section<'_>,
    name: &str,
    words: &[(&str, Place)],
    default: &[Place],
) -> Vec<Place> {
    match s.take(name) {
        Some(item) => {
            let mut places: Vec<_> = item
                .list()
                .iter()
                .filter_map(|item| item.one_of(words))
                .collect();
            places.sort_unstable();
            places.dedup();
            places
        }
        None => default.to_vec(),
    }
}

fn param_name(item: &Item<'_>) -> Option<String> {
    let name = item.filled_text()?;
    if header_name(&name).is_err() {
        return item.problem(format!("{} cannot be a header's name", item.shown(&name)));
    }
    Some(name)
}

fn requirement(s: &mut Section<'_>, what: &str, into: &mut Requirement) {
    into.any_of = texts(s, &format!("{what}_required"));
    if let Some(item) = s.take(&format!("{what}_claim")) {
        let path = item.texts();
        if path.is_empty() {
            item.problem::<()>("needs the path of a claim");
        } else {
            into.path = path;
        }
    }
}

/// Parallel lists of names and values.
pub(super) fn pairs<'a>(
    s: &mut Section<'a>,
    what: &str,
    header: bool,
) -> Vec<(String, Secret, Item<'a>)> {
    let names = s.take(&format!("{what}_names"));
    let values = s.take(&format!("{what}_values"));
    let (names_list, values_list) = (
        names.as_ref().map(Item::list).unwrap_or_default(),
        values.as_ref().map(Item::list).unwrap_or_default(),
    );
    if names_list.len() != values_list.len() {
        let item = names.or(values);
        if let Some(item) = item {
            item.problem::<()>(format!(
                "{what}_names and {what}_values need the same number of items"
            ));
        }
        return Vec::new();
    }
    names_list
        .into_iter()
        .zip(values_list)
        .filter_map(|(name, value)| {
            let text = name.filled_text()?;
            let value = value.secret()?;
            if header && header_pair(&text, &value, &name).is_none() {
                return None;
            }
            Some((text, value, name))
        })
        .collect()
}

fn header_pair(name: &str, value: &Secret, item: &Item<'_>) -> Option<(HeaderName, HeaderValue)> {
    let pair = HeaderName::try_from(name)
        .ok()
        .zip(HeaderValue::from_str(value.expose()).ok());
    match pair {
        Some((name, mut value)) => {
            value.set_sensitive(true);
            Some((name, value))
        }
        None => item.problem("is not a header's name, or its value cannot be a header's value"),
    }
}

pub(super) fn flag(s: &mut Section<'_>, name: &str, default: bool) -> bool {
    s.take(name).and_then(|item| item.bool()).unwrap_or(default)
}

pub(super) fn text(s: &mut Section<'_>, name: &str, default: &str) -> String {
    s.take(name)
        .and_then(|item| item.filled_text())
        .unwrap_or_else(|| default.to_owned())
}

pub(super) fn texts(s: &mut Section<'_>, name: &str) -> Vec<String> {
    s.take(name).map(|item| item.texts()).unwrap_or_default()
}

pub(super) fn duration(s: &mut Section<'_>, name: &str, unit: Duration) -> Option<Duration> {
    s.take(name).and_then(|item| item.duration(unit))
}
