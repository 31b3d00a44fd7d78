//! Requests that are wrong in themselves, and requests on the wire.

use keycloak_testkit::seed::{PASSWORD, USER};
use keycloak_testkit::{ClientLogin, Endpoint, Fault, IdentityProvider, TokenCall};
use serde_json::json;

use crate::support::{assert_refused, get, log_in, refresh_over_the_wire, refusal};

pub(crate) async fn refuses_users_and_grants(idp: &dyn IdentityProvider) {
    let service = ClientLogin::service;
    let bare = || ClientLogin::post("bare", "bare");
    let credentials = "Invalid user credentials";
    let cases = [
        (
            TokenCall::password(USER, "wrong", service()),
            400,
            "invalid_grant",
            credentials,
        ),
        (
            TokenCall::password("nobody", "x", service()),
            400,
            "invalid_grant",
            credentials,
        ),
        (
            TokenCall::new("password", service()).param("username", USER),
            400,
            "invalid_grant",
            credentials,
        ),
        (
            TokenCall::new("password", service()),
            401,
            "invalid_request",
            "Missing parameter: username",
        ),
        (
            TokenCall::password(USER, PASSWORD, bare()),
            400,
            "unauthorized_client",
            "Client not allowed for direct access grants",
        ),
        (
            TokenCall::client_credentials(bare()),
            401,
            "unauthorized_client",
            "Client not enabled to retrieve service account",
        ),
        (
            TokenCall::client_credentials(ClientLogin::public("app")),
            401,
            "unauthorized_client",
            "Public client not allowed to retrieve service account",
        ),
        (
            TokenCall::new("telepathy", service()),
            400,
            "unsupported_grant_type",
            "Unsupported grant_type",
        ),
    ];
    for (call, status, error, description) in cases {
        let answer = idp.token(&call).await.map_err(refusal);
        assert_refused(answer, status, error, description);
    }
}

pub(crate) async fn tells_what_is_wrong_with_the_request(idp: &dyn IdentityProvider) {
    let service = ClientLogin::service;
    let call = TokenCall::password(USER, PASSWORD, service()).param("username", USER);
    let answer = idp.token(&call).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_request", "duplicated parameter");
    let form = vec![("client_id".to_owned(), "app".to_owned())];
    let reply = idp.post(Endpoint::Token, form, None).await.unwrap();
    assert_refused(
        reply.tokens().map_err(refusal),
        400,
        "invalid_request",
        "Missing form parameter: grant_type",
    );
    let (status, body) = get(&idp.token_endpoint()).await;
    assert_eq!(
        (status, &body["error"]),
        (405, &json!("HTTP 405 Method Not Allowed"))
    );
    let (status, body) = get(&format!(
        "{}/realms/none{}",
        idp.base_url(),
        "/protocol/openid-connect/certs"
    ))
    .await;
    assert_eq!(
        (status, &body["error"]),
        (404, &json!("Realm does not exist"))
    );
    let (status, _) = get(&idp.url(Endpoint::Userinfo)).await;
    assert_eq!(status, 401);
}

pub(crate) async fn counts_requests_and_goes_down_and_comes_back(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    let url = idp.token_endpoint();
    assert_eq!(idp.count(Endpoint::Token), 0);
    idp.go_down().await;
    refresh_over_the_wire(&url, tokens.refresh())
        .await
        .unwrap_err();
    idp.come_back().await.unwrap();
    let status = refresh_over_the_wire(&url, tokens.refresh()).await;
    assert_eq!(status, Ok(200));
    let requests = idp.wait_for_token_requests(1).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].grant, "refresh_token");
    assert_eq!(requests[0].param("refresh_token"), Some(tokens.refresh()));
    assert_eq!(requests[0].client_id.as_deref(), Some("service"));
    assert_eq!(requests[0].authentication, "client_secret_post");
    assert_eq!(requests[0].realm, idp.realm());
    assert_eq!(requests[0].status, Some(200));

    idp.forget_requests();
    idp.faults().next(Endpoint::Token, 1, Fault::status(503));
    let status = refresh_over_the_wire(&url, tokens.refresh()).await;
    assert_eq!(status, Ok(503));
    assert_eq!(idp.count(Endpoint::Token), 1);
}
