//! Certificates towards the provider: the gateway's client authenticates by the one that it shows
//! (RFC 8705 §2), at the endpoints that ask for one (§5).

use gateway_tests::{Config, World, WorldBuilder, on_both};
use keycloak_testkit::claims;
use keycloak_testkit::pki::{Authority, Identity};
use serde_json::json;
use std::path::PathBuf;

/// A gateway that is this client by this certificate.
fn client(id: &'static str, identity: Identity) -> WorldBuilder {
    World::seed().config(move |config| {
        trust_the_provider(config);
        config.value()["certificates"] = json!([{
            "id": "the-gateways",
            "cert": identity.certificate_pem(),
            "key": identity.key_pem(),
        }]);
        config
            .plugin("tls_client_auth_cert_id", json!("the-gateways"))
            .plugin("client_id", json!([id]))
            .plugin("client_auth", json!(["tls_client_auth"]));
    })
}

fn trust_the_provider(config: &mut Config) {
    let directory = config.value()["gateway"]["state_dir"].as_str();
    let directory = PathBuf::from(directory.expect("a path"));
    let file = Authority::shared()
        .write(&directory, "provider")
        .expect("a file");
    config.gateway("trusted_certificates", json!([file]));
}

on_both!(
    the_client_authenticates_by_its_certificate,
    client(
        "client-tls-auth",
        Authority::shared().client("CN=JohnDoe, OU=IT")
    ),
    |world: World| async move {
        let client = world.client();
        let answer = client
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        assert_eq!(claims(&answer.access_token())["azp"], "client-tls-auth");
        let token = answer.refresh_token();
        let answer = client.get("/").refresh_token(&token).send().await;
        assert_eq!(
            claims(&answer.expect(200).access_token())["azp"],
            "client-tls-auth"
        );
    }
);

on_both!(
    somebody_elses_certificate_is_the_gateways_own_fault,
    client(
        "client-tls-auth",
        Authority::shared().client("CN=Somebody, OU=IT")
    ),
    |world: World| async move {
        let answer = world.client().get("/").basic("john", "doe").send().await;
        assert_eq!(answer.expect(502).json()["reason"], json!(null));
    }
);

on_both!(
    tokens_are_bound_to_the_gateways_certificate_and_refreshed_with_it,
    client(
        "client-tls-auth",
        Authority::shared().client("CN=JohnDoe, OU=IT")
    )
    .realm(|realm| realm.change_client("client-tls-auth", |client| client.certificate_bound())),
    |world: World| async move {
        let client = world.client();
        let answer = client
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        assert!(claims(&answer.access_token())["cnf"]["x5t#S256"].is_string());
        let token = answer.refresh_token();
        let answer = client.get("/").refresh_token(&token).send().await;
        assert!(claims(&answer.expect(200).access_token())["cnf"]["x5t#S256"].is_string());
    }
);
