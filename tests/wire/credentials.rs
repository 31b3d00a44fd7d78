//! Where credentials stand on the wire, and what is left of a request without them: RFC 6750 §2,
//! RFC 7617, the contract's `hide_credentials`.

use gateway_tests::World;
use serde_json::json;

use crate::support::{JOHN, Raw, Reply, three_routes};

async fn world() -> World {
    World::app()
        .plugin(
            "auth_methods",
            json!(["refresh_token", "password", "client_credentials"]),
        )
        .plugin(
            "refresh_token_param_type",
            json!(["header", "query", "body"]),
        )
        .plugin("password_param_type", json!(["header", "query", "body"]))
        .plugin("client_credentials_param_type", json!(["query", "body"]))
        .config(three_routes)
        .embedded()
        .await
}

async fn ask(world: &World, request: impl AsRef<[u8]>) -> Reply {
    Raw::connect(world.gateway.address())
        .await
        .ask(request)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_loses_its_credential_and_nothing_else() {
    let world = world().await;
    let token = world.john().await.refresh().to_owned();
    for (query, left) in [
        ("refresh_token=T", ""),
        ("refresh_token=T&a=1", "?a=1"),
        ("a=1&refresh_token=T", "?a=1"),
        ("a=1&refresh_token=T&b=2", "?a=1&b=2"),
        (
            "&&a=%20x+y&=&refresh_token=T&b&c==%zz",
            "?&&a=%20x+y&=&b&c==%zz",
        ),
        ("a=1&refresh%5Ftoken=T&a=2", "?a=1&a=2"),
        (
            "refresh_token_hint=x&refresh_token=T&xrefresh_token=y",
            "?refresh_token_hint=x&xrefresh_token=y",
        ),
    ] {
        world.upstream.forget_requests();
        let query = query.replace('T', &token);
        ask(
            &world,
            format!("GET /protected?{query} HTTP/1.1\r\nHost: a\r\n\r\n"),
        )
        .await
        .expect(200);
        let target = world.upstream.requests()[0].target.clone();
        assert_eq!(
            target,
            format!("/protected{left}"),
            "{}",
            query.replace(&token, "T")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_loses_its_credential_and_nothing_else() {
    let world = world().await;
    let token = world.john().await.refresh().to_owned();
    for (form, left) in [
        ("refresh_token=T", ""),
        ("a=1&refresh_token=T&b=%C3%A9+x", "a=1&b=%C3%A9+x"),
        ("refresh_token=T&a=1&&b=;", "a=1&&b=;"),
        ("username=john&password=doe&a=1", "a=1"),
    ] {
        let form = form.replace('T', &token);
        let post = "POST /protected?q=1 HTTP/1.1\r\nHost: a\r\n\
            Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
        let length = form.len();
        for body in [
            format!("Content-Length: {length}\r\n\r\n{form}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{form}\r\n0\r\n\r\n"),
        ] {
            world.upstream.forget_requests();
            ask(&world, format!("{post}{body}")).await.expect(200);
            let requests = world.upstream.requests();
            let request = &requests[0];
            assert_eq!(String::from_utf8_lossy(&request.body), left);
            assert_eq!(
                request.header_lines("content-length"),
                [left.len().to_string()]
            );
            assert_eq!(request.header_lines("transfer-encoding"), [""; 0]);
            assert_eq!(request.target, "/protected?q=1");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_object_loses_its_credential_and_nothing_else() {
    let world = world().await;
    let token = world.john().await.refresh().to_owned();
    for (body, left) in [
        (r#"{"refresh_token":"T"}"#, "{}"),
        (
            r#"{"a" : 1.0, "refresh_token":"T", "b":[1,  2]}"#,
            r#"{"a" : 1.0, "b":[1,  2]}"#,
        ),
        (
            r#"{"refresh_token":"T","n":12345678901234567890,"s":"\u00e9"}"#,
            r#"{"n":12345678901234567890,"s":"\u00e9"}"#,
        ),
    ] {
        world.upstream.forget_requests();
        let body = body.replace('T', &token);
        let head = format!(
            "PUT /protected HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        ask(&world, head + &body).await.expect(200);
        let requests = world.upstream.requests();
        assert_eq!(String::from_utf8_lossy(&requests[0].body), left);
        assert_eq!(
            requests[0].header_lines("content-length"),
            [left.len().to_string()]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bodies_flow_through_untouched() {
    let world = world().await;
    let body = "refresh_token=x&a=\0\u{e9}";
    for content_type in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=utf-16",
    ] {
        world.upstream.forget_requests();
        let head = format!(
            "POST /protected HTTP/1.1\r\nHost: a\r\n{JOHN}Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        ask(&world, head + body).await.expect(200);
        assert_eq!(
            &world.upstream.requests()[0].body[..],
            body.as_bytes(),
            "{content_type}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_is_a_scheme_in_any_case() {
    let world = world().await;
    for scheme in ["Basic", "basic", "BASIC"] {
        ask(
            &world,
            format!(
                "GET /protected HTTP/1.1\r\nHost: a\r\nAuthorization: {scheme} am9objpkb2U=\r\n\r\n"
            ),
        )
        .await
        .expect(200);
    }
    let before = world.upstream.count();
    for scheme in ["Basics", "Negotiate", "Bearer", ""] {
        ask(
            &world,
            format!(
                "GET /protected HTTP/1.1\r\nHost: a\r\nAuthorization: {scheme} am9objpkb2U=\r\n\r\n"
            ),
        )
        .await
        .expect(401);
    }
    assert_eq!(world.upstream.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_is_asked_for_without_blame() {
    let world = world().await;
    let reply = ask(&world, "GET /protected HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(401);
    let challenge = reply.header("www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\""), "{challenge}");
    assert!(!challenge.contains("error"), "{challenge}");
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_given_twice_is_no_credential() {
    let world = world().await;
    let token = world.john().await.refresh().to_owned();
    let form = format!("refresh_token={token}");
    let typed = "Content-Type: application/x-www-form-urlencoded\r\n";
    for request in [
        format!(
            "GET /protected HTTP/1.1\r\nHost: a\r\nRefresh-Token: {token}\r\nRefresh-Token: {token}\r\n\r\n"
        ),
        format!(
            "GET /protected HTTP/1.1\r\nHost: a\r\nRefresh-Token: {token}\r\nREFRESH-TOKEN: other\r\n\r\n"
        ),
        format!("GET /protected?{form} HTTP/1.1\r\nHost: a\r\nRefresh-Token: {token}\r\n\r\n"),
        format!("GET /protected?{form}&{form} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /protected HTTP/1.1\r\nHost: a\r\n{JOHN}{JOHN}\r\n"),
        format!(
            "POST /protected?{form} HTTP/1.1\r\nHost: a\r\n{typed}Content-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    ] {
        ask(&world, request).await.expect(400);
    }
    for value in ["", "\u{e9}", "a\tb"] {
        ask(
            &world,
            format!("GET /protected HTTP/1.1\r\nHost: a\r\nRefresh-Token: {value}\r\n\r\n"),
        )
        .await
        .expect(400);
    }
    assert_eq!(world.upstream.count(), 0);
    assert_eq!(world.idp.token_requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_hidden_is_relayed_as_sent() {
    let world = World::app()
        .plugin(
            "refresh_token_param_type",
            json!(["header", "query", "body"]),
        )
        .plugin("refresh_token_param_name", json!("token"))
        .plugin("hide_credentials", json!(false))
        .config(three_routes)
        .embedded()
        .await;
    let token = world.john().await.refresh().to_owned();
    let form = format!("a=1&token={token}");
    let post = format!(
        "POST /protected HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    ask(&world, post).await.expect(200);
    ask(
        &world,
        format!("GET /protected?b&token={token} HTTP/1.1\r\nHost: a\r\n\r\n"),
    )
    .await
    .expect(200);
    ask(
        &world,
        format!("GET /protected HTTP/1.1\r\nHost: a\r\nToken: {token}\r\n\r\n"),
    )
    .await
    .expect(200);
    let requests = world.upstream.requests();
    assert_eq!(&requests[0].body[..], form.as_bytes());
    assert_eq!(requests[1].target, format!("/protected?b&token={token}"));
    assert_eq!(requests[2].header_lines("token"), [token.as_str()]);
    // The header that the gateway writes itself is the gateway's.
    assert!(requests.iter().all(|request| {
        request.header_lines("authorization").len() == 1
            && request
                .header("authorization")
                .is_some_and(|value| value.starts_with("Bearer "))
    }));
}
