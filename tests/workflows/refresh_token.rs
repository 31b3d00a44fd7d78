//! The refresh token workflow, as the page tells it that the gateway was asked for with.

use std::time::Duration;

use gateway_tests::{APP, APP_SECRET, World, eventually, on_both};
use keycloak_testkit::{ClientLogin, claims, seed};
use serde_json::json;

on_both!(
    the_seeds_two_requests,
    World::seed(),
    |world: World| async move {
        let client = world.client();
        let first = client
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        let second = client
            .get("/")
            .refresh_token(&first.refresh_token())
            .send()
            .await
            .expect(200);
        assert_eq!(claims(&second.access_token())["preferred_username"], "john");
        assert_ne!(second.access_token(), first.access_token());
        let requests = world.idp.token_requests();
        let grants: Vec<_> = requests
            .iter()
            .map(|request| request.grant.as_str())
            .collect();
        assert_eq!(grants, ["password", "refresh_token"]);
        for request in &requests {
            assert_eq!(request.authentication, "private_key_jwt");
            assert_eq!(request.client_id.as_deref(), Some("kong"));
        }
    }
);

on_both!(
    a_repeated_request_is_answered_from_memory,
    World::app(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let client = world.client();
        let first = client
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        for _ in 0..20 {
            let again = client
                .get("/")
                .refresh_token(&token)
                .send()
                .await
                .expect(200);
            assert_eq!(again.access_token(), first.access_token());
        }
        assert_eq!(world.idp.token_requests().len(), 1);
    }
);

on_both!(
    a_refresh_asks_for_no_other_scope_than_was_granted,
    World::app(),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        let request = world.idp.token_requests().remove(0);
        assert_eq!(request.param("scope"), None);
        assert_eq!(request.param("refresh_token"), Some(token.as_str()));
    }
);

on_both!(
    the_presented_token_does_not_go_upstream_unless_it_is_asked_for,
    World::app().plugin("upstream_refresh_token_header", json!(null)),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let answer = world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        assert_eq!(answer.upstream_header("Refresh-Token"), None);
        assert!(!answer.text().contains(&token));
    }
);

on_both!(
    with_credentials_shown_it_goes_upstream_as_sent,
    World::app()
        .plugin("hide_credentials", json!(false))
        .plugin("upstream_refresh_token_header", json!(null)),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let answer = world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        assert_eq!(answer.refresh_token(), token);
    }
);

on_both!(
    the_client_gets_the_tokens_that_it_is_to_get,
    World::app()
        .plugin(
            "downstream_refresh_token_header",
            json!("x_new_refresh_token")
        )
        .plugin("downstream_access_token_header", json!("x_access_token"))
        .plugin("downstream_id_token_header", json!("x_id_token")),
    |world: World| async move {
        let token = world
            .idp
            .token(
                &keycloak_testkit::TokenCall::password("john", "doe", world.app_login())
                    .scope("openid"),
            )
            .await
            .expect("tokens");
        let answer = world
            .client()
            .get("/")
            .refresh_token(token.refresh())
            .send()
            .await
            .expect(200);
        assert_eq!(answer.header("x-new-refresh-token"), answer.refresh_token());
        assert_eq!(answer.header("x-access-token"), answer.access_token());
        assert_eq!(claims(answer.header("x-id-token"))["aud"], APP);
    }
);

on_both!(
    a_token_of_another_client_is_refused_and_says_why,
    World::app()
        .plugin("client_id", json!(["service"]))
        .plugin("client_secret", json!([seed::SERVICE_SECRET])),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let answer = world.client().get("/").refresh_token(&token).send().await;
        answer.refused(401, "refresh_token.client_mismatch");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    the_matching_client_is_found_by_the_tokens_own_word,
    World::app()
        .plugin("client_id", json!(["service", APP]))
        .plugin("client_secret", json!([seed::SERVICE_SECRET, APP_SECRET]))
        .plugin(
            "client_auth",
            json!(["client_secret_basic", "client_secret_post"])
        ),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        let request = world.idp.token_requests().remove(0);
        assert_eq!(request.client_id.as_deref(), Some(APP));
        assert_eq!(request.authentication, "client_secret_post");

        let other = world
            .idp
            .log_in("john", "doe", ClientLogin::service())
            .await
            .expect("tokens");
        let client = world.client();
        client
            .get("/")
            .refresh_token(other.refresh())
            .send()
            .await
            .expect(200);
        let last = world.idp.token_requests().pop().expect("a request");
        assert_eq!(last.client_id.as_deref(), Some("service"));
    }
);

on_both!(
    the_requests_own_word_for_the_client_goes_first,
    World::app()
        .plugin("client_id", json!(["service", APP]))
        .plugin("client_secret", json!([seed::SERVICE_SECRET, APP_SECRET]))
        .plugin(
            "client_auth",
            json!(["client_secret_basic", "client_secret_basic"])
        ),
    |world: World| async move {
        let token = world.john().await.refresh().to_owned();
        let client = world.client();
        let wrong = client
            .get("/?client_id=service")
            .refresh_token(&token)
            .send()
            .await;
        wrong.refused(401, "refresh_token.client_mismatch");
        let request = client
            .get("/")
            .refresh_token(&token)
            .header("X-Client-Id", "2");
        request.send().await.expect(200);
    }
);

on_both!(
    an_access_token_that_is_about_to_expire_is_not_served_again,
    World::app().plugin("leeway", json!(0)),
    |world: World| async move {
        let idp = &world.idp;
        idp.set_access_token_lifespan(Duration::from_secs(3))
            .await
            .expect("set");
        let token = world.john().await.refresh().to_owned();
        let client = world.client();
        let first = client
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        eventually("another access token", || async {
            let answer = client
                .get("/")
                .refresh_token(&token)
                .send()
                .await
                .expect(200);
            answer.access_token() != first.access_token()
        })
        .await;
        // Within the successor window the newer refresh token was sent, not the presented one.
        let requests = idp.token_requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].param("refresh_token"), Some(token.as_str()));
        assert_eq!(
            requests[1].param("refresh_token"),
            Some(first.refresh_token().as_str())
        );
    }
);
