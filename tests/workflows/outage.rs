//! The provider changes its keys, goes away, answers nonsense, and comes back.

use std::time::Duration;

use gateway_tests::{World, on_both};
use keycloak_testkit::{Endpoint, Fault};
use serde_json::json;

on_both!(
    a_new_signing_key_is_taken_up,
    World::app()
        .plugin("cache_tokens", json!(false))
        .plugin("successor_window", json!(0)),
    |world: World| async move {
        let client = world.client();
        let token = world.john().await.refresh().to_owned();
        let before = client
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        world.idp.rotate_keys().await.expect("rotated");
        let after = client
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        let kid = |token: &str| keycloak_testkit::header(token)["kid"].clone();
        assert_ne!(kid(&before.access_token()), kid(&after.access_token()));
        assert_eq!(world.idp.count(Endpoint::Jwks), 2);
    }
);

on_both!(
    while_it_is_away_callers_get_503_and_what_is_remembered_still_serves,
    World::app(),
    |world: World| async move {
        let client = world.client();
        let known = world.john().await.refresh().to_owned();
        let unknown = world.john().await.refresh().to_owned();
        client
            .get("/")
            .refresh_token(&known)
            .send()
            .await
            .expect(200);
        world.idp.go_down().await;
        client
            .get("/")
            .refresh_token(&known)
            .send()
            .await
            .expect(200);
        let answer = client
            .get("/")
            .refresh_token(&unknown)
            .send()
            .await
            .expect(503);
        assert_ne!(answer.header("retry-after"), "");
        assert_eq!(answer.header("www-authenticate"), "");
        let ready = world.gateway.admin().get("/health/ready").send().await;
        ready.expect(200);
        world.idp.come_back().await.expect("back");
        client
            .get("/")
            .refresh_token(&unknown)
            .send()
            .await
            .expect(200);
    }
);

on_both!(
    a_gateway_that_starts_before_the_provider_recovers_by_itself,
    World::app(),
    |world: World| async move {
        let client = world.client();
        let token = world.john().await.refresh().to_owned();
        world.idp.go_down().await;
        client
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(503);
        world.idp.come_back().await.expect("back");
        gateway_tests::eventually("recovery without a restart", || async {
            client.get("/").refresh_token(&token).send().await.status == 200
        })
        .await;
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_answer() {
    let cases: Vec<(&str, Endpoint, Fault, u16)> = vec![
        ("503", Endpoint::Token, Fault::status(503), 503),
        ("500", Endpoint::Discovery, Fault::status(500), 503),
        ("no keys", Endpoint::Jwks, Fault::status(500), 503),
        ("html", Endpoint::Token, Fault::html(), 502),
        ("html", Endpoint::Discovery, Fault::html(), 502),
        (
            "redirect",
            Endpoint::Token,
            Fault::redirect(307, "http://127.0.0.1:1/"),
            502,
        ),
        (
            "redirect",
            Endpoint::Discovery,
            Fault::redirect(302, "http://127.0.0.1:1/"),
            502,
        ),
        ("huge", Endpoint::Token, Fault::huge(8 * 1024 * 1024), 502),
    ];
    for (what, endpoint, fault, status) in cases {
        let world = World::app().plugin("timeout", json!(5000)).embedded().await;
        let token = world.john().await.refresh().to_owned();
        world.idp.faults().always(endpoint, fault);
        let answer = world.client().get("/").refresh_token(&token).send().await;
        assert_eq!(answer.status.as_u16(), status, "{what} from {endpoint:?}");
        assert_eq!(answer.header("www-authenticate"), "", "{what}");
        assert_eq!(world.upstream.count(), 0, "{what} from {endpoint:?}");
        assert!(
            world.idp.count(Endpoint::Token) <= 1,
            "nothing is sent again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_provider_says_when_to_come_back() {
    let world = World::app().embedded().await;
    let token = world.john().await.refresh().to_owned();
    let busy = Fault::too_many_requests(Duration::from_secs(17));
    world.idp.faults().next(Endpoint::Token, 1, busy);
    let answer = world
        .client()
        .get("/")
        .refresh_token(&token)
        .send()
        .await
        .expect(503);
    assert_eq!(answer.header("retry-after"), "17");
    world
        .client()
        .get("/")
        .refresh_token(&token)
        .send()
        .await
        .expect(200);
}
