//! A configuration that is read again: what changed changes, what did not keeps its caches, and a
//! file that is wrong changes nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use gateway_tests::{APP, APP_SECRET, Client, Config, Gateway};
use keycloak_testkit::{
    Client as IdpClient, ClientLogin, EchoUpstream, EmbeddedIdp, EmbeddedRealm,
    IdentityProvider as _, Realm,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Authority, Raw, Site, tls_client, tls_stream};

/// A gateway that reads a file.
struct Stage {
    upstream: EchoUpstream,
    gateway: Gateway,
    config: Config,
    file: PathBuf,
    _state: TempDir,
}

impl Stage {
    async fn set(change: impl FnOnce(&mut Config)) -> Self {
        let upstream = EchoUpstream::start().await.expect("an upstream");
        let state = tempfile::tempdir().expect("a directory");
        let mut config = Site::config(upstream.address(), state.path());
        change(&mut config);
        let file = state.path().join("gateway.yaml");
        std::fs::write(&file, config.text()).expect("written");
        Self {
            gateway: Gateway::start_from(file.clone()).await,
            upstream,
            config,
            file,
            _state: state,
        }
    }

    async fn reload(&mut self, change: impl FnOnce(&mut Config)) -> Result<(), String> {
        change(&mut self.config);
        std::fs::write(&self.file, self.config.text()).expect("written");
        self.gateway
            .reload()
            .await
            .map_err(|error| error.to_string())
    }
}

