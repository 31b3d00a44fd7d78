//! The realm of the cases, and what they say often.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use keycloak_testkit::keys::{Algorithm, SigningKey};
use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{
    CallError, Client, ClientLogin, IdentityProvider, Realm, Refusal, Tokens, User, claims,
};
use serde_json::Value;

pub(crate) static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256));

pub(crate) const SIGNER_SECRET: &str = "a-secret-that-is-long-enough-for-hs256";

/// What Keycloak says of every client that does not authenticate.
pub(crate) const CLIENT: &str = "Invalid client or Invalid client credentials";

/// An attribute that wants to be a header of its own.
pub(crate) const HOSTILE: &str = "a\r\nX-Evil: 1\u{0} ä€😀";

/// An attribute longer than a header may be.
pub(crate) const LONG: usize = 20_000;

pub(crate) fn realm() -> Realm {
    Realm::seed("behaviour")
        .rotation(true)
        .client(Client::public("app").token_exchange())
        .client(Client::secret("insider", "inside").audience("insider"))
        .client(
            Client::secret("bare", "bare")
                .direct_grants(false)
                .service_accounts(false),
        )
        .client(Client::secret("off", "off").enabled(false))
        .client(Client::secret("no-refresh", "x").refresh_tokens(false))
        .client(Client::secret("self-refresh", "x").refresh_tokens_for_itself(true))
        .client(Client::secret_jwt("signer", SIGNER_SECRET))
        .client(Client::private_key_jwt_with("keyed", KEY.jwks()))
        .client(Client::secret("front", "x").audience("exchanger"))
        .client(
            Client::secret("exchanger", "x")
                .audience("other")
                .token_exchange(),
        )
        .client(Client::secret("other", "x").audience("other"))
        .client(Client::secret("lonely", "x").token_exchange())
        .client(
            Client::secret("rich", "x")
                .audience("rich")
                .groups_claim()
                .attribute_claim("motto")
                .attribute_claim("essay")
                .attribute_claim("nothing"),
        )
        .client(
            Client::secret("signed", "x")
                .audience("signed")
                .signed_userinfo()
                .jwt_in_introspection(),
        )
        .role("buyer")
        .user(
            User::new("mary", "pw")
                .role("buyer")
                .client_role("insider", "reader")
                .group("/staff/it")
                .group("/böse, gruppe")
                .attribute("motto", HOSTILE)
                .attribute("essay", "x".repeat(LONG)),
        )
        .user(User::new("ann", "pw"))
}

pub(crate) async fn log_in(idp: &dyn IdentityProvider) -> Tokens {
    idp.log_in(USER, PASSWORD, ClientLogin::service())
        .await
        .unwrap()
}

pub(crate) async fn refresh(
    idp: &dyn IdentityProvider,
    tokens: &Tokens,
) -> Result<Tokens, Refusal> {
    let answer = idp.refresh(tokens.refresh(), ClientLogin::service()).await;
    answer.map_err(refusal)
}

pub(crate) fn refusal(error: CallError) -> Refusal {
    match error {
        CallError::Refused(refusal) => refusal,
        other => panic!("no refusal: {other}"),
    }
}

#[track_caller]
pub(crate) fn assert_refused<T>(
    answer: Result<T, Refusal>,
    status: u16,
    error: &str,
    description: &str,
) {
    let Err(refused) = answer else {
        panic!("granted, but expected: {status} {error}: {description}");
    };
    assert_eq!(refused, Refusal::new(status, error, description));
}

#[track_caller]
pub(crate) fn assert_invalid_grant<T>(answer: Result<T, Refusal>, description: &str) {
    assert_refused(answer, 400, "invalid_grant", description);
}

/// How long a token lives, in seconds. What the answer says of it is counted from later.
pub(crate) fn life(token: &str) -> u64 {
    let claims = claims(token);
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}

/// Keycloak tells older tokens by whole seconds.
pub(crate) async fn next_second() {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let start = now();
    while now() == start {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn get(url: &str) -> (u16, Value) {
    let client: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let request = Request::get(url).body(Full::default()).unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A refresh over the wire, as a gateway would do it.
pub(crate) async fn refresh_over_the_wire(url: &str, token: &str) -> Result<u16, String> {
    let client: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let body = format!(
        "grant_type=refresh_token&refresh_token={token}&client_id=service&client_secret={SERVICE_SECRET}"
    );
    let request = Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .unwrap();
    let response = client.request(request).await;
    let response = response.map_err(|error| error.to_string())?;
    Ok(response.status().as_u16())
}
