//! What a configuration may say, and how every mistake in it is named: the contract's section 2.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oidc_core::CredentialKind;
use proptest::prelude::*;
use proxy_bin::config::{
    self, Carried, ClientAuthMethod, ClientKey, Gateway, PARAMETERS, Problems,
};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn load(path: &Path, environment: &[(&str, &str)]) -> Result<Gateway, Problems> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::load(path, environment)
}

/// A gateway with one plugin, whose `config` has these further lines.
fn with_plugin(lines: &str) -> String {
    let lines = lines
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect::<String>();
    format!(
        "services:\n  - name: s\n    url: http://127.0.0.1:9080\n    routes:\n      - {{name: r, paths: [\"/\"]}}\n    plugins:\n      - name: openid-connect\n        config:\n{lines}"
    )
}

const LEAST: &str = "issuer: https://idp.test/realms/kong\nclient_id: [kong]\nclient_secret: [s]\nauth_methods: [password]\n";

fn problems(text: &str) -> Vec<String> {
    config::from_yaml(text)
        .err()
        .map(|p| p.iter().map(|p| p.to_string()).collect())
        .unwrap_or_default()
}

#[test]
fn the_demos_configuration_is_clean() {
    let gateway = load(&repository("docker/gateway.yaml"), &[]).expect("no problem");
    let plugin = gateway.routes[0]
        .plugin
        .as_ref()
        .expect("the service's plugin");
    assert_eq!(
        plugin.auth_methods,
        [CredentialKind::RefreshToken, CredentialKind::Password]
    );
    assert!(matches!(
        plugin.clients[0].auth,
        ClientAuthMethod::PrivateKeyJwt(ClientKey::Managed(_))
    ));
    let carried = |what: Carried| {
        let mut headers = plugin.headers.upstream.iter();
        let found = headers.find(|header| header.carried == what).expect("set");
        found.target.name.as_str()
    };
    assert_eq!(carried(Carried::RefreshToken), "refresh-token");
    assert_eq!(carried(Carried::AccessToken), "authorization");
    assert_eq!(plugin.timeout, Duration::from_secs(10));
}

#[test]
fn an_address_is_listened_on_once() {
    let listen =
        |addresses: &str| format!("gateway:\n  listen: [{addresses}]\n{}", with_plugin(LEAST));
    assert_eq!(problems(&listen("'127.0.0.1:80', '127.0.0.2:80'")), [""; 0]);
    let found = problems(&listen("'127.0.0.1:80', {address: '127.0.0.1:80'}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("127.0.0.1:80 is listed twice"),
        "{found:?}"
    );
}

#[test]
fn ten_mistakes_are_named_in_one_run_each_with_file_line_and_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ten-mistakes.yaml");
    let problems = load(&path, &[]).expect_err("ten mistakes");
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| {
            problem
                .to_string()
                .rsplit_once("ten-mistakes.yaml:")
                .expect("the file")
                .1
                .to_owned()
        })
        .collect();
    for (index, (start, part)) in [
        ("3: gateway.listen[0]:", "not an address with a port"),
        ("4: gateway.limits.headers:", "64 KiB"),
        ("5: gateway.colour:", "unknown key; allowed: admin_listen"),
        ("8: services[0].url:", "not an http or https URL"),
        ("10: services[0].routes[0].methods[0]:", "upper case"),
        ("10: services[0].routes[0].paths[0]:", "begins with /"),
        (
            "15: services[0].plugins[0].config.isuer:",
            "did you mean issuer?",
        ),
        (
            "17: services[0].plugins[0].config.client_auth[0]:",
            "allowed: client_secret_basic",
        ),
        (
            "18: services[0].plugins[0].config.client_secret[0]:",
            "CANARY_NOT_SET is not set",
        ),
        (
            "20: services[0].plugins[0].config.session_secret:",
            "not implemented yet",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let line = lines
            .get(index)
            .unwrap_or_else(|| panic!("{start} is missing in {lines:#?}"));
        assert!(line.starts_with(start) && line.contains(part), "{line}");
    }
    assert_eq!(lines.len(), 10, "{lines:#?}");
    let shown = format!("{problems} {problems:?}");
    assert!(
        !shown.contains("canary-session-secret") && !shown.contains("canary-typo"),
        "{shown}"
    );
}

