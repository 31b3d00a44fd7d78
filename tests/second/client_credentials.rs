//! The client credentials workflow: the caller's own client id and secret are traded.

use gateway_tests::{ProviderClient, ProviderOptions};
use keycloak_testkit::claims;
use serde_json::json;

use crate::world::World;

const SERVICE: &str = "service";
const SERVICE_SECRET: &str = "cf4c655a-0622-4ce6-a0de-d3353ef0b714";

async fn world_of(client: ProviderClient) -> Option<World> {
    World::start(ProviderOptions::new().client(client), |config| {
        config
            .plugin("auth_methods", json!(["client_credentials"]))
            .plugin("scopes", json!(["openid"]));
    })
    .await
}

fn service() -> ProviderClient {
    ProviderClient::secret(SERVICE, SERVICE_SECRET)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_is_the_client() {
    for (client, is_jwt) in [(service(), false), (service().jwt_access_tokens(), true)] {
        let Some(world) = world_of(client).await else {
            return;
        };
        for _ in 0..2 {
            let request = world.client().get("/").basic(SERVICE, SERVICE_SECRET);
            let answer = request.send().await.expect(200);
            let claims = claims(&answer.access_token());
            assert_eq!(claims["client_id"] == SERVICE, is_jwt, "{claims}");
            assert_eq!(answer.upstream_header("Refresh-Token"), None);
        }
        let requests = world.idp.token_requests().await;
        assert_eq!(requests.len(), 1, "the second was answered from memory");
        assert_eq!(requests[0].grant, "client_credentials");
        assert_eq!(requests[0].client.as_deref(), Some(SERVICE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_the_callers_fault() {
    let Some(world) = world_of(service()).await else {
        return;
    };
    for (id, secret) in [(SERVICE, "wrong"), ("nobody", SERVICE_SECRET)] {
        let refused = world.client().get("/").basic(id, secret).send().await;
        refused.refused(401, "client_credentials.refused");
    }
    assert_eq!(world.upstream.count(), 0);
}
