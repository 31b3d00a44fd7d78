//! Bodies that are too long to be looked through for credentials: they go on as they are, if there
//! is a credential elsewhere. The contract's limit `credential_body`.

use gateway_tests::World;
use serde_json::json;

use crate::support::{JOHN, Raw, three_routes};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const LIMIT: usize = 1000;

async fn world(body: serde_json::Value) -> World {
    World::app()
        .plugin("refresh_token_param_type", json!(["header", "body"]))
        .gateway("limits", json!({"credential_body": LIMIT, "body": body}))
        .config(three_routes)
        .embedded()
        .await
}

/// A form with a credential in it that nobody issued.
fn form(length: usize) -> String {
    let mut form = "refresh_token=nobody-issued-this&x=".to_owned();
    form.push_str(&"x".repeat(length - form.len()));
    form
}

/// In chunks of 100 bytes, with a trailer.
fn chunked(body: &str) -> String {
    let mut chunks = String::new();
    for piece in body.as_bytes().chunks(100) {
        let piece = std::str::from_utf8(piece).expect("ASCII");
        chunks.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    chunks + "0\r\nX-Sum: 4711\r\n\r\n"
}

fn post(lines: &str) -> String {
    format!("POST /protected HTTP/1.1\r\nHost: a\r\n{FORM}{lines}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_goes_on_whole_beside_a_credential_in_the_head() {
    let world = world(json!(null)).await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    for length in [LIMIT + 1, LIMIT + 50, 300_000] {
        let body = form(length);
        for (lines, sent) in [
            (format!("Content-Length: {length}\r\n"), body.clone()),
            (
                "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n".to_owned(),
                chunked(&body),
            ),
        ] {
            world.upstream.forget_requests();
            raw.ask(post(&format!("{JOHN}{lines}")) + &sent)
                .await
                .expect(200);
            let request = world.upstream.requests().remove(0);
            assert!(request.whole);
            assert_eq!(request.body, body.as_bytes(), "{length} {lines}");
            assert!(
                !request
                    .header("authorization")
                    .expect("one")
                    .starts_with("Basic")
            );
            if lines.contains("chunked") {
                assert_eq!(request.trailers.expect("trailers")["x-sum"], "4711");
            } else {
                let declared = length.to_string();
                assert_eq!(request.header("content-length"), Some(declared.as_str()));
            }
        }
    }
    // Up to the limit it is looked through: the refresh token goes before the password.
    let body = form(LIMIT);
    for (lines, sent) in [
        (format!("Content-Length: {LIMIT}\r\n"), body.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(&body)),
    ] {
        let mut raw = Raw::connect(world.gateway.address()).await;
        raw.ask(post(&format!("{JOHN}{lines}")) + &sent)
            .await
            .expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_without_a_credential_elsewhere_is_refused() {
    let world = world(json!(null)).await;
    let body = form(LIMIT + 1);
    for (lines, sent) in [
        (format!("Content-Length: {}\r\n", body.len()), body.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(&body)),
        // Before the body is asked for.
        (
            format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len()),
            String::new(),
        ),
    ] {
        let mut raw = Raw::connect(world.gateway.address()).await;
        let reply = raw.ask(post(&lines) + &sent).await;
        reply.says(413, "Request body too large");
    }
    assert_eq!(world.upstream.count(), 0);
    assert!(world.idp.token_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_is_asked_for_and_taken_as_it_comes() {
    let world = world(json!(null)).await;
    let mut raw = Raw::connect(world.gateway.address()).await;
    let expect = "Expect: 100-continue\r\n";
    raw.send(post(&format!("{JOHN}{expect}Content-Length: 2000\r\n")))
        .await;
    assert_eq!(raw.head().await.status, 100);
    raw.send(form(1500)).await;
    world
        .upstream
        .wait_until("a part of it", |all| {
            all.first()
                .is_some_and(|request| request.body.len() == 1500)
        })
        .await;
    raw.send("y".repeat(500)).await;
    raw.answer().await.expect(200);
    world.upstream.forget_requests();
    raw.send(post(&format!(
        "{JOHN}{expect}Transfer-Encoding: chunked\r\n"
    )))
    .await;
    assert_eq!(raw.head().await.status, 100);
    raw.send(format!("5dc\r\n{}\r\n", form(1500))).await;
    world
        .upstream
        .wait_until("a part of it", |all| {
            all.first()
                .is_some_and(|request| request.body.len() == 1500)
        })
        .await;
    assert!(!world.upstream.requests()[0].ended);
    raw.send("1\r\ny\r\n0\r\n\r\n").await;
    raw.answer().await.expect(200);
    assert_eq!(world.upstream.requests()[0].body.len(), 1501);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_of_a_long_body_counts_for_its_bound() {
    let world = world(json!(2000)).await;
    for (length, good) in [(2000, true), (2001, false)] {
        let body = form(length);
        for (lines, sent) in [
            (format!("Content-Length: {length}\r\n"), body.clone()),
            ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(&body)),
        ] {
            world.upstream.forget_requests();
            let mut raw = Raw::connect(world.gateway.address()).await;
            let reply = raw.ask(post(&format!("{JOHN}{lines}")) + &sent).await;
            assert_eq!(
                reply.status,
                if good { 200 } else { 413 },
                "{length} {lines}"
            );
            let whole = world
                .upstream
                .requests()
                .iter()
                .any(|request| request.whole);
            assert_eq!(whole, good, "{length} {lines}");
        }
    }
}
