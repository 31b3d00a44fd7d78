//! A server of a test's own: it ends when it is dropped.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use keycloak_testkit::{Backend, Keycloak};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_server_of_its_own_ends_when_it_is_dropped() {
    let keycloak = match Keycloak::launch(0).await {
        Ok(keycloak) => keycloak,
        Err(error) => return error.skip(),
    };
    if keycloak.backend() == Backend::Address {
        // That one is not ours to end.
        return;
    }
    let address = keycloak.base_url().trim_start_matches("http://").to_owned();
    TcpStream::connect(&address).await.unwrap();
    drop(keycloak);
    let ended = async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("the server ends");
}
