//! Refresh tokens that are good for one use: none is ever sent twice.

use gateway_tests::{World, on_both};
use serde_json::json;

/// A realm in which a replay ends the session.
fn rotating() -> gateway_tests::WorldBuilder {
    World::app().realm(|realm| realm.rotation(true))
}

on_both!(
    the_newest_token_is_handed_on_and_works,
    rotating(),
    |world: World| async move {
        let client = world.client();
        let mut token = world.john().await.refresh().to_owned();
        for _ in 0..3 {
            let answer = client
                .get("/")
                .refresh_token(&token)
                .send()
                .await
                .expect(200);
            let next = answer.refresh_token();
            assert_ne!(next, token);
            token = next;
        }
        assert_eq!(world.idp.token_requests().len(), 3);
    }
);

on_both!(
    a_late_request_with_the_old_token_is_not_sent_to_the_provider,
    rotating(),
    |world: World| async move {
        let client = world.client();
        let old = world.john().await.refresh().to_owned();
        let first = client.get("/").refresh_token(&old).send().await.expect(200);
        let late = client.get("/").refresh_token(&old).send().await.expect(200);
        assert_eq!(late.access_token(), first.access_token());
        assert_eq!(late.refresh_token(), first.refresh_token());
        assert_eq!(world.idp.token_requests().len(), 1);
        // The session is alive: its newest token is still good, straight at the provider.
        let newest = first.refresh_token();
        world
            .idp
            .refresh(&newest, world.app_login())
            .await
            .expect("a living session");
    }
);

on_both!(
    who_is_late_by_two_tokens_gets_the_newest,
    rotating(),
    |world: World| async move {
        let client = world.client();
        let oldest = world.john().await.refresh().to_owned();
        let first = client
            .get("/")
            .refresh_token(&oldest)
            .send()
            .await
            .expect(200);
        let older = first.refresh_token();
        let second = client
            .get("/")
            .refresh_token(&older)
            .send()
            .await
            .expect(200);
        let late = client
            .get("/")
            .refresh_token(&oldest)
            .send()
            .await
            .expect(200);
        assert_eq!(late.refresh_token(), second.refresh_token());
        assert_eq!(world.idp.token_requests().len(), 2);
    }
);

on_both!(
    without_a_cache_a_late_request_is_not_a_replay_either,
    rotating().plugin("cache_tokens", json!(false)),
    |world: World| async move {
        let client = world.client();
        let old = world.john().await.refresh().to_owned();
        let first = client.get("/").refresh_token(&old).send().await.expect(200);
        let late = client.get("/").refresh_token(&old).send().await.expect(200);
        assert_eq!(late.refresh_token(), first.refresh_token());
        assert_eq!(world.idp.token_requests().len(), 1);
    }
);

on_both!(
    past_the_window_and_the_cache_a_replay_is_the_providers_to_judge,
    rotating()
        .plugin("cache_tokens", json!(false))
        .plugin("successor_window", json!(0)),
    |world: World| async move {
        let client = world.client();
        let old = world.john().await.refresh().to_owned();
        client.get("/").refresh_token(&old).send().await.expect(200);
        // Keycloak counts uses of the same token, whatever the second.
        let replay = client.get("/").refresh_token(&old).send().await;
        replay.refused(401, "refresh_token.invalid_grant");
        assert_eq!(world.idp.token_requests().len(), 2);
    }
);

on_both!(
    a_client_that_never_learns_is_followed_if_that_is_asked_for,
    rotating()
        .plugin("cache_tokens", json!(false))
        .plugin("successor_window", json!(0))
        .plugin("follow_rotation", json!(3600)),
    |world: World| async move {
        let client = world.client();
        let first_token = world.john().await.refresh().to_owned();
        for _ in 0..4 {
            client
                .get("/")
                .refresh_token(&first_token)
                .send()
                .await
                .expect(200);
        }
        let requests = world.idp.token_requests();
        let mut sent: Vec<_> = requests
            .iter()
            .map(|request| request.param("refresh_token").expect("a token").to_owned())
            .collect();
        assert_eq!(sent.len(), 4, "each request was a refresh of its own");
        sent.sort();
        sent.dedup();
        assert_eq!(sent.len(), 4, "no token was sent twice");
    }
);

on_both!(
    without_rotation_the_presented_token_goes_on_being_good,
    World::app()
        .plugin("cache_tokens", json!(false))
        .plugin("successor_window", json!(0)),
    |world: World| async move {
        let client = world.client();
        let token = world.john().await.refresh().to_owned();
        for _ in 0..3 {
            client
                .get("/")
                .refresh_token(&token)
                .send()
                .await
                .expect(200);
        }
        assert_eq!(world.idp.token_requests().len(), 3);
    }
);

/// A world in which the client is to get the newest refresh token.
fn telling() -> gateway_tests::WorldBuilder {
    rotating()
        .plugin("downstream_refresh_token_header", json!("x_newest"))
        .plugin("downstream_access_token_header", json!("x_access_token"))
}

/// The newest token is in a refusal, and nothing else is; it is alive.
async fn newest_in_refusal(world: World, status: u16) {
    let old = world.john().await.refresh().to_owned();
    let refused = world.client().get("/").refresh_token(&old).send().await;
    let refused = refused.expect(status);
    assert!(!refused.headers.contains_key("x-access-token"));
    let newest = refused.header("x-newest");
    assert_ne!(newest, old);
    world
        .idp
        .refresh(newest, world.app_login())
        .await
        .expect("a living session");
}

on_both!(
    the_newest_token_is_not_lost_to_a_requirement,
    telling().plugin("scopes_required", json!(["nobody-grants-it"])),
    |world: World| newest_in_refusal(world, 403)
);

on_both!(
    the_newest_token_is_not_lost_to_an_upstream_that_is_away,
    telling().config(|config| {
        config.service("url", json!("http://127.0.0.1:1"));
    }),
    |world: World| newest_in_refusal(world, 502)
);
