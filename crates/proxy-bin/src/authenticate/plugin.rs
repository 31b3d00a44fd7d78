//! One configured plugin, prepared: the extractor, the grant policy, the broker, the answers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use oidc_broker::{Broker, Dry};
use oidc_core::client::assertion::SignError;
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::{Credential, CredentialKind, Denial};
use token_extractors::{Extractor, ExtractorConfig, InvalidName};

use super::inject::{Carried, Injection};
use super::policy::grant_policy;
use crate::config::OidcPlugin;
use crate::keys::{KeysError, OwnKeys};
use crate::respond::Refusals;

/// A plugin as it runs.
pub(crate) struct Plugin {
    extractor: Extractor,
    policy: Arc<GrantPolicy>,
    broker: Broker,
    refusals: Refusals,
    upstream: Vec<Injection>,
    downstream: Vec<Injection>,
    run_on_preflight: bool,
}

/// A plugin that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// A parameter's name cannot be a header's.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The gateway's own keys cannot be used.
    #[error("the gateway's own keys: {0}")]
    Keys(#[from] KeysError),
    /// A client's key does not sign.
    #[error("a client's key: {0}")]
    Sign(#[from] SignError),
}

impl Plugin {
    /// Prepares a plugin.
    ///
    /// # Errors
    /// If a name or a key cannot be used.
    pub(crate) fn prepare(
        config: &OidcPlugin,
        broker: Broker,
        keys: &OwnKeys,
    ) -> Result<Self, PluginError> {
        Ok(Self {
            extractor: Extractor::compile(extractor_config(config))?,
            policy: Arc::new(grant_policy(config, keys)?),
            broker,
            refusals: Refusals::new(
                config.provider.realm(),
                &config.unauthorized_message,
                &config.forbidden_message,
                config.display_errors,
                config.expose_error_code,
            ),
            upstream: Injection::all([
                (Carried::Access, config.upstream_access_token.as_ref()),
                (Carried::Refresh, config.upstream_refresh_token.as_ref()),
                (Carried::Id, config.upstream_id_token.as_ref()),
            ]),
            downstream: Injection::all([
                (Carried::Access, config.downstream_access_token.as_ref()),
                (Carried::Refresh, config.downstream_refresh_token.as_ref()),
                (Carried::Id, config.downstream_id_token.as_ref()),
            ]),
            run_on_preflight: config.run_on_preflight,
        })
    }

    /// Finds credentials in requests.
    #[must_use]
    pub(crate) const fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// How grants are run.
    #[must_use]
    pub(crate) const fn policy(&self) -> &Arc<GrantPolicy> {
        &self.policy
    }

    /// How refusals are answered.
    #[must_use]
    pub(crate) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Whether a request passes without a credential: a preflight, where those are let through.
    #[must_use]
    pub(crate) fn lets_through(&self, method: &Method) -> bool {
        !self.run_on_preflight && *method == Method::OPTIONS
    }

    /// The headers that this plugin writes into requests.
    pub(crate) fn written_upstream(&self) -> impl Iterator<Item = &HeaderName> {
        self.upstream
            .iter()
            .map(|injection| &injection.target().name)
    }

    /// Trades a credential. What it gave is still to be held to what is required.
    ///
    /// # Errors
    /// With the reason for which the request is refused.
    pub(crate) async fn authenticate(
        &self,
        credential: Credential,
        client_arg: Option<&str>,
    ) -> Result<Arc<Granted>, Denial> {
        self.broker
            .grant(&self.policy, credential, client_arg)
            .await
    }

    /// Finds out what else is asked for of what a credential gave.
    ///
    /// # Errors
    /// With the reason for which the request is refused.
    pub(crate) async fn complete(&self, granted: Arc<Granted>) -> Result<Arc<Granted>, Denial> {
        self.broker.complete(&self.policy, granted).await
    }

    /// Holds what a credential gave to what is required.
    ///
    /// # Errors
    /// With what is missing.
    pub(crate) fn permit(&self, granted: &Granted) -> Result<(), Denial> {
        self.policy.requirements.check(granted)
    }

    /// Finds out how a credential would be traded, without calling the token endpoint.
    ///
    /// # Errors
    /// With the reason for which it would not get that far.
    pub(crate) async fn dry_run(
        &self,
        credential: Credential,
        client_arg: Option<&str>,
    ) -> Result<Dry, Denial> {
        self.broker
            .dry_run(&self.policy, credential, client_arg)
            .await
    }

    /// Writes what the upstream is to get.
    pub(crate) fn write_upstream(&self, granted: &Granted, headers: &mut HeaderMap) {
        for injection in &self.upstream {
            injection.write(granted, headers);
        }
    }

    /// Writes what the client is to get.
    pub(crate) fn write_downstream(&self, granted: &Granted, headers: &mut HeaderMap) {
        for injection in &self.downstream {
            injection.write(granted, headers);
        }
    }

    /// Writes the newest refresh token where the client is to get it, into a refusal: the one that
    /// it presented may be spent, and this is the only answer that it gets.
    pub(crate) fn write_newest(&self, granted: &Granted, headers: &mut HeaderMap) {
        let carried = self.downstream.iter();
        for injection in carried.filter(|injection| injection.is_of_refresh_token()) {
            injection.write(granted, headers);
        }
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({})", self.policy.provider.issuer())
    }
}

fn extractor_config(config: &OidcPlugin) -> ExtractorConfig {
    let on = |kind| config.auth_methods.contains(&kind);
    let mut extractor = ExtractorConfig::default();
    let access = &config.access_tokens;
    let methods = access.methods;
    extractor.bearer = (methods.bearer || methods.introspection || methods.userinfo)
        .then(|| access.places.clone());
    extractor.bearer_cookie.clone_from(&access.cookie);
    extractor.bearer_header.clone_from(&access.header);
    extractor.refresh_token = config.refresh_token.clone();
    extractor.password = on(CredentialKind::Password).then(|| config.password_places.clone());
    extractor.client_credentials =
        on(CredentialKind::ClientCredentials).then(|| config.client_credentials_places.clone());
    extractor.client_arg = Some(config.client_arg.clone());
    extractor.hide_credentials = config.hide_credentials;
    extractor
}
