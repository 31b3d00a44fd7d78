//! What is told of requests that are answered from memory: the same as of any other, and it ends
//! with the configuration.

use keycloak_testkit::{
    Client, ClientLogin, EchoUpstream, EmbeddedIdp, IdentityProvider as _, Realm,
};
use serde_json::{Value, json};

use crate::process::{Files, Serving, ask};

const OFTEN: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_told_of_however_they_are_answered_and_a_hangup_ends_what_is_recalled() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong").client(Client::secret("app", "s3cret")));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    files.config["services"][0]["plugins"] = json!([{
        "name": "openid-connect",
        "config": {
            "issuer": realm.issuer(),
            "client_id": ["app"],
            "client_secret": ["s3cret"],
            "auth_methods": ["bearer"],
        },
    }]);
    let mut serving = Serving::start(&files.write(), &[]);
    let address = serving.listening();
    let login = ClientLogin::basic("app", "s3cret");
    let tokens = realm.log_in("john", "doe", login).await.expect("tokens");
    let request = format!(
        "GET /path HTTP/1.1\r\nAuthorization: Bearer {}\r\n\r\n",
        tokens.access_token
    );
    let mut ids = Vec::new();
    for _ in 0..OFTEN {
        let answer = ask(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let id = answer
            .split("X-Request-Id: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        ids.push(id.expect("an id").to_owned());
    }
    let lines = serving.wait_for("\"answered\"", OFTEN);
    for (line, id) in lines.iter().zip(&ids) {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        for (name, value) in [
            ("level", json!("INFO")),
            ("request_id", json!(id)),
            ("method", json!("GET")),
            ("path", json!("/path")),
            ("route", json!("r")),
            ("credential", json!("bearer")),
            ("status", json!(200)),
        ] {
            assert_eq!(line[name], value, "{line}");
        }
        assert!(
            line["duration_ms"].is_number() && line["peer"].is_string(),
            "{line}"
        );
        assert!(line.get("reason").is_none_or(Value::is_null), "{line}");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), OFTEN);
    let metrics = ask(serving.admin(), "GET /metrics HTTP/1.1\r\n\r\n").await;
    for line in [
        format!("oidc_proxy_requests_total{{route=\"r\",status=\"2xx\"}} {OFTEN}"),
        "oidc_proxy_requests_in_flight 0".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("oidc_proxy_refusals_total{"), "{metrics}");

    let rules = &mut files.config["services"][0]["plugins"][0]["config"];
    rules["scopes_required"] = json!(["nobody-has-it"]);
    files.write();
    serving.signal("HUP");
    serving.wait_for("is in force", 1);
    for _ in 0..OFTEN {
        let answer = ask(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    // And back again: nothing of the refusals stays either.
    let rules = files.config["services"][0]["plugins"][0]["config"].as_object_mut();
    rules.expect("a map").remove("scopes_required");
    files.write();
    serving.signal("HUP");
    serving.wait_for("is in force", 2);
    for _ in 0..OFTEN {
        let answer = ask(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    serving.signal("TERM");
    assert_eq!(serving.ended().code(), Some(0));
}
