//! `oidc-proxy explain`: the seed's sequence in nine steps, and no token burned.

use keycloak_testkit::{
    Client, ClientLogin, EchoUpstream, EmbeddedIdp, Endpoint, IdentityProvider as _, Realm,
};
use serde_json::json;

use crate::process::{Files, printed, run};

const SECRET: &str = "canary-client-secret";

/// The numbers of the steps that were told.
fn steps(text: &str) -> Vec<u8> {
    text.lines()
        .filter_map(|line| line.get(..2)?.trim().parse().ok())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_request_is_told_in_nine_steps() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong").client(Client::secret("app", SECRET)));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    files.config["services"][0]["plugins"] = json!([{
        "name": "openid-connect",
        "config": {
            "issuer": realm.issuer(),
            "client_id": ["app"],
            "client_secret": [SECRET],
            "auth_methods": ["refresh_token", "password"],
            "refresh_token_param_type": ["header"],
            "refresh_token_param_name": "refresh_token",
            "upstream_refresh_token_header": "refresh_token",
        },
    }]);
    let file = files.write();
    let login = || ClientLogin::basic("app", SECRET);
    let token = realm
        .log_in("john", "doe", login())
        .await
        .expect("tokens")
        .refresh()
        .to_owned();
    let header = format!("Refresh-Token: {token}");
    let explain = |more: &[&str]| {
        let mut arguments = vec![
            "explain",
            "--config",
            &file,
            "--url",
            "http://localhost:8000/",
        ];
        arguments.extend(more);
        run(&arguments)
    };

    let dry = explain(&["--header", &header]);
    let text = printed(&dry);
    assert_eq!(dry.status.code(), Some(0), "{text}");
    assert_eq!(steps(&text), [1, 2, 3, 4, 5, 6, 7, 8, 9], "{text}");
    for words in [
        "found a refresh token in the header Refresh-Token",
        "grant_type refresh_token",
        "client \"app\" by client_secret_basic",
        "not asked: --run would",
        "Authorization: [redacted]",
        "Refresh-Token: [redacted]",
        &realm.token_endpoint(),
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert_eq!(realm.count(Endpoint::Token), 0, "no token was burned");

    // The header may come from a file, so that it stands on no command line.
    std::fs::write(files.path("header"), &header).expect("written");
    let from_file = format!("@{}", files.path("header").display());
    let again = printed(&explain(&["--header", &from_file]));
    assert_eq!(again, text);

    let real = explain(&["--header", &header, "--run"]);
    let run_text = printed(&real);
    assert_eq!(real.status.code(), Some(0), "{run_text}");
    assert_eq!(steps(&run_text), [1, 2, 3, 4, 5, 6, 7, 8, 9], "{run_text}");
    assert!(run_text.contains("verified the tokens"), "{run_text}");
    assert_eq!(realm.count(Endpoint::Token), 1);
    assert_eq!(upstream.count(), 0, "the upstream is never asked");

    for told in [&text, &run_text] {
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!told.contains(part), "a part of the token in {told}");
        }
        assert!(!told.contains(SECRET), "{told}");
        assert!(!told.contains("eyJ"), "some token in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_its_reason_and_what_to_do() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong").client(Client::secret("app", SECRET)));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    files.config["services"][0]["routes"][0]["paths"] = json!(["/here"]);
    files.config["services"][0]["plugins"] = json!([{
        "name": "openid-connect",
        "config": {
            "issuer": realm.issuer(),
            "client_id": ["app"],
            "client_secret": [SECRET],
            "auth_methods": ["refresh_token", "password"],
            "refresh_token_param_name": "refresh_token",
        },
    }]);
    let file = files.write();
    // A token of another client's, as in the seed's caveat.
    let service = ClientLogin::service();
    let strange = realm.log_in("john", "doe", service).await.expect("tokens");
    let strange = format!("Refresh-Token: {}", strange.refresh());
    for (url, more, code) in [
        ("http://localhost/elsewhere", &[][..], "request.no_route"),
        ("http://localhost/here", &[], "credential.missing"),
        (
            "http://localhost/here",
            &["-u", "john:canary-wrong", "--run"],
            "password.invalid_grant",
        ),
        (
            "http://localhost/here",
            &["-H", &strange, "--run"],
            "refresh_token.client_mismatch",
        ),
        ("http://localhost/here/%00", &[], "request.target_nul"),
        (
            "http://localhost/here/..%2fx",
            &[],
            "request.target_ambiguous",
        ),
    ] {
        let mut arguments = vec!["explain", "-c", &file, "--url", url];
        arguments.extend(more);
        let output = run(&arguments);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{code}: {text}");
        assert!(text.contains(code), "{code}: {text}");
        assert!(!text.contains("canary"), "{text}");
    }
    for arguments in [
        ["--url", "not a url"],
        ["--url", "/no-host"],
        ["--header", "canary-without-colon"],
        ["--method", "G T"],
    ] {
        let mut all = vec!["explain", "-c", &file];
        all.extend(arguments);
        let output = run(&all);
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        assert!(!printed(&output).contains("canary"), "{}", printed(&output));
    }
}

