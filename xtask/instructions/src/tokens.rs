//! What the broker's decision on a token costs: one that it remembers, and one that it does not.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use oidc_broker::{Broker, Transport, TransportFuture, TransportResponse};
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::provider::Provider;
use oidc_core::{Credential, Secret};
use serde_json::json;

use crate::inputs::{ISSUER, Inputs, NOW};

/// A provider in this process that answers at once.
struct Idp {
    keys: String,
    tokens: String,
}

impl Transport for Idp {
    fn send(&self, request: http::Request<Secret>) -> TransportFuture<'_> {
        let body = match request.uri().path() {
            "/certs" => self.keys.clone(),
            "/token" => self.tokens.clone(),
            _ => json!({
                "issuer": ISSUER,
                "token_endpoint": "https://id.example.com/token",
                "jwks_uri": "https://id.example.com/certs",
            })
            .to_string(),
        };
        let mut headers = http::HeaderMap::new();
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        let response = TransportResponse {
            status: http::StatusCode::OK,
            headers,
            body: body.into_bytes(),
        };
        Box::pin(async { Ok(response) })
    }
}

fn broker(inputs: &Inputs) -> Result<Broker> {
    let tokens = json!({
        "access_token": inputs.rs256,
        "expires_in": 300,
        "refresh_token": inputs.refresh_token.replace('A', "B"),
        "token_type": "Bearer",
        "scope": "openid email profile",
    });
    let idp = Idp {
        keys: inputs.keys.clone(),
        tokens: tokens.to_string(),
    };
    Ok(Broker::builder(Arc::new(idp))
        .clock(Arc::new(|| NOW))
        .build()?)
}

/// A bearer token, remembered or verified each time.
pub(crate) fn bearer(inputs: &Inputs, token: &str, remembered: bool, count: u64) -> Result<()> {
    let mut policy = GrantPolicy::new(Provider::new(ISSUER)?, Vec::new());
    policy.access_tokens.bearer = true;
    policy.cache_tokens = remembered;
    decide(inputs, policy, remembered, count, || {
        Credential::Bearer(Secret::new(black_box(token)))
    })
}

/// A refresh token whose tokens are remembered.
pub(crate) fn refresh_token(inputs: &Inputs, count: u64) -> Result<()> {
    let secret = ClientAuthentication::SecretBasic(Secret::new("secret"));
    let clients = vec![Client::new("shop", secret)];
    let policy = GrantPolicy::new(Provider::new(ISSUER)?, clients);
    decide(inputs, policy, true, count, || {
        Credential::RefreshToken(Secret::new(black_box(inputs.refresh_token.as_str())))
    })
}

fn decide(
    inputs: &Inputs,
    policy: GrantPolicy,
    remembered: bool,
    count: u64,
    credential: impl Fn() -> Credential,
) -> Result<()> {
    let broker = broker(inputs)?;
    let policy = Arc::new(policy);
    let decision = async || -> Result<Arc<Granted>> {
        let deadline = broker.deadline();
        let granted = broker
            .grant_by(&policy, credential(), None, deadline)
            .await
            .ok()
            .context("refused")?;
        let whole = broker.complete_by(&policy, granted, deadline).await;
        whole.ok().context("refused")
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (first, second) = (decision().await?, decision().await?);
        ensure!(
            Arc::ptr_eq(&first, &second) == remembered,
            "it is not remembered as it should be"
        );
        for _ in 0..count {
            black_box(decision().await?);
        }
        Ok(())
    })
}
