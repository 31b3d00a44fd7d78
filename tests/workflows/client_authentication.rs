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

/// The key that signed the last assertion that reached the provider.
fn signed_by(world: &World) -> String {
    let requests = world.idp.token_requests();
    let request = requests.last().expect("a token request");
    let assertion = request.param("client_assertion").expect("an assertion");
    let header = keycloak_testkit::header(assertion);
    header["kid"].as_str().expect("a kid").to_owned()
}

/// The ids of the keys that the gateway publishes.
async fn published(world: &World) -> Vec<String> {
    let set = world.gateway.admin().get("/openid-connect/jwks");
    let set = set.send().await.expect(200).json();
    let keys = set["keys"].as_array().expect("keys");
    keys.iter()
        .map(|key| key["kid"].as_str().expect("a kid").to_owned())
        .collect()
}

on_both!(
    private_key_jwt_goes_on_without_a_gap_while_the_gateways_keys_are_rotated,
    // Longer than Keycloak lets pass between two looks at a client's keys.
    World::seed()
        .plugin("cache_tokens", json!(false))
        .gateway("keys", json!({"overlap": "11s"})),
    |world: World| async move {
        let client = world.client();
        let sign_in = async || client.get("/").basic("john", "doe").send().await;
        sign_in().await.expect(200);
        let before = published(&world).await;
        let rotate = || {
            world
                .gateway
                .admin()
                .request("DELETE", "/openid-connect/jwks")
        };
        rotate().send().await.expect(204);
        let after = published(&world).await;
        assert_eq!(after.len(), 2);
        assert!(after.contains(&before[0]), "the old key stays published");
        sign_in().await.expect(200);
        assert_eq!(signed_by(&world), before[0], "the new one waits");
        gateway_tests::eventually("the new key to sign", || async {
            sign_in().await.expect(200);
            signed_by(&world) != before[0]
        })
        .await;
        assert_eq!(published(&world).await, after);
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
