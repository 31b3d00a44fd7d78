//! The client credentials workflow: the caller's own client id and secret are traded.

use gateway_tests::{World, WorldBuilder, on_both};
use keycloak_testkit::{Endpoint, claims, seed};
use serde_json::json;

fn client_credentials() -> WorldBuilder {
    World::seed().plugin("auth_methods", json!(["client_credentials"]))
}

on_both!(
    the_caller_is_the_client,
    client_credentials(),
    |world: World| async move {
        let client = world.client();
        let request = client.get("/").basic("service", seed::SERVICE_SECRET);
        let answer = request.send().await.expect(200);
        assert_eq!(claims(&answer.access_token())["azp"], "service");
        let request = world.idp.token_requests().remove(0);
        assert_eq!(request.grant, "client_credentials");
        assert_eq!(request.authentication, "client_secret_basic");
        let form = format!(
            "client_id=service&client_secret={}&z=1",
            seed::SERVICE_SECRET
        );
        let answer = client.post_form("/", &form).send().await.expect(200);
        assert_eq!(answer.json()["form"], json!({"z": "1"}));
        assert_eq!(world.idp.count(Endpoint::Token), 1);
    }
);

on_both!(
    a_wrong_secret_is_the_callers_fault,
    client_credentials(),
    |world: World| async move {
        let answer = world
            .client()
            .get("/")
            .basic("service", "wrong")
            .send()
            .await;
        answer.refused(401, "client_credentials.refused");
        assert_eq!(world.upstream.count(), 0);
    }
);
