//! No secret is in the log, however much is logged: the contract's section 7.

use std::os::unix::fs::PermissionsExt as _;

use keycloak_testkit::{
    Client, ClientLogin, EchoUpstream, EmbeddedIdp, IdentityProvider as _, Realm, User,
};
use serde_json::json;

use crate::process::{Files, Serving, ask, program};

const SECRET: &str = "canary-client-secret";
const PASSWORD: &str = "canary-password";

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_logged_at_any_level() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = Realm::seed("kong")
        .client(Client::secret("app", SECRET))
        .user(
            User::new("jane", PASSWORD)
                .named("Jane", "Doe")
                .email("jane@example.test"),
        );
    let realm = idp.realm(&realm);
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    files.config["services"][0]["plugins"] = json!([{
        "name": "openid-connect",
        "config": {
            "issuer": realm.issuer(),
            "client_id": ["app"],
            "client_secret": [SECRET],
            "auth_methods": ["refresh_token", "password"],
            "refresh_token_param_type": ["header", "query", "body"],
            "refresh_token_param_name": "refresh_token",
            "password_param_type": ["header", "query", "body"],
            "upstream_refresh_token_header": "refresh_token",
            "downstream_access_token_header": "x_access_token",
        },
    }]);
    let file = files.write();
    let mut command = program(&["serve", "--config", &file]);
    let mut serving = Serving::spawn(command.env("RUST_LOG", "trace"));
    let address = serving.listening();
    let tokens = realm
        .log_in("jane", PASSWORD, ClientLogin::basic("app", SECRET))
        .await
        .expect("tokens");
    let refresh = tokens.refresh();
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = format!("username=jane&password={PASSWORD}&x=canary-form");
    let length = body.len();
    let mut answers = Vec::new();
    for request in [
        format!(
            "GET /a?refresh_token={refresh}&x=canary-query HTTP/1.1\r\nCookie: s=canary-cookie\r\n\r\n"
        ),
        format!("GET / HTTP/1.1\r\nRefresh-Token: {refresh}\r\nX: canary-header\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{form}Content-Length: {length}\r\n\r\n{body}"),
        format!("GET /?username=jane&password={PASSWORD}-wrong HTTP/1.1\r\n\r\n"),
        "GET / HTTP/1.1\r\nRefresh-Token: canary-unknown\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nAuthorization: Basic Y2FuYXJ5LXVzZXI=\r\n\r\n".to_owned(),
        "GET /\u{7f} HTTP/1.1\r\nRefresh-Token: canary-refused\r\n\r\n".to_owned(),
    ] {
        answers.push(ask(address, &request).await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| &answer[9..12]).collect();
    assert_eq!(statuses, ["200", "200", "200", "401", "401", "400", "400"]);
    serving.signal("TERM");
    assert_eq!(serving.ended().code(), Some(0));
    // What the upstream got and the client was given is as secret as what they began with.
    let mut secrets = vec![refresh.to_owned()];
    for request in upstream.requests() {
        for name in ["authorization", "refresh-token"] {
            let value = request.header(name).expect("a token");
            secrets.push(value.trim_start_matches("Bearer ").to_owned());
        }
    }
    let log = serving.log();
    let much = log.iter().any(|line| line.contains("\"level\":\"DEBUG\""));
    assert!(much, "more was logged than usual: {log:#?}");
    for line in &log {
        assert!(!line.contains("canary"), "{line}");
        assert!(!line.contains("Y2FuYXJ5"), "{line}");
        for secret in &secrets {
            for part in secret.split('.').filter(|part| part.len() > 20) {
                assert!(!line.contains(part), "a part of a token: {line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_keys_are_for_its_user_alone() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    files.config["services"][0]["plugins"] = json!([{
        "name": "openid-connect",
        "config": {
            "issuer": "https://idp.test/realms/kong",
            "client_id": ["kong"],
            "client_auth": ["private_key_jwt"],
            "auth_methods": ["password"],
        },
    }]);
    let serving = Serving::start(&files.write(), &[]);
    let admin = serving.admin();
    let answer = ask(admin, "GET /openid-connect/jwks HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("\"d\""), "{answer}");
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("its metadata");
        metadata.permissions().mode() & 0o777
    };
    let state = files.path("state");
    assert_eq!(mode(&state), 0o700);
    let mut count = 0;
    for entry in std::fs::read_dir(&state).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "there is a key");
}
