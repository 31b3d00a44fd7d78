//! The plugin `openid-connect`: Kong's parameters, typed. Nothing is stringly typed after this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use oidc_core::authorize::{Requirement, Requirements};
use oidc_core::client::assertion::{KeyedSigner, SigningKey};
use oidc_core::jose::Algorithm;
use oidc_core::provider::Provider;
use oidc_core::{CredentialKind, Secret};
use token_extractors::{Place, header_name};

use super::document::Tree;
use super::parameters::{PARAMETERS, Parameter};
use super::reader::{Item, Section, nearest};

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
    /// `upstream_access_token_header`.
    pub upstream_access_token: Option<HeaderTarget>,
    /// `upstream_refresh_token_header`.
    pub upstream_refresh_token: Option<HeaderTarget>,
    /// `upstream_id_token_header`.
    pub upstream_id_token: Option<HeaderTarget>,
    /// `downstream_access_token_header`.
    pub downstream_access_token: Option<HeaderTarget>,
    /// `downstream_refresh_token_header`.
    pub downstream_refresh_token: Option<HeaderTarget>,
    /// `downstream_id_token_header`.
    pub downstream_id_token: Option<HeaderTarget>,
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

/// One client at the provider.
#[derive(Debug)]
pub struct ClientConfig {
    /// The `client_id`.
    pub id: String,
    /// How it authenticates.
    pub auth: ClientAuthMethod,
}

/// How a client authenticates.
#[derive(Debug)]
pub enum ClientAuthMethod {
    /// `none`.
    None,
    /// `client_secret_basic`.
    SecretBasic(Secret),
    /// `client_secret_post`.
    SecretPost(Secret),
    /// `client_secret_jwt`.
    SecretJwt(Secret, Algorithm),
    /// `private_key_jwt`.
    PrivateKeyJwt(ClientKey),
}

/// The key of `private_key_jwt`.
#[derive(Debug)]
pub enum ClientKey {
    /// Made and published by the gateway.
    Managed(Algorithm),
    /// Given as `client_jwk`.
    Given(Arc<KeyedSigner>),
}

/// A header that the gateway writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTarget {
    /// The header.
    pub name: HeaderName,
    /// Whether `Bearer ` stands before the value.
    pub bearer: bool,
}

const SUPPORTED_METHODS: &str = "refresh_token, password, client_credentials";

pub(super) fn read(item: &Item<'_>) -> Option<OidcPlugin> {
    let mut section = item.section()?;
    unsupported(&mut section);
    let s = &mut section;

    let provider = provider(s);
    let auth_methods = auth_methods(s);
    let clients = clients(s);
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
        scopes: s
            .take("scopes")
            .map_or_else(|| vec!["openid".to_owned()], |item| item.texts()),
        audience: texts(s, "audience"),
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
        issuers_allowed: texts(s, "issuers_allowed"),
        required,
        hide_credentials: flag(s, "hide_credentials", true),
        upstream_access_token: match s.take("upstream_access_token_header") {
            Some(item) => target(&item),
            None => Some(HeaderTarget {
                name: http::header::AUTHORIZATION,
                bearer: true,
            }),
        },
        upstream_refresh_token: header(s, "upstream_refresh_token_header"),
        upstream_id_token: header(s, "upstream_id_token_header"),
        downstream_access_token: header(s, "downstream_access_token_header"),
        downstream_refresh_token: header(s, "downstream_refresh_token_header"),
        downstream_id_token: header(s, "downstream_id_token_header"),
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
    written_twice(item, &plugin);
    let names: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    section.finish(&names);
    Some(plugin)
}

/// Parameters that have no effect here: fine at their default, a problem at any other value.
fn unsupported(section: &mut Section<'_>) {
    let names: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    for name in section.names() {
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            continue;
        };
        if parameter.implemented {
            continue;
        }
        let Some(item) = section.take(&name) else {
            continue;
        };
        if !is_default(parameter, item.tree()) {
            let default = parameter.default.unwrap_or("null");
            item.problem::<()>(format!(
                "not implemented yet, and never silently ignored: remove it, or leave it at its default ({default})"
            ));
        }
    }
    debug_assert!(nearest("issuer", &names).is_some());
}