#[test]
fn a_route_for_tls_is_found_by_an_https_url_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("gateway.yaml");
    let text = "services:\n  - name: s\n    url: http://127.0.0.1:9\n    routes:\n      - {name: tls, paths: [/], protocols: [https]}\n";
    std::fs::write(&config, text).expect("written");
    for (url, code, part) in [
        ("http://a.test/", 1, "426"),
        ("https://a.test/", 0, "route tls"),
    ] {
        let told = run(&[
            "explain",
            "--config",
            config.to_str().expect("text"),
            "--url",
            url,
        ]);
        let printed = printed(&told);
        assert_eq!(told.status.code(), Some(code), "{url}: {printed}");
        assert!(printed.contains(part), "{url}: {printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_verified_without_asking_for_anything_but_keys() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong"));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let mut files = Files::before(&upstream);
    files.config["services"][0]["plugins"] = json!([{
        "name": "openid-connect",
        "config": {
            "issuer": realm.issuer(),
            "auth_methods": ["bearer"],
            "proof_of_possession_dpop": "optional",
            "search_user_info": true,
        },
    }]);
    let file = files.write();
    let service = ClientLogin::service();
    let token = realm.log_in("john", "doe", service).await.expect("tokens");
    let token = token.access_token;
    let explain = |token: &str| {
        let header = format!("Authorization: Bearer {token}");
        run(&[
            "explain",
            "-c",
            &file,
            "--url",
            "http://localhost/",
            "-H",
            &header,
        ])
    };
    let good = explain(&token);
    let text = printed(&good);
    assert_eq!(good.status.code(), Some(0), "{text}");
    assert_eq!(steps(&text), [1, 2, 3, 4, 5, 6, 7, 8, 9], "{text}");
    for words in [
        "found an access token in the header Authorization",
        "the issuer's keys decide",
        "verified the tokens: signature",
        "used to ask about the user: --run does",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert_eq!(realm.count(Endpoint::Token), 0);
    assert_eq!(realm.count(Endpoint::Userinfo), 0);
    assert!(!text.contains("eyJ"), "some token in {text}");

    // What nobody could prove is not said to pass.
    files.config["services"][0]["plugins"][0]["config"]["proof_of_possession_dpop"] =
        json!("strict");
    files.write();
    let unproven = explain(&token);
    let text = printed(&unproven);
    assert_eq!(unproven.status.code(), Some(1), "{text}");
    assert!(text.contains("dpop.token_not_bound"), "{text}");

    let (rest, _) = token.rsplit_once('.').expect("three parts");
    for (token, code) in [
        (format!("{rest}.c2lnbmF0dXJl"), "token.signature_invalid"),
        ("opaque".to_owned(), "token.opaque"),
    ] {
        let bad = explain(&token);
        let text = printed(&bad);
        assert_eq!(bad.status.code(), Some(1), "{text}");
        assert!(text.contains(code), "{code} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_request_is_from_is_told_and_whether_the_list_lets_it_through() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong").client(Client::secret("app", SECRET)));
    let upstream = EchoUpstream::start().await.expect("an upstream");
    for (allowed, named, anonymous) in [("staff", 0, 1), ("guests", 1, 0)] {
        let mut files = Files::before(&upstream);
        files.config["consumers"] = json!([
            {"username": "john", "acls": [{"group": "staff"}]},
            {"username": "guest", "acls": [{"group": "guests"}]},
        ]);
        files.config["services"][0]["plugins"] = json!([
            {
                "name": "openid-connect",
                "config": {
                    "issuer": realm.issuer(),
                    "client_id": ["app"],
                    "client_secret": [SECRET],
                    "auth_methods": ["password"],
                    "consumer_claims": [["preferred_username"]],
                    "anonymous": "guest",
                },
            },
            {"name": "acl", "config": {"allow": [allowed]}},
        ]);
        let file = files.write();
        let url = "http://localhost:8000/";
        let john = [
            "explain", "-c", &file, "--url", url, "-u", "john:doe", "--run",
        ];
        let nobody = ["explain", "-c", &file, "--url", url];
        for (arguments, status, words) in [
            (&john[..], named, "consumer \"john\""),
            (&nobody[..], anonymous, "goes on as the anonymous consumer"),
        ] {
            let done = run(arguments);
            let text = printed(&done);
            assert_eq!(done.status.code(), Some(status), "{text}");
            assert!(text.contains(words), "{text}");
            let refused = text.contains("acl.group_not_allowed");
            assert_eq!(refused, status != 0, "{text}");
        }
    }
    assert_eq!(upstream.count(), 0);
}
