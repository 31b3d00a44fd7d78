//! What the provider can do wrong at each of its endpoints, over real connections, and what the
//! caller is told of it: the contract's table of answers.

use std::sync::Arc;
use std::time::Duration;

use oidc_broker::{Broker, HttpTransport};
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::provider::Provider;
use oidc_core::{Credential, Denial, Secret};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Idp, code, refresh};

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// A provider whose three endpoints answer as they should, but for one.
struct World {
    server: MockServer,
    broker: Broker,
    policy: Arc<GrantPolicy>,
}

impl World {
    async fn with(at: &str, fault: ResponseTemplate) -> Self {
        let server = MockServer::start().await;
        let issuer = server.uri();
        let good = [
            (
                WELL_KNOWN,
                json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/certs")}),
            ),
            ("/certs", json!({"keys": []})),
            ("/token", Idp::rotating().tokens("rt1")),
        ];
        for (endpoint, body) in good {
            let answer = if endpoint == at {
                fault.clone()
            } else {
                ResponseTemplate::new(200).set_body_json(body)
            };
            let verb = if endpoint == "/token" { "POST" } else { "GET" };
            Mock::given(method(verb))
                .and(path(endpoint))
                .respond_with(answer)
                .mount(&server)
                .await;
        }
        let provider = Provider::new(&issuer).expect("an issuer");
        let secret = ClientAuthentication::SecretBasic(Secret::new("client-secret"));
        let policy = Arc::new(GrantPolicy::new(
            provider,
            vec![Client::new("kong", secret)],
        ));
        let broker = Broker::builder(Arc::new(HttpTransport::new().expect("TLS")))
            // Long enough for a busy machine to answer all cases; the hanging ones wait it out.
            .timeout(Duration::from_secs(5))
            .build()
            .expect("randomness");
        Self {
            server,
            broker,
            policy,
        }
    }

    async fn present(&self, credential: Credential) -> Result<Arc<Granted>, Denial> {
        self.broker.grant(&self.policy, credential, None).await
    }

