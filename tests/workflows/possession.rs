//! Proof of possession: a token that is bound to a certificate or to a key is taken from nobody
//! else (RFC 8705 §3, RFC 9449).

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_tests::{Config, TlsClient, World, WorldBuilder, on_both};
use keycloak_testkit::pki::{Authority, Identity};
use keycloak_testkit::{ClientLogin, DpopKey, TokenCall, seed};
use serde_json::{Value, json};

/// A gateway that asks its clients for certificates, and their tokens for the binding.
fn certificate_bound(enforcement: &'static str) -> WorldBuilder {
    World::seed()
        .plugin("auth_methods", json!(["bearer"]))
        .plugin("proof_of_possession_mtls", json!(enforcement))
        .config(listen_by_tls)
}

fn listen_by_tls(config: &mut Config) {
    let directory = config.value()["gateway"]["state_dir"].as_str();
    let directory = PathBuf::from(directory.expect("a path"));
    let files = Authority::shared()
        .server(&["localhost", "127.0.0.1"])
        .write(&directory, "gateway")
        .expect("files");
    config.gateway(
        "listen",
        json!([{
            "address": "127.0.0.1:0",
            "tls": {
                "certificate": files.certificate,
                "key": files.key,
                "client_auth": "unverified",
            },
        }]),
    );
}

/// A token of john's that is bound to this certificate.
async fn bound_to(world: &World, identity: &Identity) -> String {
    let login = ClientLogin::basic("cert-bound", seed::CERT_BOUND_SECRET);
    let call = TokenCall::password("john", "doe", login).certificate(identity);
    let tokens = world.idp.token(&call).await.expect("john's tokens");
    tokens.access_token
}

/// A token of john's that is bound to nothing.
async fn unbound(world: &World) -> String {
    let tokens = world
        .idp
        .log_in("john", "doe", ClientLogin::service())
        .await;
    tokens.expect("john's tokens").access_token
}

fn client(world: &World, identity: Option<&Identity>) -> TlsClient {
    TlsClient::new(world.gateway.address(), identity)
}

on_both!(
    a_bound_token_is_taken_with_its_certificate_alone,
    certificate_bound("strict"),
    |world: World| async move {
        let identity = Authority::shared().client("CN=client");
        let stranger = Authority::shared().client("CN=stranger");
        let token = bound_to(&world, &identity).await;
        for _ in 0..2 {
            let request = client(&world, Some(&identity)).get("/").bearer(&token);
            assert_eq!(request.send().await.expect(200).access_token(), token);
        }
        let request = client(&world, Some(&stranger)).get("/").bearer(&token);
        request
            .send()
            .await
            .refused(401, "mtls.certificate_mismatch");
        let request = client(&world, None).get("/").bearer(&token);
        request
            .send()
            .await
            .refused(401, "mtls.certificate_missing");
        let request = client(&world, Some(&identity)).get("/");
        let request = request.bearer(&unbound(&world).await);
        request.send().await.refused(401, "mtls.token_not_bound");
    }
);

on_both!(
    a_certificate_is_asked_for_each_time_however_often_it_was_shown,
    certificate_bound("optional"),
    |world: World| async move {
        let identity = Authority::shared().client("CN=client");
        let stranger = Authority::shared().client("CN=stranger");
        let token = bound_to(&world, &identity).await;
        for _ in 0..5 {
            let request = client(&world, Some(&identity)).get("/").bearer(&token);
            request.send().await.expect(200);
        }
        for _ in 0..3 {
            let request = client(&world, Some(&stranger)).get("/").bearer(&token);
            let answer = request.send().await;
            answer.refused(401, "mtls.certificate_mismatch");
            let request = client(&world, None).get("/").bearer(&token);
            let answer = request.send().await;
            answer.refused(401, "mtls.certificate_missing");
        }
    }
);

on_both!(
    only_bound_tokens_need_their_certificate_where_it_is_optional,
    certificate_bound("optional"),
    |world: World| async move {
        let identity = Authority::shared().client("CN=client");
        let token = bound_to(&world, &identity).await;
        let request = client(&world, None).get("/").bearer(&token);
        request
            .send()
            .await
            .refused(401, "mtls.certificate_missing");
        let request = client(&world, None).get("/").bearer(&unbound(&world).await);
        request.send().await.expect(200);
    }
);

