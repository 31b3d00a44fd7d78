//! Tokens of one client or issuer are exchanged for what the upstream takes (RFC 8693).

use gateway_tests::{APP, World, WorldBuilder, on_both};
use keycloak_testkit::{Client, ClientLogin, Endpoint, claims};
use serde_json::json;

const OTHER: &str = "front";
const SECRET: &str = "front-secret";

/// The gateway may exchange what was issued to `front` for it.
fn exchanging() -> WorldBuilder {
    World::app()
        .realm(|realm| {
            realm
                .client(Client::secret(OTHER, SECRET).audience(APP))
                .change_client(APP, Client::token_exchange)
        })
        .plugin("auth_methods", json!(["bearer"]))
}

/// The same, with this issuer in the configuration: it is known once the provider runs.
fn with_conditions(conditions: serde_json::Value) -> WorldBuilder {
    exchanging().config(move |config| {
        let issuer = config.value()["services"][0]["plugins"][0]["config"]["issuer"].clone();
        config.plugin(
            "token_exchange",
            json!({"subject_token_issuers": [{"issuer": issuer, "conditions": conditions}]}),
        );
    })
}

async fn front(world: &World) -> String {
    let login = ClientLogin::basic(OTHER, SECRET);
    let tokens = world.idp.log_in("john", "doe", login).await;
    tokens.expect("john's tokens").access_token
}

on_both!(
    the_upstream_gets_the_token_that_it_was_exchanged_for,
    with_conditions(json!({})),
    |world: World| async move {
        let token = front(&world).await;
        assert_eq!(claims(&token)["azp"], OTHER);
        for _ in 0..2 {
            let answer = world.client().get("/").bearer(&token).send().await;
            let exchanged = answer.expect(200).access_token();
            assert_ne!(exchanged, token);
            assert_eq!(claims(&exchanged)["azp"], APP);
            assert_eq!(claims(&exchanged)["sub"], claims(&token)["sub"]);
        }
        assert_eq!(world.idp.count(Endpoint::Token), 1);
    }
);

on_both!(
    a_token_that_meets_no_condition_stays_as_it_is,
    with_conditions(json!({"missing_scopes": ["email"]})),
    |world: World| async move {
        let token = front(&world).await;
        let answer = world.client().get("/").bearer(&token).send().await;
        assert_eq!(answer.expect(200).access_token(), token);
        assert_eq!(world.idp.count(Endpoint::Token), 0);
    }
);

on_both!(
    what_no_key_signed_is_not_sent_to_be_exchanged,
    with_conditions(json!({})),
    |world: World| async move {
        let token = front(&world).await;
        let (rest, _) = token.rsplit_once('.').expect("three parts");
        let forged = format!("{rest}.c2lnbmF0dXJl");
        let answer = world.client().get("/").bearer(&forged).send().await;
        answer.refused(401, "token.signature_invalid");
        assert_eq!(world.idp.count(Endpoint::Token), 0);
    }
);

on_both!(
    a_token_that_was_not_meant_for_the_gateway_is_not_exchanged,
    with_conditions(json!({})),
    |world: World| async move {
        let login = ClientLogin::service();
        let tokens = world.idp.log_in("john", "doe", login).await;
        let token = tokens.expect("john's tokens").access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.refused(403, "token_exchange.refused");
    }
);
