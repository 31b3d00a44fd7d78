//! Refresh tokens that are good for one use at a provider that ends the grant at the second.

use futures_util::future::join_all;
use gateway_tests::{Config, ProviderClient, ProviderOptions};
use keycloak_testkit::claims;
use serde_json::json;

use crate::world::{APP, World, app};

/// As many requests as come at the same time.
const MANY: usize = 50;

async fn world_of(client: ProviderClient, change: impl FnOnce(&mut Config)) -> Option<World> {
    World::start(ProviderOptions::new().client(client), change).await
}

/// No memory of what was answered: each request is the provider's to judge.
fn without_memory(config: &mut Config) {
    config
        .plugin("cache_tokens", json!(false))
        .plugin("successor_window", json!(0));
}

/// Three refreshes in a row, each with the token that the one before brought. Gives the access
/// tokens that the upstream received.
async fn three_refreshes(world: &World) -> Vec<String> {
    let client = world.client();
    let mut token = world.john().await.refresh().to_owned();
    let mut received = Vec::new();
    for _ in 0..3 {
        let request = client.get("/").refresh_token(&token);
        let answer = request.send().await.expect(200);
        assert_ne!(answer.refresh_token(), token);
        token = answer.refresh_token();
        received.push(answer.access_token());
    }
    let requests = world.idp.token_requests().await;
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.grant, "refresh_token");
        assert_eq!(request.status, Some(200));
        // An absent scope is the one that was granted.
        assert!(!request.parameters.contains(&"scope".to_owned()));
    }
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn jwt_access_tokens_come_by_refreshes() {
    let Some(world) = world_of(app().jwt_access_tokens(), |_| ()).await else {
        return;
    };
    for token in three_refreshes(&world).await {
        let claims = claims(&token);
        assert_eq!(claims["iss"], world.idp.issuer());
        assert_eq!(claims["client_id"], APP);
        assert_eq!(claims["scope"], "openid offline_access");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_access_tokens_come_by_refreshes() {
    let Some(world) = world_of(app(), |_| ()).await else {
        return;
    };
    for token in three_refreshes(&world).await {
        assert!(claims(&token).is_null(), "no JWT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_grant_brings_a_refresh_token_for_offline_access_alone() {
    for (scopes, comes) in [
        (json!(["openid"]), false),
        (json!(["openid", "offline_access"]), true),
    ] {
        let world = world_of(app(), |config| {
            config.plugin("scopes", scopes);
        });
        let Some(world) = world.await else {
            return;
        };
        let request = world.client().get("/").basic("john", "doe");
        let answer = request.send().await.expect(200);
        assert_eq!(answer.upstream_header("Refresh-Token").is_some(), comes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_request_with_the_old_token_is_not_sent_to_the_provider() {
    for client in [app(), app().jwt_access_tokens()] {
        let Some(world) = world_of(client, |_| ()).await else {
            return;
        };
        let client = world.client();
        let old = world.john().await.refresh().to_owned();
        let first = client.get("/").refresh_token(&old).send().await.expect(200);
        let late = client.get("/").refresh_token(&old).send().await.expect(200);
        assert_eq!(late.access_token(), first.access_token());
        assert_eq!(late.refresh_token(), first.refresh_token());
        assert_eq!(world.idp.token_requests().await.len(), 1);
        assert!(world.lives_by(&first.refresh_token()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_ends_the_grant_and_the_gateway_refuses_all_of_its_tokens() {
    let Some(world) = world_of(app(), without_memory).await else {
        return;
    };
    let client = world.client();
    let old = world.john().await.refresh().to_owned();
    let first = client.get("/").refresh_token(&old).send().await.expect(200);
    for token in [old, first.refresh_token()] {
        let refused = client.get("/").refresh_token(&token).send().await;
        refused.refused(401, "refresh_token.invalid_grant");
    }
    assert_eq!(world.idp.token_requests().await.len(), 3);
    assert_eq!(world.upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_learns_is_followed_if_that_is_asked_for() {
    let world = world_of(app(), |config| {
        without_memory(config);
        config.plugin("follow_rotation", json!(3600));
    });
    let Some(world) = world.await else {
        return;
    };
    let client = world.client();
    let first = world.john().await.refresh().to_owned();
    let mut newest = String::new();
    for _ in 0..4 {
        let answer = client.get("/").refresh_token(&first).send().await;
        newest = answer.expect(200).refresh_token();
    }
    assert_eq!(world.idp.token_requests().await.len(), 4);
    assert!(world.lives_by(&newest).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rotation_the_presented_token_goes_on_being_good() {
    let options = ProviderOptions::new().client(app()).rotation(false);
    let Some(world) = World::start(options, without_memory).await else {
        return;
    };
    let client = world.client();
    let token = world.john().await.refresh().to_owned();
    for _ in 0..3 {
        let answer = client.get("/").refresh_token(&token).send().await;
        assert_eq!(answer.expect(200).refresh_token(), token);
    }
    assert_eq!(world.idp.token_requests().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_token_is_refused_like_any_other_that_is_not_good() {
    let options = ProviderOptions::new()
        .client(app())
        .client(ProviderClient::secret("other", "secret"));
    let Some(world) = World::start(options, |_| ()).await else {
        return;
    };
    let others = world.idp.john("other", Some("secret")).await;
    for token in [others.refresh(), "garbage"] {
        let refused = world.client().get("/").refresh_token(token).send().await;
        refused.refused(401, "refresh_token.invalid_grant");
    }
    let again = world
        .idp
        .refresh(others.refresh(), "other", Some("secret"))
        .await;
    again.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_make_one_token_request_and_the_session_lives() {
    for client in [app(), app().jwt_access_tokens()] {
        let Some(world) = world_of(client, |_| ()).await else {
            return;
        };
        let token = world.john().await.refresh().to_owned();
        world.idp.hold("/token").await;
        let asked: Vec<_> = (0..MANY)
            .map(|_| {
                let request = world.client().get("/").refresh_token(&token);
                tokio::spawn(request.send())
            })
            .collect();
        // All of them have come before the provider answers the first.
        world.under_way(MANY).await;
        world.idp.release().await;
        let mut newest: Vec<String> = join_all(asked)
            .await
            .into_iter()
            .map(|answer| answer.expect("no panic").expect(200).refresh_token())
            .collect();
        newest.dedup();
        assert_eq!(newest.len(), 1, "everybody got the same token");
        assert_eq!(world.idp.token_requests().await.len(), 1);
        assert!(world.lives_by(&newest[0]).await);
    }
}
