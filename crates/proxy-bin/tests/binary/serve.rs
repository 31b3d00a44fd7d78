//! `oidc-proxy serve`: its log, its signals, its end.

use keycloak_testkit::EchoUpstream;
use serde_json::{Value, json};

use crate::process::{Files, Serving, ask, printed, program, refused, run};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

async fn upstream() -> EchoUpstream {
    EchoUpstream::start().await.expect("an upstream")
}

fn json_line(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| panic!("a line of JSON: {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_has_its_line_and_each_request_its_own() {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    files.config["gateway"]["listen"] = json!(["127.0.0.1:0", "127.0.0.2:0"]);
    let mut serving = Serving::start(&files.write(), &[]);
    let lines = serving.wait_for("listening on", 2);
    assert!(lines[0].contains("http://127.0.0.1:") && lines[1].contains("http://127.0.0.2:"));
    let answer = ask(serving.listening(), "GET /path?query=1 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let line = json_line(&serving.wait_for("\"answered\"", 1)[0]);
    for (name, value) in [
        ("level", json!("INFO")),
        ("method", json!("GET")),
        ("path", json!("/path")),
        ("route", json!("r")),
        ("status", json!(200)),
    ] {
        assert_eq!(line[name], value, "{line}");
    }
    let id = line["request_id"].as_str().expect("an id");
    assert!(
        answer.contains(&format!("X-Request-Id: {id}\r\n")),
        "{answer}"
    );
    assert_eq!(upstream.requests()[0].header("x-request-id"), Some(id));
    serving.signal("TERM");
    assert_eq!(serving.ended().code(), Some(0));
    for line in serving.log() {
        json_line(&line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_of_the_format_that_is_asked_for() {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    for (configured, asked, is_json) in [
        (None, None, true),
        (None, Some("text"), false),
        (Some("text"), None, false),
        (Some("text"), Some("json"), true),
        (Some("json"), None, true),
    ] {
        if let Some(format) = configured {
            files.config["gateway"]["log"] = json!({"format": format});
        }
        let arguments: Vec<&str> = asked.map_or_else(Vec::new, |asked| vec!["--log-format", asked]);
        let serving = Serving::start(&files.write(), &arguments);
        let line = serving.wait_for("listening on", 1).remove(0);
        assert_eq!(
            serde_json::from_str::<Value>(&line).is_ok(),
            is_json,
            "{line}"
        );
        assert!(
            !line.contains('\u{1b}'),
            "colours are for terminals: {line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_when_what_is_under_way_is_finished() {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    for (signal, workers) in [("TERM", 1), ("TERM", 2), ("INT", 1), ("INT", 2)] {
        files.config["gateway"]["workers"] = json!(workers);
        upstream.hold();
        let mut serving = Serving::start(&files.write(), &[]);
        let (address, admin) = (serving.listening(), serving.admin());
        let before = upstream.count();
        let slow = tokio::spawn(async move { ask(address, "GET /slow HTTP/1.1\r\n\r\n").await });
        upstream
            .wait_until("a slow request", |all| all.len() > before)
            .await;
        serving.signal(signal);
        serving.wait_for("stopping", 1);
        refused(address).await;
        let ready = ask(admin, "GET /health/ready HTTP/1.1\r\n\r\n").await;
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        upstream.release();
        let answer = slow.await.expect("a task");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{signal}: {answer}"
        );
        assert_eq!(serving.ended().code(), Some(0), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_cut_and_a_second_signal_does_not_wait() {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    for (drain, signals, words, workers) in [
        ("200ms", 1, "the time for draining is over", 1),
        ("200ms", 1, "the time for draining is over", 2),
        ("25s", 2, "told twice to stop", 1),
        ("25s", 2, "told twice to stop", 2),
    ] {
        files.config["gateway"]["workers"] = json!(workers);
        files.config["gateway"]["timeouts"] = json!({"drain": drain});
        let mut serving = Serving::start(&files.write(), &[]);
        let address = serving.listening();
        let before = upstream.count();
        let slow = tokio::spawn(async move { ask(address, "GET /slow HTTP/1.1\r\n\r\n").await });
        upstream
            .wait_until("a slow request", |all| all.len() > before)
            .await;
        serving.signal("TERM");
        serving.wait_for("stopping", 1);
        if signals == 2 {
            serving.signal("TERM");
        }
        serving.wait_for(words, 1);
        assert_eq!(serving.ended().code(), Some(0));
        assert_eq!(slow.await.ok().as_deref(), Some(""), "no half answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_configuration_again() {
    for workers in [1, 2] {
        hangup(workers).await;
    }
}

async fn hangup(workers: usize) {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    files.config["gateway"]["workers"] = json!(workers);
    let mut serving = Serving::start(&files.write(), &[]);
    let address = serving.listening();
    files.config["services"][0]["routes"][0]["paths"] = json!(["/new"]);
    files.write();
    serving.signal("HUP");
    serving.wait_for("is in force", 1);
    assert!(ask(address, GET).await.starts_with("HTTP/1.1 404 "));
    assert!(
        ask(address, "GET /new HTTP/1.1\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    // A mistake is named, and changes nothing.
    files.write_text("services:\n  - name: s\n    ulr: http://canary:canary@a\n");
    serving.signal("HUP");
    let refused = json_line(&serving.wait_for("stays as it was", 1)[0]);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("gateway.yaml:3") && message.contains("ulr"),
        "{message}"
    );
    assert!(!message.contains("canary"), "{message}");
    assert!(
        ask(address, "GET /new HTTP/1.1\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    serving.signal("TERM");
    assert_eq!(serving.ended().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named_with_what_to_do() {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    let taken = upstream.address().to_string();
    for key in ["listen", "admin_listen"] {
        let before = files.config["gateway"][key].clone();
        files.config["gateway"][key] = if key == "listen" {
            json!([taken])
        } else {
            json!(taken)
        };
        let output = run(&["serve", "--config", &files.write()]);
        files.config["gateway"][key] = before;
        assert_eq!(output.status.code(), Some(1));
        let text = printed(&output);
        assert!(text.contains(&taken), "{text}");
        assert!(text.contains(&format!("gateway.{key}")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_wrong_is_not_run() {
    let upstream = upstream().await;
    let mut files = Files::before(&upstream);
    let good = files.config.clone();
    let plugin = |name: &str, value: Value| {
        let mut config = json!({
            "issuer": "https://idp.test/realms/kong",
            "client_id": ["c"],
            "client_secret": ["canary-secret"],
            "auth_methods": ["password"],
        });
        config[name] = value;
        json!([{"name": "openid-connect", "config": config}])
    };
    for (change, words) in [
        (plugin("isuer", json!("canary-typo")), "isuer"),
        (
            plugin("client_secret", json!(["{file:/nowhere/secret}"])),
            "client_secret",
        ),
        (
            plugin("client_secret", json!(["{env:CANARY_UNSET}"])),
            "client_secret",
        ),
        (plugin("ssl_verify", json!("perhaps")), "ssl_verify"),
    ] {
        files.config["services"][0]["plugins"] = change;
        for command in ["serve", "check"] {
            let output = run(&[command, "--config", &files.write()]);
            let text = printed(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(
                text.contains("gateway.yaml:1: ") && text.contains(words),
                "{text}"
            );
            assert!(!text.contains("canary-"), "{text}");
        }
        files.config = good.clone();
    }
    let output = run(&["serve", "--config", "/nowhere/gateway.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("/nowhere/gateway.yaml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_goes_before_the_file() {
    let upstream = upstream().await;
    let files = Files::before(&upstream);
    let file = files.write();
    let mut command = program(&["serve"]);
    command
        .env("OIDC_PROXY_CONFIG", &file)
        .env("OIDC_PROXY__GATEWAY__ADMIN_LISTEN", "127.0.0.2:0");
    let serving = Serving::spawn(&mut command);
    assert_eq!(serving.admin().ip().to_string(), "127.0.0.2");
    let output = program(&["check", "--config", &file])
        .env("OIDC_PROXY__GATEWAY__ADMIN_LISTNE", "127.0.0.2:0")
        .output()
        .expect("a process");
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("ADMIN_LISTNE") || printed(&output).contains("admin_listne"));
}
