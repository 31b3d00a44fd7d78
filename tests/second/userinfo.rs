//! What this provider says about a user, by a token that is opaque.

use gateway_tests::{Config, ProviderClient, ProviderOptions, ProviderRequest};
use serde_json::json;

use crate::world::{APP, APP_SECRET, World, app};

async fn world_of(client: ProviderClient, change: impl FnOnce(&mut Config)) -> Option<World> {
    World::start(ProviderOptions::new().client(client), |config| {
        config.plugin("auth_methods", json!(["userinfo"]));
        change(config);
    })
    .await
}

async fn asked(world: &World) -> Vec<ProviderRequest> {
    world.idp.requests("/me").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_passes_and_is_asked_about_once() {
    let Some(world) = world_of(app(), |_| ()).await else {
        return;
    };
    let token = world.john().await.access().to_owned();
    for _ in 0..3 {
        let answer = world.client().get("/").bearer(&token).send().await;
        assert_eq!(answer.expect(200).access_token(), token);
    }
    let asked = asked(&world).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].accept, "application/json");
    assert!(world.idp.requests("/token/introspection").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_provider_does_not_take_is_refused() {
    let world = world_of(app(), |config| {
        config.plugin("cache_user_info", json!(false));
    });
    let Some(world) = world.await else {
        return;
    };
    let signed = ProviderClient::public("signed").jwt_access_tokens();
    world.idp.register(signed).await;
    let signed = world.idp.john("signed", None).await;
    let client = world.client();
    let tokens = world.john().await;
    let good = tokens.access();
    client.get("/").bearer(good).send().await.expect(200);
    world.idp.revoke(good, APP, Some(APP_SECRET)).await;
    for token in [good, tokens.refresh(), signed.access(), "garbage"] {
        let refused = client.get("/").bearer(token).send().await;
        refused.refused(401, "userinfo.refused");
    }
    assert_eq!(asked(&world).await.len(), 5);
    assert_eq!(world.upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_answer_is_verified_and_taken() {
    for algorithm in ["RS256", "ES256"] {
        let client = app().with("userinfo_signed_response_alg", algorithm);
        let world = world_of(client, |config| {
            config.plugin("userinfo_accept", json!("application/jwt"));
        });
        let Some(world) = world.await else {
            return;
        };
        let token = world.john().await.access().to_owned();
        world
            .client()
            .get("/")
            .bearer(&token)
            .send()
            .await
            .expect(200);
        assert_eq!(asked(&world).await[0].accept, "application/jwt");
        // The keys were needed: the answer was signed.
        assert_eq!(world.idp.requests("/jwks").await.len(), 1);
    }
}

async fn searching(client: ProviderClient, method: &str) -> Option<World> {
    world_of(client, |config| {
        config
            .plugin("auth_methods", json!([method]))
            .plugin("search_user_info", json!(true));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_asked_about_once_after_a_password() {
    let Some(world) = searching(app(), "password").await else {
        return;
    };
    for _ in 0..2 {
        let request = world.client().get("/").basic("john", "doe");
        request.send().await.expect(200);
    }
    let asked = asked(&world).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].status, Some(200));
    assert_eq!(world.idp.token_requests().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_asked_about_once_after_an_introspection() {
    let Some(world) = searching(app(), "introspection").await else {
        return;
    };
    let token = world.john().await.access().to_owned();
    for _ in 0..2 {
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.expect(200);
    }
    let asked = asked(&world).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].status, Some(200));
    assert_eq!(world.idp.requests("/token/introspection").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_nothing_is_told_about_a_user_is_no_failure() {
    // What this provider issues for another audience is not for its own endpoint.
    let Some(world) = searching(app().jwt_access_tokens(), "bearer").await else {
        return;
    };
    let token = world.john().await.access().to_owned();
    let answer = world.client().get("/").bearer(&token).send().await;
    answer.expect(200);
    let asked = asked(&world).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].status, Some(401));
}
