//! The clients of a plugin: Kong's parallel lists, and each client's way to authenticate.

use std::collections::BTreeMap;
use std::sync::Arc;

use oidc_core::Secret;
use oidc_core::client::assertion::{KeyedSigner, SigningKey};
use oidc_core::jose::Algorithm;
use oidc_core::provider::Endpoint;

use super::document::Tree;
use super::reader::{Item, Section};

/// One client at the provider.
#[derive(Debug)]
pub struct ClientConfig {
    /// The `client_id`.
    pub id: String,
    /// How it authenticates.
    pub auth: ClientAuthMethod,
    /// How it authenticates at other endpoints than the token endpoint, where that differs.
    pub elsewhere: Vec<(Endpoint, ClientAuthMethod)>,
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
    /// `tls_client_auth`.
    Tls,
    /// `self_signed_tls_client_auth`.
    SelfSignedTls,
}

/// The key of `private_key_jwt`.
#[derive(Debug)]
pub enum ClientKey {
    /// Made and published by the gateway.
    Managed(Algorithm),
    /// Given as `client_jwk`.
    Given(Arc<KeyedSigner>),
}

/// Kong's parallel lists, each index one client.
///
/// `needed` tells whether there has to be one, and `certificate` whether there is one to show.
pub(super) fn read(s: &mut Section<'_>, needed: bool, certificate: bool) -> Vec<ClientConfig> {
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
    let mut forced = |name: &str| {
        let item = s.take(name)?;
        Some((method(&item, certificate)?, item))
    };
    let at_token = forced("token_endpoint_auth_method");
    let elsewhere = [
        (
            Endpoint::Introspection,
            forced("introspection_endpoint_auth_method"),
        ),
        (
            Endpoint::Revocation,
            forced("revocation_endpoint_auth_method"),
        ),
    ];
    let at = |name: &str, index: usize| {
        lists
            .get(name)
            .and_then(|list| list.get(index))
            .filter(|item| !item.is_null())
            .cloned()
    };
    let ids = lists["client_id"].len();
    if ids == 0 && needed {
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
            let own = at("client_auth", index)
                .map(|item| (method(&item, certificate), item.clone()));
            let (word, auth_item) = match (own, &at_token) {
                (_, Some((forced, item))) => (*forced, item.clone()),
                (Some((word, item)), None) => (word?, item),
                // A client that only stands for the gateway has nothing to prove.
                (None, None) if secret.is_none() && !needed => (Method::None, id_item),
                (None, None) => (Method::Basic, id_item),
            };
            let algorithm = match alg {
                Some((algorithm, item)) => Some((algorithm?, item)),
                None => None,
            };
            let made = |word: Method, auth_item: &Item<'_>| -> Option<ClientAuthMethod> {
            let need_secret = || match &secret {
                Some(secret) => secret.clone(),
                None => auth_item.problem(format!("{} needs client_secret[{index}]", word.name())),
            };
            Some(match word {
                Method::Tls => ClientAuthMethod::Tls,
                Method::SelfSignedTls => ClientAuthMethod::SelfSignedTls,
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
                    ClientAuthMethod::PrivateKeyJwt(match &jwk {
                        None => ClientKey::Managed(algorithm),
                        Some(item) => ClientKey::Given(signing_key(item, algorithm)?),
                    })
                }
            })
            };
            let auth = made(word, &auth_item);
            let elsewhere = elsewhere
                .iter()
                .filter_map(|(endpoint, forced)| {
                    let (word, item) = forced.as_ref()?;
                    Some((*endpoint, made(*word, item)?))
                })
                .collect();
            Some(ClientConfig {
                id: id?,
                auth: auth?,
                elsewhere,
            })
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Method {
    Tls,
    SelfSignedTls,
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
            Self::Tls => "tls_client_auth",
            Self::SelfSignedTls => "self_signed_tls_client_auth",
        }
    }
}

fn method(item: &Item<'_>, certificate: bool) -> Option<Method> {
    let method = item.one_of(&[
        ("client_secret_basic", Method::Basic),
        ("client_secret_post", Method::Post),
        ("client_secret_jwt", Method::SecretJwt),
        ("private_key_jwt", Method::PrivateKeyJwt),
        ("tls_client_auth", Method::Tls),
        ("self_signed_tls_client_auth", Method::SelfSignedTls),
        ("none", Method::None),
    ])?;
    if matches!(method, Method::Tls | Method::SelfSignedTls) && !certificate {
        return item.problem(format!(
            "{} needs tls_client_auth_cert_id: the certificate to show",
            method.name()
        ));
    }
    Some(method)
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
