//! An API whose one route is for callers with an access token of this issuer:
//! `ISSUER=https://idp.example/realms/kong SCOPE=email cargo run -p oidc-broker --features tower --example tower`
//!
//! `SCOPE` is what tokens must hold, and may be left out; `LISTEN` is 127.0.0.1:3000 otherwise.

use std::env;
use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use oidc_broker::layer::AuthenticateLayer;
use oidc_broker::{Broker, HttpTransport};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::provider::Provider;

/// What only somebody known gets to see.
async fn whoami(Extension(granted): Extension<Arc<Granted>>) -> String {
    let subject = granted.claims().and_then(|claims| claims.subject());
    subject.unwrap_or("somebody").to_owned()
}

pub(crate) fn api(issuer: &str, scope: Option<String>) -> anyhow::Result<Router> {
    let mut policy = GrantPolicy::new(Provider::new(issuer)?, Vec::new());
    policy.access_tokens.bearer = true;
    policy.requirements.scopes.any_of = scope.into_iter().collect();
    let broker = Broker::builder(Arc::new(HttpTransport::new()?)).build()?;
    Ok(Router::new()
        .route("/whoami", get(whoami))
        .layer(AuthenticateLayer::new(broker, policy)))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("http://{}/whoami", listener.local_addr()?);
    let api = api(&env::var("ISSUER")?, env::var("SCOPE").ok())?;
    Ok(axum::serve(listener, api).await?)
}
