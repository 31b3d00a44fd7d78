//! The plugin `acl`: whose groups are let through, those of the token or those of a consumer.

use gateway_tests::{APP, Answer, World, WorldBuilder, on_both};
use keycloak_testkit::{Client, User};
use serde_json::{Value, json};

/// A world with such a list before its service.
fn listed(list: Value) -> WorldBuilder {
    World::app().config(move |config| {
        let plugins = &mut config.value()["services"][0]["plugins"];
        let plugins = plugins.as_array_mut().expect("a list");
        plugins.push(json!({"name": "acl", "config": list}));
    })
}

/// The same, where the token's scope are the groups.
fn by_scope(list: Value) -> WorldBuilder {
    listed(list).plugin("authenticated_groups_claim", json!(["scope"]))
}

async fn john(world: &World) -> Answer {
    world.client().get("/").basic("john", "doe").send().await
}

on_both!(
    a_group_on_the_list_is_let_through_and_told,
    by_scope(json!({"allow": ["nobody", "email"]})),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        let groups = answer.upstream_header("X-Authenticated-Groups");
        let groups = groups.expect("the groups");
        let mut groups: Vec<&str> = groups.split(", ").collect();
        groups.sort_unstable();
        assert_eq!(groups, ["email", "openid", "profile"]);
    }
);

on_both!(
    groups_are_not_told_where_the_list_says_so,
    by_scope(json!({"allow": ["email"], "hide_groups_header": true})),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        assert_eq!(answer.upstream_header("X-Authenticated-Groups"), None);
    }
);

on_both!(
    whose_groups_are_not_on_the_list_is_refused_in_kongs_words,
    by_scope(json!({"allow": ["staff"]})).plugin("display_errors", json!(false)),
    |world: World| async move {
        let answer = john(&world).await.expect(403);
        assert_eq!(
            answer.text(),
            r#"{"message":"You cannot consume this service"}"#
        );
        assert_eq!(answer.header("www-authenticate"), "");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    a_group_on_the_list_of_the_denied_is_too_much,
    by_scope(json!({"deny": ["email"]})),
    |world: World| async move {
        john(&world).await.refused(403, "acl.group_not_allowed");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    the_groups_of_users_are_told_apart,
    listed(json!({"allow": ["/staff/it"]}))
        .realm(|realm| {
            realm
                .user(User::new("ann", "pw").group("/staff/it").group("/a, b"))
                .user(User::new("bob", "pw").group("/staff"))
                .change_client(APP, Client::groups_claim)
        })
        .plugin("authenticated_groups_claim", json!(["groups"])),
    |world: World| async move {
        let client = world.client();
        let answer = client.get("/").basic("ann", "pw").send().await.expect(200);
        let groups = answer.upstream_header("X-Authenticated-Groups");
        let groups = groups.expect("the groups");
        let mut groups: Vec<&str> = groups.split(", ").collect();
        groups.sort_unstable();
        assert_eq!(groups, ["/a%2C b", "/staff/it"]);
        for (name, password) in [("bob", "pw"), ("john", "doe")] {
            let answer = client.get("/").basic(name, password).send().await;
            answer.refused(403, "acl.group_not_allowed");
        }
    }
);

on_both!(
    a_consumers_groups_go_before_those_of_the_token,
    by_scope(json!({"allow": ["staff"]}))
        .config(|config| {
            config.value()["consumers"] =
                json!([{"username": "john", "acls": [{"group": "staff"}]}]);
        })
        .plugin("consumer_claims", json!([["preferred_username"]])),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        assert_eq!(
            answer.upstream_header("X-Consumer-Groups").as_deref(),
            Some("staff")
        );
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_a_list_where_nobody_is_authenticated() {
    let world = by_scope(json!({"deny": ["staff"]}))
        .config(|config| {
            let service = &mut config.value()["services"][0];
            let acl = service["plugins"][1].clone();
            service["plugins"] = json!([acl]);
        })
        .embedded()
        .await;
    let answer = john(&world).await.expect(403);
    assert_eq!(
        answer.text(),
        r#"{"message":"You cannot consume this service"}"#
    );
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_that_is_let_through_is_held_to_no_list() {
    let world = by_scope(json!({"allow": ["email"]}))
        .plugin("run_on_preflight", json!(false))
        .embedded()
        .await;
    let client = world.client();
    client.request("OPTIONS", "/").send().await.expect(200);
    client.get("/").send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anonymous_consumer_is_held_to_the_list() {
    for (group, status) in [("guests", 200), ("staff", 403)] {
        let world = listed(json!({"allow": [group]}))
            .config(|config| {
                let guest = json!({"username": "guest", "acls": [{"group": "guests"}]});
                config.value()["consumers"] = json!([guest]);
            })
            .plugin("anonymous", json!("guest"))
            .embedded()
            .await;
        world.client().get("/").send().await.expect(status);
    }
}
