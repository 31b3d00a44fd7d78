//! Access tokens that clients present: Kong's parameters for bearer, introspection and user info.

use oidc_core::CredentialKind;
use oidc_core::grant::{Accept, AccessTokens, IntrospectionPolicy, KeySource, UserInfoPolicy};
use token_extractors::{Place, header_name};

use super::plugin::{flag, pairs, places_or, text};
use super::reader::Section;

/// How access tokens are taken.
#[derive(Debug)]
pub struct AccessTokenSettings {
    /// By which methods.
    pub methods: AccessTokens,
    /// Where they are looked for.
    pub places: Vec<Place>,
    /// The cookie that holds one.
    pub cookie: Option<String>,
    /// The one header that holds one, instead of the usual ones.
    pub header: Option<String>,
    /// The JOSE `typ` that they must have.
    pub typ: Option<String>,
    /// Key sets besides the provider's.
    pub key_sources: Vec<KeySource>,
    /// How the provider is asked about them.
    pub introspection: IntrospectionPolicy,
    /// How the provider is asked about their users.
    pub user_info: UserInfoPolicy,
}

pub(super) fn read(
    s: &mut Section<'_>,
    auth_methods: &[CredentialKind],
    issuers_allowed: &[String],
) -> AccessTokenSettings {
    let mut methods = AccessTokens::default();
    methods.bearer = auth_methods.contains(&CredentialKind::Bearer);
    methods.introspection = auth_methods.contains(&CredentialKind::Introspection);
    methods.userinfo = auth_methods.contains(&CredentialKind::UserInfo);
    methods.introspect_signed = flag(s, "introspect_jwt_tokens", false);
    let words = [
        ("body", Place::Body),
        ("header", Place::Header),
        ("query", Place::Query),
        ("cookie", Place::Cookie),
    ];
    let places = places_or(
        s,
        "bearer_token_param_type",
        &words,
        &[Place::Header, Place::Query, Place::Body],
    );
    let cookie_item = s.take("bearer_token_cookie_name");
    let cookie = cookie_item.as_ref().and_then(|item| item.filled_text());
    if places.contains(&Place::Cookie) && cookie.is_none() && cookie_item.is_none() {
        s.item.problem::<()>(
            "bearer_token_param_type has cookie, which finds nothing until bearer_token_cookie_name is set",
        );
    }
    let header = s.take("bearer_token_header_name").and_then(|item| {
        let name = item.filled_text()?;
        if header_name(&name).is_err() {
            return item.problem(format!("{} cannot be a header's name", item.shown(&name)));
        }
        Some(name)
    });
    let typ = s.take("bearer_token_typ").and_then(|item| {
        let typ = item.filled_text()?.to_ascii_lowercase();
        Some(match typ.strip_prefix("application/") {
            Some(bare) => bare.to_owned(),
            None => typ,
        })
    });
    let key_sources = s.take("extra_jwks_uris").map_or_else(Vec::new, |item| {
        item.list()
            .iter()
            .filter_map(|item| Some(KeySource::new(item.url()?, issuers_allowed)))
            .collect()
    });
    AccessTokenSettings {
        methods,
        places,
        cookie,
        header,
        typ,
        key_sources,
        introspection: introspection(s),
        user_info: user_info(s),
    }
}

fn introspection(s: &mut Section<'_>) -> IntrospectionPolicy {
    let mut policy = IntrospectionPolicy::default();
    policy.check_active = flag(s, "introspection_check_active", true);
    policy.check_type = flag(s, "introspection_check_token_type", true);
    policy.token_param = text(s, "introspection_token_param_name", "token");
    policy.hint = text(s, "introspection_hint", "access_token");
    policy.accept = accept(
        s,
        "introspection_accept",
        &[
            ("application/json", Accept::Json),
            (
                "application/token-introspection+jwt",
                Accept::IntrospectionJwt,
            ),
            ("application/jwt", Accept::Jwt),
        ],
    );
    policy.post_args = named(s, "introspection_post_args", false);
    policy.headers = named(s, "introspection_headers", true);
    policy.cache = flag(s, "cache_introspection", true);
    policy
}

fn user_info(s: &mut Section<'_>) -> UserInfoPolicy {
    let mut policy = UserInfoPolicy::default();
    policy.wanted = flag(s, "search_user_info", false);
    policy.accept = accept(
        s,
        "userinfo_accept",
        &[
            ("application/json", Accept::Json),
            ("application/jwt", Accept::Jwt),
        ],
    );
    policy.query_args = named(s, "userinfo_query_args", false);
    policy.headers = named(s, "userinfo_headers", true);
    policy.cache = flag(s, "cache_user_info", true);
    policy
}

fn accept(s: &mut Section<'_>, name: &str, words: &[(&str, Accept)]) -> Accept {
    s.take(name)
        .and_then(|item| item.one_of(words))
        .unwrap_or_default()
}

fn named(s: &mut Section<'_>, what: &str, header: bool) -> Vec<(String, oidc_core::Secret)> {
    pairs(s, what, header)
        .into_iter()
        .map(|(name, value, _)| {
            let name = if header {
                name.to_ascii_lowercase()
            } else {
                name
            };
            (name, value)
        })
        .collect()
}