#[test]
fn each_mistake_stands_beside_a_twin_without_it() {
    assert_eq!(problems(&with_plugin(LEAST)), [""; 0]);
    for (lines, part) in [
        (
            "client_id: [kong]\nclient_secret: [s]\nauth_methods: [password]",
            "issuer is required",
        ),
        (
            "issuer: https://idp.test\nclient_secret: [s]\nauth_methods: [password]",
            "client_id is required",
        ),
        (
            "issuer: https://idp.test\nclient_id: [kong]\nclient_secret: [s]",
            "auth_methods is required here",
        ),
        (
            "issuer: https://idp.test\nclient_id: [kong]\nclient_secret: [s]\nauth_methods: [kong_oauth2]",
            "kong_oauth2 is not implemented yet",
        ),
        (
            "issuer: https://idp.test\nclient_id: [kong]\nauth_methods: [password]",
            "needs client_secret[0]",
        ),
        (
            "issuer: https://idp.test?x\nclient_id: [kong]\nclient_secret: [s]\nauth_methods: [password]",
            "no user name, query or fragment",
        ),
        (&format!("{LEAST}client_id: [kong]"), "the key stands twice"),
        (
            &format!("{LEAST}client_alg: [none]"),
            "not allowed; allowed: HS256",
        ),
        (
            "issuer: https://idp.test\nauth_methods: [introspection]",
            "client_id is required",
        ),
        (
            "issuer: https://idp.test\nauth_methods: [bearer]\nbearer_token_param_type: [cookie]",
            "bearer_token_cookie_name",
        ),
        (
            &format!("{LEAST}client_auth: [tls_client_auth]"),
            "needs tls_client_auth_cert_id",
        ),
        (
            &format!("{LEAST}tls_client_auth_cert_id: nobody"),
            "no certificate of the id",
        ),
        (
            &format!("{LEAST}token_exchange: {{subject_token_issuers: [{{issuer: a}}]}}"),
            "cannot be an issuer",
        ),
        (
            &format!("{LEAST}proof_of_possession_dpop: strict"),
            "nothing can be proven of password",
        ),
        (
            &format!(
                "{LEAST}proof_of_possession_mtls_from_header: {{certificate_header_name: x-cert, secure_source: false}}"
            ),
            "gateway.trusted_ips",
        ),
        (
            &format!(
                "{LEAST}proof_of_possession_mtls_from_header: {{certificate_header_name: x-cert, ca_certificates: [nobody]}}"
            ),
            "no ca_certificate of the id",
        ),
        (
            &format!(
                "{LEAST}token_exchange: {{subject_token_issuers: [{{issuer: \"https://a.test\"}}]}}"
            ),
            "needs bearer or introspection",
        ),
        (
            "issuer: https://idp.test\nclient_id: [kong]\nclient_secret: ['${{ env \"DECK_SECRET\" }}']\nauth_methods: [password]",
            "is a template",
        ),
        (
            &format!("{LEAST}introspection_accept: text/html"),
            "allowed: application/json",
        ),
        (
            &format!("{LEAST}auth_method: [password]"),
            "did you mean auth_methods?",
        ),
        (
            &format!("{LEAST}upstream_id_token_header: authorization"),
            "both called authorization",
        ),
        (
            &format!("{LEAST}upstream_id_token_header: transfer_encoding"),
            "belongs to the message itself",
        ),
        (
            &format!("{LEAST}upstream_id_token_header: \"a b\""),
            "not a header's name",
        ),
        (
            &format!("{LEAST}verify_signature: \"yes\""),
            "expected true or false, found a text",
        ),
        (
            &format!("{LEAST}verify_signature: yes"),
            "expected true or false, found a text",
        ),
        (&format!("{LEAST}leeway: -1"), "not negative"),
        (
            &format!("{LEAST}token_headers_names: [a, b]\ntoken_headers_values: [c]"),
            "the same number",
        ),
        (
            &format!("{LEAST}enable_hs_signatures: true"),
            "not implemented yet",
        ),
    ] {
        let problems = problems(&with_plugin(lines));
        assert!(
            problems.len() == 1 && problems[0].contains(part),
            "{lines}\n{problems:#?}"
        );
    }
}

