//! The refresh token grant: rotation, replays, scopes, offline tokens (RFC 6749 §6).

use std::time::Duration;

use keycloak_testkit::seed::{PASSWORD, USER};
use keycloak_testkit::{ClientLogin, Endpoint, Fault, Gate, IdentityProvider, TokenCall, claims};
use serde_json::Value;

use crate::support::{
    assert_invalid_grant, assert_refused, log_in, next_second, refresh, refresh_over_the_wire,
    refusal,
};

pub(crate) async fn refreshes_again_and_again_without_rotation(idp: &dyn IdentityProvider) {
    idp.set_rotation(false).await.unwrap();
    let first = log_in(idp).await;
    let second = refresh(idp, &first).await.unwrap();
    assert_ne!(first.refresh(), second.refresh());
    refresh(idp, &first).await.unwrap();
    next_second().await;
    refresh(idp, &first).await.unwrap();
    refresh(idp, &second).await.unwrap();
    assert_eq!(second.session, first.session);
}

pub(crate) async fn a_replay_ends_the_session(idp: &dyn IdentityProvider) {
    for later in [false, true] {
        let first = log_in(idp).await;
        let second = refresh(idp, &first).await.unwrap();
        if later {
            next_second().await;
        }
        assert_invalid_grant(
            refresh(idp, &first).await,
            "Maximum allowed refresh token reuse exceeded",
        );
        assert_invalid_grant(
            refresh(idp, &second).await,
            "Session doesn't have required client",
        );
    }
}

pub(crate) async fn a_replay_after_newer_tokens_ends_the_session(idp: &dyn IdentityProvider) {
    let first = log_in(idp).await;
    let second = refresh(idp, &first).await.unwrap();
    next_second().await;
    let third = refresh(idp, &second).await.unwrap();
    assert_invalid_grant(refresh(idp, &first).await, "Stale token");
    assert_invalid_grant(
        refresh(idp, &third).await,
        "Session doesn't have required client",
    );
}

pub(crate) async fn one_of_many_replays_at_once_succeeds(idp: &dyn IdentityProvider) {
    let gate = Gate::closed();
    idp.faults().always(Endpoint::Token, Fault::hold(&gate));
    let tokens = log_in(idp).await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (url, token) = (idp.token_endpoint(), tokens.refresh().to_owned());
        clients.spawn(async move { refresh_over_the_wire(&url, &token).await.unwrap() });
    }
    gate.wait_for(6).await;
    gate.open();
    let mut statuses = clients.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400]);
}

pub(crate) async fn refuses_a_token_of_another_client_and_keeps_it(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    let other = idp
        .refresh(tokens.refresh(), ClientLogin::public("app"))
        .await;
    assert_invalid_grant(
        other.map_err(refusal),
        "Invalid refresh token. Token client and authorized client don't match",
    );
    refresh(idp, &tokens).await.unwrap();
}

pub(crate) async fn refuses_what_is_no_refresh_token(idp: &dyn IdentityProvider) {
    let call = TokenCall::password(USER, PASSWORD, ClientLogin::service()).scope("openid");
    let tokens = idp.token(&call).await.unwrap();
    let (head, _) = tokens.refresh().rsplit_once('.').unwrap();
    let unsigned = format!("{head}.{}", "A".repeat(86));
    let id_token = tokens.id_token.clone().unwrap();
    let cases = [
        "",
        "garbage",
        "a.b.c",
        &unsigned,
        &tokens.access_token,
        &id_token,
    ];
    for token in cases {
        let answer = idp.refresh(token, ClientLogin::service()).await;
        assert_invalid_grant(answer.map_err(refusal), "Invalid refresh token");
    }
    let none = TokenCall::new("refresh_token", ClientLogin::service());
    let answer = idp.token(&none).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_request", "No refresh token");
    refresh(idp, &tokens).await.unwrap();
}

pub(crate) async fn narrows_scopes_and_refuses_unknown_ones(idp: &dyn IdentityProvider) {
    let service = ClientLogin::service;
    let call = TokenCall::password(USER, PASSWORD, service()).scope("openid phone");
    let tokens = idp.token(&call).await.unwrap();
    assert!(tokens.scope.contains("phone"));
    // Default scopes cannot be left out, and an ID token stays.
    let call = TokenCall::refresh(tokens.refresh(), service()).scope("profile address");
    let narrow = idp.token(&call).await.unwrap();
    assert!(!narrow.scope.contains("phone") && !narrow.scope.contains("address"));
    assert!(narrow.scope.contains("profile"));
    assert!(narrow.id_token.is_some());
    // The refresh token has kept all.
    let wide = refresh(idp, &narrow).await.unwrap();
    assert!(wide.scope.contains("phone"), "{}", wide.scope);

    let call = TokenCall::refresh(wide.refresh(), service()).scope("nonsense");
    let answer = idp.token(&call).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_scope", "Invalid scopes: nonsense");
    refresh(idp, &wide).await.unwrap();
    let call = TokenCall::password(USER, PASSWORD, service()).scope("openid nonsense");
    let answer = idp.token(&call).await.map_err(refusal);
    assert_refused(
        answer,
        400,
        "invalid_scope",
        "Invalid scopes: openid nonsense",
    );
}

pub(crate) async fn offline_tokens_have_no_end(idp: &dyn IdentityProvider) {
    let call = TokenCall::password(USER, PASSWORD, ClientLogin::service()).scope("offline_access");
    let tokens = idp.token(&call).await.unwrap();
    assert_eq!(claims(tokens.refresh())["typ"], "Offline");
    assert_eq!(claims(tokens.refresh())["exp"], Value::Null);
    assert_eq!(tokens.refresh_expires_in, Duration::ZERO);
    assert!(tokens.scope.contains("offline_access"));
    let newer = refresh(idp, &tokens).await.unwrap();
    assert_eq!(claims(newer.refresh())["typ"], "Offline");
    // The session goes on, but what was issued before the logout is stale.
    next_second().await;
    idp.log_out(USER).await.unwrap();
    assert_invalid_grant(refresh(idp, &newer).await, "Stale token");
}
