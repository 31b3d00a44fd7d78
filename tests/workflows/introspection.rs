//! The introspection workflow: the provider is asked about a token, once for as long as it lives.

use gateway_tests::{APP, APP_SECRET, World, WorldBuilder, on_both};
use keycloak_testkit::Endpoint;
use serde_json::json;

/// Keycloak answers only a client that is in the token's audience.
fn introspection() -> WorldBuilder {
    World::app()
        .realm(|realm| realm.change_client(APP, |client| client.audience(APP)))
        .plugin("auth_methods", json!(["introspection"]))
}

on_both!(
    an_active_token_passes_and_the_provider_is_asked_once,
    introspection(),
    |world: World| async move {
        let token = world.john().await.access_token;
        for _ in 0..3 {
            let answer = world.client().get("/").bearer(&token).send().await;
            assert_eq!(answer.expect(200).access_token(), token);
        }
        assert_eq!(world.idp.count(Endpoint::Introspection), 1);
        assert_eq!(world.idp.count(Endpoint::Token), 0);
    }
);

on_both!(
    fifty_at_once_ask_once,
    introspection(),
    |world: World| async move {
        let token = world.john().await.access_token;
        let client = world.client();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let token = token.clone();
            all.spawn(async move { client.get("/").bearer(&token).send().await.status });
        }
        while let Some(status) = all.join_next().await {
            assert_eq!(status.expect("no panic"), 200);
        }
        assert_eq!(world.idp.count(Endpoint::Introspection), 1);
    }
);

on_both!(
    a_token_of_an_ended_session_is_refused,
    introspection().plugin("cache_introspection", json!(false)),
    |world: World| async move {
        let tokens = world.john().await;
        let client = world.client();
        client
            .get("/")
            .bearer(&tokens.access_token)
            .send()
            .await
            .expect(200);
        world.idp.log_out("john").await.expect("logged out");
        let answer = client.get("/").bearer(&tokens.access_token).send().await;
        answer.refused(401, "introspection.inactive");
        assert_eq!(world.idp.count(Endpoint::Introspection), 2);
    }
);

on_both!(
    whatever_is_no_access_token_is_refused,
    introspection(),
    |world: World| async move {
        let tokens = world.john().await;
        for token in [tokens.refresh(), "garbage"] {
            let answer = world.client().get("/").bearer(token).send().await;
            answer.refused(401, "introspection.inactive");
        }
        if let Some(id_token) = &tokens.id_token {
            world
                .client()
                .get("/")
                .bearer(id_token)
                .send()
                .await
                .expect(401);
        }
    }
);

on_both!(
    a_wrong_secret_is_the_gateways_own_fault,
    introspection().plugin("client_secret", json!(["wrong"])),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        assert_eq!(answer.expect(502).json()["reason"], json!(null));
    }
);

on_both!(
    a_verified_token_is_asked_about_too,
    introspection()
        .plugin("auth_methods", json!(["bearer"]))
        .plugin("introspect_jwt_tokens", json!(true))
        .plugin("cache_introspection", json!(false)),
    |world: World| async move {
        let tokens = world.john().await;
        let client = world.client();
        client
            .get("/")
            .bearer(&tokens.access_token)
            .send()
            .await
            .expect(200);
        assert_eq!(world.idp.count(Endpoint::Introspection), 1);
        world.idp.log_out("john").await.expect("logged out");
        let answer = client.get("/").bearer(&tokens.access_token).send().await;
        answer.refused(401, "introspection.inactive");
        // What no key of the issuer signed is not even asked about.
        let answer = client
            .get("/")
            .bearer("eyJhbGciOiJub25lIn0.e30.")
            .send()
            .await;
        answer.refused(401, "token.algorithm_unknown");
        assert_eq!(world.idp.count(Endpoint::Introspection), 2);
    }
);

on_both!(
    the_client_authenticates_as_it_is_told_for_this_endpoint,
    introspection().plugin(
        "introspection_endpoint_auth_method",
        json!("client_secret_post")
    ),
    |world: World| async move {
        let token = world.john().await.access_token;
        world
            .client()
            .get("/")
            .bearer(&token)
            .send()
            .await
            .expect(200);
        assert!(!APP_SECRET.is_empty());
    }
);

on_both!(
    a_scope_of_the_answer_is_required,
    introspection().plugin("scopes_required", json!(["nobody-grants-it"])),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.refused(403, "authorization.scope_missing");
    }
);
