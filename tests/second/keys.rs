//! Keys of a provider that names no algorithm with its RSA key, and changes keys at any time.

use gateway_tests::ProviderOptions;
use serde_json::json;

use crate::world::{World, app};

/// A gateway that fetches the keys for every unknown one.
async fn world() -> Option<World> {
    let client = app().jwt_access_tokens();
    World::start(ProviderOptions::new().client(client), |config| {
        config.plugin("rediscovery_lifetime", json!(0));
    })
    .await
}

/// A refresh through the gateway, which has to verify what comes.
async fn refresh(world: &World) {
    let token = world.john().await.refresh().to_owned();
    let answer = world.client().get("/").refresh_token(&token).send().await;
    answer.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_gateway_has_not_seen_is_fetched_once() {
    let Some(world) = world().await else {
        return;
    };
    refresh(&world).await;
    assert_eq!(world.idp.requests("/jwks").await.len(), 1);
    world.idp.rotate_keys().await;
    for _ in 0..3 {
        refresh(&world).await;
    }
    assert_eq!(world.idp.requests("/jwks").await.len(), 2);
    world.idp.replace_keys().await;
    refresh(&world).await;
    assert_eq!(world.idp.requests("/jwks").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_by_every_algorithm_are_verified() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let options = ProviderOptions::new()
            .client(app().jwt_access_tokens())
            .access_token_algorithm(algorithm);
        let Some(world) = World::start(options, |_| ()).await else {
            return;
        };
        let token = world.john().await.refresh().to_owned();
        let answer = world.client().get("/").refresh_token(&token).send().await;
        let header = keycloak_testkit::header(&answer.expect(200).access_token());
        assert_eq!(header["alg"], algorithm);
        assert_eq!(header["typ"], "at+jwt");
    }
}
