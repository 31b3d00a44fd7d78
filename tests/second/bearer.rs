//! Signed access tokens of RFC 9068, by the issuer's keys.

use gateway_tests::{Config, ProviderClient, ProviderOptions};
use keycloak_testkit::header;
use serde_json::json;

use crate::world::{World, app};

async fn world_of(options: ProviderOptions, change: impl FnOnce(&mut Config)) -> Option<World> {
    World::start(options, |config| {
        config.plugin("auth_methods", json!(["bearer"]));
        change(config);
    })
    .await
}

fn signed() -> ProviderOptions {
    ProviderOptions::new().client(app().jwt_access_tokens())
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_tokens_pass_whether_or_not_their_type_is_asked_for() {
    for algorithm in ["RS256", "ES256"] {
        for typ in [json!(null), json!("at+jwt")] {
            let options = signed().access_token_algorithm(algorithm);
            let world = world_of(options, |config| {
                config.plugin("bearer_token_typ", typ);
            });
            let Some(world) = world.await else {
                return;
            };
            let token = world.john().await.access().to_owned();
            let head = header(&token);
            assert_eq!(
                (&head["alg"], &head["typ"]),
                (&json!(algorithm), &json!("at+jwt"))
            );
            for _ in 0..3 {
                let answer = world.client().get("/").bearer(&token).send().await;
                assert_eq!(answer.expect(200).access_token(), token);
            }
            assert_eq!(world.idp.requests("/jwks").await.len(), 1);
            assert!(world.idp.requests("/token/introspection").await.is_empty());
            assert!(world.idp.token_requests().await.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_names_no_type_is_told_apart_by_what_is_asked_for() {
    for (name, value, status, reason) in [
        ("bearer_token_typ", json!("at+jwt"), 401, "token.wrong_type"),
        (
            "audience_required",
            json!(["https://resource.test/api"]),
            403,
            "authorization.audience_missing",
        ),
    ] {
        let world = world_of(signed(), |config| {
            config.plugin(name, value);
        });
        let Some(world) = world.await else {
            return;
        };
        let tokens = world.john().await;
        let id_token = tokens.json()["id_token"].as_str().expect("an ID token");
        assert!(header(id_token)["typ"].is_null());
        let refused = world.client().get("/").bearer(id_token).send().await;
        refused.refused(status, reason);
        assert_eq!(world.upstream.count(), 0);
        let answer = world.client().get("/").bearer(tokens.access()).send().await;
        answer.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_tokens_and_refresh_tokens_are_refused() {
    let Some(world) = world_of(ProviderOptions::new().client(app()), |_| ()).await else {
        return;
    };
    let tokens = world.john().await;
    for token in [tokens.access(), tokens.refresh()] {
        let refused = world.client().get("/").bearer(token).send().await;
        refused.refused(401, "token.opaque");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audience_that_the_token_is_for_can_be_required() {
    for (audience, status) in [("https://resource.test/api", 200), ("app", 403)] {
        let world = world_of(signed(), |config| {
            config.plugin("audience_required", json!([audience]));
        });
        let Some(world) = world.await else {
            return;
        };
        let token = world.john().await.access().to_owned();
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.expect(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_and_opaque_tokens_are_taken_side_by_side() {
    let world = world_of(
        signed().client(ProviderClient::public("opaque")),
        |config| {
            config.plugin("auth_methods", json!(["bearer", "introspection"]));
        },
    );
    let Some(world) = world.await else {
        return;
    };
    let signed = world.john().await.access().to_owned();
    let opaque = world.idp.john("opaque", None).await.access().to_owned();
    for token in [signed, opaque] {
        world
            .client()
            .get("/")
            .bearer(&token)
            .send()
            .await
            .expect(200);
    }
    assert_eq!(world.idp.requests("/token/introspection").await.len(), 1);
}