#[test]
fn all_of_kongs_parameters_are_taken_at_null_and_at_their_defaults() {
    let own = ["issuer", "client_id", "client_secret", "auth_methods"];
    for null in [true, false] {
        let mut lines = LEAST.to_owned();
        for parameter in PARAMETERS
            .iter()
            .filter(|parameter| !own.contains(&parameter.name))
        {
            let value = match (null, parameter.default) {
                (true, _) | (false, None) => "null".to_owned(),
                (false, Some(default)) if parameter.kind == config::Kind::List => {
                    format!(
                        "[{}]",
                        default
                            .split(',')
                            .filter(|w| !w.is_empty())
                            .map(|w| format!("\"{w}\""))
                            .collect::<Vec<_>>()
                            .join(",")
                    )
                }
                (false, Some(default)) => default.to_owned(),
            };
            lines.push_str(&format!("{}: {value}\n", parameter.name));
        }
        assert_eq!(problems(&with_plugin(&lines)), [""; 0]);
    }
    // All of Kong's, and a deprecated one; the others are told apart by what is said of them.
    let own =
        |parameter: &&config::Parameter| parameter.meaning.contains("An addition of this gateway.");
    assert_eq!(
        PARAMETERS.len() - PARAMETERS.iter().filter(own).count(),
        235
    );
}

#[test]
fn the_environment_goes_before_the_file() {
    let path = repository("docker/gateway.yaml");
    let gateway = load(
        &path,
        &[
            (
                "OIDC_PROXY__GATEWAY__LISTEN",
                "127.0.0.1:7000,127.0.0.1:7001",
            ),
            ("OIDC_PROXY__GATEWAY__LIMITS__HEADER_COUNT", "7"),
            ("OIDC_PROXY__GATEWAY__TRUSTED_IPS", "[10.0.0.0/8, \"::1\"]"),
            ("OIDC_PROXY__SERVICES__0__URL", "http://127.0.0.1:1/x"),
            (
                "OIDC_PROXY__SERVICES__0__PLUGINS__0__CONFIG__HIDE_CREDENTIALS",
                "false",
            ),
            ("UNRELATED", "x"),
        ],
    );
    let gateway = gateway.expect("no problem");
    assert_eq!(gateway.settings.listen.len(), 2);
    assert_eq!(gateway.settings.trusted_ips.len(), 2);
    assert_eq!(gateway.settings.limits.header_count, 7);
    assert_eq!(
        gateway.routes[0].service.url.as_str(),
        "http://127.0.0.1:1/x"
    );
    assert!(
        !gateway.routes[0]
            .plugin
            .as_ref()
            .expect("a plugin")
            .hide_credentials
    );

    let problems = load(
        &path,
        &[
            ("OIDC_PROXY__GATEWAY__LIMITS__HEADER_COUNT", "many"),
            ("OIDC_PROXY__SERVICES__7__URL", "x"),
        ],
    );
    let problems = problems.expect_err("two mistakes").to_string();
    assert!(
        problems.contains("environment variable OIDC_PROXY__GATEWAY__LIMITS__HEADER_COUNT"),
        "{problems}"
    );
    assert!(
        problems.contains("does not lead to a setting"),
        "{problems}"
    );
}