    async fn calls(&self, endpoint: &str) -> usize {
        let requests = self.server.received_requests().await.expect("recorded");
        requests
            .iter()
            .filter(|request| request.url.path() == endpoint)
            .count()
    }
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

fn text(code: u16, media_type: &str, body: impl Into<Vec<u8>>) -> ResponseTemplate {
    status(code).set_body_raw(body, media_type)
}

fn json_body(code: u16, body: &Value) -> ResponseTemplate {
    status(code).set_body_json(body)
}

fn huge() -> ResponseTemplate {
    text(200, "application/json", vec![b' '; 1024 * 1024 + 1])
}

fn utf16(body: &str) -> Vec<u8> {
    body.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn hanging() -> ResponseTemplate {
    status(200).set_delay(Duration::from_secs(60))
}

#[tokio::test]
async fn each_fault_of_each_endpoint_is_told_apart() {
    const JSON: &str = "application/json";
    let error = |error: &str| json!({ "error": error });
    let away = || status(503).insert_header("retry-after", "17");
    let busy = || status(429).insert_header("retry-after", "7");
    // A date that has passed: at once.
    let since = || status(429).insert_header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
    let moved = || status(307).insert_header("location", "/elsewhere");
    let cases = [
        (WELL_KNOWN, moved(), "provider.redirected", 502, None),
        (
            WELL_KNOWN,
            status(404),
            "discovery.unexpected_status",
            502,
            None,
        ),
        (WELL_KNOWN, away(), "provider.server_error", 503, Some(17)),
        (
            WELL_KNOWN,
            busy(),
            "provider.too_many_requests",
            503,
            Some(7),
        ),
        (
            WELL_KNOWN,
            text(200, "text/html", "<html>"),
            "discovery.malformed",
            502,
            None,
        ),
        (
            WELL_KNOWN,
            text(200, JSON, "{\"issuer\":"),
            "discovery.malformed",
            502,
            None,
        ),
        (
            WELL_KNOWN,
            text(200, JSON, "\u{feff}{}"),
            "discovery.malformed",
            502,
            None,
        ),
        (
            WELL_KNOWN,
            text(200, JSON, utf16("{}")),
            "discovery.malformed",
            502,
            None,
        ),
        (
            WELL_KNOWN,
            json_body(
                200,
                &json!({"issuer": "https://evil.test", "token_endpoint": "https://evil.test/t", "jwks_uri": "https://evil.test/c"}),
            ),
            "discovery.issuer_mismatch",
            502,
            None,
        ),
        (WELL_KNOWN, huge(), "discovery.too_large", 502, None),
        (WELL_KNOWN, hanging(), "provider.timeout", 503, Some(5)),
        ("/certs", moved(), "provider.redirected", 502, None),
        (
            "/certs",
            status(500),
            "provider.keys_unavailable",
            503,
            Some(5),
        ),
        ("/certs", busy(), "provider.keys_unavailable", 503, Some(7)),
        (
            "/certs",
            text(200, JSON, "nonsense"),
            "provider.keys_unavailable",
            503,
            Some(5),
        ),
        ("/certs", huge(), "provider.keys_unavailable", 503, Some(5)),
        ("/certs", hanging(), "provider.timeout", 503, Some(5)),
        // As it should be, and without a key in it.
        (
            "/nowhere",
            status(200),
            "provider.keys_unavailable",
            503,
            Some(5),
        ),
        ("/token", moved(), "provider.redirected", 502, None),
        ("/token", status(500), "provider.server_error", 503, Some(5)),
        ("/token", away(), "provider.server_error", 503, Some(17)),
        (
            "/token",
            since(),
            "provider.too_many_requests",
            503,
            Some(0),
        ),
        ("/token", busy(), "provider.too_many_requests", 503, Some(7)),
        ("/token", hanging(), "provider.timeout", 503, Some(5)),
        ("/token", huge(), "token_response.too_large", 502, None),
        (
            "/token",
            text(200, "text/html", "<html>"),
            "token_response.not_json",
            502,
            None,
        ),
        (
            "/token",
            text(200, JSON, "{\"access_token\":"),
            "token_response.not_json",
            502,
            None,
        ),
        (
            "/token",
            text(200, JSON, "\u{feff}{}"),
            "token_response.not_json",
            502,
            None,
        ),
        (
            "/token",
            text(200, JSON, utf16("\u{df}{}")),
            "token_response.not_utf8",
            502,
            None,
        ),
        (
            "/token",
            json_body(200, &json!({"access_token": "a", "token_type": "mac"})),
            "token_response.token_type",
            502,
            None,
        ),
        (
            "/token",
            text(400, "text/html", "<html>"),
            "token_response.error_malformed",
            502,
            None,
        ),
        (
            "/token",
            json_body(401, &error("invalid_client")),
            "client.invalid_client",
            502,
            None,
        ),
        (
            "/token",
            json_body(401, &error("unauthorized_client")),
            "client.unauthorized_client",
            502,
            None,
        ),
        (
            "/token",
            json_body(400, &error("invalid_request")),
            "client.invalid_request",
            502,
            None,
        ),
        (
            "/token",
            json_body(400, &error("invalid_grant")),
            "refresh_token.invalid_grant",
            401,
            None,
        ),
        (
            "/token",
            json_body(400, &error("invalid_scope")),
            "refresh_token.invalid_scope",
            401,
            None,
        ),
    ];
    // Each has a provider of its own; they answer at the same time.
    let mut running = tokio::task::JoinSet::new();
    for (endpoint, fault, expected, status, retry_after) in cases {
        running.spawn(async move {
            let world = World::with(endpoint, fault).await;
            let result = world.present(refresh("rt0")).await;
            assert_eq!(code(&result), expected, "{endpoint}");
            let denial = result.expect_err("denied");
            assert_eq!(denial.reason().status().as_u16(), status, "{expected}");
            let wait = denial.retry_after().map(|wait| wait.as_secs());
            assert_eq!(wait, retry_after, "{expected}");
            assert_eq!(world.calls("/elsewhere").await, 0, "a redirect is followed");
            assert!(world.calls("/token").await <= 1, "{expected}: sent again");
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("as told");
    }
}

#[tokio::test]
async fn a_caller_is_blamed_for_its_own_credentials_alone() {
    let password = || Credential::Password {
        username: "john".to_owned(),
        password: Secret::new("wrong"),
    };
    let client = || Credential::ClientCredentials {
        client_id: "service".to_owned(),
        client_secret: Secret::new("wrong"),
    };
    for (credential, error, expected, status) in [
        (password(), "invalid_grant", "password.invalid_grant", 401),
        (password(), "invalid_client", "client.invalid_client", 502),
        (
            client(),
            "invalid_client",
            "client_credentials.refused",
            401,
        ),
        (
            client(),
            "unauthorized_client",
            "client_credentials.refused",
            401,
        ),
        (client(), "invalid_scope", "client.invalid_scope", 502),
    ] {
        let fault = json_body(401, &json!({ "error": error }));
        let result = World::with("/token", fault).await.present(credential).await;
        assert_eq!(code(&result), expected);
        assert_eq!(
            result.expect_err("denied").reason().status().as_u16(),
            status
        );
    }
}

#[tokio::test]
async fn nobody_listening_is_an_outage() {
    let world = World::with("/nowhere", status(200)).await;
    let mut policy = GrantPolicy::clone(&world.policy);
    // The port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let endpoint = format!("http://{}/token", port.expect("an address"));
    policy.provider.endpoints.token = Some(endpoint.parse().expect("a URL"));
    let result = world
        .broker
        .grant(&Arc::new(policy), refresh("rt0"), None)
        .await;
    assert_eq!(code(&result), "provider.unreachable");
}
