//! Refresh tokens that the provider refuses, and what the caller is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_tests::{APP, World, eventually, on_both};
use keycloak_testkit::Endpoint;
use serde_json::json;

on_both!(
    without_a_credential_nothing_reaches_the_upstream,
    World::app(),
    |world: World| async move {
        let answer = world.client().get("/").send().await;
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="127.0.0.1""#
        );
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
        answer.refused(401, "credential.missing");
        assert_eq!(world.upstream.count(), 0);
        assert_eq!(world.idp.count(Endpoint::Token), 0);
    }
);

on_both!(
    what_was_never_a_refresh_token,
    World::app(),
    |world: World| async move {
        let client = world.client();
        let answer = client.get("/").refresh_token("not.a.token").send().await;
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="127.0.0.1", error="invalid_token""#
        );
        answer.refused(401, "refresh_token.invalid_grant");
        let access_token = world.john().await.access_token;
        let answer = client.get("/").refresh_token(&access_token).send().await;
        answer.refused(401, "refresh_token.invalid_grant");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    a_refused_token_is_not_sent_again_at_once,
    World::app(),
    |world: World| async move {
        let client = world.client();
        for _ in 0..10 {
            let answer = client.get("/").refresh_token("not.a.token").send().await;
            assert_eq!(answer.status.as_u16(), 401);
        }
        assert_eq!(world.idp.count(Endpoint::Token), 1);
    }
);

on_both!(
    after_the_session_was_logged_out,
    World::app(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        world.idp.log_out("john").await.expect("logged out");
        let answer = world.client().get("/").refresh_token(&token).send().await;
        answer.refused(401, "refresh_token.invalid_grant");
    }
);

on_both!(
    after_the_token_was_revoked,
    World::app(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        world
            .idp
            .revoke(&token, world.app_login())
            .await
            .expect("revoked");
        let answer = world.client().get("/").refresh_token(&token).send().await;
        answer.refused(401, "refresh_token.invalid_grant");
    }
);

on_both!(
    after_the_user_was_disabled,
    World::app(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        world
            .idp
            .set_user_enabled("john", false)
            .await
            .expect("disabled");
        let answer = world.client().get("/").refresh_token(&token).send().await;
        answer.refused(401, "refresh_token.invalid_grant");
    }
);

on_both!(
    after_the_realm_declared_it_stale,
    World::app(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        world.idp.not_before_now().await.expect("declared");
        let answer = world.client().get("/").refresh_token(&token).send().await;
        answer.refused(401, "refresh_token.invalid_grant");
        // The twin: a token issued since is good.
        let fresh = world.john().await.refresh().to_owned();
        world
            .client()
            .get("/")
            .refresh_token(&fresh)
            .send()
            .await
            .expect(200);
    }
);

on_both!(after_it_expired, World::app(), |world: World| async move {
    let idle = Duration::from_secs(2);
    world.idp.set_sso_session_idle(idle).await.expect("set");
    let token = world.john().await.refresh().to_owned();
    let expires = keycloak_testkit::claims(&token)["exp"]
        .as_u64()
        .expect("an expiry");
    eventually("the end of the refresh token's life", || async {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        now.as_secs() > expires
    })
    .await;
    let answer = world.client().get("/").refresh_token(&token).send().await;
    answer.refused(401, "refresh_token.invalid_grant");
});

on_both!(
    the_gateways_own_wrong_secret_is_not_the_callers_fault,
    World::app().plugin("client_secret", json!(["wrong"])),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let answer = world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(502);
        assert_eq!(answer.json(), json!({"message": "Bad gateway"}));
        assert_eq!(answer.header("www-authenticate"), "");
        let metrics = world
            .gateway
            .admin()
            .get("/metrics")
            .send()
            .await
            .expect(200);
        assert!(
            metrics
                .text()
                .contains("oidc_proxy_refusals_total{reason=\"client.")
        );
        // Nothing is held against the token: once the secret is right, it is good.
        world
            .idp
            .set_client_secret(APP, "wrong")
            .await
            .expect("set");
        world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
    }
);

on_both!(
    the_reason_is_the_logs_and_the_metrics_unless_it_is_to_be_shown,
    World::app().plugin("display_errors", json!(false)),
    |world: World| async move {
        let answer = world
            .client()
            .get("/")
            .refresh_token("not.a.token")
            .send()
            .await
            .expect(401);
        assert_eq!(answer.text(), r#"{"message":"Unauthorized"}"#);
        let metrics = world
            .gateway
            .admin()
            .get("/metrics")
            .send()
            .await
            .expect(200);
        let counted = r#"oidc_proxy_refusals_total{reason="refresh_token.invalid_grant"} 1"#;
        assert!(metrics.text().contains(counted), "{}", metrics.text());
    }
);