fn is_default(parameter: &Parameter, tree: &Tree) -> bool {
    let default = parameter.default.unwrap_or_default();
    match tree {
        Tree::Null => true,
        Tree::Bool(flag) => default == flag.to_string(),
        Tree::Integer(number) => default == number.to_string(),
        Tree::Float(number) => default == number.to_string(),
        Tree::Text(text) | Tree::Loose(text, _) => parameter.default == Some(text),
        Tree::List(items) => {
            let mut have: Vec<&str> = items
                .iter()
                .map(|item| match &item.value {
                    Tree::Text(text) => text.as_str(),
                    _ => "?",
                })
                .collect();
            let mut want: Vec<&str> = default.split(',').filter(|word| !word.is_empty()).collect();
            have.sort_unstable();
            want.sort_unstable();
            have == want
        }
        // Exports hold `redis` and the like as a table of nulls and of its own defaults.
        Tree::Table(entries) => {
            entries.is_empty()
                || matches!(
                    parameter.name,
                    "redis"
                        | "cluster_cache_redis"
                        | "principals"
                        | "token_exchange"
                        | "proof_of_possession_mtls_from_header"
                ) && entries.iter().all(|(_, node)| is_blank(&node.value))
        }
    }
}

/// A member of an exported table that asks for nothing: Kong fills these in by itself.
fn is_blank(tree: &Tree) -> bool {
    match tree {
        Tree::Null | Tree::Bool(_) | Tree::Integer(_) | Tree::Float(_) => true,
        Tree::Text(text) | Tree::Loose(text, _) => {
            matches!(text.as_str(), "" | "127.0.0.1" | "default")
        }
        Tree::List(items) => items.is_empty(),
        Tree::Table(entries) => entries.iter().all(|(_, node)| is_blank(&node.value)),
    }
}

fn provider(s: &mut Section<'_>) -> Option<Provider> {
    let issuer = s.required("issuer");
    let token_endpoint = s.take("token_endpoint").and_then(|item| item.url());
    let jwks = s.take("jwks_endpoint").and_then(|item| item.url());
    let issuer = issuer?;
    let text = issuer.filled_text()?;
    match Provider::new(&text) {
        Ok(mut provider) => {
            provider.token_endpoint = token_endpoint;
            provider.jwks_uri = jwks;
            Some(provider)
        }
        Err(error) => issuer.problem(format!("{text:?} cannot be an issuer: {error}")),
    }
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
            "refresh_token" => Some(CredentialKind::RefreshToken),
            "password" => Some(CredentialKind::Password),
            "client_credentials" => Some(CredentialKind::ClientCredentials),
            word @ ("authorization_code" | "bearer" | "introspection" | "kong_oauth2"
            | "session" | "userinfo") => item.problem(format!(
                "{word} is not implemented yet; allowed: {SUPPORTED_METHODS}"
            )),
            word => item.problem(format!(
                "{word:?} is not an authentication method; allowed: {SUPPORTED_METHODS}"
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
        ("introspection", None),
        ("userinfo", None),
    ])
}

