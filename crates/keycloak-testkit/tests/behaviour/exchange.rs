//! Token exchange (RFC 8693).

use keycloak_testkit::seed::{PASSWORD, USER};
use keycloak_testkit::{ClientLogin, DpopKey, IdentityProvider, TokenCall, Tokens, claims};
use serde_json::json;

use crate::support::{CLIENT, assert_refused, refusal};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

fn secret(client: &str) -> ClientLogin {
    ClientLogin::post(client, "x")
}

async fn subject(idp: &dyn IdentityProvider) -> Tokens {
    let call = TokenCall::password(USER, PASSWORD, secret("front")).scope("openid");
    idp.token(&call).await.unwrap()
}

pub(crate) async fn exchanges_tokens_for_the_audience(idp: &dyn IdentityProvider) {
    let first = subject(idp).await;
    let exchange = || TokenCall::exchange(&first.access_token, secret("exchanger"));
    let second = idp.token(&exchange()).await.unwrap();
    let (old, new) = (first.claims(), second.claims());
    assert_eq!(new["azp"], "exchanger");
    assert_eq!((&new["sub"], &new["sid"]), (&old["sub"], &old["sid"]));
    assert_eq!(new["aud"], json!(["other", "account"]));
    assert_eq!(second.refresh_token, None);
    assert_eq!(second.session, first.session);
    assert!(!second.scope.contains("openid"), "{}", second.scope);
    let call = exchange().param("audience", "other").scope("openid");
    let third = idp.token(&call).await.unwrap();
    assert_eq!(third.claims()["aud"], "other");
    assert!(third.id_token.is_some());
    let active = idp.introspect(&third.access_token, secret("other")).await;
    assert_eq!(active.unwrap()["client_id"], "exchanger");
    let call = exchange().param("requested_token_type", ID_TOKEN);
    let identity = idp.token(&call).await.unwrap();
    assert_eq!(identity.token_type, "N_A");
    assert_eq!(claims(&identity.access_token)["aud"], "exchanger");
    let key = DpopKey::new();
    let bound = idp.token(&exchange().dpop(&key)).await.unwrap();
    assert_eq!(bound.claims()["cnf"]["jkt"], json!(key.thumbprint()));
    // What was exchanged belongs to who exchanged it.
    let again = TokenCall::exchange(&second.access_token, secret("exchanger"));
    idp.token(&again).await.unwrap();
}

pub(crate) async fn refuses_to_exchange(idp: &dyn IdentityProvider) {
    let tokens = subject(idp).await;
    let token = tokens.access_token.as_str();
    let by = |client: &str| TokenCall::exchange(token, secret(client));
    let with = |name: &str, value: &str| by("exchanger").param(name, value);
    let bare = |params: &[(&str, &str)]| {
        let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        let call = TokenCall::new(grant, secret("exchanger"));
        params
            .iter()
            .fold(call, |call, (name, value)| call.param(name, value))
    };
    let request = "invalid_request";
    let required = |name: &str| format!("Parameter '{name}' required for standard token exchange");
    let unsupported =
        |name: &str| format!("Parameter '{name}' is not supported for standard token exchange");
    let only = "Parameter 'subject_token' supports access tokens only";
    let cases = [
        (
            by("lonely"),
            403,
            "access_denied",
            "Client is not within the token audience".to_owned(),
        ),
        (
            by("other"),
            400,
            request,
            "Standard token exchange is not enabled for the requested client".to_owned(),
        ),
        (
            TokenCall::exchange(token, ClientLogin::public("app")),
            400,
            "invalid_client",
            "Public client is not allowed to exchange token".to_owned(),
        ),
        (
            TokenCall::exchange(token, ClientLogin::post("exchanger", "wrong")),
            401,
            "unauthorized_client",
            CLIENT.to_owned(),
        ),
        (
            with("audience", "front"),
            400,
            request,
            "Requested audience not available: front".to_owned(),
        ),
        (
            with("audience", "nobody"),
            400,
            "invalid_client",
            "Audience not found".to_owned(),
        ),
        (
            with("scope", "nonsense"),
            400,
            "invalid_scope",
            "Invalid scopes: nonsense".to_owned(),
        ),
        (
            with("requested_token_type", "nonsense"),
            400,
            request,
            "requested_token_type unsupported".to_owned(),
        ),
        (
            with("requested_subject", USER),
            400,
            request,
            unsupported("requested_subject"),
        ),
        (
            with("subject_issuer", "x"),
            400,
            request,
            unsupported("subject_issuer"),
        ),
        (
            bare(&[("subject_token_type", ACCESS_TOKEN)]),
            400,
            request,
            required("subject_token"),
        ),
        (
            bare(&[("subject_token", token)]),
            400,
            request,
            required("subject_token_type"),
        ),
        (
            bare(&[("subject_token", token), ("subject_token_type", ID_TOKEN)]),
            400,
            request,
            only.to_owned(),
        ),
        (
            TokenCall::exchange("garbage", secret("exchanger")),
            400,
            request,
            "Invalid token".to_owned(),
        ),
        (
            TokenCall::exchange(tokens.refresh(), secret("exchanger")),
            400,
            request,
            "Invalid token".to_owned(),
        ),
        (
            TokenCall::exchange(tokens.id_token.as_deref().unwrap(), secret("exchanger")),
            400,
            request,
            "Invalid token".to_owned(),
        ),
    ];
    for (index, (call, status, error, description)) in cases.into_iter().enumerate() {
        let answer = idp.token(&call).await.map_err(refusal).err();
        let expected = keycloak_testkit::Refusal::new(status, error, &description);
        assert_eq!(answer, Some(expected), "case {index}");
    }
    let key = DpopKey::new();
    let call = TokenCall::password(USER, PASSWORD, secret("front")).dpop(&key);
    let bound = idp.token(&call).await.unwrap();
    let call = TokenCall::exchange(&bound.access_token, secret("exchanger"));
    assert_refused(
        idp.token(&call.dpop(&key)).await.map_err(refusal),
        400,
        request,
        "Sender-constrained token exchange rejected as the token was not issued for the \
         requesting client",
    );
    idp.log_out(USER).await.unwrap();
    let ended = idp.token(&by("exchanger")).await.map_err(refusal);
    assert_refused(ended, 400, request, "Invalid token");
}
