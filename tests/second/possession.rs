//! Proofs of possession by DPoP at a provider that wants nonces: of the gateway's own key, and of
//! the keys of its clients (RFC 9449).

use gateway_tests::{Answer, Config, ProviderClient, ProviderOptions};
use keycloak_testkit::{DpopKey, claims};
use serde_json::{Value, json};

use crate::world::{APP, World, app};

/// A gateway that proves its own key to a provider that wants a nonce in every proof.
async fn proving(client: ProviderClient, change: impl FnOnce(&mut Config)) -> Option<World> {
    let options = ProviderOptions::new().client(client).dpop_nonces();
    World::start(options, |config| {
        config.plugin("client_dpop", json!(true));
        change(config);
    })
    .await
}

/// The statuses of the token requests so far; each had a proof.
async fn statuses(world: &World) -> Vec<u64> {
    let requests = world.idp.token_requests().await;
    assert!(requests.iter().all(|request| request.dpop));
    requests
        .iter()
        .map(|request| request.status.expect("answered"))
        .collect()
}

async fn refreshed(world: &World, token: &str) -> Answer {
    let request = world.client().get("/").refresh_token(token);
    request.send().await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_asks_once_more_with_the_nonce_that_is_wanted() {
    let Some(world) = proving(app().jwt_access_tokens(), |_| ()).await else {
        return;
    };
    let request = world.client().get("/").basic("john", "doe");
    let answer = request.send().await.expect(200);
    assert_eq!(statuses(&world).await, [400, 200]);
    let first = claims(&answer.access_token());
    assert!(first["cnf"]["jkt"].is_string(), "{first}");
    // The nonce is known now.
    let second = refreshed(&world, &answer.refresh_token()).await;
    assert_eq!(claims(&second.access_token())["cnf"], first["cnf"]);
    assert_eq!(statuses(&world).await, [400, 200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_used_once_though_the_first_request_was_without_a_nonce() {
    for client in [app(), app().jwt_access_tokens()] {
        let Some(world) = proving(client, |_| ()).await else {
            return;
        };
        let old = world.john().await.refresh().to_owned();
        let answer = refreshed(&world, &old).await;
        assert_ne!(answer.refresh_token(), old);
        assert_eq!(statuses(&world).await, [400, 200]);
        let late = refreshed(&world, &old).await;
        assert_eq!(late.refresh_token(), answer.refresh_token());
        assert_eq!(statuses(&world).await, [400, 200], "no replay");
        assert!(world.lives_by(&answer.refresh_token()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_clients_refresh_tokens_are_bound_to_the_gateways_key() {
    let client = ProviderClient::public(APP)
        .jwt_access_tokens()
        .with("dpop_bound_access_tokens", true);
    let world = proving(client, |config| {
        config
            .plugin("client_secret", json!(null))
            .plugin("client_auth", json!(["none"]));
    });
    let Some(world) = world.await else {
        return;
    };
    let request = world.client().get("/").basic("john", "doe");
    let mut token = request.send().await.expect(200).refresh_token();
    for _ in 0..3 {
        token = refreshed(&world, &token).await.refresh_token();
    }
    assert_eq!(statuses(&world).await, [400, 200, 200, 200, 200]);
    let stolen = world.idp.refresh(&token, APP, None).await;
    assert_eq!(stolen.expect(400).json()["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_is_not_good_any_more_is_replaced_by_the_one_that_is_given() {
    let Some(world) = proving(app(), |_| ()).await else {
        return;
    };
    let old = world.john().await.refresh().to_owned();
    let mut token = refreshed(&world, &old).await.refresh_token();
    let mut expected = vec![400, 200];
    for _ in 0..2 {
        world.idp.renew_nonces().await;
        token = refreshed(&world, &token).await.refresh_token();
        expected.extend([400, 200]);
        assert_eq!(statuses(&world).await, expected);
        token = refreshed(&world, &token).await.refresh_token();
        expected.push(200);
        assert_eq!(statuses(&world).await, expected);
    }
    assert!(world.lives_by(&token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_make_one_token_request_that_counts() {
    let Some(world) = proving(app(), |_| ()).await else {
        return;
    };
    let token = world.john().await.refresh().to_owned();
    world.idp.hold("/token").await;
    let asked: Vec<_> = (0..50)
        .map(|_| tokio::spawn(world.client().get("/").refresh_token(&token).send()))
        .collect();
    world.under_way(50).await;
    world.idp.release().await;
    let mut newest = Vec::new();
    for answer in futures_util::future::join_all(asked).await {
        newest.push(answer.expect("no panic").expect(200).refresh_token());
    }
    newest.dedup();
    assert_eq!(newest.len(), 1, "everybody got the same token");
    assert_eq!(statuses(&world).await, [400, 200]);
    assert!(world.lives_by(&newest[0]).await);
}

/// A gateway whose clients have to prove the keys that their tokens are bound to.
async fn strict(client: ProviderClient, method: &str) -> Option<World> {
    let options = ProviderOptions::new().client(app()).client(client);
    World::start(options, |config| {
        config
            .plugin("auth_methods", json!([method]))
            .plugin("proof_of_possession_dpop", json!("strict"));
    })
    .await
}

async fn presented(world: &World, token: &str, proof: &str) -> Answer {
    let request = world.client().get("/");
    let request = request.header("Authorization", &format!("DPoP {token}"));
    request.header("DPoP", proof).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_token_is_taken_with_a_proof_by_its_key_alone() {
    let bound = || ProviderClient::public("bound").with("dpop_bound_access_tokens", true);
    for (client, method) in [
        (bound().jwt_access_tokens(), "bearer"),
        // What the token is bound to, the answer of the introspection says.
        (bound(), "introspection"),
    ] {
        let Some(world) = strict(client, method).await else {
            return;
        };
        let (key, other) = (DpopKey::new(), DpopKey::new());
        let tokens = world.idp.john_by_key("bound", &key).await;
        assert_eq!(tokens.json()["token_type"], "DPoP");
        let token = tokens.access();
        let said: Value = claims(token);
        assert_eq!(said["cnf"]["jkt"] == key.thumbprint(), method == "bearer");
        let url = format!("http://{}/", world.gateway.address());
        let proof = |key: &DpopKey| key.proof("GET", &url).access_token(token).sign();
        let good = proof(&key);
        for proof in [&good, &proof(&key)] {
            let answer = presented(&world, token, proof).await.expect(200);
            assert_eq!(answer.access_token(), token);
            assert_eq!(answer.upstream_header("Dpop"), None);
        }
        let replayed = presented(&world, token, &good).await;
        replayed.refused(401, "dpop.replayed");
        let others = presented(&world, token, &proof(&other)).await;
        others.refused(401, "dpop.key_mismatch");
        let bare = key.proof("GET", &url).sign();
        let bare = presented(&world, token, &bare).await;
        bare.refused(401, "dpop.claim_missing");
        let bearer = world.client().get("/").bearer(token).send().await;
        bearer.refused(401, "dpop.bearer_scheme");
        assert_eq!(world.upstream.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_token_that_is_bound_to_nothing_is_refused() {
    for (client, method) in [
        (ProviderClient::public("free").jwt_access_tokens(), "bearer"),
        (ProviderClient::public("free"), "introspection"),
    ] {
        let Some(world) = strict(client, method).await else {
            return;
        };
        let tokens = world.idp.john("free", None).await;
        let token = tokens.access();
        let url = format!("http://{}/", world.gateway.address());
        let proof = DpopKey::new().proof("GET", &url).access_token(token).sign();
        let refused = presented(&world, token, &proof).await;
        refused.refused(401, "dpop.token_not_bound");
        assert_eq!(world.upstream.count(), 0);
    }
}
