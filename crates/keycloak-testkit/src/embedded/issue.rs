//! Tokens in Keycloak's shape: claims in its order, refresh tokens under a key of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, Validation};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::mappers::{mapped, resource_access};
use super::possession::Binding;
use super::state::{Account, LiveRealm, State};
use crate::keys::Algorithm;
use crate::{Client, clock, random};

/// What tokens are issued for.
pub(super) struct Grant<'a> {
    pub(super) client: &'a Client,
    pub(super) account: &'a Account,
    /// The session and whether it is an offline one; a service account has none.
    pub(super) session: Option<(&'a str, bool)>,
    /// Scopes of the access token, `openid` among them or not.
    pub(super) scopes: &'a [String],
    /// Audiences asked for, of those that the client's tokens could have.
    pub(super) audience: Option<&'a [String]>,
    pub(super) binding: &'a Binding,
    /// How Keycloak marks the grant in token identifiers.
    pub(super) mark: &'static str,
}

/// Scopes that every client has without asking.
pub(super) const DEFAULT_SCOPES: [&str; 2] = ["email", "profile"];

/// Scopes that a client may ask for.
pub(super) const OPTIONAL_SCOPES: [&str; 5] = [
    "address",
    "phone",
    "offline_access",
    "microprofile-jwt",
    "organization",
];

/// Scopes that are granted but not named in access tokens.
const HIDDEN_SCOPES: [&str; 5] = ["roles", "web-origins", "acr", "basic", "service_account"];

impl LiveRealm {
    /// The response to a grant, without a refresh token.
    pub(super) fn token_response(&self, state: &mut State, grant: &Grant<'_>) -> Value {
        let now = clock::now();
        let lifespan = lifespan(state, grant.client);
        let claims = self.access_claims(state, grant, now, now + lifespan);
        let claims = self.alterations.apply(|set| &set.access_token, claims);
        let mut access_token = state.signing_key().sign(&claims);
        if grant.client.opaque_tokens {
            let opaque = random::hex(24);
            state.opaque.insert(opaque.clone(), access_token);
            access_token = opaque;
        }
        let mut response = json!({
            "access_token": access_token,
            "expires_in": lifespan,
            "refresh_expires_in": 0,
            "token_type": grant.binding.token_type(),
        });
        if grant.scopes.iter().any(|scope| scope == "openid") {
            response["id_token"] = json!(self.id_token(state, grant, Some(&access_token)));
        }
        response["not-before-policy"] = json!(state.not_before);
        if let Some((session, _)) = grant.session {
            response["session_state"] = json!(session);
        }
        response["scope"] = json!(grant.scopes.join(" "));
        response
    }

    /// An ID token, to go with an access token or alone.
    pub(super) fn id_token(
        &self,
        state: &State,
        grant: &Grant<'_>,
        access_token: Option<&str>,
    ) -> String {
        let now = clock::now();
        let exp = now + lifespan(state, grant.client);
        let claims = self.id_claims(state, grant, now, exp, access_token);
        let claims = self.alterations.apply(|set| &set.id_token, claims);
        state.signing_key().sign(&claims)
    }

    /// A refresh token with its identifier, and how long it lives (0 for ever).
    pub(super) fn refresh_token(
        &self,
        state: &State,
        grant: &Grant<'_>,
        scopes: &[String],
        expires: Option<u64>,
        chain: Option<&str>,
    ) -> (String, String, u64) {
        let now = clock::now();
        let id = random::uuid();
        let (session, offline) = grant.session.unwrap_or_default();
        let mut claims = Map::new();
        if let Some(expires) = expires {
            claims.insert("exp".to_owned(), json!(expires));
        }
        let mut scopes = scopes.to_vec();
        scopes.extend(HIDDEN_SCOPES.map(str::to_owned));
        claims.extend(members(json!({
            "iat": now,
            "jti": id,
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": grant.account.id,
            "typ": if offline { "Offline" } else { "Refresh" },
            "azp": grant.client.id,
            "sid": session,
            "scope": scopes.join(" "),
        })));
        let binding = grant.binding.of_refresh_token(grant.client);
        if let Some(confirmation) = binding.confirmation() {
            claims.insert("cnf".to_owned(), confirmation);
        }
        if let Some(chain) = chain {
            claims.insert("reuse_id".to_owned(), json!(chain));
        }
        let mut header = Header::new(jsonwebtoken::Algorithm::HS512);
        header.kid = Some(state.refresh_key.kid.clone());
        let token = jsonwebtoken::encode(&header, &claims, &state.refresh_key.encoding)
            .expect("claims can be signed");
        (token, id, expires.map_or(0, |end| end.saturating_sub(now)))
    }

