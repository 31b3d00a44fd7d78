//! What a verified token has to hold before its request is forwarded.

use gateway_tests::{APP, World, WorldBuilder, on_both};
use keycloak_testkit::{Client, Realm, User};
use serde_json::{Value, json};

/// A world with one requirement.
fn requiring(name: &'static str, value: Value) -> WorldBuilder {
    World::app().plugin(name, value)
}

/// The answer to a good refresh token.
async fn answer(world: &World) -> gateway_tests::Answer {
    let token = world.john().await;
    world
        .client()
        .get("/")
        .refresh_token(token.refresh())
        .send()
        .await
}

async fn allowed(world: World) {
    answer(&world).await.expect(200);
}

async fn forbidden(world: World, reason: &str) {
    let answer = answer(&world).await;
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Bearer realm="127.0.0.1", error="insufficient_scope""#
    );
    answer.refused(403, reason);
    assert_eq!(world.upstream.count(), 0);
}

on_both!(
    a_scope_that_is_there,
    requiring(
        "scopes_required",
        json!(["nobody-grants-it", "email profile"])
    ),
    allowed
);

on_both!(
    a_scope_that_is_missing,
    requiring("scopes_required", json!(["email nobody-grants-it"])),
    |world| forbidden(world, "authorization.scope_missing")
);

on_both!(
    an_audience_that_is_there,
    requiring("audience_required", json!(["account"])),
    allowed
);

on_both!(
    an_audience_that_is_missing,
    requiring("audience_required", json!(["somebody-else"])),
    |world| forbidden(world, "authorization.audience_missing")
);

on_both!(
    a_nested_role_that_is_there,
    requiring("roles_required", json!(["offline_access"]))
        .plugin("roles_claim", json!(["realm_access", "roles"])),
    allowed
);

on_both!(
    a_nested_role_that_is_missing,
    requiring("roles_required", json!(["administrator"]))
        .plugin("roles_claim", json!(["realm_access", "roles"])),
    |world| forbidden(world, "authorization.role_missing")
);

on_both!(
    a_claim_that_is_not_there_at_all,
    requiring("groups_required", json!(["staff"])),
    |world| forbidden(world, "authorization.group_missing")
);

on_both!(
    a_forbidden_claim_that_is_not_there,
    requiring("claims_forbidden", json!(["nobody-has-it"])),
    allowed
);

on_both!(
    a_forbidden_claim_that_is_there,
    requiring("claims_forbidden", json!(["nobody-has-it", "realm_access"])),
    |world| forbidden(world, "authorization.claim_forbidden")
);

/// Ann, who is in one group.
fn ann(realm: Realm) -> Realm {
    realm
        .user(User::new("ann", "pw").group("/staff/it"))
        .change_client(APP, Client::groups_claim)
}

on_both!(
    a_group_that_some_are_in,
    requiring("groups_required", json!(["/staff/it"])).realm(ann),
    |world: World| async move {
        let client = world.client();
        client.get("/").basic("ann", "pw").send().await.expect(200);
        let answer = client.get("/").basic("john", "doe").send().await;
        answer.refused(403, "authorization.group_missing");
        assert_eq!(world.upstream.count(), 1);
    }
);
