//! The user info workflow: the provider is asked with the token about its user.

use gateway_tests::{World, WorldBuilder, on_both};
use keycloak_testkit::{Endpoint, TokenCall};
use serde_json::json;

fn userinfo() -> WorldBuilder {
    World::app().plugin("auth_methods", json!(["userinfo"]))
}

/// Keycloak tells about a user only by a token of the scope `openid`.
async fn with_openid(world: &World) -> String {
    let call = TokenCall::password("john", "doe", world.app_login()).scope("openid");
    let tokens = world.idp.token(&call).await.expect("john's tokens");
    tokens.access_token
}

on_both!(
    a_token_that_the_provider_takes_passes_and_is_asked_about_once,
    userinfo(),
    |world: World| async move {
        let token = with_openid(&world).await;
        for _ in 0..3 {
            let answer = world.client().get("/").bearer(&token).send().await;
            assert_eq!(answer.expect(200).access_token(), token);
        }
        assert_eq!(world.idp.count(Endpoint::Userinfo), 1);
        assert_eq!(world.idp.count(Endpoint::Introspection), 0);
    }
);

on_both!(
    a_token_that_the_provider_refuses_is_refused,
    userinfo(),
    |world: World| async move {
        let answer = world.client().get("/").bearer("garbage").send().await;
        answer.refused(401, "userinfo.refused");
    }
);

on_both!(
    the_user_is_asked_about_after_every_other_method,
    World::app()
        .plugin("auth_methods", json!(["password"]))
        .plugin("search_user_info", json!(true)),
    |world: World| async move {
        let client = world.client();
        for _ in 0..2 {
            client
                .get("/")
                .basic("john", "doe")
                .send()
                .await
                .expect(200);
        }
        assert_eq!(world.idp.count(Endpoint::Userinfo), 1);
    }
);
