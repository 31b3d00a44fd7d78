//! How the gateway's own client proves to be itself.

use gateway_tests::{APP, APP_SECRET, World, WorldBuilder, on_both};
use keycloak_testkit::Client;
use serde_json::{Value, json};

/// A world whose gateway is this client, by this method.
fn by(client: Client, method: &'static str, secret: Value) -> WorldBuilder {
    let id = client.id().to_owned();
    World::seed()
        .realm(|realm| realm.client(client))
        .plugin("client_auth", json!([method]))
        .plugin("client_secret", json!([secret]))
        .config(move |config| {
            config.plugin("client_id", json!([id]));
        })
}

/// Both requests of the seed, by this method.
async fn both_requests(world: World, method: &'static str) {
    let client = world.client();
    let first = client
        .get("/")
        .basic("john", "doe")
        .send()
        .await
        .expect(200);
    client
        .get("/")
        .refresh_token(&first.refresh_token())
        .send()
        .await
        .expect(200);
    for request in world.idp.token_requests() {
        assert_eq!(request.authentication, method);
    }
}

on_both!(
    client_secret_basic,
    by(
        Client::secret(APP, APP_SECRET),
        "client_secret_basic",
        json!(APP_SECRET)
    ),
    |world| both_requests(world, "client_secret_basic")
);

on_both!(
    client_secret_post,
    by(
        Client::secret(APP, APP_SECRET),
        "client_secret_post",
        json!(APP_SECRET)
    ),
    |world| both_requests(world, "client_secret_post")
);

on_both!(
    client_secret_jwt,
    by(
        Client::secret_jwt(APP, "a-secret-that-is-long-enough-for-HS256"),
        "client_secret_jwt",
        json!("a-secret-that-is-long-enough-for-HS256")
    ),
    |world| both_requests(world, "client_secret_jwt")
);

on_both!(
    none_of_a_public_client,
    by(Client::public(APP), "none", json!(null)),
    |world| both_requests(world, "none")
);

on_both!(
    private_key_jwt_by_the_published_keys,
    World::seed(),
    |world| both_requests(world, "private_key_jwt")
);

on_both!(
    private_key_jwt_goes_on_after_the_gateways_keys_were_rotated,
    World::seed(),
    |world: World| async move {
        let admin = world.gateway.admin();
        let client = world.client();
        client
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        let before = admin
            .get("/openid-connect/jwks")
            .send()
            .await
            .expect(200)
            .json();
        admin
            .request("DELETE", "/openid-connect/jwks")
            .send()
            .await
            .expect(204);
        let after = admin
            .get("/openid-connect/jwks")
            .send()
            .await
            .expect(200)
            .json();
        let kids = |set: &Value| -> Vec<String> {
            let keys = set["keys"].as_array().expect("keys");
            keys.iter()
                .map(|key| key["kid"].as_str().expect("a kid").to_owned())
                .collect()
        };
        assert_eq!(kids(&after).len(), 2);
        assert!(
            kids(&after).contains(&kids(&before)[0]),
            "the old key stays published"
        );
        // Keycloak fetches a client's keys anew at most every ten seconds.
        gateway_tests::eventually("the new key to be known", || async {
            let answer = client.get("/?again").basic("john", "doe").send().await;
            answer.status == 200
        })
        .await;
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn no_assertion_is_used_twice() {
    let world = World::seed()
        .plugin("cache_tokens", json!(false))
        .embedded()
        .await;
    for _ in 0..20 {
        world
            .client()
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
    }
    let requests = world.idp.token_requests();
    let mut ids: Vec<String> = requests
        .iter()
        .map(|request| {
            let assertion = request.param("client_assertion").expect("an assertion");
            let claims = keycloak_testkit::claims(assertion);
            assert_eq!(claims["iss"], "kong");
            assert_eq!(claims["sub"], "kong");
            assert_eq!(claims["aud"], world.idp.issuer());
            claims["jti"].as_str().expect("an id").to_owned()
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}
