//! How the gateway's own client proves to be itself to this provider.

use gateway_tests::{ProviderClient, ProviderOptions};
use serde_json::{Value, json};

use crate::world::{APP, APP_SECRET, World, app};

/// A secret that is long enough for HS256.
const LONG_SECRET: &str = "a-secret-that-is-long-enough-for-HS256";

/// Both requests of the seed, by this method; the provider saw the same method each time.
async fn both_requests(world: &World, method: &str) {
    let client = world.client();
    let first = client.get("/").basic("john", "doe").send().await;
    let token = first.expect(200).refresh_token();
    let second = client.get("/").refresh_token(&token).send().await;
    second.expect(200);
    let requests = world.idp.token_requests().await;
    let grants: Vec<_> = requests.iter().map(|it| it.grant.as_str()).collect();
    assert_eq!(grants, ["password", "refresh_token"]);
    for request in requests {
        assert_eq!(request.authentication, method);
        assert_eq!(request.client.as_deref(), Some(APP));
    }
}

/// The gateway as this client, by this method.
async fn by(client: ProviderClient, method: &str, secret: Value) -> Option<World> {
    World::start(ProviderOptions::new().client(client), |config| {
        config
            .plugin("client_auth", json!([method]))
            .plugin("client_secret", json!([secret]));
    })
    .await
}

/// A gateway that is the client `app` by its own published keys.
async fn by_published_keys() -> Option<World> {
    let world = by(ProviderClient::public(APP), "private_key_jwt", json!(null)).await?;
    let keys = world.gateway.jwks_url();
    world.idp.register(ProviderClient::keys(APP, &keys)).await;
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_secret_or_by_nothing() {
    for (client, method, secret) in [
        (app(), "client_secret_basic", json!(APP_SECRET)),
        (
            app().method("client_secret_post"),
            "client_secret_post",
            json!(APP_SECRET),
        ),
        (
            ProviderClient::secret(APP, LONG_SECRET).method("client_secret_jwt"),
            "client_secret_jwt",
            json!(LONG_SECRET),
        ),
        (ProviderClient::public(APP), "none", json!(null)),
    ] {
        let Some(world) = by(client, method, secret).await else {
            return;
        };
        both_requests(&world, method).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_published_keys() {
    let Some(world) = by_published_keys().await else {
        return;
    };
    both_requests(&world, "private_key_jwt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_provider_does_not_know_is_our_misconfiguration() {
    let Some(world) = by_published_keys().await else {
        return;
    };
    let strange = world.idp.http().get("/jwks").send().await.expect(200);
    let client = ProviderClient::new(APP, "private_key_jwt").with("jwks", strange.json());
    world.idp.register(client).await;
    let refused = world.client().get("/").basic("john", "doe").send().await;
    refused.expect(502);
    let requests = world.idp.token_requests().await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].status, Some(401));
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_our_misconfiguration() {
    for method in ["client_secret_basic", "client_secret_post"] {
        let Some(world) = by(app().method(method), method, json!("wrong")).await else {
            return;
        };
        let token = world.john().await.refresh().to_owned();
        let refused = world.client().get("/").refresh_token(&token).send().await;
        refused.expect(502);
        assert!(world.lives_by(&token).await);
    }
}
