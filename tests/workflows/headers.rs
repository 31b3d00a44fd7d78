//! What upstream and client are given in headers: claims, keys, documents, and a token of the
//! gateway's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_tests::{APP, Answer, World, WorldBuilder, on_both};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keycloak_testkit::{Client, Endpoint, User, claims, header};
use serde_json::{Value, json};

async fn john(world: &World) -> Answer {
    world.client().get("/").basic("john", "doe").send().await
}

fn document(base64: Option<String>) -> Value {
    let json = STANDARD.decode(base64.expect("a header")).expect("base64");
    serde_json::from_slice(&json).expect("JSON")
}

on_both!(
    claims_go_both_ways_in_the_headers_that_are_named,
    World::app()
        .plugin(
            "upstream_headers",
            json!([
                {"header": "x_roles", "path": ["realm_access", "roles"]},
                {"header": "x_verified", "path": ["email_verified"]},
                {"header": "x_expires", "path": ["exp"]},
                {"header": "x_nothing", "path": ["realm_access", "nothing"]},
            ])
        )
        .plugin("upstream_headers_claims", json!(["preferred_username"]))
        .plugin("upstream_headers_names", json!(["authenticated_user"]))
        .plugin(
            "downstream_headers",
            json!([{"header": "x_mail", "path": ["email"]}])
        )
        .plugin("downstream_headers_claims", json!(["nothing"]))
        .plugin("downstream_headers_names", json!(["content_language"])),
    |world: World| async move {
        let request = world.client().get("/").basic("john", "doe");
        let request = request.header("X-Nothing", "forged");
        let answer = request
            .header("Authenticated-User", "forged")
            .send()
            .await
            .expect(200);
        let token = claims(&answer.access_token());
        let upstream = |name: &str| answer.upstream_header(name);
        assert_eq!(upstream("Authenticated-User").as_deref(), Some("john"));
        assert_eq!(upstream("X-Verified").as_deref(), Some("true"));
        assert_eq!(upstream("X-Expires"), Some(token["exp"].to_string()));
        assert_eq!(upstream("X-Nothing"), None);
        let roles: Value =
            serde_json::from_str(&upstream("X-Roles").expect("roles")).expect("JSON");
        assert_eq!(roles, token["realm_access"]["roles"]);
        assert_eq!(answer.header("x-mail"), "john@example.test");
        assert_eq!(answer.header("content-language"), "");
    }
);

on_both!(
    a_name_beyond_ascii_is_one_line_that_can_be_read_back,
    World::app()
        .realm(|realm| realm.user(User::new("asa", "pw").named("Åsa", "Łukasz")))
        .plugin(
            "upstream_headers",
            json!([{"header": "x_name", "path": ["name"]}])
        ),
    |world: World| async move {
        let answer = world
            .client()
            .get("/")
            .basic("asa", "pw")
            .send()
            .await
            .expect(200);
        assert_eq!(
            answer.upstream_header("X-Name").as_deref(),
            Some("%C3%85sa %C5%81ukasz")
        );
    }
);

on_both!(
    the_keys_that_verified_the_tokens_are_told,
    World::app()
        .plugin("upstream_access_token_jwk_header", json!("x_access_key"))
        .plugin("upstream_id_token_jwk_header", json!("x_id_key"))
        .plugin("downstream_access_token_jwk_header", json!("x_access_key")),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        let kid = header(&answer.access_token())["kid"].clone();
        let key = document(answer.upstream_header("X-Access-Key"));
        assert_eq!(key["kid"], kid);
        assert_eq!(key["kty"], "RSA");
        assert!(key.get("d").is_none());
        assert_eq!(document(answer.upstream_header("X-Id-Key")), key);
        assert_eq!(
            document(Some(answer.header("x-access-key").to_owned())),
            key
        );
    }
);

on_both!(
    what_the_provider_says_about_the_token_is_told,
    World::app()
        .realm(|realm| realm.change_client(APP, |client| client.audience(APP)))
        .plugin("auth_methods", json!(["introspection", "password"]))
        .plugin("upstream_introspection_header", json!("x_token_info"))
        .plugin(
            "upstream_headers",
            json!([{"header": "x_user", "path": ["username"]}])
        ),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world
            .client()
            .get("/")
            .bearer(&token)
            .send()
            .await
            .expect(200);
        let told = document(answer.upstream_header("X-Token-Info"));
        assert_eq!(told["active"], true);
        assert_eq!(told["sub"], claims(&token)["sub"]);
        // A claim of the introspection, which the token itself does not have.
        assert_eq!(answer.upstream_header("X-User").as_deref(), Some("john"));
        // The provider is asked about no token that it has just issued.
        let answer = john(&world).await.expect(200);
        assert_eq!(answer.upstream_header("X-Token-Info"), None);
    }
);

on_both!(
    what_the_provider_signs_about_the_token_is_told_as_it_is,
    World::app()
        .realm(|realm| {
            realm.change_client(APP, |client| client.audience(APP).jwt_in_introspection())
        })
        .plugin("auth_methods", json!(["introspection"]))
        .plugin("introspection_accept", json!("application/jwt"))
        .plugin(
            "upstream_introspection_jwt_header",
            json!("x_token_info_jwt")
        ),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        let told = answer.expect(200).upstream_header("X-Token-Info-Jwt");
        assert_eq!(
            claims(&told.expect("a token"))["sub"],
            claims(&token)["sub"]
        );
    }
);

