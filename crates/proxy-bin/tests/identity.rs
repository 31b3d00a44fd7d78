//! Consumers, consumer groups, the plugin `acl` and headers of claims: what may be said of them, and
//! how each mistake is named. Each stands beside a twin without it.

use oidc_core::authorize::AclRule;
use proxy_bin::config::{self, Carried, Gateway, OidcPlugin};

const LEAST: &str = "issuer: https://idp.test/realms/kong
client_id: [kong]
client_secret: [s]
auth_methods: [password]
";

const CONSUMERS: &str = "
consumers:
  - username: john
    custom_id: \"4711\"
    acls: [{group: staff}, admins]
    groups: [{name: gold}]
  - {id: 6ba7b810-9dad-11d1-80b4-00c04fd430c8, custom_id: c-2, tags: [x], created_at: 1}
consumer_groups:
  - {name: gold, id: g-1}
  - {name: silver, consumers: [{username: john}]}
";

/// A gateway whose one plugin has these further lines, with these entities beside it.
fn gateway(plugin: &str, entities: &str) -> String {
    let lines: String = format!("{LEAST}{plugin}")
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "services:\n  - name: s\n    url: http://127.0.0.1:9080\n    routes:\n      - {{name: r, paths: [\"/\"]}}\n    plugins:\n      - name: openid-connect\n        config:\n{lines}{entities}"
    )
}

fn problems(text: &str) -> Vec<String> {
    config::from_yaml(text)
        .err()
        .map(|p| p.iter().map(ToString::to_string).collect())
        .unwrap_or_default()
}

