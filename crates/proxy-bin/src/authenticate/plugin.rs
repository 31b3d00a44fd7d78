//! One configured plugin, prepared: the extractor, the grant policy, the broker, the answers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use oidc_broker::{Broker, Dry, Standing};
use oidc_core::authorize::{Identity, IdentityRule};
use oidc_core::client::assertion::SignError;
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::{Credential, CredentialKind, Denial, Reason};
use token_extractors::{Extractor, ExtractorConfig, InvalidName};
use tokio::time::Instant;

use super::inject;
use super::policy::grant_policy;
use super::possession::{AuthoritiesError, DPOP, DPOP_ALGORITHMS, Possession, ProofMemory};
use super::signed_jwt::SignedJwt;
use crate::config::{Carried, Injections, OidcPlugin};
use crate::keys::{KeysError, OwnKeys};
use crate::respond::Refusals;

/// A plugin as it runs.
pub(crate) struct Plugin {
    extractor: Extractor,
    policy: Arc<GrantPolicy>,
    broker: Broker,
    refusals: Refusals,
    identity: IdentityRule,
    headers: Injections,
    signed_jwt: Option<SignedJwt>,
    run_on_preflight: bool,
    possession: Possession,
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
    /// Authorities of client certificates cannot be used.
    #[error("the ca_certificates of proof_of_possession_mtls_from_header cannot be used")]
    Authorities,
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
        proofs: Arc<ProofMemory>,
    ) -> Result<Self, PluginError> {
        let possession = Possession::prepare(&config.possession, proofs)
            .map_err(|AuthoritiesError| PluginError::Authorities)?;
        let realm = config.provider.realm();
        let mut refusals = Refusals::new(
            realm,
            &config.unauthorized_message,
            &config.forbidden_message,
            config.display_errors,
            config.expose_error_code,
        );
        if possession.takes_dpop() {
            refusals = refusals.with_dpop(realm, config.expose_error_code, DPOP_ALGORITHMS);
        }
        Ok(Self {
            extractor: Extractor::compile(extractor_config(config))?,
            policy: Arc::new(grant_policy(config, keys)?),
            broker,
            refusals,
            possession,
            identity: config.identity.clone(),
            headers: config.headers.clone(),
            signed_jwt: match &config.signed_jwt {
                Some(settings) => {
                    let sources = config.identity.sources;
                    Some(SignedJwt::prepare(settings, sources, keys)?)
                }
                None => None,
            },
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

    /// What clients have to prove.
    #[must_use]
    pub(crate) const fn possession(&self) -> &Possession {
        &self.possession
    }

    /// The headers that this plugin keeps for itself: no client's goes upstream.
    pub(crate) fn kept(&self) -> impl Iterator<Item = HeaderName> {
        self.possession.takes_dpop().then_some(DPOP).into_iter()
    }

    /// The headers that this plugin writes into requests, apart from those of whom they are from.
    pub(crate) fn written_upstream(&self) -> impl Iterator<Item = &HeaderName> {
        let own = self.signed_jwt.as_ref().map(SignedJwt::header);
        let carried = self.headers.upstream.iter();
        carried.map(|header| &header.target.name).chain(own)
    }

    /// Whom a request is from that is refused for this reason, if it goes on all the same: where
    /// there is no credential, or a refused one. A malformed one is refused, and so is one without
    /// the permission, or a proof that is to be made again with a nonce.
    pub(crate) fn anonymous(&self, denial: &Denial) -> Option<Identity> {
        let reason = denial.reason();
        let to_be_repeated = matches!(reason, Reason::ProofNonceWanted(_));
        if reason.status() != StatusCode::UNAUTHORIZED || to_be_repeated {
            return None;
        }
        let identity = self.identity.anonymous()?;
        tracing::debug!(reason = reason.code(), "goes on as the anonymous consumer");
        Some(identity)
    }

    /// Trades a credential. What it gave is still to be held to what is required; for how long it
    /// may be given again without asking comes with it.
    ///
    /// # Errors
    /// With the reason for which the request is refused.
    pub(crate) async fn authenticate(
        &self,
        credential: Credential,
        client_arg: Option<&str>,
        deadline: Instant,
    ) -> Result<(Arc<Granted>, Option<Standing>), Denial> {
        self.broker
            .answer_by(&self.policy, credential, client_arg, deadline)
            .await
    }

    /// Whether all that is written for a credential is the same for each of its requests.
    #[must_use]
    pub(crate) fn can_be_recalled(&self) -> bool {
        self.signed_jwt.is_none() && !self.possession.policy().is_on()
    }

    /// Until when the provider may be waited for, on behalf of a request that has come now.
    #[must_use]
    pub(crate) fn deadline(&self) -> Instant {
        self.broker.deadline()
    }

    /// Finds out what else is asked for of what a credential gave.
    ///
    /// # Errors
    /// With the reason for which the request is refused.
    pub(crate) async fn complete(
        &self,
        granted: Arc<Granted>,
        deadline: Instant,
    ) -> Result<Arc<Granted>, Denial> {
        self.broker
            .complete_by(&self.policy, granted, deadline)
            .await
    }

    /// Holds what a credential gave to what is required, and finds out whom it is from.
    ///
    /// # Errors
    /// With what is missing.
    pub(crate) fn permit(&self, granted: &Granted) -> Result<Identity, Denial> {
        self.policy.requirements.check(granted)?;
        self.identity.identify(granted)
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

    /// Writes what the upstream of this service is to get.
    pub(crate) fn write_upstream(
        &self,
        granted: &Granted,
        identity: Option<&Identity>,
        service: &str,
        headers: &mut HeaderMap,
    ) {
        for injection in &self.headers.upstream {
            inject::write(injection, self.identity.sources, granted, headers);
        }
        if let Some(jwt) = &self.signed_jwt {
            jwt.write(granted, identity, service, headers);
        }
    }

    /// Writes what the client is to get.
    pub(crate) fn write_downstream(&self, granted: &Granted, headers: &mut HeaderMap) {
        for injection in &self.headers.downstream {
            inject::write(injection, self.identity.sources, granted, headers);
        }
    }

    /// What the client is told, and what it is not told by its upstream.
    pub(crate) fn told_downstream(
        &self,
        granted: &Granted,
    ) -> Vec<(HeaderName, Option<HeaderValue>)> {
        let mut headers = HeaderMap::new();
        self.write_downstream(granted, &mut headers);
        let names = self.headers.downstream.iter();
        names
            .map(|injection| &injection.target.name)
            .map(|name| (name.clone(), headers.get(name).cloned()))
            .collect()
    }

    /// Writes the newest refresh token where the client is to get it, into a refusal: the one that
    /// it presented may be spent, and this is the only answer that it gets.
    pub(crate) fn write_newest(&self, granted: &Granted, headers: &mut HeaderMap) {
        let carried = self.headers.downstream.iter();
        for injection in carried.filter(|header| header.carried == Carried::RefreshToken) {
            inject::write(injection, self.identity.sources, granted, headers);
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
    extractor.dpop = config.possession.policy.dpop != oidc_core::possession::Enforcement::Off;
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
