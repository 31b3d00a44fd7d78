//! What ends a session, and what a refresh is told then.

use std::time::Duration;

use keycloak_testkit::seed::{PASSWORD, USER};
use keycloak_testkit::{ClientLogin, IdentityProvider};

use crate::support::{
    CLIENT, assert_invalid_grant, assert_refused, life, log_in, next_second, refresh, refusal,
};

pub(crate) async fn refuses_an_expired_token(idp: &dyn IdentityProvider) {
    idp.set_sso_session_idle(Duration::from_secs(1))
        .await
        .unwrap();
    let tokens = log_in(idp).await;
    assert_eq!(life(tokens.refresh()), 1);
    next_second().await;
    next_second().await;
    assert_invalid_grant(refresh(idp, &tokens).await, "Token is not active");
    let other = idp.refresh(tokens.refresh(), ClientLogin::public("app"));
    assert_invalid_grant(other.await.map_err(refusal), "Token is not active");
}

pub(crate) async fn refuses_after_logout(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.log_out(USER).await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "Session not active");

    let (one, other) = (log_in(idp).await, log_in(idp).await);
    let end = idp.end_session(one.refresh(), ClientLogin::service());
    end.await.unwrap();
    assert_invalid_grant(refresh(idp, &one).await, "Session not active");
    refresh(idp, &other).await.unwrap();

    let wrong = ClientLogin::post("service", "wrong");
    let answer = idp
        .end_session(other.refresh(), wrong)
        .await
        .map_err(refusal);
    assert_refused(answer, 401, "unauthorized_client", CLIENT);
    let answer = idp.end_session("garbage", ClientLogin::service()).await;
    assert_invalid_grant(answer.map_err(refusal), "Invalid refresh token");
}

pub(crate) async fn refuses_after_revocation(idp: &dyn IdentityProvider) {
    let service = ClientLogin::service;
    let (one, other) = (log_in(idp).await, log_in(idp).await);
    idp.revoke(one.refresh(), service()).await.unwrap();
    assert_invalid_grant(refresh(idp, &one).await, "Session not active");
    let again = idp.revoke(one.refresh(), service()).await.map_err(refusal);
    assert_refused(again, 200, "invalid_token", "Invalid token");

    let app = idp.log_in(USER, PASSWORD, ClientLogin::public("app"));
    let foreign = idp.revoke(app.await.unwrap().refresh(), service()).await;
    assert_refused(
        foreign.map_err(refusal),
        400,
        "invalid_request",
        "Unmatching clients",
    );
    // An access token goes alone; its session goes on.
    idp.revoke(&other.access_token, service()).await.unwrap();
    refresh(idp, &other).await.unwrap();
}

pub(crate) async fn refuses_while_the_user_is_disabled(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.set_user_enabled(USER, false).await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "User disabled");
    let login = idp.log_in(USER, PASSWORD, ClientLogin::service()).await;
    assert_invalid_grant(login.map_err(refusal), "Account disabled");
    idp.set_user_enabled(USER, true).await.unwrap();
    refresh(idp, &tokens).await.unwrap();
}

pub(crate) async fn refuses_when_the_user_is_deleted(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.delete_user(USER).await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "Session not active");
    let login = idp.log_in(USER, PASSWORD, ClientLogin::service()).await;
    assert_invalid_grant(login.map_err(refusal), "Invalid user credentials");
}

pub(crate) async fn refuses_stale_tokens(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.not_before_now().await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "Stale token");
    let tokens = log_in(idp).await;
    refresh(idp, &tokens).await.unwrap();
}
