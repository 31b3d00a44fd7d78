//! Tokens that are mapped to consumers and consumer groups, and requests of nobody who is known.

use gateway_tests::{Answer, World, WorldBuilder, on_both};
use keycloak_testkit::{Endpoint, Fault, claims};
use serde_json::json;

const JOHN_ID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// A world with consumers and consumer groups.
fn known() -> WorldBuilder {
    World::app().config(|config| {
        let root = config.value();
        root["consumers"] = json!([
            {
                "id": JOHN_ID,
                "username": "john",
                "custom_id": "john@example.test",
                "acls": [{"group": "staff"}],
                "groups": [{"name": "gold"}],
            },
            {"id": "g-1", "username": "Guest", "acls": [{"group": "guests"}]},
        ]);
        root["consumer_groups"] = json!([{"name": "gold"}, {"name": "offline_access"}]);
    })
}

async fn john(world: &World) -> Answer {
    world.client().get("/").basic("john", "doe").send().await
}

/// What the upstream was told of whom it is from.
fn told(answer: &Answer) -> Vec<(String, String)> {
    let headers = answer.json()["headers"].clone();
    let all = headers.as_object().expect("headers").clone();
    all.into_iter()
        .filter(|(name, _)| {
            [
                "X-Consumer-",
                "X-Credential-",
                "X-Authenticated-",
                "X-Anonymous-",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        })
        .map(|(name, value)| (name, value.as_str().expect("text").to_owned()))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

on_both!(
    a_token_of_a_consumer_goes_upstream_with_its_names,
    known()
        .plugin("consumer_claims", json!([["preferred_username"]]))
        .plugin("consumer_by", json!(["username"])),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        let subject = claims(&answer.access_token())["sub"].clone();
        assert_eq!(
            told(&answer),
            pairs(&[
                ("X-Consumer-Custom-Id", "john@example.test"),
                ("X-Consumer-Groups", "staff, gold"),
                ("X-Consumer-Id", JOHN_ID),
                ("X-Consumer-Username", "john"),
                ("X-Credential-Identifier", subject.as_str().expect("text")),
            ])
        );
    }
);

on_both!(
    the_first_claim_that_names_a_consumer_decides,
    known().plugin(
        "consumer_claims",
        json!([["sub"], ["realm_access", "no"], ["email"]])
    ),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        assert_eq!(
            answer.upstream_header("X-Consumer-Id").as_deref(),
            Some(JOHN_ID)
        );
    }
);

on_both!(
    kongs_deprecated_parameter_still_works,
    known()
        .plugin("consumer_claim", json!(["preferred_username"]))
        .plugin("consumer_by", json!(["username"])),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        assert_eq!(
            answer.upstream_header("X-Consumer-Id").as_deref(),
            Some(JOHN_ID)
        );
    }
);

on_both!(
    a_token_of_no_consumer_is_refused,
    known()
        .plugin("consumer_claims", json!([["preferred_username"]]))
        .plugin("consumer_by", json!(["id"])),
    |world: World| async move {
        let answer = john(&world).await;
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="127.0.0.1", error="insufficient_scope""#
        );
        answer.refused(403, "authorization.consumer_unknown");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    a_token_of_no_consumer_passes_where_none_is_needed,
    known()
        .plugin("consumer_claims", json!([["preferred_username"]]))
        .plugin("consumer_by", json!(["id"]))
        .plugin("consumer_optional", json!(true))
        .plugin("credential_claim", json!(["azp"])),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        assert_eq!(told(&answer), pairs(&[("X-Credential-Identifier", "app")]));
    }
);

on_both!(
    a_token_of_a_consumer_group_goes_upstream_with_it,
    known().plugin("consumer_groups_claim", json!(["realm_access", "roles"])),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        let groups = answer.upstream_header("X-Consumer-Groups");
        assert_eq!(groups.as_deref(), Some("offline_access"));
        assert_eq!(answer.upstream_header("X-Consumer-Id"), None);
    }
);

on_both!(
    a_token_of_no_consumer_group_is_refused_with_401,
    known().plugin("consumer_groups_claim", json!(["preferred_username"])),
    |world: World| async move {
        let answer = john(&world).await;
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="127.0.0.1""#
        );
        answer.refused(401, "authorization.consumer_group_unknown");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    a_token_of_no_consumer_group_passes_where_none_is_needed,
    known()
        .plugin("consumer_groups_claim", json!(["preferred_username"]))
        .plugin("consumer_groups_optional", json!(true)),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        assert_eq!(answer.upstream_header("X-Consumer-Groups"), None);
    }
);

/// A world in which the consumer `Guest` stands for whoever is not authenticated.
fn open() -> WorldBuilder {
    known().plugin("anonymous", json!("Guest"))
}

on_both!(
    whoever_is_not_authenticated_goes_on_as_the_anonymous_consumer,
    open().plugin("hide_credentials", json!(false)),
    |world: World| async move {
        let client = world.client();
        for request in [
            client.get("/"),
            client.get("/").basic("john", "wrong"),
            client.get("/").refresh_token("garbage"),
        ] {
            let answer = request.send().await.expect(200);
            assert_eq!(answer.upstream_header("Authorization"), None);
            assert_eq!(answer.upstream_header("Refresh-Token"), None);
            assert_eq!(
                told(&answer),
                pairs(&[
                    ("X-Anonymous-Consumer", "true"),
                    ("X-Consumer-Groups", "guests"),
                    ("X-Consumer-Id", "g-1"),
                    ("X-Consumer-Username", "Guest"),
                ])
            );
        }
        // The twin: somebody who is known is not anonymous.
        let answer = john(&world).await.expect(200);
        assert_eq!(answer.upstream_header("X-Anonymous-Consumer"), None);
        assert_eq!(answer.upstream_header("X-Consumer-Username"), None);
        assert!(answer.access_token().len() > 20);
    }
);

on_both!(
    a_malformed_credential_a_missing_permission_and_an_absent_provider_are_refused_all_the_same,
    open().plugin("scopes_required", json!(["nobody-grants-it"])),
    |world: World| async move {
        let client = world.client();
        let malformed = client.get("/").header("Authorization", "Basic !");
        malformed.send().await.expect(400);
        john(&world)
            .await
            .refused(403, "authorization.scope_missing");
        world
            .idp
            .faults()
            .always(Endpoint::Token, Fault::status(503));
        let away = client.get("/").basic("john", "other");
        away.send().await.expect(503);
        assert_eq!(world.upstream.count(), 0);
    }
);
