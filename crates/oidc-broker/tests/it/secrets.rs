//! No secret in any log, at any level: the contract's section 7. All that is sent and received
//! holds a canary, and the log of every crate beneath is caught.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oidc_broker::{Broker, HttpTransport};
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::GrantPolicy;
use oidc_core::provider::Provider;
use oidc_core::{Credential, Secret};
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Caught {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[test]
fn no_canary_is_ever_printed() {
    let caught = Caught::default();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace,wiremock=off"))
        .with_writer(caught.clone())
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let mut printed = runtime.expect("a runtime").block_on(run());
    let log = caught.0.lock().expect("unpoisoned").clone();
    let log = String::from_utf8_lossy(&log).into_owned();
    assert!(log.contains("called the provider"), "nothing was caught");
    printed.push_str(&log);
    for line in printed.lines() {
        assert!(!line.to_ascii_lowercase().contains("canary"), "{line}");
    }
}

/// A refusal that repeats all it was sent, as some providers do.
fn repeat(request: &wiremock::Request) -> ResponseTemplate {
    let form = String::from_utf8_lossy(&request.body).replace('&', " & ");
    let basic = request
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let basic = basic.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
    let basic = basic.unwrap_or_default();
    let words = format!("{} {form}", String::from_utf8_lossy(&basic));
    let body = json!({"error": "invalid_grant", "error_description": words});
    ResponseTemplate::new(400).set_body_json(body)
}

/// All that is not logged but may be printed: results, refusals, states.
async fn run() -> String {
    let server = MockServer::start().await;
    let issuer = server.uri();
    let discovery = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token?key=canary-url"),
        "jwks_uri": format!("{issuer}/certs?key=canary-url"),
    });
    let tokens = json!({
        "access_token": "canary-access", "token_type": "Bearer", "expires_in": 60,
        "refresh_token": "canary-refresh-2", "id_token": "canary-id-token",
    });
    let mocks = [
        (
            "GET",
            "/.well-known/openid-configuration",
            200,
            discovery,
            None,
        ),
        ("GET", "/certs", 200, json!({"keys": []}), None),
        ("POST", "/token", 200, tokens, Some(1)),
        ("POST", "/token", 503, json!("canary-page"), None),
    ];
    Mock::given(method("POST"))
        .and(path("/token"))
        .respond_with(repeat)
        .with_priority(6)
        .up_to_n_times(3)
        .mount(&server)
        .await;
    for (verb, at, status, body, times) in mocks {
        let answer = ResponseTemplate::new(status).set_body_json(body);
        let mut mock = Mock::given(method(verb)).and(path(at)).respond_with(answer);
        if let Some(times) = times {
            mock = mock.up_to_n_times(times);
        } else {
            mock = mock.with_priority(7);
        }
        mock.mount(&server).await;
    }
    let secret = ClientAuthentication::SecretBasic(Secret::new("canary-client-secret"));
    let provider = Provider::new(&issuer).expect("an issuer");
    let mut policy = GrantPolicy::new(provider, vec![Client::new("kong", secret)]);
    policy.token_post_args = vec![("key".to_owned(), Secret::new("canary-argument"))];
    policy.token_headers = vec![("x-key".to_owned(), Secret::new("canary-header"))];
    let policy = Arc::new(policy);
    let broker = Broker::builder(Arc::new(HttpTransport::new().expect("TLS")))
        .timeout(Duration::from_secs(5))
        .build()
        .expect("randomness");
    let token = |token: &str| Credential::RefreshToken(Secret::new(token));
    let password = Credential::Password {
        username: "canary-user".to_owned(),
        password: Secret::new("canary-password"),
    };
    let client = Credential::ClientCredentials {
        client_id: "service".to_owned(),
        client_secret: Secret::new("canary-callers-secret"),
    };
    let mut printed = format!("{policy:?}");
    for credential in [
        token("canary-refresh-1"),
        token("canary-refresh-1"),
        password,
        client,
        token("canary-refresh-3"),
    ] {
        let dry = broker.dry_run(&policy, credential.clone(), None).await;
        let result = broker.grant(&policy, credential, None).await;
        printed += &format!("{dry:?}\n{result:?}\n");
        if let Err(denial) = result {
            printed += &format!("{denial} {:?}\n", denial.hint());
        }
    }
    printed
}
