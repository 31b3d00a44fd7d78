//! Requests of a credential that was found good before: each is judged by all that it carries, and
//! goes upstream as it would have without that.

use gateway_tests::{World, WorldBuilder};
use serde_json::json;

use crate::support::{Raw, Reply, spellings, three_routes};

/// The first finds out, the second is answered by what is remembered, and the others by what came
/// of that.
const OFTEN: usize = 5;

fn site() -> WorldBuilder {
    World::app()
        .plugin(
            "auth_methods",
            json!(["bearer", "refresh_token", "password"]),
        )
        .plugin(
            "bearer_token_param_type",
            json!(["header", "query", "body", "cookie"]),
        )
        .plugin("bearer_token_cookie_name", json!("at"))
        .plugin("refresh_token_param_type", json!(["header", "query"]))
        .plugin("upstream_access_token_header", json!("x_access_token"))
        .plugin(
            "upstream_headers",
            json!([{"header": "x_claim", "path": ["preferred_username"]}]),
        )
        .plugin(
            "downstream_headers",
            json!([
                {"header": "x_who", "path": ["preferred_username"]},
                {"header": "x_absent", "path": ["no_such_claim"]},
            ]),
        )
        .config(three_routes)
}

async fn ask(world: &World, request: impl AsRef<[u8]>) -> Reply {
    let mut raw = Raw::connect(world.gateway.address()).await;
    raw.ask(request).await
}

