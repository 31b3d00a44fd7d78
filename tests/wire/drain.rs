//! The end of a gateway: readiness first, then the listeners, then the idle; what is under way is
//! finished, and what takes too long is cut.

use std::net::SocketAddr;

use gateway_tests::{Client, eventually};
use keycloak_testkit::EchoUpstream;
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{RawUpstream, Site};

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

/// Waits until readiness has failed.
async fn unready(admin: Client) {
    // A gateway that has nothing to finish is gone before it is asked.
    eventually("readiness fails", || async {
        let answer = admin.get("/health/ready").try_send().await;
        answer.is_ok_and(|answer| answer.status == 503) || gone(admin).await
    })
    .await;
}

async fn gone(admin: Client) -> bool {
    admin.get("/health/live").try_send().await.is_err()
}

/// Waits until nobody listens at an address any more.
async fn refused(address: SocketAddr) {
    eventually("nobody listens", || async {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let (address, admin) = (site.gateway.address(), site.gateway.admin());
    let mut fresh = site.raw().await;
    let mut idle = site.raw().await;
    idle.ask("GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect(200);
    let mut busy = site.raw().await;
    busy.send(SLOW).await;
    let mut streaming = site.raw().await;
    streaming.send("GET /sse HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let stream = streaming.head().await.expect(200);
    let mut uploading = site.raw().await;
    uploading
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    upstream.wait_for_held(2).await;
    upstream
        .wait_until("an upload", |all| {
            all.iter().any(|request| &request.body[..] == b"abc")
        })
        .await;

    let stopping = tokio::spawn(site.stop());
    unready(admin).await;
    let ready = admin.get("/health/ready").send().await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["status"], "draining");
    // It lives as long as it has something to do.
    admin.get("/health/live").send().await.expect(200);
    refused(address).await;
    fresh.closed().await;
    idle.closed().await;
    assert!(!stopping.is_finished());

    uploading.send("def").await;
    let uploaded = uploading.answer().await.expect(200);
    assert_eq!(uploaded.header("connection"), "close");
    uploading.closed().await;
    upstream.release();
    let answer = busy.answer().await.expect(200);
    assert_eq!(answer.header("connection"), "close");
    busy.closed().await;
    let streamed = streaming.body(stream).await;
    assert!(streamed.whole && streamed.text().contains("second"));
    streaming.closed().await;
    assert!(stopping.await.expect("a task"), "nothing was cut");
    assert!(admin.get("/health/live").try_send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_cut() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"drain": "200ms"}));
    })
    .await;
    let mut busy = site.raw().await;
    busy.send(SLOW).await;
    upstream.wait_for_held(1).await;
    assert!(!site.stop().await, "something was cut");
    busy.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_connections_have_the_same_time() {
    let upgrade =
        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    for patient in [true, false] {
        let upstream = EchoUpstream::start().await.expect("an upstream");
        let site = Site::with(upstream.address(), |config| {
            let drain = if patient { "30s" } else { "200ms" };
            config.gateway("timeouts", json!({"drain": drain}));
        })
        .await;
        let admin = site.gateway.admin();
        let mut raw = site.raw().await;
        raw.send(upgrade).await;
        raw.head().await.expect(101);
        let stopping = tokio::spawn(site.stop());
        if patient {
            unready(admin).await;
            raw.send("still here").await;
            let mut echoed = Vec::new();
            while echoed.len() < 10 {
                echoed.extend(raw.some().await);
            }
            raw.finish().await;
        }
        raw.closed().await;
        assert_eq!(stopping.await.expect("a task"), patient);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_never_answers_does_not_hold_the_end_up() {
    let upstream = RawUpstream::start(|_, mut peer| async move {
        peer.head().await;
        peer.ended().await;
    })
    .await;
    let site = Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"drain": "20s"}));
        config.service("read_timeout", json!(200));
    })
    .await;
    let admin = site.gateway.admin();
    let mut raw = site.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let stopping = tokio::spawn(site.stop());
    unready(admin).await;
    // Whether it was accepted before the listener closed or not, nobody waits for ever.
    let _ = raw.rest().await;
    assert!(stopping.await.expect("a task"));
}