on_both!(
    a_trusted_proxy_hands_the_certificate_on_and_nobody_else_does,
    World::seed()
        .plugin("auth_methods", json!(["bearer"]))
        .plugin("proof_of_possession_mtls", json!("strict"))
        .plugin(
            "proof_of_possession_mtls_from_header",
            json!({
                "certificate_header_name": "x-client-cert",
                "certificate_header_format": "base64_encoded",
                "ca_certificates": [Authority::shared().certificate_pem()],
            })
        )
        .gateway("trusted_ips", json!(["127.0.0.0/8"])),
    |world: World| async move {
        let identity = Authority::shared().client("CN=client");
        let token = bound_to(&world, &identity).await;
        let der = STANDARD.encode(identity.certificate_der());
        let handed = |value: &str| {
            let request = world.client().get("/").bearer(&token);
            request.header("X-Client-Cert", value).send()
        };
        handed(&der).await.expect(200);
        let stranger = Authority::shared().client("CN=stranger");
        let stranger = STANDARD.encode(stranger.certificate_der());
        handed(&stranger)
            .await
            .refused(401, "mtls.certificate_mismatch");
        let own = Identity::self_signed("CN=client");
        let own = STANDARD.encode(own.certificate_der());
        handed(&own)
            .await
            .refused(401, "mtls.certificate_untrusted");
        handed("garbage!")
            .await
            .refused(401, "mtls.certificate_encoding");
        let request = world.client().get("/").bearer(&token);
        request
            .send()
            .await
            .refused(401, "mtls.certificate_missing");
    }
);

on_both!(
    a_certificate_in_a_header_of_anybodys_proves_nothing,
    World::seed()
        .plugin("auth_methods", json!(["bearer"]))
        .plugin("proof_of_possession_mtls", json!("strict"))
        .plugin(
            "proof_of_possession_mtls_from_header",
            json!({
                "certificate_header_name": "x-client-cert",
                "certificate_header_format": "base64_encoded",
            })
        )
        .gateway("trusted_ips", json!(["10.0.0.0/8"])),
    |world: World| async move {
        let identity = Authority::shared().client("CN=client");
        let token = bound_to(&world, &identity).await;
        let der = STANDARD.encode(identity.certificate_der());
        let request = world.client().get("/").bearer(&token);
        let request = request.header("X-Client-Cert", &der);
        request
            .send()
            .await
            .refused(401, "mtls.certificate_missing");
    }
);

fn dpop(enforcement: &'static str) -> WorldBuilder {
    World::seed()
        .plugin("auth_methods", json!(["bearer"]))
        .plugin("proof_of_possession_dpop", json!(enforcement))
}

async fn bound_to_key(world: &World, key: &DpopKey) -> String {
    let login = ClientLogin::basic("client-dpop-auth", seed::DPOP_SECRET);
    let call = TokenCall::password("john", "doe", login).dpop(key);
    let tokens = world.idp.token(&call).await.expect("john's tokens");
    tokens.access_token
}

fn url(world: &World) -> String {
    format!("http://{}/", world.gateway.address())
}

async fn presented(world: &World, token: &str, proof: &str) -> gateway_tests::Answer {
    let request = world.client().get("/?q=1");
    let request = request.header("Authorization", &format!("DPoP {token}"));
    request.header("DPoP", proof).send().await
}

on_both!(
    a_token_is_taken_with_a_proof_by_its_key_once,
    dpop("strict"),
    |world: World| async move {
        let key = DpopKey::new();
        let token = bound_to_key(&world, &key).await;
        let proof = |id: &str| key.proof("GET", &url(&world)).access_token(&token).id(id);
        let good = proof("first").sign();
        let answer = presented(&world, &token, &good).await.expect(200);
        assert_eq!(
            answer.access_token(),
            token,
            "the upstream gets a bearer token"
        );
        assert_eq!(answer.upstream_header("Dpop"), None);
        let answer = presented(&world, &token, &good).await;
        let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges.len(), 1);
        assert!(
            answer
                .header("www-authenticate")
                .starts_with(r#"DPoP realm="127.0.0.1", error="invalid_dpop_proof", algs="ES256"#),
            "{challenges:?}"
        );
        answer.refused(401, "dpop.replayed");
        let (now, other) = (seconds(), DpopKey::new());
        for (spoilt, reason) in [
            (proof("a").issued_at(now - 400).sign(), "dpop.expired"),
            (
                proof("b").issued_at(now + 400).sign(),
                "dpop.issued_in_future",
            ),
            (
                other.proof("GET", &url(&world)).access_token(&token).sign(),
                "dpop.key_mismatch",
            ),
            (
                key.proof("POST", &url(&world)).access_token(&token).sign(),
                "dpop.method_mismatch",
            ),
            (
                key.proof("GET", "http://somebody.else/")
                    .access_token(&token)
                    .sign(),
                "dpop.url_mismatch",
            ),
            (key.proof("GET", &url(&world)).sign(), "dpop.claim_missing"),
        ] {
            let answer = presented(&world, &token, &spoilt).await.expect(401);
            assert_eq!(answer.json()["reason"], reason, "{}", answer.text());
        }
        presented(&world, &token, &proof("last").sign())
            .await
            .expect(200);
    }
);

