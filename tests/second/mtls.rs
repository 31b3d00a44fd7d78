//! Certificates: the gateway's own, which it shows at the endpoints that this provider has for
//! that, and those of its clients, which their tokens are bound to (RFC 8705).

use std::path::{Path, PathBuf};

use gateway_tests::{Config, ProviderClient, ProviderOptions, ProviderRequest, TlsClient};
use keycloak_testkit::claims;
use keycloak_testkit::pki::{Authority, Identity};
use serde_json::json;

use crate::world::{APP, World, app};

const SUBJECT: &str = "CN=JohnDoe, OU=IT";

/// A provider with a listener that asks for certificates.
fn provider(client: ProviderClient) -> ProviderOptions {
    let authority = Authority::shared();
    let server = authority.server(&["127.0.0.1"]);
    ProviderOptions::new().client(client).tls(
        server.certificate_pem(),
        &server.key_pem(),
        authority.certificate_pem(),
    )
}

/// A gateway that is this client by this certificate.
async fn world_of(client: ProviderClient, method: &str, identity: &Identity) -> Option<World> {
    World::start(provider(client), |config| shows(config, method, identity)).await
}

/// The gateway shows this certificate to the provider, and is its client by that.
fn shows(config: &mut Config, method: &str, identity: &Identity) {
    let directory = state_of(config);
    let file = Authority::shared().write(&directory, "provider");
    config.gateway("trusted_certificates", json!([file.expect("a file")]));
    config.value()["certificates"] = json!([{
        "id": "the-gateways",
        "cert": identity.certificate_pem(),
        "key": identity.key_pem(),
    }]);
    config
        .plugin("tls_client_auth_cert_id", json!("the-gateways"))
        .plugin("client_secret", json!(null))
        .plugin("client_auth", json!([method]));
}

fn state_of(config: &mut Config) -> PathBuf {
    let directory = config.value()["gateway"]["state_dir"].as_str();
    Path::new(directory.expect("a path")).to_owned()
}

fn by_name() -> ProviderClient {
    ProviderClient::new(APP, "tls_client_auth").with("tls_client_auth_subject_dn", SUBJECT)
}

fn by_itself(identity: &Identity) -> ProviderClient {
    ProviderClient::new(APP, "self_signed_tls_client_auth")
        .with("jwks", json!({"keys": [identity.public_jwk()]}))
}

/// Three refreshes in a row after a password, each with the token that the one before brought.
/// Gives the access tokens that the upstream received.
async fn refreshes(world: &World) -> Vec<String> {
    let client = world.client();
    let request = client.get("/").basic("john", "doe");
    let mut answer = request.send().await.expect(200);
    let mut received = vec![answer.access_token()];
    for _ in 0..3 {
        let token = answer.refresh_token();
        let request = client.get("/").refresh_token(&token);
        answer = request.send().await.expect(200);
        assert_ne!(answer.refresh_token(), token);
        received.push(answer.access_token());
    }
    received
}

