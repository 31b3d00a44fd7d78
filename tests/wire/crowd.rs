//! Many at once: each gets the answer to what it asked, and nobody another's.

use std::sync::Arc;

use keycloak_testkit::EchoUpstream;

use crate::support::Site;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Arc::new(Site::before(upstream.address()).await);
    let clients: Vec<_> = (0..40)
        .map(|client| {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let mut raw = site.raw().await;
                for round in 0..30 {
                    let (path, body) = (format!("/c{client}/r{round}"), "b".repeat(round * 97));
                    let length = body.len();
                    match (client + round) % 5 {
                        // Some leave in the middle of a body, or before the answer.
                        0 => {
                            raw.send(format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", length + 1))
                                .await;
                            raw = site.raw().await;
                        }
                        1 => {
                            raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
                            raw = site.raw().await;
                        }
                        2 => {
                            let request = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
                            let reply = raw.ask(request).await.expect(200);
                            assert!(reply.whole && reply.text().contains(&path), "{path}: {reply:?}");
                        }
                        _ => {
                            let request = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
                            let reply = raw.ask(request).await.expect(200);
                            assert!(reply.whole && reply.text().contains(&path), "{path}: {reply:?}");
                            assert!(reply.text().contains(&format!("\"data\": \"{body}\"")), "{path}");
                        }
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client that is content");
    }
    let connections = upstream.connections();
    // Each connection carries one request at a time, and those that were cut are not kept.
    assert!(
        connections <= 40 + 40 * 12 + 40,
        "{connections} connections"
    );
    site.wait_for_metric("oidc_proxy_requests_in_flight", 0.0)
        .await;
}
