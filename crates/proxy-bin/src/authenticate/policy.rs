//! From a configured plugin to the policy by which its grants are run.

use std::sync::Arc;

use oidc_core::client::assertion::{KeyedSigner, SigningKey};
use oidc_core::client::{AssertionSigner, Client, ClientAuthentication};
use oidc_core::grant::{GrantPolicy, SubjectIssuer, TokenExchange};

use super::plugin::PluginError;
use crate::config::{ClientAuthMethod, ClientKey, ExchangeSettings, OidcPlugin};
use crate::keys::OwnKeys;

/// The policy of a plugin.
///
/// # Errors
/// If a key cannot be used.
pub(super) fn grant_policy(
    config: &OidcPlugin,
    keys: &OwnKeys,
) -> Result<GrantPolicy, PluginError> {
    let clients = config
        .clients
        .iter()
        .map(|client| {
            let authentication = authentication(&client.auth, keys)?;
            let made = Client::new(client.id.clone(), authentication);
            client
                .elsewhere
                .iter()
                .try_fold(made, |made, (endpoint, method)| {
                    Ok(made.authenticating_at(*endpoint, self::authentication(method, keys)?))
                })
        })
        .collect::<Result<Vec<_>, PluginError>>()?;
    let mut policy = GrantPolicy::new(config.provider.clone(), clients);
    policy.scopes = config.scopes.clone();
    policy.audience = config.audience.clone();
    policy.token_post_args = config.token_post_args.clone();
    policy.token_headers = config.token_headers.clone();
    policy.verification.signature = config.verify_signature;
    policy.verification.claims = config.verify_claims;
    policy.verification.ignore_signature = config.ignore_signature.clone();
    policy.verification.issuers_allowed = config.issuers_allowed.clone();
    policy.verification.leeway = config.leeway;
    policy
        .verification
        .typ
        .clone_from(&config.access_tokens.typ);
    policy.access_tokens = config.access_tokens.methods;
    policy.key_sources = config.access_tokens.key_sources.clone();
    policy.introspection = config.access_tokens.introspection.clone();
    policy.user_info = config.access_tokens.user_info.clone();
    if config.client_dpop {
        policy.dpop = Some(keys.dpop_client()?);
    }
    policy.revocation_token_param = config.revocation_token_param.clone();
    policy.requirements = config.required.clone();
    policy.cache_tokens = config.cache_tokens;
    policy.cache_ttl = config.cache_ttl;
    policy.cache_ttl_max = config.cache_ttl_max;
    policy.cache_salt = config.cache_salt.clone();
    policy.successor_window = config.successor_window;
    policy.follow_rotation = config.follow_rotation;
    policy.exchange = config
        .exchange
        .as_ref()
        .map(|exchange| token_exchange(exchange, &policy));
    Ok(policy)
}

fn authentication(
    method: &ClientAuthMethod,
    keys: &OwnKeys,
) -> Result<ClientAuthentication, PluginError> {
    Ok(match method {
        ClientAuthMethod::None => ClientAuthentication::None,
        ClientAuthMethod::SecretBasic(secret) => ClientAuthentication::SecretBasic(secret.clone()),
        ClientAuthMethod::SecretPost(secret) => ClientAuthentication::SecretPost(secret.clone()),
        ClientAuthMethod::SecretJwt(secret, algorithm) => {
            let key = SigningKey::from_secret(secret.clone());
            ClientAuthentication::Assertion(Arc::new(KeyedSigner::new(key, *algorithm)?))
        }
        ClientAuthMethod::PrivateKeyJwt(key) => ClientAuthentication::Assertion(match key {
            ClientKey::Managed(algorithm) => keys.signer(*algorithm)?,
            ClientKey::Given(signer) => Arc::clone(signer) as Arc<dyn AssertionSigner>,
        }),
        ClientAuthMethod::Tls => ClientAuthentication::Tls,
        ClientAuthMethod::SelfSignedTls => ClientAuthentication::SelfSignedTls,
    })
}

/// Tokens of another issuer are taken by a policy of their own: its discovery, its keys.
fn token_exchange(settings: &ExchangeSettings, target: &GrantPolicy) -> TokenExchange {
    let mut exchange = TokenExchange::default();
    exchange.audience = settings.audience.clone();
    exchange.scopes = settings.scopes.clone();
    exchange.cache = settings.cache;
    exchange.cache_ttl = settings.cache_ttl;
    exchange.subjects = settings
        .subjects
        .iter()
        .map(|subject| {
            let same = subject.provider.discovery_url() == target.provider.discovery_url();
            let policy = (!same).then(|| {
                let mut policy = GrantPolicy::new(subject.provider.clone(), Vec::new());
                policy.verification = target.verification.clone();
                policy.verification.signature = subject.verify_signature;
                policy.verification.issuers_allowed = vec![subject.issuer.clone()];
                policy.access_tokens.bearer = true;
                policy.cache_tokens = target.cache_tokens;
                policy.cache_ttl_max = target.cache_ttl_max;
                Arc::new(policy)
            });
            SubjectIssuer {
                issuer: subject.issuer.clone(),
                policy,
                conditions: subject.conditions.clone(),
            }
        })
        .collect();
    exchange
}
