//! Opaque access tokens, about which this provider is asked (RFC 7662), and its signed answers
//! (RFC 9701).

use futures_util::future::join_all;
use gateway_tests::{Config, ProviderClient, ProviderOptions, ProviderRequest};
use keycloak_testkit::claims;
use serde_json::json;

use crate::world::{APP, APP_SECRET, World, app};

/// As many requests as come at the same time.
const MANY: usize = 50;
const INTROSPECTION_JWT: &str = "application/token-introspection+jwt";

async fn world_of(client: ProviderClient, change: impl FnOnce(&mut Config)) -> Option<World> {
    World::start(ProviderOptions::new().client(client), |config| {
        config.plugin("auth_methods", json!(["introspection"]));
        change(config);
    })
    .await
}

fn without_memory(config: &mut Config) {
    config.plugin("cache_introspection", json!(false));
}

async fn introspections(world: &World) -> Vec<ProviderRequest> {
    world.idp.requests("/token/introspection").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_token_passes_and_the_provider_is_asked_once() {
    let Some(world) = world_of(app(), |_| ()).await else {
        return;
    };
    let token = world.john().await.access().to_owned();
    assert!(claims(&token).is_null(), "no JWT");
    for _ in 0..3 {
        let answer = world.client().get("/").bearer(&token).send().await;
        assert_eq!(answer.expect(200).access_token(), token);
    }
    let asked = introspections(&world).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].client.as_deref(), Some(APP));
    assert_eq!(asked[0].authentication, "client_secret_basic");
    assert_eq!(asked[0].accept, "application/json");
    assert!(world.idp.token_requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_ask_once_even_where_nothing_is_remembered() {
    for change in [without_memory, |_: &mut Config| ()] {
        let Some(world) = world_of(app(), change).await else {
            return;
        };
        let token = world.john().await.access().to_owned();
        world.idp.hold("/token/introspection").await;
        let asked: Vec<_> = (0..MANY)
            .map(|_| tokio::spawn(world.client().get("/").bearer(&token).send()))
            .collect();
        // All of them have come before the provider answers the first.
        world.under_way(MANY).await;
        world.idp.release().await;
        for answer in join_all(asked).await {
            answer.expect("no panic").expect(200);
        }
        assert_eq!(introspections(&world).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_is_refused() {
    let Some(world) = world_of(app(), without_memory).await else {
        return;
    };
    let client = world.client();
    for by_refresh_token in [false, true] {
        let tokens = world.john().await;
        let token = tokens.access();
        client.get("/").bearer(token).send().await.expect(200);
        let revoked = if by_refresh_token {
            tokens.refresh()
        } else {
            token
        };
        world.idp.revoke(revoked, APP, Some(APP_SECRET)).await;
        let refused = client.get("/").bearer(token).send().await;
        refused.refused(401, "introspection.inactive");
    }
    assert_eq!(introspections(&world).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_token_is_is_refused() {
    let Some(world) = world_of(app(), |_| ()).await else {
        return;
    };
    let refused = world.client().get("/").bearer("garbage").send().await;
    assert_eq!(
        refused.header("www-authenticate"),
        r#"Bearer realm="127.0.0.1", error="invalid_token""#
    );
    refused.refused(401, "introspection.inactive");
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_tokens_that_the_provider_does_not_look_at_are_the_callers_fault() {
    let options = || {
        ProviderOptions::new()
            .client(app())
            .client(ProviderClient::public("signed").jwt_access_tokens())
    };
    let world = World::start(options(), |config| {
        config.plugin("auth_methods", json!(["introspection"]));
    });
    let Some(world) = world.await else {
        return;
    };
    let signed = world.idp.john("signed", None).await;
    let id_token = signed.json()["id_token"].as_str().expect("an ID token");
    for token in [signed.access(), id_token] {
        let refused = world.client().get("/").bearer(token).send().await;
        refused.refused(401, "introspection.unsupported_token_type");
    }
    let asked = introspections(&world).await;
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].status, Some(400));
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_answers_are_verified_and_taken() {
    for algorithm in ["RS256", "ES256"] {
        let client = app().with("introspection_signed_response_alg", algorithm);
        let world = world_of(client, |config| {
            without_memory(config);
            config.plugin("introspection_accept", json!(INTROSPECTION_JWT));
        });
        let Some(world) = world.await else {
            return;
        };
        let client = world.client();
        let token = world.john().await.access().to_owned();
        client.get("/").bearer(&token).send().await.expect(200);
        world.idp.revoke(&token, APP, Some(APP_SECRET)).await;
        let refused = client.get("/").bearer(&token).send().await;
        refused.refused(401, "introspection.inactive");
        let asked = introspections(&world).await;
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|asked| asked.accept == INTROSPECTION_JWT));
        // The keys were needed: the answer was signed.
        assert_eq!(world.idp.requests("/jwks").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_authenticates_by_its_published_keys() {
    let options = ProviderOptions::new()
        .client(ProviderClient::public(APP))
        .client(ProviderClient::public("other"));
    let world = World::start(options, |config| {
        config
            .plugin("auth_methods", json!(["introspection"]))
            .plugin("client_secret", json!(null))
            .plugin("client_auth", json!(["private_key_jwt"]));
    });
    let Some(world) = world.await else {
        return;
    };
    let keys = world.gateway.jwks_url();
    world.idp.register(ProviderClient::keys(APP, &keys)).await;
    let token = world.idp.john("other", None).await.access().to_owned();
    let answer = world.client().get("/").bearer(&token).send().await;
    answer.expect(200);
    let asked = introspections(&world).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].client.as_deref(), Some(APP));
    assert_eq!(asked[0].authentication, "private_key_jwt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_our_misconfiguration() {
    let world = world_of(app(), |config| {
        config.plugin("client_secret", json!(["wrong"]));
    });
    let Some(world) = world.await else {
        return;
    };
    let token = world.john().await.access().to_owned();
    let answer = world.client().get("/").bearer(&token).send().await;
    assert_eq!(answer.expect(502).json()["reason"], json!(null));
    assert_eq!(introspections(&world).await[0].status, Some(401));
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_of_the_answer_is_required() {
    for (scope, allowed) in [("offline_access", true), ("nobody-grants-it", false)] {
        let world = world_of(app(), |config| {
            config.plugin("scopes_required", json!([scope]));
        });
        let Some(world) = world.await else {
            return;
        };
        let token = world.john().await.access().to_owned();
        let answer = world.client().get("/").bearer(&token).send().await;
        if allowed {
            answer.expect(200);
        } else {
            answer.refused(403, "authorization.scope_missing");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_no_access_token() {
    for accept in ["application/json", INTROSPECTION_JWT] {
        let world = world_of(app(), |config| {
            config.plugin("introspection_accept", json!(accept));
        });
        let Some(world) = world.await else {
            return;
        };
        // The provider says that it is active.
        let tokens = world.john().await;
        let request = world.client().get("/").bearer(tokens.refresh());
        request.send().await.expect(401);
        assert_eq!(world.upstream.count(), 0);
    }
}