on_both!(
    a_proof_is_asked_for_each_time_however_often_one_was_shown,
    dpop("optional"),
    |world: World| async move {
        let key = DpopKey::new();
        let token = bound_to_key(&world, &key).await;
        let proof = |id: &str| {
            let proof = key.proof("GET", &url(&world)).access_token(&token);
            proof.id(id).sign()
        };
        for number in 0..5 {
            let answer = presented(&world, &token, &proof(&number.to_string())).await;
            answer.expect(200);
        }
        for _ in 0..3 {
            let answer = presented(&world, &token, &proof("4")).await;
            answer.refused(401, "dpop.replayed");
            let request = world.client().get("/?q=1");
            let request = request.header("Authorization", &format!("DPoP {token}"));
            request.send().await.refused(401, "dpop.proof_missing");
        }
    }
);

on_both!(
    a_bound_token_is_not_taken_as_a_bearer_token_and_an_unbound_one_not_with_a_proof,
    dpop("optional"),
    |world: World| async move {
        let key = DpopKey::new();
        let token = bound_to_key(&world, &key).await;
        let request = world.client().get("/").bearer(&token);
        request.send().await.refused(401, "dpop.bearer_scheme");
        let request = world.client().get("/");
        let request = request.header("Authorization", &format!("DPoP {token}"));
        request.send().await.refused(401, "dpop.proof_missing");
        let free = unbound(&world).await;
        world
            .client()
            .get("/")
            .bearer(&free)
            .send()
            .await
            .expect(200);
        let proof = key.proof("GET", &url(&world)).access_token(&free).sign();
        presented(&world, &free, &proof)
            .await
            .refused(401, "dpop.token_not_bound");
    }
);

on_both!(
    a_nonce_is_asked_for_and_given,
    dpop("strict").plugin("dpop_use_nonce", json!(true)),
    |world: World| async move {
        let key = DpopKey::new();
        let token = bound_to_key(&world, &key).await;
        let proof = || key.proof("GET", &url(&world)).access_token(&token);
        let answer = presented(&world, &token, &proof().sign()).await.expect(401);
        assert!(
            answer
                .header("www-authenticate")
                .contains(r#"error="use_dpop_nonce""#)
        );
        let nonce = answer.header("dpop-nonce").to_owned();
        assert_eq!(answer.json()["reason"], "dpop.nonce_missing");
        let good = proof().nonce(&nonce).sign();
        presented(&world, &token, &good).await.expect(200);
        let forged = proof().nonce("nobody-gave-it").sign();
        presented(&world, &token, &forged)
            .await
            .refused(401, "dpop.nonce_unknown");
    }
);

on_both!(
    the_gateway_proves_its_own_key_at_the_token_endpoint,
    World::seed()
        .plugin("client_id", json!(["client-dpop-auth"]))
        .plugin("client_secret", json!([seed::DPOP_SECRET]))
        .plugin("client_auth", json!(["client_secret_basic"]))
        .plugin("client_dpop", json!(true))
        .plugin("search_user_info", json!(true)),
    |world: World| async move {
        let client = world.client();
        let answer = client
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        let first: Value = keycloak_testkit::claims(&answer.access_token());
        assert!(first["cnf"]["jkt"].is_string(), "{first}");
        let token = answer.refresh_token();
        let answer = client
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        let second = keycloak_testkit::claims(&answer.access_token());
        assert_eq!(second["cnf"], first["cnf"]);
    }
);

on_both!(
    without_a_key_of_its_own_the_gateway_is_refused_and_nobody_else_is_blamed,
    World::seed()
        .plugin("client_id", json!(["client-dpop-auth"]))
        .plugin("client_secret", json!([seed::DPOP_SECRET]))
        .plugin("client_auth", json!(["client_secret_basic"])),
    |world: World| async move {
        let answer = world.client().get("/").basic("john", "doe").send().await;
        answer.expect(502);
    }
);

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
