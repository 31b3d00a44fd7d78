//! What a request costs whose refresh token has been traded already: the way that most take.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use oidc_broker::{Broker, Transport, TransportFuture, TransportResponse};
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::GrantPolicy;
use oidc_core::provider::Provider;
use oidc_core::{Credential, Secret};
use serde_json::json;

/// A provider that answers at once.
struct Idp;

impl Transport for Idp {
    fn send(&self, request: http::Request<Secret>) -> TransportFuture<'_> {
        let body = match request.uri().path() {
            "/token" => json!({
                "access_token": "opaque", "token_type": "Bearer", "expires_in": 3600,
                "refresh_token": "eyJhbGciOiJIUzUxMiJ9.".repeat(41),
            }),
            _ => json!({
                "issuer": "https://idp.test",
                "token_endpoint": "https://idp.test/token",
                "jwks_uri": "https://idp.test/certs",
            }),
        };
        let mut headers = http::HeaderMap::new();
        let json = http::HeaderValue::from_static("application/json");
        headers.insert("content-type", json);
        let response = TransportResponse {
            status: http::StatusCode::OK,
            headers,
            body: body.to_string().into_bytes(),
        };
        Box::pin(async { Ok(response) })
    }
}

fn remembered(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let provider = Provider::new("https://idp.test").expect("an issuer");
    let clients = vec![Client::new("kong", ClientAuthentication::None)];
    let policy = Arc::new(GrantPolicy::new(provider, clients));
    let broker = Broker::builder(Arc::new(Idp)).build().expect("randomness");
    let token = "eyJhbGciOiJIUzUxMiJ9.".repeat(40);
    let grant = async || {
        let credential = Credential::RefreshToken(Secret::new(token.as_str()));
        broker
            .grant(&policy, credential, None)
            .await
            .expect("granted")
    };
    runtime.block_on(grant());
    criterion.bench_function("grant/remembered", |bencher| {
        bencher.iter(|| runtime.block_on(grant()));
    });
}

criterion_group!(benches, remembered);
criterion_main!(benches);