/// Kong's parallel lists, each index one client.
fn clients(s: &mut Section<'_>) -> Vec<ClientConfig> {
    let mut lists: BTreeMap<&str, Vec<Item<'_>>> = BTreeMap::new();
    for name in [
        "client_id",
        "client_secret",
        "client_auth",
        "client_alg",
        "client_jwk",
    ] {
        lists.insert(
            name,
            s.take(name).map(|item| item.list()).unwrap_or_default(),
        );
    }
    let forced = s
        .take("token_endpoint_auth_method")
        .and_then(|item| method(&item).map(|method| (method, item)));
    let at = |name: &str, index: usize| {
        lists
            .get(name)
            .and_then(|list| list.get(index))
            .filter(|item| !item.is_null())
            .cloned()
    };
    let ids = lists["client_id"].len();
    if ids == 0 {
        s.item
            .problem::<()>("client_id is required: the client that the gateway is at the provider");
    }
    for (name, list) in &lists {
        if let Some(item) = list.get(ids).filter(|_| ids > 0) {
            item.problem::<()>(format!(
                "{name} has more items than client_id: the items at one place belong together"
            ));
        }
    }
    (0..ids)
        .filter_map(|index| {
            let id_item = at("client_id", index)?;
            let id = id_item.filled_text();
            let secret = at("client_secret", index).map(|item| item.secret());
            let alg = at("client_alg", index).map(|item| (algorithm(&item), item.clone()));
            let jwk = at("client_jwk", index);
            let own = at("client_auth", index).map(|item| (method(&item), item.clone()));
            let (word, auth_item) = match (own, &forced) {
                (_, Some((forced, item))) => (*forced, item.clone()),
                (Some((word, item)), None) => (word?, item),
                (None, None) => (Method::Basic, id_item),
            };
            let algorithm = match alg {
                Some((algorithm, item)) => Some((algorithm?, item)),
                None => None,
            };
            let need_secret = || match &secret {
                Some(secret) => secret.clone(),
                None => auth_item.problem(format!("{} needs client_secret[{index}]", word.name())),
            };
            let auth = match word {
                Method::None => ClientAuthMethod::None,
                Method::Basic => ClientAuthMethod::SecretBasic(need_secret()?),
                Method::Post => ClientAuthMethod::SecretPost(need_secret()?),
                Method::SecretJwt => {
                    let secret = need_secret()?;
                    let (algorithm, fits) = match &algorithm {
                        Some((algorithm, item)) => (*algorithm, algorithm.is_symmetric() || item.problem::<()>("client_secret_jwt signs with HS256, HS384 or HS512").is_some()),
                        None => (Algorithm::Hs256, true),
                    };
                    fits.then_some(())?;
                    ClientAuthMethod::SecretJwt(secret, algorithm)
                }
                Method::PrivateKeyJwt => {
                    let (algorithm, fits) = match &algorithm {
                        Some((algorithm, item)) => (*algorithm, !algorithm.is_symmetric() || item.problem::<()>("private_key_jwt signs with an asymmetric algorithm, such as RS256").is_some()),
                        None => (Algorithm::Rs256, true),
                    };
                    fits.then_some(())?;
                    ClientAuthMethod::PrivateKeyJwt(match jwk {
                        None => ClientKey::Managed(algorithm),
                        Some(item) => ClientKey::Given(signing_key(&item, algorithm)?),
                    })
                }
            };
            Some(ClientConfig { id: id?, auth })
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Method {
    None,
    Basic,
    Post,
    SecretJwt,
    PrivateKeyJwt,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::SecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

fn method(item: &Item<'_>) -> Option<Method> {
    if let Tree::Text(word) = item.tree()
        && matches!(
            word.as_str(),
            "tls_client_auth" | "self_signed_tls_client_auth"
        )
    {
        return item.problem(format!("{word} is not implemented yet; allowed: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, none"));
    }
    item.one_of(&[
        ("client_secret_basic", Method::Basic),
        ("client_secret_post", Method::Post),
        ("client_secret_jwt", Method::SecretJwt),
        ("private_key_jwt", Method::PrivateKeyJwt),
        ("none", Method::None),
    ])
}

fn algorithm(item: &Item<'_>) -> Option<Algorithm> {
    let words: Vec<(&str, Algorithm)> = Algorithm::ALL
        .into_iter()
        .map(|alg| (alg.name(), alg))
        .collect();
    item.one_of(&words)
}

/// A private key as a table, or as a text of JSON.
fn signing_key(item: &Item<'_>, algorithm: Algorithm) -> Option<Arc<KeyedSigner>> {
    let jwk = match item.tree() {
        Tree::Table(_) => {
            let mut section = item.section()?;
            let mut jwk = serde_json::Map::new();
            for name in section.names() {
                let Some(member) = section.take(&name) else {
                    continue;
                };
                if let Tree::Text(_) | Tree::Loose(..) = member.tree() {
                    jwk.insert(name, member.text()?.into());
                }
            }
            serde_json::Value::Object(jwk)
        }
        _ => match serde_json::from_str(&item.text()?) {
            Ok(jwk) => jwk,
            Err(_) => return item.problem("is not a JSON Web Key"),
        },
    };
    let signer =
        SigningKey::from_jwk(&jwk, algorithm).and_then(|key| KeyedSigner::new(key, algorithm));
    match signer {
        Ok(signer) => Some(Arc::new(signer)),
        Err(error) => item.problem(format!(
            "is not a private JSON Web Key for {algorithm}: {error}"
        )),
    }
}

fn places(s: &mut Section<'_>, name: &str) -> Vec<Place> {
    let words = [
        ("body", Place::Body),
        ("header", Place::Header),
        ("query", Place::Query),
    ];
    match s.take(name) {
        Some(item) => {
            let mut places: Vec<_> = item
                .list()
                .iter()
                .filter_map(|item| item.one_of(&words))
                .collect();
            places.sort_unstable();
            places.dedup();
            places
        }
        None => vec![Place::Header, Place::Query, Place::Body],
    }
}

fn param_name(item: &Item<'_>) -> Option<String> {
    let name = item.filled_text()?;
    if header_name(&name).is_err() {
        return item.problem(format!("{name:?} cannot be a header's name"));
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
fn pairs<'a>(s: &mut Section<'a>, what: &str, header: bool) -> Vec<(String, Secret, Item<'a>)> {
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

fn header(s: &mut Section<'_>, name: &str) -> Option<HeaderTarget> {
    s.take(name).and_then(|item| target(&item))
}

/// Headers that belong to the message itself, not to whoever configures a gateway.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn target(item: &Item<'_>) -> Option<HeaderTarget> {
    let text = item.filled_text()?;
    let (name, bearer) = match text.split_once(':') {
        Some((name, "bearer")) => (name, true),
        Some(_) => {
            return item.problem(format!(
                "{text:?} is not a header; allowed: a header's name, or name:bearer"
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
                "{name:?} belongs to the message itself and cannot carry a token"
            ))
        }
        Ok(name) => Some(HeaderTarget { name, bearer }),
        Err(_) => item.problem(format!("{name:?} is not a header's name")),
    }
}

/// Two values for one header leave open which the other side reads.
fn written_twice(item: &Item<'_>, plugin: &OidcPlugin) {
    for (way, targets) in [
        (
            "upstream",
            [
                &plugin.upstream_access_token,
                &plugin.upstream_refresh_token,
                &plugin.upstream_id_token,
            ],
        ),
        (
            "downstream",
            [
                &plugin.downstream_access_token,
                &plugin.downstream_refresh_token,
                &plugin.downstream_id_token,
            ],
        ),
    ] {
        let mut names: Vec<_> = targets
            .into_iter()
            .flatten()
            .map(|target| &target.name)
            .collect();
        names.sort_by_key(|name| name.as_str());
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            item.problem::<()>(format!("two {way} headers are both called {}", twice[0]));
        }
    }
}

fn flag(s: &mut Section<'_>, name: &str, default: bool) -> bool {
    s.take(name).and_then(|item| item.bool()).unwrap_or(default)
}

fn text(s: &mut Section<'_>, name: &str, default: &str) -> String {
    s.take(name)
        .and_then(|item| item.filled_text())
        .unwrap_or_else(|| default.to_owned())
}

fn texts(s: &mut Section<'_>, name: &str) -> Vec<String> {
    s.take(name).map(|item| item.texts()).unwrap_or_default()
}

fn duration(s: &mut Section<'_>, name: &str, unit: Duration) -> Option<Duration> {
    s.take(name).and_then(|item| item.duration(unit))
}
