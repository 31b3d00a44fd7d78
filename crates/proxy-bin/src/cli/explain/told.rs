//! What a grant would be, and what came of it, in words. No secret is among them.

use oidc_broker::{Dry, Found};
use oidc_core::CredentialKind;
use oidc_core::client::{ChosenBy, Client};
use oidc_core::grant::{Grant, Granted};
use oidc_core::possession::Enforcement;
use oidc_core::provider::{Endpoint, shown};

use super::{FROM_IDP, TO_IDP, more, step};
use crate::authenticate::Plugin;

pub(super) fn planned(plugin: &Plugin, dry: &Dry) {
    let grant: &Grant = dry.grant();
    let client_id = grant.client().map_or("", Client::id);
    let Some((endpoint, url)) = dry.question() else {
        step(3, TO_IDP, "nothing is asked: the issuer's keys decide");
        found(dry);
        return;
    };
    let method = if endpoint == Endpoint::UserInfo {
        "GET"
    } else {
        "POST"
    };
    match url {
        Some(url) => step(3, TO_IDP, &format!("{method} {}", shown(url))),
        None => step(
            3,
            TO_IDP,
            &format!("the provider names no {} endpoint", endpoint.name()),
        ),
    }
    if endpoint == Endpoint::Token {
        more(&format!("grant_type {}", grant.kind()));
    }
    if grant.kind() == CredentialKind::ClientCredentials {
        more("as the caller's own client");
    } else if let Some(client) = grant.client().filter(|_| endpoint != Endpoint::UserInfo) {
        let why = match grant.chosen_by() {
            ChosenBy::Request => "the request asks for it",
            ChosenBy::AuthorizedParty => "the refresh token was issued to it (azp)",
            ChosenBy::Default => "the first of client_id",
        };
        let method = client.authentication_at(endpoint).method();
        more(&format!("client {:?} by {method}: {why}", client.id()));
    }
    if let Some(azp) = grant.hint().and_then(|hint| hint.azp.as_deref())
        && azp != client_id
    {
        more(&format!(
            "beware: the refresh token says that it was issued to {azp:?}; add that client to client_id"
        ));
    }
    let sends_scopes = matches!(
        grant.kind(),
        CredentialKind::Password | CredentialKind::ClientCredentials
    );
    if sends_scopes && !plugin.policy().scopes.is_empty() {
        more(&format!("scope {:?}", plugin.policy().scopes.join(" ")));
    }
    found(dry);
}

fn found(dry: &Dry) {
    match &dry.found {
        Found::Nothing => {}
        Found::Result(_) => more("not sent: the result is remembered"),
        Found::Successor => more("a newer refresh token would be sent in its place"),
        Found::Refusal(_) => more("not sent: it was refused moments ago"),
    }
}

pub(super) fn received(granted: &Granted) {
    let what = if granted.kind().is_access_token() {
        "nothing that the client did not send"
    } else {
        "tokens"
    };
    step(5, FROM_IDP, what);
    let form = if granted.claims().is_some() {
        "a signed JWT"
    } else {
        "opaque"
    };
    let life = granted.expires_at().since(granted.received_at()).as_secs();
    more(&format!("access token: {form}, good for {life} s"));
    if granted.id_token().is_some() {
        more("ID token");
    }
    if granted.refresh_token().is_some() {
        more("refresh token");
    }
    if let Some(scope) = granted.scope() {
        more(&format!("scope {scope:?}"));
    }
}

/// The checks that tokens are held to, in their order.
pub(super) fn checks(plugin: &Plugin, kind: CredentialKind) -> String {
    let policy = plugin.policy();
    let mut checks = Vec::new();
    let asked = matches!(
        kind,
        CredentialKind::Introspection | CredentialKind::UserInfo
    );
    if asked {
        checks.push("what the provider says");
    } else if policy.verification.checks_signature(kind) {
        checks.push("signature by a key of the issuer");
    }
    if policy.verification.claims && kind != CredentialKind::UserInfo {
        checks.extend(["iss", "exp", "nbf", "iat"]);
    }
    checks.push("token type");
    let required = &policy.requirements;
    for (name, requirement) in [
        ("scopes_required", &required.scopes),
        ("audience_required", &required.audience),
        ("roles_required", &required.roles),
        ("groups_required", &required.groups),
    ] {
        if !requirement.any_of.is_empty() {
            checks.push(name);
        }
    }
    if !required.forbidden.is_empty() {
        checks.push("claims_forbidden");
    }
    checks.join(", ")
}

pub(super) const fn words(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::RefreshToken => "a refresh token",
        CredentialKind::Password => "a user name and a password",
        CredentialKind::ClientCredentials => "a client id and a client secret",
        _ => "an access token",
    }
}

pub(super) fn wire_name(name: &str, place: token_extractors::Place) -> String {
    match place {
        token_extractors::Place::Header => title_case(name),
        _ => format!("{name:?}"),
    }
}

/// `refresh-token` as it stands on the wire: `Refresh-Token`.
pub(super) fn title_case(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let shown = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '-';
            shown
        })
        .collect()
}

/// What would be found out further, and is not without `--run`.
pub(super) fn further(plugin: &Plugin, granted: &Granted) {
    let asked = plugin.policy().further(granted);
    let what = match asked.map(|credential| credential.kind()) {
        Some(CredentialKind::Introspection) => "asked about by introspection",
        Some(CredentialKind::TokenExchange) => "exchanged for another",
        Some(CredentialKind::UserInfo) => "used to ask about the user",
        _ => return,
    };
    more(&format!("it would be {what}: --run does"));
}

/// What the client has to prove, which nobody can on its behalf.
pub(super) fn proofs(plugin: &Plugin, kind: CredentialKind) {
    let policy = plugin.possession().policy();
    if !kind.is_access_token() {
        return;
    }
    for (enforcement, by) in [
        (policy.mtls, "by its certificate"),
        (policy.dpop, "by a DPoP proof"),
    ] {
        match enforcement {
            Enforcement::Off => {}
            Enforcement::Optional => {
                more(&format!(
                    "if the token is bound, its client has to prove that {by}"
                ));
            }
            Enforcement::Strict => {
                more(&format!("the client has to prove that it is its own {by}"))
            }
        }
    }
}