async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// A provider whose client the gateway is.
async fn provider() -> (EmbeddedIdp, EmbeddedRealm) {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong").client(IdpClient::secret(APP, APP_SECRET)));
    (idp, realm)
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_change_and_caches_stay() {
    let (_idp, realm) = provider().await;
    let issuer = realm.issuer();
    let mut stage = Stage::set(move |config| {
        let plugin = json!({
            "name": "openid-connect",
            "config": {
                "issuer": issuer,
                "client_id": [APP],
                "client_secret": [APP_SECRET],
                "auth_methods": ["refresh_token"],
                "refresh_token_param_name": "refresh_token",
            },
        });
        config.service("plugins", json!([plugin]));
    })
    .await;
    let tokens = realm
        .log_in("john", "doe", ClientLogin::basic(APP, APP_SECRET))
        .await
        .expect("tokens");
    let client = stage.gateway.client();
    let ask = |path: &'static str, client: Client| {
        client.get(path).refresh_token(tokens.refresh()).send()
    };
    ask("/here", client).await.expect(200);
    assert_eq!(realm.token_requests().len(), 1);

    let mut kept = Raw::connect(stage.gateway.address()).await;
    let get = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nRefresh-Token: {}\r\n\r\n",
            tokens.refresh()
        )
    };
    kept.ask(get("/here")).await.expect(200);
    let connections = stage.upstream.connections();
    stage
        .reload(|config| {
            config.value()["services"][0]["routes"][0]["paths"] = json!(["/there"]);
        })
        .await
        .expect("a good file");
    ask("/there", client).await.expect(200);
    ask("/here", client).await.expect(404);
    // So it is for connections that were open before.
    kept.ask(get("/here")).await.expect(404);
    kept.ask(get("/there")).await.expect(200);
    assert_eq!(realm.token_requests().len(), 1, "the result was remembered");
    assert_eq!(
        stage.upstream.connections(),
        connections,
        "connections were kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_changes_nothing() {
    let mut stage = Stage::set(|_| {}).await;
    let client = stage.gateway.client();
    let good = stage.config.clone();
    for (text, word) in [
        ("services: [".to_owned(), "gateway.yaml:1"),
        (good.text().replace("\"url\"", "\"ulr\""), "ulr"),
        (good.text().replace("http://127", "ftp://127"), "ftp"),
        (String::new(), "gateway.yaml"),
    ] {
        std::fs::write(&stage.file, text).expect("written");
        let error = stage
            .gateway
            .reload()
            .await
            .expect_err("refused")
            .to_string();
        assert!(error.contains(word), "{error}");
        client.get("/").send().await.expect(200);
    }
    std::fs::remove_file(&stage.file).expect("removed");
    stage.gateway.reload().await.expect_err("refused");
    client.get("/").send().await.expect(200);
    stage.reload(|_| {}).await.expect("a good file");
    client.get("/").send().await.expect(200);
    let metrics = stage.gateway.admin().get("/metrics").send().await;
    for line in [
        "oidc_proxy_reloads_total{outcome=\"refused\"} 5",
        "oidc_proxy_reloads_total{outcome=\"applied\"} 1",
    ] {
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go() {
    let mut stage = Stage::set(|_| {}).await;
    let first = stage.gateway.address();
    let second = free_port().await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    stage
        .reload(|config| {
            config.gateway("listen", json!(["127.0.0.1:0", second.to_string()]));
        })
        .await
        .expect("a good file");
    let mut kept = Raw::connect(second).await;
    kept.ask(get).await.expect(200);
    Raw::connect(first).await.ask(get).await.expect(200);

    // An address that somebody else has is no reason to lose one's own.
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let error = stage
        .reload(|config| {
            config.gateway("listen", json!([address]));
        })
        .await
        .expect_err("refused");
    assert!(
        error.contains(&address) && error.contains("another program"),
        "{error}"
    );
    Raw::connect(first).await.ask(get).await.expect(200);
    Raw::connect(second).await.ask(get).await.expect(200);

    stage
        .reload(|config| {
            config.gateway("listen", json!(["127.0.0.1:0"]));
        })
        .await
        .expect("a good file");
    assert!(TcpStream::connect(second).await.is_err());
    kept.ask(get).await.expect(200);
    Raw::connect(first).await.ask(get).await.expect(200);
    assert_eq!(stage.gateway.addresses(), [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_given_up_can_be_taken_up_again() {
    let mut stage = Stage::set(|_| {}).await;
    let second = free_port().await;
    for _ in 0..10 {
        for listen in [
            json!(["127.0.0.1:0", second.to_string()]),
            json!(["127.0.0.1:0"]),
        ] {
            let both = listen[1] != json!(null);
            stage
                .reload(|config| {
                    config.gateway("listen", listen);
                })
                .await
                .expect("a good file");
            assert_eq!(TcpStream::connect(second).await.is_ok(), both);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_connections_as_the_file_says_now() {
    let mut stage = Stage::set(|_| {}).await;
    let get = "GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let address = stage.gateway.address();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::connect(address).await;
        raw.ask(get).await.expect(200);
        kept.push(raw);
    }
    for (connections, further) in [(2, false), (4, true)] {
        stage
            .reload(|config| {
                config.gateway("limits", json!({"connections": connections}));
            })
            .await
            .expect("a good file");
        // Those that there are stay.
        for raw in &mut kept {
            raw.ask(get).await.expect(200);
        }
        let before = stage.upstream.count();
        let mut another = Raw::connect(address).await;
        another.send(get).await;
        if further {
            another.answer().await.expect(200);
        } else {
            // It would have been answered before what is asked after it.
            for raw in &mut kept {
                raw.ask(get).await.expect(200);
            }
            assert_eq!(stage.upstream.count(), before + kept.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("gateway", &authority.identity("localhost"));
    let mut stage = Stage::set(move |config| {
        let tls = json!({"certificate": certificate, "key": key});
        config.gateway("listen", json!([{"address": "127.0.0.1:0", "tls": tls}]));
    })
    .await;
    let address = stage.gateway.address();
    let get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let stream = tls_stream(address, tls_client(&authority, None, &[])).await;
    let mut old = Raw::over(stream.expect("a session"));
    old.ask(get).await.expect(200);

    let next = Authority::new();
    let identity = next.identity("localhost");
    let (new_certificate, new_key) = next.files("gateway", &identity);
    for (from, name) in [(&new_certificate, "gateway.pem"), (&new_key, "gateway.key")] {
        std::fs::copy(from, authority.directory().join(name)).expect("copied");
    }
    stage.reload(|_| {}).await.expect("a good file");
    let stream = tls_stream(address, tls_client(&next, None, &[])).await;
    Raw::over(stream.expect("a session"))
        .ask(get)
        .await
        .expect(200);
    assert!(
        tls_stream(address, tls_client(&authority, None, &[]))
            .await
            .is_err()
    );
    old.ask(get).await.expect(200);

    // A key that does not belong to its certificate is not taken.
    let (_, other) = next.files("other", &next.identity("localhost"));
    std::fs::copy(other, authority.directory().join("gateway.key")).expect("copied");
    stage.reload(|_| {}).await.expect_err("refused");
    let stream = tls_stream(address, tls_client(&next, None, &[])).await;
    Raw::over(stream.expect("a session"))
        .ask(get)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_ends_as_it_began() {
    let mut stage = Stage::set(|_| {}).await;
    let mut raw = Raw::connect(stage.gateway.address()).await;
    raw.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    stage.upstream.wait_for_held(1).await;
    stage
        .reload(|config| {
            config.service("url", json!("http://127.0.0.1:9"));
        })
        .await
        .expect("a good file");
    stage.upstream.release();
    raw.answer().await.expect(200);
    raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .says(502, "Bad gateway");
}

/// So it is for connections that were open before.
#[tokio::test(flavor = "multi_thread")]
async fn limits_become_narrower_for_connections_that_are_kept() {
    let mut stage = Stage::set(|_| ()).await;
    let mut kept = Raw::connect(stage.gateway.address()).await;
    let request = |lines: usize| {
        let lines: String = (0..lines).map(|n| format!("X-{n}: v\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
    };
    kept.ask(request(8)).await.expect(200);
    stage
        .reload(|config| {
            config.gateway("limits", json!({"header_count": 5}));
        })
        .await
        .expect("a good file");
    kept.ask(request(4)).await.expect(200);
    kept.ask(request(8)).await.expect(431);
}
