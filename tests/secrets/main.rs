//! No secret is in what the gateway tells of itself: fed through every path, sought in everything.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_tests::{APP, APP_SECRET, Config, World, eventually};
use keycloak_testkit::{Endpoint, Fault};
use serde_json::json;
use tracing::Level;

/// Everything that was logged, at every level, by every crate.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn begin() -> Self {
        let captured = Self::default();
        let writer = captured.clone();
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        captured
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

/// What must be nowhere, with a name for the report.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() > 8, "a short canary would be found by chance");
        self.0.push((name.to_owned(), secret.to_owned()));
        let escaped: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        self.0.push((format!("{name}, escaped"), escaped));
        self.0
            .push((format!("{name}, base64"), STANDARD.encode(secret)));
    }

    fn token(&mut self, name: &str, token: &str) {
        self.add(name, token);
        // The signature alone would do to forge nothing; the payload names a person.
        for part in token.split('.').filter(|part| part.len() > 40) {
            self.0.push((format!("{name}, in part"), part.to_owned()));
        }
    }

    #[track_caller]
    fn sought_in(&self, what: &str, text: &str) {
        for (name, secret) in &self.0 {
            if let Some(at) = text.find(secret.as_str()) {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let shown: String = text[line..].chars().take(200).collect();
                panic!("{name} is in {what}: {shown}…");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_found_in_logs_errors_metrics_or_debug_output() {
    let log = Captured::begin();
    let mut canaries = Canaries::default();
    canaries.add("the gateway's client secret", APP_SECRET);
    canaries.add("a refused password", "canary-password-7391");
    canaries.add("a refused client secret", "canary-client-secret-7391");
    canaries.add("a refused refresh token", "canary-refresh-token-7391");
    canaries.add("a query", "canary-query-7391");
    canaries.add("a cookie", "canary-cookie-7391");
    canaries.add("an upstream's own header", "canary-header-7391");

    for method in ["client_secret_basic", "client_secret_post"] {
        let world = World::app()
            .plugin(
                "auth_methods",
                json!(["refresh_token", "password", "client_credentials"]),
            )
            .plugin(
                "refresh_token_param_type",
                json!(["header", "query", "body"]),
            )
            .plugin("client_auth", json!([method]))
            .plugin("downstream_refresh_token_header", json!("x_refresh_token"))
            .embedded()
            .await;
        let client = world.client();
        let john = world.john().await;
        canaries.token("a refresh token", john.refresh());
        let answer = client
            .get("/path?q=canary-query-7391")
            .refresh_token(john.refresh())
            .header("Cookie", "c=canary-cookie-7391")
            .header("X-Own", "canary-header-7391")
            .send()
            .await
            .expect(200);
        canaries.token("an access token", &answer.access_token());
        canaries.token("a newer refresh token", &answer.refresh_token());
        let by_query = format!("/?refresh_token={}", john.refresh());
        client.get(&by_query).send().await.expect(200);
        let by_form = format!("refresh_token={}", john.refresh());
        client.post_form("/", &by_form).send().await.expect(200);
        for bad in [
            client.get("/").refresh_token("canary-refresh-token-7391"),
            client.get("/?refresh_token=canary-refresh-token-7391"),
            client.get("/").basic("john", "canary-password-7391"),
            client
                .get("/")
                .basic("service", "canary-client-secret-7391"),
            client.post_form("/", "username=john&password=canary-password-7391"),
            client.get("/?username=canary-password-7391&password=%zz"),
            client
                .get("/")
                .refresh_token("canary-refresh-token-7391 \u{1}")
                .header("X", "y"),
            client
                .request("POST", "/")
                .header("Content-Type", "application/json")
                .body(r#"{"refresh_token": "canary-refresh-token-7391", "x"#),
        ] {
            // What cannot be sent at all is no leak either.
            let _ = bad.try_send().await;
        }
        // A provider that repeats what it was sent.
        let gossip = |status, words: &str| {
            Fault::refusal(status, "invalid_grant", &format!("who is {words}?"))
        };
        let faults = world.idp.faults();
        let fresh = world.john().await;
        canaries.token("a fresh refresh token", fresh.refresh());
        for (endpoint, fault) in [
            (Endpoint::Token, gossip(400, fresh.refresh())),
            (Endpoint::Token, Fault::html()),
            (Endpoint::Token, Fault::status(500)),
            (
                Endpoint::Token,
                Fault::redirect(307, "http://127.0.0.1:1/?canary-query-7391"),
            ),
        ] {
            faults.next(endpoint, 1, fault);
            let _ = client.get("/").refresh_token(fresh.refresh()).send().await;
        }
        faults.next(Endpoint::Token, 1, gossip(400, "canary-password-7391"));
        let _ = client
            .get("/")
            .basic("john", "canary-password-7391")
            .send()
            .await;
        let metrics = world
            .gateway
            .admin()
            .get("/metrics")
            .send()
            .await
            .expect(200);
        canaries.sought_in("the metrics", metrics.text());
        let status = world
            .gateway
            .admin()
            .get("/status")
            .send()
            .await
            .expect(200);
        canaries.sought_in("the status", status.text());
        world.gateway.stop().await;
    }
    eventually("a log", || async { log.text().len() > 10_000 }).await;
    assert!(
        log.text().contains("refresh_token.invalid_grant"),
        "reasons are logged"
    );
    canaries.sought_in("the log", &log.text());
}

#[test]
fn no_secret_of_a_configuration_is_printed() {
    let mut canaries = Canaries::default();
    canaries.add("the client's secret", "canary-client-secret-7391");
    canaries.add("an argument", "canary-argument-7391");
    canaries.add("a header", "canary-header-7391");
    canaries.add("the salt", "canary-salt-7391");
    let state = tempfile::tempdir().expect("a directory");
    let upstream = "127.0.0.1:9".parse().expect("an address");
    let mut config = Config::seed("http://127.0.0.1:9/realms/kong", upstream, state.path());
    config
        .plugin("client_id", json!([APP]))
        .plugin("client_auth", json!(["client_secret_basic"]))
        .plugin("client_secret", json!(["canary-client-secret-7391"]))
        .plugin("token_post_args_names", json!(["a"]))
        .plugin("token_post_args_values", json!(["canary-argument-7391"]))
        .plugin("token_headers_names", json!(["x-a"]))
        .plugin("token_headers_values", json!(["canary-header-7391"]))
        .plugin("discovery_headers_names", json!(["x-b"]))
        .plugin("discovery_headers_values", json!(["canary-header-7391"]))
        .plugin("cache_tokens_salt", json!("canary-salt-7391"));
    let read = proxy_bin::config::from_yaml(&config.text()).expect("no problem");
    canaries.sought_in("Debug output", &format!("{read:?} {read:#?}"));
    // The same secrets at places where they are wrong.
    config
        .plugin(
            "client_auth",
            json!(["canary-client-secret-7391-as-a-method"]),
        )
        .plugin(
            "client_secret",
            json!([{"oops": "canary-client-secret-7391"}]),
        )
        .plugin("token_headers_values", json!(["canary-header-7391\n"]))
        .plugin("cache_tokens_salt", json!(["canary-salt-7391"]));
    let problems = proxy_bin::config::from_yaml(&config.text()).expect_err("problems");
    let mut hidden = Canaries::default();
    hidden.add("a header", "canary-header-7391");
    hidden.add("the salt", "canary-salt-7391");
    hidden.add("the client's secret", "canary-client-secret-7391\"");
    hidden.sought_in("the problems", &format!("{problems} {problems:?}"));
}