fn all_by(requests: &[ProviderRequest], method: &str) {
    for request in requests {
        assert_eq!(request.status, Some(200));
        assert_eq!(request.authentication, method);
        assert!(request.certificate);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_authenticates_by_its_certificate_and_refreshes_with_it() {
    let issued = Authority::shared().client(SUBJECT);
    let alone = Identity::self_signed("CN=loner");
    for (client, method, identity) in [
        (by_name(), "tls_client_auth", &issued),
        (by_itself(&alone), "self_signed_tls_client_auth", &alone),
    ] {
        let Some(world) = world_of(client, method, identity).await else {
            return;
        };
        refreshes(&world).await;
        let requests = world.idp.token_requests().await;
        assert_eq!(requests.len(), 4);
        all_by(&requests, method);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_bound_to_the_gateways_certificate() {
    let identity = Authority::shared().client(SUBJECT);
    let client = by_name()
        .jwt_access_tokens()
        .with("tls_client_certificate_bound_access_tokens", true);
    let Some(world) = world_of(client, "tls_client_auth", &identity).await else {
        return;
    };
    for token in refreshes(&world).await {
        let said = claims(&token);
        assert_eq!(said["cnf"]["x5t#S256"], identity.thumbprint());
    }
    all_by(&world.idp.token_requests().await, "tls_client_auth");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_somebody_elses_is_our_misconfiguration() {
    let stranger = Identity::self_signed("CN=stranger");
    let loner = Identity::self_signed("CN=loner");
    for (client, method, identity) in [
        // Of another name, and of the right name by nobody who is trusted.
        (
            by_name(),
            "tls_client_auth",
            Authority::shared().client("CN=Somebody, OU=IT"),
        ),
        (
            by_name(),
            "tls_client_auth",
            Authority::new("Somebody's CA").client(SUBJECT),
        ),
        (by_itself(&loner), "self_signed_tls_client_auth", stranger),
    ] {
        let Some(world) = world_of(client, method, &identity).await else {
            return;
        };
        let answer = world.client().get("/").basic("john", "doe").send().await;
        assert_eq!(answer.expect(502).json()["reason"], json!(null));
        let requests = world.idp.token_requests().await;
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].status, Some(401));
        assert_eq!(world.upstream.count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_asked_about_tokens_by_the_certificate() {
    let identity = Authority::shared().client(SUBJECT);
    let options = provider(by_name()).client(ProviderClient::public("other"));
    let world = World::start(options, |config| {
        shows(config, "tls_client_auth", &identity);
        config.plugin("auth_methods", json!(["introspection"]));
    });
    let Some(world) = world.await else {
        return;
    };
    let token = world.idp.john("other", None).await.access().to_owned();
    let answer = world.client().get("/").bearer(&token).send().await;
    answer.expect(200);
    let asked = world.idp.requests("/token/introspection").await;
    assert_eq!(asked.len(), 1);
    all_by(&asked, "tls_client_auth");
}

/// A gateway that asks its clients for certificates, and their tokens for the binding.
async fn strict(client: ProviderClient, method: &str) -> Option<World> {
    World::start(provider(app()).client(client), |config| {
        let directory = state_of(config);
        let server = Authority::shared().server(&["localhost", "127.0.0.1"]);
        let files = server.write(&directory, "gateway").expect("files");
        config.gateway(
            "listen",
            json!([{
                "address": "127.0.0.1:0",
                "tls": {
                    "certificate": files.certificate,
                    "key": files.key,
                    "client_auth": "unverified",
                },
            }]),
        );
        config
            .plugin("auth_methods", json!([method]))
            .plugin("proof_of_possession_mtls", json!("strict"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_token_is_taken_with_its_certificate_alone() {
    let name = "tls_client_certificate_bound_access_tokens";
    let bound = || ProviderClient::public("bound").with(name, true);
    for (client, method) in [
        (bound().jwt_access_tokens(), "bearer"),
        // What the token is bound to, the answer of the introspection says.
        (bound(), "introspection"),
    ] {
        let Some(world) = strict(client, method).await else {
            return;
        };
        // Nobody vouches for it: that it is the same one is what counts.
        let identity = Identity::self_signed("CN=client");
        let stranger = Authority::shared().client("CN=client");
        let tokens = world.idp.john_by_certificate("bound", &identity).await;
        let token = tokens.access();
        let by = |identity: Option<&Identity>| {
            let client = TlsClient::new(world.gateway.address(), identity);
            client.get("/").bearer(token).send()
        };
        for _ in 0..2 {
            let answer = by(Some(&identity)).await.expect(200);
            assert_eq!(answer.access_token(), token);
        }
        let refused = by(Some(&stranger)).await;
        refused.refused(401, "mtls.certificate_mismatch");
        by(None).await.refused(401, "mtls.certificate_missing");
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
        let identity = Authority::shared().client("CN=client");
        let tokens = world.idp.john_by_certificate("free", &identity).await;
        let client = TlsClient::new(world.gateway.address(), Some(&identity));
        let refused = client.get("/").bearer(tokens.access()).send().await;
        refused.refused(401, "mtls.token_not_bound");
        assert_eq!(world.upstream.count(), 0);
    }
}