on_both!(
    what_the_provider_says_about_the_user_is_told,
    World::app()
        .plugin("upstream_user_info_header", json!("x_user_info"))
        .plugin("downstream_user_info_header", json!("x_user_info"))
        .plugin("upstream_user_info_jwt_header", json!("x_user_info_jwt")),
    |world: World| async move {
        for _ in 0..2 {
            let answer = john(&world).await.expect(200);
            let told = document(answer.upstream_header("X-User-Info"));
            assert_eq!(told["preferred_username"], "john");
            assert_eq!(told["email"], "john@example.test");
            assert_eq!(
                document(Some(answer.header("x-user-info").to_owned())),
                told
            );
            assert_eq!(
                answer.upstream_header("X-User-Info-Jwt"),
                None,
                "it is not signed"
            );
        }
        assert_eq!(world.idp.count(Endpoint::Userinfo), 1);
    }
);

on_both!(
    what_the_provider_signs_about_the_user_is_told_as_it_is,
    World::app()
        .realm(|realm| realm.change_client(APP, Client::signed_userinfo))
        .plugin("userinfo_accept", json!("application/jwt"))
        .plugin("upstream_user_info_jwt_header", json!("x_user_info_jwt")),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        let jwt = answer.upstream_header("X-User-Info-Jwt").expect("a token");
        assert_eq!(claims(&jwt)["preferred_username"], "john");
    }
);

on_both!(
    claims_of_the_user_are_found_where_they_are_searched,
    World::app()
        .plugin("auth_methods", json!(["userinfo"]))
        .plugin(
            "upstream_headers",
            json!([{"header": "x_mail", "path": ["email"]}])
        ),
    |world: World| async move {
        let call = keycloak_testkit::TokenCall::password("john", "doe", world.app_login());
        let tokens = world
            .idp
            .token(&call.scope("openid"))
            .await
            .expect("tokens");
        let answer = world
            .client()
            .get("/")
            .bearer(&tokens.access_token)
            .send()
            .await;
        let answer = answer.expect(200);
        assert_eq!(
            answer.upstream_header("X-Mail").as_deref(),
            Some("john@example.test")
        );
    }
);

fn signing() -> WorldBuilder {
    World::app()
        .plugin("upstream_signed_jwt_header", json!("x_gateway_token"))
        .plugin("consumer_claims", json!([["preferred_username"]]))
        .config(|config| {
            config.value()["consumers"] = json!([{"id": "c-1", "username": "john"}]);
        })
}

/// The claims of a token of the gateway's own, verified as an upstream would.
async fn verified(world: &World, token: &str) -> Value {
    let answer = world
        .gateway
        .admin()
        .get("/openid-connect/jwks")
        .send()
        .await;
    let keys: JwkSet = serde_json::from_slice(&answer.expect(200).body).expect("a key set");
    let head = decode_header(token).expect("a header");
    assert_eq!(head.alg, Algorithm::ES256);
    let key = keys.find(&head.kid.expect("a kid")).expect("the key");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["openid-connect"]);
    validation.set_issuer(&["oidc-proxy"]);
    let key = DecodingKey::from_jwk(key).expect("a key");
    decode(token, &key, &validation)
        .expect("a good token")
        .claims
}

on_both!(
    a_token_of_the_gateways_own_is_verified_by_the_keys_that_it_publishes,
    signing(),
    |world: World| async move {
        let answer = john(&world).await.expect(200);
        let token = answer.upstream_header("X-Gateway-Token").expect("a token");
        let told = verified(&world, &token).await;
        let access_token = claims(&answer.access_token());
        assert_eq!(told["sub"], access_token["sub"]);
        assert_eq!(told["scope"], access_token["scope"]);
        assert_eq!(told["client_id"], APP);
        assert_eq!(told["consumer"], json!({"id": "c-1", "username": "john"}));
        let (iat, exp) = (told["iat"].as_u64(), told["exp"].as_u64());
        assert_eq!(exp.expect("exp") - iat.expect("iat"), 60);
        assert!(told["jti"].as_str().expect("jti").len() >= 20);
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_gets_another_token_and_nobody_gets_one() {
    let world = signing()
        .realm(|realm| realm.user(User::new("ann", "pw")))
        .plugin("consumer_optional", json!(true))
        .plugin("anonymous", json!("c-1"))
        .embedded()
        .await;
    let client = world.client();
    let mut subjects = std::collections::BTreeSet::new();
    for (name, password) in [("john", "doe"), ("ann", "pw")] {
        let answer = client
            .get("/")
            .basic(name, password)
            .send()
            .await
            .expect(200);
        let token = answer.upstream_header("X-Gateway-Token").expect("a token");
        let told = verified(&world, &token).await;
        assert_eq!(told["sub"], claims(&answer.access_token())["sub"]);
        assert_eq!(told.get("consumer").is_some(), name == "john");
        subjects.insert(told["sub"].to_string());
    }
    assert_eq!(subjects.len(), 2);
    let forged = client.get("/").header("X-Gateway-Token", "forged");
    let answer = forged.send().await.expect(200);
    assert_eq!(answer.upstream_header("X-Gateway-Token"), None);
}