/// A request with this token and whatever else, as the upstream got it, without what differs by
/// nature.
async fn seen(world: &World, token: &str, more: &str) -> Vec<String> {
    world.upstream.forget_requests();
    ask(
        world,
        format!("GET /protected?page=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{more}\r\n"),
    )
    .await
    .expect(200);
    let requests = world.upstream.requests();
    let mut lines = requests[0].lines.clone();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("x-request-id:"));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_upstream_is_the_same_each_time() {
    let world = site().embedded().await;
    let token = world.john().await.access_token;
    let more = "X_Other: kept\r\nAccept: */*\r\nX_Other: again\r\n";
    let first = seen(&world, &token, more).await;
    assert!(
        first
            .iter()
            .any(|line| line.eq_ignore_ascii_case("x-claim: john")),
        "{first:?}"
    );
    for _ in 0..OFTEN {
        assert_eq!(seen(&world, &token, more).await, first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_of_the_gateways_own_is_forged_beside_a_token_that_is_known() {
    let world = site().embedded().await;
    let token = world.john().await.access_token;
    for _ in 0..OFTEN {
        seen(&world, &token, "").await;
    }
    for name in [
        "x-consumer-id",
        "x-consumer-username",
        "x-consumer-custom-id",
        "x-consumer-groups",
        "x-credential-identifier",
        "x-authenticated-groups",
        "x-anonymous-consumer",
        "x-claim",
        "x-request-id",
    ] {
        for spelling in spellings(name) {
            let more =
                format!("{spelling}: forged\r\nConnection: {spelling}\r\n{spelling}: forged\r\n");
            let lines = seen(&world, &token, &more).await;
            assert!(
                lines.iter().all(|line| !line.contains("forged")),
                "{spelling}: {lines:?}"
            );
            let claims = lines
                .iter()
                .filter(|line| line.eq_ignore_ascii_case("x-claim: john"));
            assert_eq!(claims.count(), 1, "{spelling}: {lines:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_is_told_is_the_gateways_each_time() {
    let upstream_says = "X-Who: forged\r\nX-Absent: forged\r\nX-Kept: kept";
    let upstream = crate::support::RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\n{upstream_says}\r\nContent-Length: 2\r\n\r\nok"
    ))
    .await;
    let address = upstream.address();
    let world = site()
        .config(move |config| {
            let services = config.value()["services"].as_array_mut().expect("a list");
            for service in services {
                service["url"] = json!(format!("http://{address}"));
            }
        })
        .embedded()
        .await;
    let token = world.john().await.access_token;
    for _ in 0..OFTEN {
        let request =
            format!("GET /protected HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        let reply = ask(&world, request).await.expect(200);
        assert_eq!(reply.headers("x-who"), ["john"]);
        assert_eq!(reply.headers("x-absent"), [""; 0]);
        assert_eq!(reply.headers("x-kept"), ["kept"]);
    }
}

/// Beside a token that is known, each of these changes what the request is.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_credential_is_judged_as_if_the_first_were_new() {
    let world = site().embedded().await;
    let tokens = world.john().await;
    let (token, refresh) = (tokens.access_token.as_str(), tokens.refresh());
    let form = format!("access_token={token}");
    let typed = "Content-Type: application/x-www-form-urlencoded\r\n";
    let length = form.len();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let cases = [
        (
            format!("GET /protected?access_token={token} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"),
            400,
        ),
        (
            format!("GET /protected?access%5Ftoken={token} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"),
            400,
        ),
        (
            format!("GET /protected HTTP/1.1\r\nHost: a\r\n{bearer}{bearer}\r\n"),
            400,
        ),
        (
            format!(
                "GET /protected HTTP/1.1\r\nHost: a\r\n{bearer}authorization: Digest x\r\n\r\n"
            ),
            400,
        ),
        (
            format!("GET /protected HTTP/1.1\r\nHost: a\r\n{bearer}Access-Token: {token}\r\n\r\n"),
            400,
        ),
        (
            format!(
                "GET /protected HTTP/1.1\r\nHost: a\r\n{bearer}Cookie: b=c; at={token}\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "POST /protected HTTP/1.1\r\nHost: a\r\n{bearer}{typed}Content-Length: {length}\r\n\r\n{form}"
            ),
            400,
        ),
        (
            format!(
                "POST /protected HTTP/1.1\r\nHost: a\r\n{bearer}{typed}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{form}\r\n0\r\n\r\n"
            ),
            400,
        ),
        // Another kind goes unused, and is removed all the same.
        (
            format!(
                "GET /protected HTTP/1.1\r\nHost: a\r\n{bearer}Refresh-Token: {refresh}\r\n\r\n"
            ),
            200,
        ),
        (
            format!(
                "GET /protected?a=1&refresh_token={refresh} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"
            ),
            200,
        ),
        (
            format!("GET /protected?client_id=other HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"),
            200,
        ),
    ];
    for (request, status) in &cases {
        for _ in 0..OFTEN {
            seen(&world, token, "").await;
        }
        for _ in 0..2 {
            world.upstream.forget_requests();
            ask(&world, request).await.expect(*status);
            for upstream in world.upstream.requests() {
                let all = format!("{} {:?}", upstream.target, upstream.lines);
                assert!(!all.contains(refresh), "{all}");
            }
        }
    }
    assert_eq!(world.idp.token_requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_flow_beside_a_token_that_is_known() {
    let world = site().embedded().await;
    let token = world.john().await.access_token;
    let big = "x".repeat(300_000);
    for _ in 0..OFTEN {
        for body in ["", "abc", &big] {
            world.upstream.forget_requests();
            let head =
                format!("POST /protected HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
            let length = body.len();
            ask(
                &world,
                format!("{head}Content-Length: {length}\r\n\r\n{body}"),
            )
            .await
            .expect(200);
            if length > 0 {
                let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
                ask(
                    &world,
                    format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}"),
                )
                .await
                .expect(200);
            }
            for request in world.upstream.requests() {
                assert!(request.whole);
                assert_eq!(request.body, body.as_bytes());
                assert_eq!(request.header_lines("authorization").len(), 0);
                assert_eq!(request.header_lines("x-access-token"), [token.as_str()]);
            }
        }
    }
}

/// A preflight that is let through has no caller, whatever it brings.
#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_nobodys_even_with_a_token_that_is_known() {
    let world = site().embedded().await;
    let token = world.john().await.access_token;
    for _ in 0..OFTEN {
        for (method, told) in [("GET", 1), ("OPTIONS", 0)] {
            world.upstream.forget_requests();
            let request = format!(
                "{method} /preflight HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            ask(&world, request).await.expect(200);
            let requests = world.upstream.requests();
            for name in ["x-claim", "x-access-token"] {
                assert_eq!(
                    requests[0].header_lines(name).len(),
                    told,
                    "{method} {name}"
                );
            }
            assert_eq!(requests[0].header_lines("authorization").len(), 0);
        }
    }
}