#[test]
fn secrets_are_taken_from_files_and_variables() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, "from file\n").expect("written");
    let path = directory.path().join("gateway.yaml");
    let lines = format!(
        "issuer: https://idp.test\nauth_methods: [password]\nclient_id: [a, b, c]\nclient_secret: [\"{{file:{}}}\", \"{{env:B}}\", \"{{vault://env/the-c}}\"]",
        file.display()
    );
    std::fs::write(&path, with_plugin(&lines)).expect("written");
    let gateway = load(&path, &[("B", "from b"), ("THE_C", "from c")]).expect("no problem");
    let plugin = gateway.routes[0].plugin.as_ref().expect("a plugin");
    let secrets: Vec<_> = plugin
        .clients
        .iter()
        .map(|client| match &client.auth {
            ClientAuthMethod::SecretBasic(secret) => secret.expose(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(secrets, ["from file", "from b", "from c"]);
    assert!(!format!("{gateway:?}").contains("from "));
}

#[test]
fn json_and_toml_say_the_same_as_yaml() {
    let directory = tempfile::tempdir().expect("a directory");
    let json = directory.path().join("gateway.json");
    std::fs::write(&json, r#"{"services":[{"name":"s","url":"http://127.0.0.1:1","routes":[{"name":"r","paths":["/a"]}]}]}"#).expect("written");
    let toml = directory.path().join("gateway.toml");
    std::fs::write(&toml, "[[services]]\nname = \"s\"\nurl = \"http://127.0.0.1:1\"\n[[services.routes]]\nname = \"r\"\npaths = [\"/a\"]\n").expect("written");
    for path in [json, toml] {
        let gateway = load(&path, &[]).expect("no problem");
        assert_eq!(
            (gateway.routes.len(), gateway.routes[0].name.as_str()),
            (1, "r")
        );
    }
    let wrong = directory.path().join("wrong.toml");
    std::fs::write(&wrong, "[gateway]\n\nlisten = 7\n").expect("written");
    let problems = load(&wrong, &[]).expect_err("a mistake").to_string();
    assert!(
        problems.contains("wrong.toml:3: gateway.listen"),
        "{problems}"
    );
}

#[test]
fn the_most_specific_plugin_is_in_force() {
    let plugin = |id: &str| {
        format!(
            "{{issuer: \"https://idp.test\", client_id: [{id}], client_auth: [none], auth_methods: [password]}}"
        )
    };
    let text = format!(
        "plugins:\n  - {{name: openid-connect, config: {}}}\n  - {{name: openid-connect, route: b2, config: {}}}\nservices:\n  - name: a\n    url: http://127.0.0.1:1\n    routes: [{{name: a1, paths: [/a1]}}]\n  - name: b\n    url: http://127.0.0.1:1\n    plugins: [{{name: openid-connect, config: {}}}]\n    routes: [{{name: b1, paths: [/b1]}}, {{name: b2, paths: [/b2]}}]\n",
        plugin("global"),
        plugin("route"),
        plugin("service")
    );
    let gateway = config::from_yaml(&text).expect("no problem");
    let clients: Vec<_> = gateway
        .routes
        .iter()
        .map(|route| {
            route.plugin.as_ref().expect("a plugin").clients[0]
                .id
                .as_str()
        })
        .collect();
    assert_eq!(clients, ["global", "service", "route"]);
}

#[test]
fn counts_are_taken_within_their_bounds() {
    let set = |line: &str| format!("gateway: {{{line}}}\n{}", with_plugin(LEAST));
    for good in [
        "workers: 1",
        "workers: 1024",
        "limits: {cached_tokens: 1000}",
        "limits: {cached_tokens: 100000000}",
    ] {
        assert_eq!(problems(&set(good)), [""; 0], "{good}");
    }
    for (bad, key, allowed) in [
        ("workers: 0", "gateway.workers", "from 1 to 1024"),
        ("workers: 1025", "gateway.workers", "from 1 to 1024"),
        ("workers: some", "gateway.workers", "from 1 to 1024"),
        (
            "limits: {cached_tokens: 999}",
            "gateway.limits.cached_tokens",
            "from 1000 to 100000000",
        ),
        (
            "limits: {cached_tokens: 1 MiB}",
            "gateway.limits.cached_tokens",
            "from 1000 to 100000000",
        ),
    ] {
        let found = problems(&set(bad));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].contains(key), "{found:?}");
        assert!(found[0].contains(allowed), "{found:?}");
    }
    let settings = |line: &str| config::from_yaml(&set(line)).expect("no problem").settings;
    assert_eq!(settings("workers: 2").workers, Some(2));
    let limits = settings("limits: {cached_tokens: 5000}").limits;
    assert_eq!(limits.cached_tokens, 5000);
    let default = settings("").limits;
    assert_eq!(default.cached_tokens, 100_000);
}

#[test]
fn a_name_is_one_routes_name() {
    let service = |name: &str, route: &str| {
        format!(
            "  - {{name: {name}, url: \"http://127.0.0.1:1\", routes: [{{name: {route}, paths: [/{name}]}}]}}\n"
        )
    };
    let text = |second: &str| {
        let (a, b) = (service("a", "one"), service("b", second));
        format!("services:\n{a}{b}")
    };
    assert_eq!(problems(&text("two")), [""; 0]);
    let found = problems(&text("one"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a second route \"one\""), "{found:?}");
}

#[test]
fn the_reference_page_is_what_the_table_says() {
    let path = repository("docs/configuration.md");
    let page = config::reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).expect("the page");
    assert!(
        committed == page,
        "docs/configuration.md is stale: run the test with UPDATE_DOCS=1"
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\PC\n]{0,200}") {
        let _ = config::from_yaml(&text);
    }

    #[test]
    fn no_plugin_settings_make_it_panic(key in 0..PARAMETERS.len(), value in "[ -~]{0,30}") {
        let _ = config::from_yaml(&with_plugin(&format!("{}: {value}", PARAMETERS[key].name)));
    }
}

