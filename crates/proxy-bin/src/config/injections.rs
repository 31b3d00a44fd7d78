//! The headers that carry what a grant gave, up to the upstream and down to the client:
//! `upstream_*_header`, `upstream_headers` and their downstream twins. No two share a name.

use http::HeaderName;
use oidc_core::authorize::IdentityRule;

use super::identity;
use super::reader::{Item, Section};
use super::signed_jwt::SignedJwtSettings;
use super::targets::{self, HeaderTarget};

/// What a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The access token.
    AccessToken,
    /// The key that verified it.
    AccessTokenJwk,
    /// The ID token.
    IdToken,
    /// The key that verified it.
    IdTokenJwk,
    /// The newest refresh token.
    RefreshToken,
    /// What the provider says about the token.
    Introspection,
    /// The same, as it was signed.
    IntrospectionJwt,
    /// What the provider says about the user.
    UserInfo,
    /// The same, as it was signed.
    UserInfoJwt,
    /// A claim, by its path.
    Claim(Vec<String>),
}

/// One header, and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// What it carries.
    pub carried: Carried,
    /// The header.
    pub target: HeaderTarget,
}

/// All headers of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injections {
    /// Those that the upstream gets.
    pub upstream: Vec<Injection>,
    /// Those that the client gets.
    pub downstream: Vec<Injection>,
}

/// What Kong's parameters are called between `upstream_` and `_header`.
const DOCUMENTS: [(&str, Carried); 9] = [
    ("access_token", Carried::AccessToken),
    ("access_token_jwk", Carried::AccessTokenJwk),
    ("id_token", Carried::IdToken),
    ("id_token_jwk", Carried::IdTokenJwk),
    ("refresh_token", Carried::RefreshToken),
    ("introspection", Carried::Introspection),
    ("introspection_jwt", Carried::IntrospectionJwt),
    ("user_info", Carried::UserInfo),
    ("user_info_jwt", Carried::UserInfoJwt),
];

impl Injections {
    /// Whether the provider has to be asked about the user for one of them.
    #[must_use]
    pub fn carry_user_info(&self) -> bool {
        self.upstream
            .iter()
            .chain(&self.downstream)
            .any(|header| matches!(header.carried, Carried::UserInfo | Carried::UserInfoJwt))
    }
}

pub(super) fn read(
    s: &mut Section<'_>,
    identity: &IdentityRule,
    signed_jwt: Option<&SignedJwtSettings>,
) -> Injections {
    let injections = Injections {
        upstream: injections(s, "upstream"),
        downstream: injections(s, "downstream"),
    };
    let mut others: Vec<HeaderName> = identity::written(identity);
    others.extend(signed_jwt.map(|jwt| jwt.header.clone()));
    report_twins(s, "upstream", &injections.upstream, others);
    report_twins(s, "downstream", &injections.downstream, Vec::new());
    injections
}

fn injections(s: &mut Section<'_>, way: &str) -> Vec<Injection> {
    let mut injections: Vec<Injection> = DOCUMENTS
        .into_iter()
        .filter_map(|(name, carried)| {
            let target = match s.take(&format!("{way}_{name}_header")) {
                Some(item) => targets::read(&item)?,
                None if way == "upstream" && carried == Carried::AccessToken => HeaderTarget {
                    name: http::header::AUTHORIZATION,
                    bearer: true,
                },
                None => return None,
            };
            Some(Injection { carried, target })
        })
        .collect();
    for item in listed(s, &format!("{way}_headers")) {
        injections.extend(nested(&item));
    }
    for further in top_level(s, way) {
        // Exports hold the deprecated lists beside their successor.
        if !injections.contains(&further) {
            injections.push(further);
        }
    }
    injections
}

/// An item of `upstream_headers`: a header, and the path of the claim that it carries.
fn nested(item: &Item<'_>) -> Option<Injection> {
    let mut section = item.section()?;
    let header = section.required("header");
    let path = section.required("path");
    section.finish(&["header", "path"]);
    let target = header.and_then(|item| name(&item));
    let path = path.and_then(|item| identity::path(&item));
    Some(Injection {
        carried: Carried::Claim(path?),
        target: target?,
    })
}

/// `upstream_headers_claims` with `upstream_headers_names`: top-level claims.
fn top_level(s: &mut Section<'_>, way: &str) -> Vec<Injection> {
    let claims = listed(s, &format!("{way}_headers_claims"));
    let names = listed(s, &format!("{way}_headers_names"));
    if claims.len() != names.len() {
        s.item.problem::<()>(format!(
            "{way}_headers_claims and {way}_headers_names need the same number of items"
        ));
        return Vec::new();
    }
    claims
        .iter()
        .zip(&names)
        .filter_map(|(claim, header)| {
            let (claim, target) = (claim.filled_text(), name(header));
            Some(Injection {
                carried: Carried::Claim(vec![claim?]),
                target: target?,
            })
        })
        .collect()
}

fn listed<'a>(s: &mut Section<'a>, name: &str) -> Vec<Item<'a>> {
    s.take(name).map(|item| item.list()).unwrap_or_default()
}

/// The header of a claim, which has no scheme before it.
fn name(item: &Item<'_>) -> Option<HeaderTarget> {
    let target = targets::read(item)?;
    if target.bearer {
        return item.problem("a claim is no bearer token: give the header's name alone");
    }
    Some(target)
}

/// Two values for one header leave open which the other side reads.
fn report_twins(s: &Section<'_>, way: &str, injections: &[Injection], others: Vec<HeaderName>) {
    let own = injections.iter().map(|injection| &injection.target.name);
    let mut names: Vec<&HeaderName> = own.chain(&others).collect();
    names.sort_by_key(|name| name.as_str());
    let mut twins: Vec<&HeaderName> = names
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    twins.dedup();
    for twin in twins {
        let beside = if identity::header::ALL.contains(twin) {
            "; the gateway writes it itself"
        } else {
            ""
        };
        s.item
            .problem::<()>(format!("two {way} headers are both called {twin}{beside}"));
    }
}
