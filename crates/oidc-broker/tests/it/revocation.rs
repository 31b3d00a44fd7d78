//! A token that is not needed any more: the provider is told, by its embedded form and by a real
//! Keycloak alike.

use std::sync::Arc;

use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{ClientLogin, Endpoint, IdentityProvider, ProviderKind, Realm};
use oidc_broker::{Broker, HttpTransport};
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{GrantPolicy, TokenTypeHint};
use oidc_core::provider::Provider;
use oidc_core::{Denial, Fault, Secret};

use crate::support::{self, Idp, code, refresh};

/// Makes a test of each case against each provider.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                super::run(super::ProviderKind::Embedded, super::$case).await;
            })*
        }
        mod keycloak {
            $(#[tokio::test]
            async fn $case() {
                super::run(super::ProviderKind::Keycloak, super::$case).await;
            })*
        }
    };
}

on_both!(
    a_revoked_refresh_token_is_refused_afterwards,
    nothing_is_revoked_with_a_wrong_secret,
    what_is_no_token_is_as_good_as_revoked,
);

async fn run(kind: ProviderKind, case: impl AsyncFnOnce(World)) {
    let realm = kind.realm(&Realm::seed("revocation")).await;
    if let Some(idp) = realm.expect("a realm") {
        case(World::of(idp)).await;
    }
}

struct World {
    idp: Box<dyn IdentityProvider>,
    broker: Broker,
}

impl World {
    fn of(idp: Box<dyn IdentityProvider>) -> Self {
        let transport = Arc::new(HttpTransport::new().expect("TLS"));
        let broker = Broker::builder(transport).build().expect("randomness");
        Self { idp, broker }
    }

    fn policy(&self, secret: &str) -> Arc<GrantPolicy> {
        let provider = Provider::new(&self.idp.issuer()).expect("an issuer");
        let secret = ClientAuthentication::SecretBasic(Secret::new(secret));
        let client = Client::new("service", secret);
        Arc::new(GrantPolicy::new(provider, vec![client]))
    }

    async fn refresh_token(&self) -> Secret {
        let tokens = self.idp.log_in(USER, PASSWORD, ClientLogin::service());
        Secret::new(tokens.await.expect("logged in").refresh())
    }

    async fn revoke(&self, secret: &str, token: &Secret) -> Result<(), Denial> {
        let hint = TokenTypeHint::RefreshToken;
        let policy = self.policy(secret);
        self.broker.revoke(&policy, "service", token, hint).await
    }
}

async fn a_revoked_refresh_token_is_refused_afterwards(world: World) {
    let (token, other) = (world.refresh_token().await, world.refresh_token().await);
    world.revoke(SERVICE_SECRET, &token).await.expect("revoked");
    assert_eq!(world.idp.count(Endpoint::Revocation), 1);
    let policy = world.policy(SERVICE_SECRET);
    let refused = world.broker.grant(&policy, refresh(token.expose()), None);
    assert_eq!(code(&refused.await), "refresh_token.invalid_grant");
    // Another session of the same user goes on.
    let granted = world.broker.grant(&policy, refresh(other.expose()), None);
    granted.await.expect("granted");
    world.idp.delete().await.expect("removed");
}

async fn nothing_is_revoked_with_a_wrong_secret(world: World) {
    let token = world.refresh_token().await;
    let denial = world.revoke("wrong", &token).await.expect_err("refused");
    assert_eq!(denial.reason().code(), "client.unauthorized_client");
    assert_eq!(denial.reason().fault(), Fault::Configuration);
    assert_eq!(denial.reason().status(), 502);
    let policy = world.policy(SERVICE_SECRET);
    let granted = world.broker.grant(&policy, refresh(token.expose()), None);
    granted.await.expect("good still");
    world.idp.delete().await.expect("removed");
}

/// RFC 7009 §2.2: what the client wanted is the case.
async fn what_is_no_token_is_as_good_as_revoked(world: World) {
    let token = world.refresh_token().await;
    for token in [&Secret::new("nobody's"), &token, &token] {
        world.revoke(SERVICE_SECRET, token).await.expect("revoked");
    }
    world.idp.delete().await.expect("removed");
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_the_endpoint_cannot_be_told() {
    let idp = Idp::rotating();
    let (broker, policy) = (support::broker(&idp), Arc::new(support::policy()));
    let hint = TokenTypeHint::RefreshToken;
    let token = Secret::new("rt0");
    let revoked = broker.revoke(&policy, "kong", &token, hint).await;
    let denial = revoked.expect_err("no endpoint");
    assert_eq!(denial.reason().code(), "discovery.no_revocation_endpoint");
    assert_eq!(denial.reason().status(), 502);
    assert_eq!(idp.calls("token"), 0);
}