#[test]
fn what_would_narrow_a_route_or_a_plugin_is_not_silently_ignored() {
    let route = |extra: &str| {
        format!(
            "services:\n  - name: s\n    url: http://127.0.0.1:9080\n    routes:\n      - {{name: r, paths: [\"/\"], {extra}}}\n"
        )
    };
    for (refused, twin) in [
        ("snis: [a.test]", "snis: []"),
        ("sources: [{ip: 10.0.0.1}]", "sources: null"),
        ("destinations: [{port: 1}]", "destinations: null"),
        ("path_handling: v1", "path_handling: v0"),
        (
            "https_redirect_status_code: 301",
            "https_redirect_status_code: 426",
        ),
    ] {
        let found = problems(&route(refused));
        assert!(
            found.len() == 1 && found[0].contains("never silently ignored"),
            "{refused}: {found:#?}"
        );
        assert_eq!(problems(&route(twin)), [""; 0], "{twin}");
    }
    for (refused, twin) in [
        (
            "principals: {enabled: true}",
            "principals: {enabled: false, directory: default}",
        ),
        (
            "redis: {host: cache.test}",
            "redis: {host: 127.0.0.1, port: 6379, ssl_verify: true}",
        ),
    ] {
        let found = problems(&with_plugin(&format!("{LEAST}{refused}")));
        assert!(
            found.len() == 1 && found[0].contains("not implemented yet"),
            "{refused}: {found:#?}"
        );
        assert_eq!(
            problems(&with_plugin(&format!("{LEAST}{twin}"))),
            [""; 0],
            "{twin}"
        );
    }
    let global = "plugins:\n  - {name: openid-connect, consumer: jane, config: {issuer: \"https://a\", client_id: [a], client_secret: [s], auth_methods: [password]}}\n";
    let text = format!("{}{global}", route("methods: [GET]"));
    assert!(problems(&text)[0].contains("never silently ignored"));
    assert_eq!(
        problems(&text.replace("consumer: jane", "consumer: null")),
        [""; 0]
    );
}

#[test]
fn no_duration_is_longer_than_a_clock_can_count() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    for huge in ["1.0e22", "18446744073709551615", "1000y"] {
        let text = with_plugin(&format!("{LEAST}timeout: {huge}"));
        let gateway = config::from_yaml(&text).expect("no problem");
        let plugin = gateway.routes[0].plugin.as_ref().expect("a plugin");
        assert_eq!(plugin.timeout, century, "{huge}");
    }
}

