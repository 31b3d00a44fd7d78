//! The command line: help, bad usage, `check`, `health`.

use keycloak_testkit::EchoUpstream;
use serde_json::json;

use crate::process::{Files, Serving, fixture, printed, run};

#[test]
fn every_command_has_help() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["explain", "--help"],
        &["health", "--help"],
        &["help", "explain"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
        let text = printed(&output);
        assert!(text.contains("Usage: oidc-proxy"), "{text}");
        if arguments.len() == 2 {
            assert!(text.contains("--config"), "{text}");
        }
    }
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        printed(&version),
        format!("oidc-proxy {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn bad_usage_is_exit_2() {
    for arguments in [
        &[][..],
        &["serv"],
        &["serve"],
        &["serve", "--config"],
        &["serve", "--config", "a", "--log-format", "xml"],
        &["check", "--conf", "a"],
        &["check", "--config", "a", "b"],
        &["explain"],
        &["explain", "--config", "a", "--header"],
    ] {
        let output = run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            printed(&output)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_it_found() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    let output = run(&["check", "--config", &files.write()]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(
        printed(&output)
            .contains("no problem found (services: 1, routes: 1, of them with openid-connect: 0)")
    );

    // Listeners are not opened: an address that is taken is no mistake of the file's.
    files.config["gateway"]["listen"] = json!([upstream.address().to_string()]);
    let output = run(&["check", "--config", &files.write()]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    // What the file names is looked at.
    std::fs::write(files.path("a.pem"), "no certificate").expect("written");
    files.config["gateway"]["listen"] = json!([{
        "address": "127.0.0.1:0",
        "tls": {"certificate": files.path("a.pem"), "key": files.path("a.pem")},
    }]);
    files.config["services"][0]["ca_certificates"] = json!([files.path("a.pem")]);
    let output = run(&["check", "--config", &files.write()]);
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    assert!(
        text.contains("gateway.listen") && text.contains("the service s"),
        "{text}"
    );
    assert!(text.contains("2 problems found"), "{text}");
}

#[test]
fn ten_mistakes_are_ten_problems_in_one_run() {
    let file = fixture("ten-mistakes.yaml");
    let output = run(&["check", "--config", &file]);
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    let named = text
        .lines()
        .filter(|line| line.starts_with(&format!("{file}:")));
    let mut places: Vec<_> = named
        .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(": "))
        .collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 10, "{text}");
    assert!(text.contains("10 problems found"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_whether_the_gateway_is_ready() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = free.local_addr().expect("an address");
    drop(free);
    files.config["gateway"]["admin_listen"] = json!(admin.to_string());
    let file = files.write();
    assert_eq!(run(&["health", "--config", &file]).status.code(), Some(1));
    let mut serving = Serving::start(&file, &[]);
    let address = serving.listening();
    let output = run(&["health", "--config", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert_eq!(printed(&output), "ready\n");
    let slow =
        tokio::spawn(
            async move { crate::process::ask(address, "GET /slow HTTP/1.1\r\n\r\n").await },
        );
    upstream.wait_for_held(1).await;
    serving.signal("TERM");
    serving.wait_for("stopping", 1);
    let output = run(&["health", "--config", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("503"), "{}", printed(&output));
    upstream.release();
    slow.await.expect("a task");
    assert_eq!(serving.ended().code(), Some(0));
}
