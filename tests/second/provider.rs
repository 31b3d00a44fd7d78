//! The provider itself: that it ends, and that it listens where its metadata says.

use gateway_tests::{ProviderClient, ProviderOptions, SecondProvider, eventually};
use rcgen::generate_simple_self_signed;
use tokio::net::TcpStream;

use crate::world::{APP, app};

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_it_is_dropped() {
    let Some(idp) = SecondProvider::start(ProviderOptions::new()).await else {
        return;
    };
    let address = idp.address();
    TcpStream::connect(address).await.expect("it listens");
    drop(idp);
    eventually("the provider to end", || async {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_metadata_names_the_listener_that_asks_for_certificates() {
    let server = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (certificate, key) = (server.cert.pem(), server.signing_key.serialize_pem());
    let options = ProviderOptions::new().tls(&certificate, &key, &certificate);
    let Some(idp) = SecondProvider::start(options).await else {
        return;
    };
    let address = idp.tls_address().expect("a listener with TLS");
    let metadata = idp.http().get("/.well-known/openid-configuration");
    let metadata = metadata.send().await.expect(200).json();
    assert_eq!(metadata["issuer"], idp.issuer());
    assert_eq!(
        metadata["mtls_endpoint_aliases"]["token_endpoint"],
        format!("https://{address}/token")
    );
    TcpStream::connect(address).await.expect("it listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_to_prove_possession_gets_nothing_without_a_proof() {
    let bound = |name| ProviderClient::public(APP).with(name, true);
    for (client, status) in [
        (app().method("none"), 200),
        (bound("dpop_bound_access_tokens"), 400),
        (bound("tls_client_certificate_bound_access_tokens"), 400),
    ] {
        let Some(idp) = SecondProvider::start(ProviderOptions::new().client(client)).await else {
            return;
        };
        let form = [
            ("grant_type", "password"),
            ("username", "john"),
            ("password", "doe"),
        ];
        assert_eq!(idp.token(&form, APP, None).await.status, status);
    }
}