#[test]
fn no_password_of_a_url_is_printed() {
    for text in [
        with_plugin(&LEAST.replace("://idp", "://john:canary@idp")),
        with_plugin(&format!(
            "{LEAST}token_endpoint: https://john:canary@idp:99999/"
        )),
        with_plugin(LEAST).replace("127.0.0.1:9080", "john:canary@host:99999"),
    ] {
        let problems = problems(&text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(!problems[0].contains("canary"), "{problems:?}");
    }
}

#[test]
fn what_came_from_elsewhere_is_never_printed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, file) = (
        directory.path().join("gateway.yaml"),
        directory.path().join("secret"),
    );
    std::fs::write(&file, "*canary* /@\n").expect("written");
    let text = |there: &str| {
        format!(
            r#"
gateway:
  listen: ["{there}"]
  trusted_ips: ["{there}"]
consumers:
  - {{username: "{there}"}}
  - {{username: "{there}", groups: [{{name: "{there}"}}]}}
consumer_groups:
  - {{name: g, consumers: ["{there}2"]}}
services:
  - name: s
    host: "{there}"
    client_certificate: "{there}"
    routes:
      - {{name: r, paths: ["{there}", "/"], methods: ["{there}"], hosts: ["{there}"]}}
      - {{name: "{there}"}}
      - {{name: "{there}"}}
    plugins:
      - name: openid-connect
        config:
          issuer: https://idp.test/realms/kong
          client_id: [kong]
          client_secret: [s]
          auth_methods: [password, bearer, "{there}"]
          bearer_token_header_name: "{there}"
          refresh_token_param_name: "{there}"
          token_endpoint: "{there}"
          upstream_access_token_header: "{there}"
          anonymous: "{there}2"
  - {{name: "{there}", url: "http://a"}}
  - {{name: "{there}", url: "http://a"}}
plugins:
  - {{name: openid-connect, service: "{there}2", config: {{issuer: "{there}"}}}}
routes:
  - {{name: q, service: {{name: "{there}2"}}}}
"#
        )
    };
    let environment = [
        ("ELSEWHERE", "*canary* /@"),
        ("ELSEWHERE2", "*canary* /@ 2"),
    ];
    let found = |text: String| -> Vec<String> {
        let text = text.replace("{env:ELSEWHERE}2", "{env:ELSEWHERE2}");
        std::fs::write(&path, text).expect("written");
        let problems = load(&path, &environment).expect_err("mistakes");
        problems.iter().map(ToString::to_string).collect()
    };
    let plain = found(text("*canary* /@"));
    assert!(plain.len() >= 20, "{plain:#?}");
    let shown = plain.iter().filter(|line| line.contains("canary"));
    assert!(shown.count() >= 15, "{plain:#?}");
    let by_variable = found(text("{env:ELSEWHERE}"));
    assert_eq!(by_variable.len(), plain.len(), "{by_variable:#?}");
    let by_file = found(text(&format!("{{file:{}}}", file.display())));
    for line in by_variable.iter().chain(&by_file) {
        assert!(!line.contains("canary"), "{line}");
    }
}

#[test]
fn why_a_document_cannot_be_read_is_told_without_its_text() {
    for (text, line, because) in [
        ("a: \"canary", 1, "unclosed quote"),
        ("a: @canary", 1, "needs quotes"),
        ("a:\n  b: canary\n c: canary", 3, "block mapping"),
        ("a: [canary, canary", 1, "unclosed bracket"),
        ("a: {canary: [}", 1, "'}'"),
        ("a: canary: canary", 1, "mapping values"),
        ("a:\n\tcanary: 1", 2, "tab"),
        ("a: *canary", 1, "anchor"),
        ("a: canary\n---\nb: canary", 3, "second document"),
        ("a: \"\\canary\"", 1, "escape"),
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        let problem = &problems[0];
        assert!(!problem.contains("canary"), "{problem}");
        assert!(problem.contains("is not well-formed YAML: "), "{problem}");
        assert!(problem.contains(because), "{text}: {problem}");
        assert!(problem.contains(&format!(":{line}:")), "{text}: {problem}");
    }
}

#[test]
fn a_proof_that_nobody_could_give_is_a_mistake() {
    let plugin = |more: &str| {
        with_plugin(&format!(
            "issuer: https://idp.test\nauth_methods: [bearer]\nproof_of_possession_mtls: strict\n{more}"
        ))
    };
    let header = "proof_of_possession_mtls_from_header: {certificate_header_name: x-cert}";
    let trusted = |text: &str| format!("gateway:\n  trusted_ips: [10.0.0.0/8]\n{text}");
    for (wrong, part) in [
        (plugin(""), "no listener asks for certificates"),
        (plugin(header), "gateway.trusted_ips alone"),
        (trusted(&plugin("")), "no listener asks for certificates"),
    ] {
        let found = problems(&wrong);
        assert!(found.len() == 1 && found[0].contains(part), "{found:#?}");
    }
    assert_eq!(problems(&trusted(&plugin(header))), [""; 0]);
    let optional = plugin("").replace("strict", "optional");
    assert_eq!(problems(&optional), [""; 0]);
}