    /// The claims of a refresh token of this realm, expired or not.
    pub(super) fn refresh_claims(&self, state: &State, token: &str) -> Option<Value> {
        let mut validation = Validation::new(jsonwebtoken::Algorithm::HS512);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        validation.set_audience(&[&self.issuer]);
        validation.set_issuer(&[&self.issuer]);
        let data = jsonwebtoken::decode(token, &state.refresh_key.decoding, &validation).ok()?;
        let claims: Value = data.claims;
        let typ = claims.get("typ")?.as_str()?;
        (typ == "Refresh" || typ == "Offline").then_some(claims)
    }

    fn access_claims(&self, state: &State, grant: &Grant<'_>, now: u64, exp: u64) -> Value {
        let account = grant.account;
        let audience = grant
            .audience
            .map_or_else(|| audiences(grant.client, account), <[String]>::to_vec);
        let audience = match audience.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        let mut roles = account.user.roles.clone();
        roles.push("offline_access".to_owned());
        roles.push(format!("default-roles-{}", state.realm.name));
        roles.push("uma_authorization".to_owned());
        let mut claims = members(json!({
            "exp": exp,
            "iat": now,
            "jti": format!("{}:{}", grant.mark, random::uuid()),
            "iss": self.issuer,
            "aud": audience,
            "sub": account.id,
            "typ": grant.binding.token_type(),
            "azp": grant.client.id,
        }));
        if let Some((session, _)) = grant.session {
            claims.insert("sid".to_owned(), json!(session));
        }
        claims.extend(members(json!({
            "acr": "1",
            "realm_access": {"roles": roles},
            "resource_access": resource_access(account),
            "scope": grant.scopes.join(" "),
        })));
        claims.extend(profile(account));
        claims.extend(mapped(grant.client, account));
        if let Some(confirmation) = grant.binding.confirmation() {
            claims.insert("cnf".to_owned(), confirmation);
        }
        Value::Object(claims)
    }

    fn id_claims(
        &self,
        state: &State,
        grant: &Grant<'_>,
        now: u64,
        exp: u64,
        access_token: Option<&str>,
    ) -> Value {
        let mut claims = members(json!({
            "exp": exp,
            "iat": now,
            "jti": random::uuid(),
            "iss": self.issuer,
            "aud": grant.client.id,
            "sub": grant.account.id,
            "typ": "ID",
            "azp": grant.client.id,
        }));
        if let Some((session, _)) = grant.session {
            claims.insert("sid".to_owned(), json!(session));
        }
        if let Some(token) = access_token {
            let hash = at_hash(state.signing_key().algorithm(), token);
            claims.insert("at_hash".to_owned(), json!(hash));
        }
        claims.insert("acr".to_owned(), json!("1"));
        claims.extend(profile(grant.account));
        claims.extend(mapped(grant.client, grant.account));
        Value::Object(claims)
    }
}

fn lifespan(state: &State, client: &Client) -> u64 {
    let own = client.access_token_lifespan;
    own.unwrap_or(state.realm.access_token_lifespan).as_secs()
}

/// Whom the client's tokens are for: by its mappers, and by the roles that the user has.
pub(super) fn audiences(client: &Client, account: &Account) -> Vec<String> {
    let of_roles = account.user.client_roles.iter().map(|(of, _)| of);
    let mut audiences = client.audiences.clone();
    for of in of_roles.filter(|of| **of != client.id) {
        if !audiences.contains(of) {
            audiences.push(of.clone());
        }
    }
    audiences.push("account".to_owned());
    audiences
}

/// What the scopes `profile` and `email` bring.
pub(super) fn profile(account: &Account) -> Map<String, Value> {
    let user = &account.user;
    if let Some(client) = &account.client {
        return members(json!({
            "clientHost": "127.0.0.1",
            "email_verified": false,
            "preferred_username": user.name,
            "clientAddress": "127.0.0.1",
            "client_id": client,
        }));
    }
    members(json!({
        "email_verified": true,
        "name": format!("{} {}", user.first_name, user.last_name),
        "preferred_username": user.name,
        "given_name": user.first_name,
        "family_name": user.last_name,
        "email": user.email,
    }))
}

/// OpenID Connect Core §3.1.3.6: the left half of the hash that goes with the algorithm.
fn at_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => {
            Sha256::digest(access_token).to_vec()
        }
        Algorithm::Es384 => Sha384::digest(access_token).to_vec(),
        Algorithm::EdDsa => Sha512::digest(access_token).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
