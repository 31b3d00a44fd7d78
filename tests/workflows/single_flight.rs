//! Many requests with one refresh token: one token request, whoever comes, goes or waits.

use std::sync::Arc;

use futures_util::future::join_all;
use gateway_tests::{World, WorldBuilder, on_both};
use keycloak_testkit::{Endpoint, Fault, Gate};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// A realm in which a replay ends the session.
fn rotating() -> WorldBuilder {
    World::app().realm(|realm| realm.rotation(true))
}

const MANY: usize = 200;

on_both!(
    two_hundred_requests_make_one_token_request,
    rotating(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let gate = Gate::closed();
        world
            .idp
            .faults()
            .next(Endpoint::Token, 1, Fault::hold(&gate));
        let world = Arc::new(world);
        let asked: Vec<_> = (0..MANY)
            .map(|_| {
                let (client, token) = (world.client(), token.clone());
                tokio::spawn(async move { client.get("/").refresh_token(&token).send().await })
            })
            .collect();
        // All of them have come before the provider answers the first.
        gate.wait_for(1).await;
        in_flight(&world, MANY).await;
        gate.open();
        let answers = join_all(asked).await;
        let newest = alive(
            &world,
            answers.into_iter().map(|answer| answer.expect("no panic")),
        )
        .await;
        assert_ne!(newest, token);
    }
);

on_both!(
    the_first_clients_disconnect_ends_nothing,
    rotating(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let gate = Gate::closed();
        world
            .idp
            .faults()
            .next(Endpoint::Token, 1, Fault::hold(&gate));
        let world = Arc::new(world);
        let mut first = TcpStream::connect(world.gateway.address())
            .await
            .expect("connected");
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nRefresh-Token: {token}\r\n\r\n");
        first.write_all(request.as_bytes()).await.expect("written");
        gate.wait_for(1).await;
        let asked: Vec<_> = (0..MANY)
            .map(|_| {
                let (client, token) = (world.client(), token.clone());
                tokio::spawn(async move { client.get("/").refresh_token(&token).send().await })
            })
            .collect();
        in_flight(&world, MANY + 1).await;
        drop(first);
        in_flight(&world, MANY).await;
        gate.open();
        let answers = join_all(asked).await;
        alive(
            &world,
            answers.into_iter().map(|answer| answer.expect("no panic")),
        )
        .await;
    }
);

on_both!(
    nobody_left_waiting_still_keeps_the_session_alive,
    rotating(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let gate = Gate::closed();
        world
            .idp
            .faults()
            .next(Endpoint::Token, 1, Fault::hold(&gate));
        let world = Arc::new(world);
        let mut only = TcpStream::connect(world.gateway.address())
            .await
            .expect("connected");
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nRefresh-Token: {token}\r\n\r\n");
        only.write_all(request.as_bytes()).await.expect("written");
        gate.wait_for(1).await;
        drop(only);
        in_flight(&world, 0).await;
        gate.open();
        // The result was remembered for whoever comes with the old token.
        let answer = world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        alive(&world, [answer]).await;
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn two_tokens_do_not_wait_for_each_other() {
    let world = rotating().embedded().await;
    let (held, free) = (world.john().await, world.john().await);
    let gate = Gate::closed();
    world
        .idp
        .faults()
        .next(Endpoint::Token, 1, Fault::hold(&gate));
    let client = world.client();
    let waiting = tokio::spawn({
        let token = held.refresh().to_owned();
        async move { client.get("/").refresh_token(&token).send().await }
    });
    gate.wait_for(1).await;
    client
        .get("/")
        .refresh_token(free.refresh())
        .send()
        .await
        .expect(200);
    assert!(!waiting.is_finished());
    gate.open();
    waiting.await.expect("no panic").expect(200);
}

/// Waits until so many requests are in flight at the gateway.
async fn in_flight(world: &World, count: usize) {
    let wanted = format!("oidc_proxy_requests_in_flight {count}\n");
    gateway_tests::eventually(&wanted, || async {
        let metrics = world.gateway.admin().get("/metrics").send().await;
        metrics.text().contains(&wanted)
    })
    .await;
}

/// All answers are good and the same, the provider was asked once, and the session lives: its
/// newest refresh token is good straight at the provider. Gives that token.
async fn alive(world: &World, answers: impl IntoIterator<Item = gateway_tests::Answer>) -> String {
    let mut newest: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.expect(200).refresh_token())
        .collect();
    newest.dedup();
    assert_eq!(newest.len(), 1, "everybody got the same token");
    let newest = newest.remove(0);
    assert_eq!(world.idp.count(Endpoint::Token), 1);
    let login = world.app_login();
    world
        .idp
        .refresh(&newest, login)
        .await
        .expect("a living session");
    newest
}
