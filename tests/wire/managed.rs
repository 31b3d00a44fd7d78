//! Headers that only the gateway writes: no client forges one, in no spelling, on no route.

use gateway_tests::World;
use serde_json::json;

use crate::support::{JOHN, Raw, spellings, three_routes};

const INJECTED: [&str; 4] = [
    "refresh-token",
    "x-access-token",
    "x-id-token",
    "x-request-id",
];

async fn world() -> World {
    World::app()
        .plugin(
            "upstream_access_token_header",
            json!("x_access_token:bearer"),
        )
        .plugin("upstream_id_token_header", json!("x_id_token"))
        .plugin("upstream_refresh_token_header", json!("refresh_token"))
        .plugin("hide_credentials", json!(true))
        .config(three_routes)
        .embedded()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_an_injected_header_gets_through() {
    let world = world().await;
    for name in INJECTED {
        for spelling in spellings(name) {
            for (method, path, credential) in [
                ("GET", "/protected", JOHN),
                ("GET", "/public", ""),
                ("GET", "/preflight", JOHN),
                ("OPTIONS", "/preflight", ""),
            ] {
                // A refresh token that is presented is a credential, and no forgery.
                if spelling.eq_ignore_ascii_case("refresh-token") && path != "/public" {
                    continue;
                }
                world.upstream.forget_requests();
                let mut raw = Raw::connect(world.gateway.address()).await;
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: a\r\n{credential}{spelling}: forged\r\nX_Other: kept\r\n\r\n"
                );
                raw.ask(request).await.expect(200);
                let requests = world.upstream.requests();
                let lines = &requests[0].lines;
                assert!(
                    lines.iter().all(|line| !line.contains("forged")),
                    "{method} {path} {spelling}: {lines:?}"
                );
                assert_eq!(requests[0].header("x_other"), Some("kept"));
                let same = |line: &&String| {
                    let key = line.split(':').next().unwrap_or_default();
                    key.replace('_', "-").eq_ignore_ascii_case(name)
                };
                let written = lines.iter().filter(same).count();
                let expected = name == "x-request-id" || !credential.is_empty();
                assert_eq!(written, usize::from(expected), "{method} {path} {spelling}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_that_is_let_through_carries_no_credential_upstream() {
    let world = World::app().config(three_routes).embedded().await;
    for credential in [JOHN, "Authorization: Bearer forged\r\n", ""] {
        world.upstream.forget_requests();
        let mut raw = Raw::connect(world.gateway.address()).await;
        let head = format!("OPTIONS /preflight HTTP/1.1\r\nHost: a\r\n{credential}\r\n");
        raw.ask(head).await.expect(200);
        let requests = world.upstream.requests();
        assert_eq!(requests[0].header_lines("authorization"), [""; 0]);
    }
    // The twin: where preflights are not let through, they need a credential like any other.
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask("OPTIONS /protected HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(401);
    assert_eq!(world.idp.token_requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_of_the_upstreams_own_is_left_to_it_on_a_public_route() {
    let world = world().await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask("GET /public HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n")
        .await
        .expect(200);
    let requests = world.upstream.requests();
    assert_eq!(requests[0].header_lines("authorization"), ["Basic eDp5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_forge_nothing_either() {
    let world = world().await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(concat!(
        "POST /public HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n",
        "Trailer: X-Sum, Refresh-Token, X_Id_Token, X-Forwarded-For\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "3\r\nabc\r\n0\r\n",
        "X-Sum: 1\r\nRefresh-Token: forged\r\nX_Id_Token: forged\r\nX-Forwarded-For: forged\r\n\r\n",
    ))
    .await
    .expect(200);
    let requests = world.upstream.requests();
    let trailers = requests[0].trailers.as_ref().expect("trailers");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(trailers["x-sum"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_underscore_never_makes_a_credential() {
    let world = world().await;
    let token = world.john().await.refresh().to_owned();
    for (name, status) in [
        ("Refresh-Token", 200),
        ("refresh_token", 401),
        ("Refresh_Token", 401),
    ] {
        world.upstream.forget_requests();
        let mut raw = Raw::connect(world.gateway.address()).await;
        raw.ask(format!(
            "GET /protected HTTP/1.1\r\nHost: a\r\n{name}: {token}\r\n\r\n"
        ))
        .await
        .expect(status);
        assert_eq!(world.upstream.count(), usize::from(status == 200), "{name}");
    }
}