fn read(text: &str) -> Gateway {
    config::from_yaml(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn plugin(gateway: &Gateway) -> &OidcPlugin {
    gateway.routes[0].plugin.as_ref().expect("a plugin")
}

#[track_caller]
fn one_problem(text: &str, part: &str) {
    let found = problems(text);
    assert!(
        found.len() == 1 && found[0].contains(part),
        "{part:?}\n{text}\n{found:#?}"
    );
}

#[test]
fn consumers_and_their_groups_are_put_together() {
    let gateway = read(&gateway(
        "consumer_claims: [[preferred_username]]",
        CONSUMERS,
    ));
    let rule = plugin(&gateway).identity.consumer.as_ref().expect("a rule");
    assert_eq!(rule.consumers.len(), 2);
    let john = rule.consumers.named("john").expect("john");
    assert_eq!(john.acl_groups, ["staff", "admins"]);
    assert_eq!(john.groups, ["gold", "silver"]);
    assert_eq!(john.custom_id.as_deref(), Some("4711"));
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    assert_eq!(rule.consumers.named(id).expect("by id").username, None);
}

#[test]
fn each_mistake_about_entities_is_named() {
    for (entities, part) in [
        (
            "consumers: [{tags: [x]}]",
            "username or custom_id is required",
        ),
        ("consumers: [{username: \"\"}]", "must not be empty"),
        (
            "consumers: [{username: a}, {username: a, id: x}]",
            "a second consumer of the username \"a\"",
        ),
        (
            "consumers: [{username: a, custom_id: c}, {username: b, custom_id: c}]",
            "a second consumer of the custom_id \"c\"",
        ),
        (
            "consumers: [{username: a, keyauth_credentials: [{key: k}]}]",
            "unknown key",
        ),
        (
            "consumers: [{username: a, groups: [{name: gold}]}]",
            "there is no consumer group \"gold\"",
        ),
        (
            "consumers: [{username: a, acls: [{grop: x}]}]",
            "did you mean group?",
        ),
        ("consumer_groups: [{nam: x}]", "did you mean name?"),
        (
            "consumer_groups: [{name: x}, {name: x}]",
            "a second consumer group \"x\"",
        ),
        (
            "consumer_groups: [{name: x, consumers: [{username: a}]}]",
            "there is no consumer \"a\"",
        ),
        ("consumer_groups: [{name: x, plugins: []}]", "unknown key"),
    ] {
        let found = problems(&gateway("", entities));
        assert!(
            found.iter().any(|problem| problem.contains(part)),
            "{entities}\n{found:#?}"
        );
    }
    assert_eq!(problems(&gateway("", CONSUMERS)), [""; 0]);
}

#[test]
fn each_mistake_about_the_mapping_is_named() {
    for (wrong, part, right) in [
        (
            "consumer_by: [name]",
            "allowed: custom_id, username, id",
            "consumer_by: [id]",
        ),
        (
            "consumer_claims: [[]]",
            "needs the path of a claim",
            "consumer_claims: [[a, b], c]",
        ),
        (
            "consumer_claims: [[a]]\nconsumer_claim: [b]",
            "stands beside consumer_claims",
            "consumer_claims: [[a, b]]\nconsumer_claim: [a, b]",
        ),
        (
            "anonymous: c-2",
            "there is no consumer of the id or the username \"c-2\"",
            "anonymous: john",
        ),
        (
            "credential_claim: []",
            "needs the path of a claim",
            "credential_claim: [azp]",
        ),
        (
            "consumer_optional: perhaps",
            "expected true or false",
            "consumer_optional: true",
        ),
        (
            "upstream_headers: [{header: a}]",
            "path is required",
            "upstream_headers: [{header: a, path: [b, c]}]",
        ),
        (
            "upstream_headers: [{header: \"a:bearer\", path: [b]}]",
            "a claim is no bearer token",
            "upstream_headers: [{header: a, path: b}]",
        ),
        (
            "upstream_headers: [{header: content_length, path: [b]}]",
            "belongs to the message itself",
            "upstream_headers: [{header: content_lengths, path: [b]}]",
        ),
        (
            "upstream_headers: [{header: x_forwarded_user, path: [b]}]",
            "belongs to the message itself",
            "upstream_headers: [{header: forwarded_user, path: [b]}]",
        ),
        (
            "upstream_headers: [{header: x_real_ip, path: [b]}]",
            "belongs to the message itself",
            "upstream_headers: [{header: x_real_user, path: [b]}]",
        ),
        (
            "upstream_headers_claims: [a, b]\nupstream_headers_names: [c]",
            "the same number of items",
            "upstream_headers_claims: [a, b]\nupstream_headers_names: [c, d]",
        ),
        (
            "upstream_headers: [{header: X_User, path: [a]}]\nupstream_headers_claims: [b]\nupstream_headers_names: [x-user]",
            "two upstream headers are both called x-user",
            // What exports hold twice is one header.
            "upstream_headers: [{header: X_User, path: [a]}]\nupstream_headers_claims: [a]\nupstream_headers_names: [x-user]",
        ),
        (
            "upstream_user_info_header: authorization",
            "both called authorization",
            "downstream_user_info_header: authorization",
        ),
        (
            "upstream_headers: [{header: x_credential_identifier, path: [a]}]",
            "the gateway writes it itself",
            // Nothing else writes this one here.
            "upstream_headers: [{header: x_consumer_username, path: [a]}]",
        ),
        (
            "consumer_claims: [[u]]\nupstream_headers: [{header: x_consumer_username, path: [a]}]",
            "the gateway writes it itself",
            "consumer_claims: [[u]]\ndownstream_headers: [{header: x_consumer_username, path: [a]}]",
        ),
        (
            "upstream_signed_jwt_header: authorization",
            "both called authorization",
            "upstream_signed_jwt_header: x_gateway",
        ),
        (
            "upstream_signed_jwt_header: x\nupstream_signed_jwt_lifetime: 5s",
            "from 10s to 1h",
            "upstream_signed_jwt_header: x\nupstream_signed_jwt_lifetime: 30",
        ),
        (
            "upstream_signed_jwt_header: x\nupstream_signed_jwt_issuer: kong",
            "is one of client_id",
            "upstream_signed_jwt_header: x\nupstream_signed_jwt_issuer: https://gateway.test",
        ),
    ] {
        one_problem(&gateway(wrong, CONSUMERS), part);
        assert_eq!(problems(&gateway(right, CONSUMERS)), [""; 0], "{right}");
    }
    // To whom nobody could be mapped, nobody could ever pass.
    for (claim, optional, part) in [
        (
            "consumer_claims: [[a]]",
            "consumer_optional: true",
            "there are no consumers",
        ),
        (
            "consumer_groups_claim: [a]",
            "consumer_groups_optional: true",
            "there are no consumer_groups",
        ),
    ] {
        one_problem(&gateway(claim, ""), part);
        assert_eq!(
            problems(&gateway(&format!("{claim}\n{optional}"), "")),
            [""; 0]
        );
    }
}

#[test]
fn a_list_of_groups_is_attached_like_any_plugin_and_never_to_nothing() {
    let acl = |place: &str, config: &str| {
        format!("plugins:\n  - {{name: acl, {place}config: {config}}}\n")
    };
    for (place, config, part) in [
        ("", "{}", "allow or deny is required"),
        ("", "{allow: []}", "allow or deny is required"),
        ("", "{allow: [a], deny: [b]}", "use one or the other"),
        ("", "{alow: [a], deny: [b]}", "did you mean allow?"),
        ("route: x, ", "{allow: [a]}", "there is no route \"x\""),
        ("service: x, ", "{allow: [a]}", "there is no service \"x\""),
        ("consumer: john, ", "{allow: [a]}", "never silently ignored"),
    ] {
        one_problem(&gateway("", &acl(place, config)), part);
    }
    for (place, config) in [
        ("", "{allow: [a], deny: []}"),
        ("route: r, ", "{allow: [a], deny: null}"),
        (
            "service: {name: s}, ",
            "{allow: [a], hide_groups_header: true}",
        ),
    ] {
        let gateway = read(&gateway("", &acl(place, config)));
        let route = &gateway.routes[0];
        let acl = route.acl.as_ref().expect("a list");
        assert_eq!(acl.rule, AclRule::Allow(vec!["a".to_owned()]), "{place}");
        assert!(route.plugin.is_some(), "the other plugin is still there");
    }
    let twice = format!(
        "{}  - {{name: acl, config: {{deny: [b]}}}}\n",
        acl("", "{allow: [a]}")
    );
    one_problem(&gateway("", &twice), "a second acl plugin");
    // A plugin of the other kind that refers to nothing would leave a route open, too.
    let stray = "plugins:\n  - {name: openid-connect, route: x, config: {issuer: \"https://idp.test\", client_id: [a], client_secret: [s], auth_methods: [password]}}\n";
    one_problem(&gateway("", stray), "there is no route \"x\"");
}

#[test]
fn what_is_asked_of_the_provider_follows_from_what_is_written() {
    for (lines, wanted) in [
        ("", false),
        ("upstream_headers: [{header: a, path: [b]}]", false),
        ("search_user_info: true", true),
        ("upstream_user_info_header: x", true),
        ("downstream_user_info_jwt_header: x", true),
        ("upstream_introspection_header: x", false),
    ] {
        let gateway = read(&gateway(lines, ""));
        let plugin = plugin(&gateway);
        assert_eq!(plugin.access_tokens.user_info.wanted, wanted, "{lines}");
        // Claims are looked for in it only where that is asked for.
        let searched = lines.starts_with("search");
        assert_eq!(plugin.identity.sources.user_info, searched, "{lines}");
        assert_eq!(plugin.required.sources.user_info, searched, "{lines}");
    }
}

#[test]
fn all_headers_are_read_both_ways() {
    let documents = [
        "access_token",
        "access_token_jwk",
        "id_token",
        "id_token_jwk",
        "refresh_token",
        "introspection",
        "introspection_jwt",
        "user_info",
        "user_info_jwt",
    ];
    let mut lines = String::new();
    for way in ["upstream", "downstream"] {
        for name in documents {
            lines.push_str(&format!("{way}_{name}_header: x_{name}\n"));
        }
        lines.push_str(&format!(
            "{way}_headers: [{{header: x_nested, path: [a, b]}}]\n{way}_headers_claims: [c]\n{way}_headers_names: [x_top]\n"
        ));
    }
    let gateway = read(&gateway(&lines, ""));
    let headers = &plugin(&gateway).headers;
    assert_eq!(headers.upstream, headers.downstream);
    let names: Vec<&str> = headers
        .upstream
        .iter()
        .map(|header| header.target.name.as_str())
        .collect();
    let mut expected: Vec<String> = documents
        .iter()
        .map(|name| format!("x-{}", name.replace('_', "-")))
        .collect();
    expected.extend(["x-nested".to_owned(), "x-top".to_owned()]);
    assert_eq!(names, expected);
    let claims: Vec<&Carried> = headers.upstream[9..]
        .iter()
        .map(|header| &header.carried)
        .collect();
    let path = |names: &[&str]| Carried::Claim(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(claims, [&path(&["a", "b"]), &path(&["c"])]);
}
