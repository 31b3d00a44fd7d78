//! The bearer workflow: a signed access token is verified by the issuer's keys, and by nobody else.

use gateway_tests::{World, WorldBuilder, on_both};
use keycloak_testkit::{Endpoint, claims};
use serde_json::json;

fn bearer() -> WorldBuilder {
    World::app().plugin("auth_methods", json!(["bearer"]))
}

on_both!(
    a_good_token_goes_upstream_as_it_is_and_costs_no_call_to_the_token_endpoint,
    bearer(),
    |world: World| async move {
        let token = world.john().await.access_token;
        for _ in 0..3 {
            let answer = world.client().get("/").bearer(&token).send().await;
            assert_eq!(answer.expect(200).access_token(), token);
        }
        assert_eq!(world.idp.count(Endpoint::Token), 0);
        assert_eq!(world.idp.count(Endpoint::Introspection), 0);
        assert_eq!(world.idp.count(Endpoint::Jwks), 1);
    }
);

on_both!(
    a_token_is_found_in_each_place_and_removed_from_it,
    bearer()
        .plugin(
            "bearer_token_param_type",
            json!(["header", "query", "body", "cookie"])
        )
        .plugin("bearer_token_cookie_name", json!("at")),
    |world: World| async move {
        let token = world.john().await.access_token;
        let client = world.client();
        let query = client.get(&format!("/?a=1&access_token={token}&b=2"));
        let answer = query.send().await.expect(200);
        assert_eq!(answer.access_token(), token);
        assert_eq!(answer.json()["args"], json!({"a": "1", "b": "2"}));
        let form = client.post_form("/", &format!("access_token={token}&z=1"));
        let answer = form.send().await.expect(200);
        assert_eq!(answer.access_token(), token);
        assert_eq!(answer.json()["form"], json!({"z": "1"}));
        let cookie = client
            .get("/")
            .header("Cookie", &format!("x=1; at={token}"));
        let answer = cookie.send().await.expect(200);
        assert_eq!(answer.access_token(), token);
        assert_eq!(answer.upstream_header("Cookie").as_deref(), Some("x=1"));
        for name in ["Access-Token", "X-Access-Token"] {
            let answer = client
                .get("/")
                .header(name, &token)
                .send()
                .await
                .expect(200);
            assert_eq!(answer.access_token(), token);
            assert_eq!(answer.upstream_header(name), None);
        }
        // Never the first of several.
        let twice = client.get(&format!("/?access_token={token}"));
        twice.bearer(&token).send().await.expect(400);
    }
);

on_both!(
    a_token_that_is_none_is_refused_as_the_callers,
    bearer(),
    |world: World| async move {
        let tokens = world.john().await;
        let client = world.client();
        let good = tokens.access_token.clone();
        let (rest, signature) = good.rsplit_once('.').expect("three parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let tampered = format!("{rest}.{flipped}{}", &signature[1..]);
        for (token, reason) in [
            (tampered.as_str(), "token.signature_invalid"),
            (tokens.refresh(), "token.algorithm_not_allowed"),
            ("opaque", "token.opaque"),
            ("eyJhbGciOiJub25lIn0.e30.", "token.algorithm_unknown"),
        ] {
            let answer = client.get("/").bearer(token).send().await;
            assert_eq!(
                answer.header("www-authenticate"),
                r#"Bearer realm="127.0.0.1", error="invalid_token""#,
                "{reason}"
            );
            answer.refused(401, reason);
        }
        if let Some(id_token) = &tokens.id_token {
            let answer = client.get("/").bearer(id_token).send().await;
            answer.refused(401, "token.wrong_type");
        }
        assert_eq!(world.upstream.count(), 0);
        client.get("/").bearer(&good).send().await.expect(200);
    }
);

on_both!(
    a_token_of_another_realm_is_refused,
    bearer().plugin("issuers_allowed", json!(["https://somebody.else"])),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.refused(401, "token.issuer_mismatch");
    }
);

on_both!(
    a_key_that_is_withdrawn_ends_what_it_signed_even_where_it_is_remembered,
    bearer().plugin("rediscovery_lifetime", json!(0)),
    |world: World| async move {
        let client = world.client();
        let before = world.john().await.access_token;
        client.get("/").bearer(&before).send().await.expect(200);
        world.idp.rotate_keys().await.expect("a new key");
        let after = world.john().await.access_token;
        // The new key is fetched for the sake of its token; the old one is published still.
        client.get("/").bearer(&after).send().await.expect(200);
        client.get("/").bearer(&before).send().await.expect(200);
        world.idp.withdraw_old_keys().await.expect("withdrawn");
        // Somebody's token of a key that nobody knows brings the newest set.
        let unknown = unknown_kid(&after);
        let answer = client.get("/").bearer(&unknown).send().await;
        answer.refused(401, "token.key_unknown");
        let answer = client.get("/").bearer(&before).send().await;
        answer.refused(401, "token.key_unknown");
        client.get("/").bearer(&after).send().await.expect(200);
    }
);

on_both!(
    a_flood_of_unknown_keys_costs_one_fetch,
    bearer(),
    |world: World| async move {
        let client = world.client();
        let token = world.john().await.access_token;
        client.get("/").bearer(&token).send().await.expect(200);
        assert_eq!(world.idp.count(Endpoint::Jwks), 1);
        for place in 0..50 {
            let forged = with_header(
                &token,
                &json!({"alg": "RS256", "typ": "JWT", "kid": format!("unknown-{place}")}),
            );
            let answer = client.get("/").bearer(&forged).send().await;
            answer.refused(401, "token.key_unknown");
        }
        client.get("/").bearer(&token).send().await.expect(200);
        assert_eq!(world.idp.count(Endpoint::Jwks), 2);
    }
);

on_both!(
    scope_role_and_audience_are_required_of_it,
    bearer()
        .plugin("scopes_required", json!(["email profile"]))
        .plugin("audience_required", json!(["account"]))
        .plugin("roles_claim", json!(["realm_access", "roles"]))
        .plugin("roles_required", json!(["offline_access"])),
    |world: World| async move {
        let token = world.john().await.access_token;
        world
            .client()
            .get("/")
            .bearer(&token)
            .send()
            .await
            .expect(200);
        assert_eq!(claims(&token)["azp"], "app");
    }
);

on_both!(
    a_scope_that_it_lacks_is_forbidden,
    bearer().plugin("scopes_required", json!(["nobody-grants-it"])),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.refused(403, "authorization.scope_missing");
    }
);

on_both!(
    the_type_of_rfc_9068_is_asked_for,
    bearer().plugin("bearer_token_typ", json!("at+jwt")),
    |world: World| async move {
        let token = world.john().await.access_token;
        let answer = world.client().get("/").bearer(&token).send().await;
        answer.refused(401, "token.wrong_type");
    }
);

on_both!(
    no_client_is_needed_to_verify,
    World::app()
        .plugin("auth_methods", json!(["bearer"]))
        .plugin("client_id", json!(null))
        .plugin("client_secret", json!(null))
        .plugin("client_auth", json!(null)),
    |world: World| async move {
        let token = world.john().await.access_token;
        world
            .client()
            .get("/")
            .bearer(&token)
            .send()
            .await
            .expect(200);
        world
            .client()
            .get("/")
            .send()
            .await
            .refused(401, "credential.missing");
    }
);

/// The same token with another header.
fn with_header(token: &str, header: &serde_json::Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (_, rest) = token.split_once('.').expect("three parts");
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

fn unknown_kid(token: &str) -> String {
    with_header(
        token,
        &json!({"alg": "RS256", "typ": "JWT", "kid": "nobody-knows-it"}),
    )
}
