//! Headers that say whom a request is from, and headers of claims: no client forges one, and no
//! claim opens another.

use gateway_tests::{World, WorldBuilder};
use keycloak_testkit::User;
use serde_json::json;

use crate::support::{JOHN, Raw, spellings, three_routes};

/// What only the gateway says, whether or not a route's own plugin writes it.
const TOLD: [&str; 8] = [
    "x-consumer-id",
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-authenticated-groups",
    "x-anonymous-consumer",
    "x-claim",
];

fn site() -> WorldBuilder {
    World::app().config(|config| {
        three_routes(config);
        let services = config.value()["services"].as_array_mut().expect("a list");
        let settings = &mut services[0]["plugins"][0]["config"];
        settings["upstream_headers"] =
            json!([{"header": "x_claim", "path": ["preferred_username"]}]);
        let mut open = services[0].clone();
        open["name"] = json!("open");
        open["routes"] = json!([{"name": "open", "paths": ["/open"], "strip_path": false}]);
        open["plugins"][0]["config"]["anonymous"] = json!("guest");
        services.push(open);
        config.value()["consumers"] = json!([{"username": "guest", "id": "g-1"}]);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_what_is_told_of_a_caller_gets_through_on_any_route() {
    let world = site().embedded().await;
    for name in TOLD {
        for spelling in spellings(name) {
            for (method, path, credential) in [
                ("GET", "/protected", JOHN),
                ("GET", "/public", ""),
                ("GET", "/open", ""),
                ("GET", "/open", JOHN),
                ("OPTIONS", "/preflight", ""),
            ] {
                world.upstream.forget_requests();
                let mut raw = Raw::connect(world.gateway.address()).await;
                // Twice, and named as a hop's own, which would have it removed too late.
                raw.ask(format!(
                    "{method} {path} HTTP/1.1\r\nHost: a\r\n{credential}{spelling}: forged\r\n{spelling}: forged\r\nX_Other: kept\r\n\r\n"
                ))
                .await
                .expect(200);
                let requests = world.upstream.requests();
                let lines = &requests[0].lines;
                assert!(
                    lines.iter().all(|line| !line.contains("forged")),
                    "{method} {path} {spelling}: {lines:?}"
                );
                assert_eq!(requests[0].header("x_other"), Some("kept"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_a_client_calls_a_hops_own_is_written_all_the_same() {
    let world = site().embedded().await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(format!(
        "GET /protected HTTP/1.1\r\nHost: a\r\n{JOHN}Connection: X-Claim, X-Credential-Identifier, Authorization-X\r\n\r\n"
    ))
    .await
    .expect(200);
    let requests = world.upstream.requests();
    assert_eq!(requests[0].header_lines("x-claim"), ["john"]);
    assert_eq!(requests[0].header_lines("x-credential-identifier").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_tell_nothing_of_a_caller() {
    let world = site().embedded().await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(concat!(
        "POST /public HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n",
        "Trailer: X-Sum, X-Consumer-Id\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "X-Sum: 1\r\nX-Consumer-Id: forged\r\nX_Authenticated_Groups: forged\r\nX-Claim: forged\r\n\r\n",
    ))
    .await
    .expect(200);
    let requests = world.upstream.requests();
    let trailers = requests[0].trailers.as_ref().expect("trailers");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_claim_opens_another_header() {
    let name = "Eve\r\nX-Consumer-Id: admin\r\n\r\nGET /other HTTP/1.1";
    for (first, shown) in [
        (
            name,
            "Eve%0D%0AX-Consumer-Id: admin%0D%0A%0D%0AGET /other HTTP/1.1",
        ),
        ("a\u{0}b\tc\u{7f}", "a%00b%09c%7F"),
        ("Åsa\u{85}\u{2028}", "%C3%85sa%C2%85%E2%80%A8"),
        (" admin ", "%20admin%20"),
        ("admin, root", "admin, root"),
        ("%61dmin", "%2561dmin"),
        ("", ""),
    ] {
        let world = World::app()
            .realm(|realm| realm.user(User::new("eve", "pw").named(first, "x")))
            .plugin(
                "upstream_headers",
                json!([
                    {"header": "x_first", "path": ["given_name"]},
                    {"header": "x_last", "path": ["family_name"]},
                ]),
            )
            .plugin(
                "downstream_headers",
                json!([{"header": "x_first", "path": ["given_name"]}]),
            )
            .plugin("credential_claim", json!(["given_name"]))
            .plugin("authenticated_groups_claim", json!(["given_name"]))
            .embedded()
            .await;
        let answer = world
            .client()
            .get("/")
            .basic("eve", "pw")
            .send()
            .await
            .expect(200);
        assert_eq!(answer.header("x-first"), shown, "{first:?}");
        assert_eq!(world.upstream.count(), 1);
        let requests = world.upstream.requests();
        assert_eq!(requests[0].header_lines("x-first"), [shown], "{first:?}");
        assert_eq!(requests[0].header_lines("x-last"), ["x"]);
        assert_eq!(requests[0].header_lines("x-consumer-id"), [""; 0]);
        let ascii = |line: &String| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(
            requests[0].lines.iter().all(ascii),
            "{:?}",
            requests[0].lines
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_too_long_is_left_out_and_the_request_goes_on() {
    for (length, written) in [(8 * 1024, true), (8 * 1024 + 1, false)] {
        let name = "n".repeat(length);
        let world = World::app()
            .realm(|realm| realm.user(User::new("eve", "pw").named(name.as_str(), "x")))
            .plugin(
                "upstream_headers",
                json!([
                    {"header": "x_first", "path": ["given_name"]},
                    {"header": "x_last", "path": ["family_name"]},
                ]),
            )
            .embedded()
            .await;
        let client = world.client();
        let request = client
            .get("/")
            .basic("eve", "pw")
            .header("X-First", "forged");
        let answer = request.send().await.expect(200);
        let expected = written.then_some(name);
        assert_eq!(answer.upstream_header("X-First"), expected);
        assert_eq!(answer.upstream_header("X-Last").as_deref(), Some("x"));
    }
}
