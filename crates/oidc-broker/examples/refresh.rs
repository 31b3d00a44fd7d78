//! Trades a refresh token: `refresh ISSUER CLIENT_ID CLIENT_SECRET REFRESH_TOKEN`.
//!
//! Without arguments it does so at an identity provider of its own, to be tried at once:
//! `cargo run -p oidc-broker --example refresh`.

use std::sync::Arc;

use oidc_broker::{Broker, HttpTransport};
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::provider::Provider;
use oidc_core::{Credential, Secret};

async fn refresh(
    issuer: &str,
    id: &str,
    secret: &str,
    token: &str,
) -> anyhow::Result<Arc<Granted>> {
    let secret = ClientAuthentication::SecretBasic(Secret::new(secret));
    let policy = GrantPolicy::new(Provider::new(issuer)?, vec![Client::new(id, secret)]);
    let broker = Broker::builder(Arc::new(HttpTransport::new()?)).build()?;
    let credential = Credential::RefreshToken(Secret::new(token));
    Ok(broker.grant(&Arc::new(policy), credential, None).await?)
}

pub(crate) async fn run(arguments: &[String]) -> anyhow::Result<String> {
    let granted = match arguments {
        [issuer, id, secret, token] => refresh(issuer, id, secret, token).await?,
        [] => {
            use keycloak_testkit::{ClientLogin, EmbeddedIdp, IdentityProvider as _, Realm, seed};
            let idp = EmbeddedIdp::start().await?;
            let realm = idp.realm(&Realm::seed("kong"));
            let tokens = realm
                .log_in(seed::USER, seed::PASSWORD, ClientLogin::service())
                .await?;
            refresh(
                &realm.issuer(),
                "service",
                seed::SERVICE_SECRET,
                tokens.refresh(),
            )
            .await?
        }
        _ => anyhow::bail!("usage: refresh [ISSUER CLIENT_ID CLIENT_SECRET REFRESH_TOKEN]"),
    };
    let whom = granted
        .claims()
        .and_then(|claims| claims.subject())
        .unwrap_or("somebody");
    Ok(format!(
        "tokens for {whom}, verified, good until {:?}",
        granted.expires_at()
    ))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", run(&arguments).await?);
    Ok(())
}
