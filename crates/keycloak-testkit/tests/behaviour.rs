//! The same cases against the embedded provider and against a real Keycloak: what the embedded
//! one answers is what Keycloak answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use keycloak_testkit::keys::{Algorithm, SigningKey, assertion_claims};
use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{
    CallError, Client, ClientKeys, ClientLogin, EmbeddedIdp, Endpoint, Fault, Gate,
    IdentityProvider, Keycloak, Realm, Refusal, TokenCall, Tokens, User, claims, header,
};
use serde_json::{Value, json};

/// Makes a test of every case against each provider.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $case() {
                    let kind = keycloak_testkit::ProviderKind::Embedded;
                    let realm = kind.realm(&super::realm()).await.unwrap().unwrap();
                    super::$case(&*realm).await;
                }
            )*
        }
        mod keycloak {
            $(
                #[tokio::test]
                async fn $case() {
                    let kind = keycloak_testkit::ProviderKind::Keycloak;
                    if let Some(realm) = kind.realm(&super::realm()).await.unwrap() {
                        super::$case(&*realm).await;
                        realm.delete().await.unwrap();
                    }
                }
            )*
        }
    };
}

on_both!(
    issues_tokens_of_this_shape,
    gives_tokens_to_a_client_itself,
    refreshes_again_and_again_without_rotation,
    a_replay_at_once_ends_the_session,
    a_replay_after_newer_tokens_ends_the_session,
    one_of_many_replays_at_once_succeeds,
    refuses_a_token_of_another_client_and_keeps_it,
    refuses_what_is_no_refresh_token,
    refuses_an_expired_token,
    refuses_after_logout,
    refuses_after_revocation,
    refuses_while_the_user_is_disabled,
    refuses_when_the_user_is_deleted,
    refuses_stale_tokens,
    refuses_clients_that_do_not_authenticate,
    refuses_bad_assertions,
    reads_the_keys_of_a_client_from_its_address,
    refuses_users_and_grants,
    narrows_scopes_and_refuses_unknown_ones,
    offline_tokens_have_no_end,
    issues_refresh_tokens_as_the_client_is_set,
    introspects_for_the_audience_only,
    takes_another_secret,
    signs_with_a_new_key_and_withdraws_the_old_one,
    issues_short_lived_tokens,
    tells_what_is_wrong_with_the_request,
    counts_requests_and_goes_down_and_comes_back,
);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Rs256));

const SIGNER_SECRET: &str = "a-secret-that-is-long-enough-for-hs256";

fn realm() -> Realm {
    Realm::seed("behaviour")
        .rotation(true)
        .client(Client::public("app"))
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
        .user(User::new("ann", "pw"))
}

async fn log_in(idp: &dyn IdentityProvider) -> Tokens {
    idp.log_in(USER, PASSWORD, ClientLogin::service())
        .await
        .unwrap()
}

async fn refresh(idp: &dyn IdentityProvider, tokens: &Tokens) -> Result<Tokens, Refusal> {
    let answer = idp.refresh(tokens.refresh(), ClientLogin::service()).await;
    answer.map_err(refusal)
}

fn refusal(error: CallError) -> Refusal {
    match error {
        CallError::Refused(refusal) => refusal,
        other => panic!("no refusal: {other}"),
    }
}

#[track_caller]
fn assert_refused<T>(answer: Result<T, Refusal>, status: u16, error: &str, description: &str) {
    let Err(refused) = answer else {
        panic!("granted, but expected: {status} {error}: {description}");
    };
    assert_eq!(refused, Refusal::new(status, error, description));
}

#[track_caller]
fn assert_invalid_grant<T>(answer: Result<T, Refusal>, description: &str) {
    assert_refused(answer, 400, "invalid_grant", description);
}

/// Keycloak tells older tokens by whole seconds.
async fn next_second() {
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

async fn get(url: &str) -> (u16, Value) {
    let client: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let request = Request::get(url).body(Full::default()).unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A refresh over the wire, as a gateway would do it.
async fn refresh_over_the_wire(url: &str, token: &str) -> Result<u16, String> {
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

async fn issues_tokens_of_this_shape(idp: &dyn IdentityProvider) {
    let call = TokenCall::password(USER, PASSWORD, ClientLogin::service()).scope("openid");
    let tokens = idp.token(&call).await.unwrap();
    let access = tokens.claims();
    let expected = [
        ("iss", json!(idp.issuer())),
        ("aud", json!("account")),
        ("typ", json!("Bearer")),
        ("azp", json!("service")),
        ("acr", json!("1")),
        ("sid", json!(tokens.session)),
        ("preferred_username", json!("john")),
        ("email", json!("john@example.test")),
        ("email_verified", json!(true)),
        ("name", json!("John Doe")),
    ];
    for (name, value) in expected {
        assert_eq!(access[name], value, "{name}");
    }
    let sorted = |scope: &str| {
        let mut scopes: Vec<String> = scope.split(' ').map(str::to_owned).collect();
        scopes.sort();
        scopes
    };
    assert_eq!(sorted(&tokens.scope), ["email", "openid", "profile"]);
    assert_eq!(
        sorted(access["scope"].as_str().unwrap()),
        sorted(&tokens.scope)
    );
    let roles = access["realm_access"]["roles"].as_array().unwrap();
    let default = json!(format!("default-roles-{}", idp.realm()));
    assert!(roles.contains(&default) && roles.contains(&json!("offline_access")));
    assert_eq!(
        access["exp"].as_u64().unwrap() - access["iat"].as_u64().unwrap(),
        300
    );
    assert_eq!(tokens.expires_in.as_secs(), 300);
    assert_eq!(tokens.refresh_expires_in.as_secs(), 1800);

    let refresh = claims(tokens.refresh());
    assert_eq!(refresh["typ"], "Refresh");
    assert_eq!(refresh["azp"], "service");
    assert_eq!(refresh["aud"], json!(idp.issuer()));
    assert_eq!(refresh["sid"], access["sid"]);
    assert!(refresh["reuse_id"].is_string());
    assert_eq!(header(tokens.refresh())["alg"], "HS512");

    let id_token = tokens.id_token.unwrap();
    let id = claims(&id_token);
    assert_eq!(id["typ"], "ID");
    assert_eq!(id["aud"], "service");
    assert_eq!(id["sub"], access["sub"]);
    assert_eq!(id["at_hash"].as_str().unwrap().len(), 22);

    let (_, jwks) = get(&idp.url(Endpoint::Jwks)).await;
    let keys = jwks["keys"].as_array().unwrap();
    let kid = &header(&tokens.access_token)["kid"];
    let key = keys.iter().find(|key| key["kid"] == *kid).unwrap();
    assert_eq!((&key["alg"], &key["use"]), (&json!("RS256"), &json!("sig")));
    assert!(
        keys.iter()
            .any(|key| key["use"] == "enc" && key["alg"] == "RSA-OAEP")
    );

    let (_, metadata) = get(&idp.url(Endpoint::Discovery)).await;
    assert_eq!(metadata["issuer"], json!(idp.issuer()));
    for (name, endpoint) in [
        ("token_endpoint", Endpoint::Token),
        ("jwks_uri", Endpoint::Jwks),
        ("introspection_endpoint", Endpoint::Introspection),
        ("revocation_endpoint", Endpoint::Revocation),
        ("userinfo_endpoint", Endpoint::Userinfo),
        ("end_session_endpoint", Endpoint::Logout),
    ] {
        assert_eq!(metadata[name], json!(idp.url(endpoint)), "{name}");
    }
}

async fn gives_tokens_to_a_client_itself(idp: &dyn IdentityProvider) {
    let call = TokenCall::client_credentials(ClientLogin::basic("service", SERVICE_SECRET));
    let tokens = idp.token(&call).await.unwrap();
    let access = tokens.claims();
    assert_eq!(tokens.refresh_token, None);
    assert_eq!(tokens.session, None);
    assert_eq!(access["preferred_username"], "service-account-service");
    assert_eq!(access["client_id"], "service");
    assert_eq!(access["sid"], Value::Null);
}

async fn refreshes_again_and_again_without_rotation(idp: &dyn IdentityProvider) {
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

async fn a_replay_at_once_ends_the_session(idp: &dyn IdentityProvider) {
    let first = log_in(idp).await;
    let second = refresh(idp, &first).await.unwrap();
    assert_invalid_grant(
        refresh(idp, &first).await,
        "Maximum allowed refresh token reuse exceeded",
    );
    assert_invalid_grant(
        refresh(idp, &second).await,
        "Session doesn't have required client",
    );
}

async fn a_replay_after_newer_tokens_ends_the_session(idp: &dyn IdentityProvider) {
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

async fn one_of_many_replays_at_once_succeeds(idp: &dyn IdentityProvider) {
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

async fn refuses_a_token_of_another_client_and_keeps_it(idp: &dyn IdentityProvider) {
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

async fn refuses_what_is_no_refresh_token(idp: &dyn IdentityProvider) {
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

async fn refuses_an_expired_token(idp: &dyn IdentityProvider) {
    idp.set_sso_session_idle(Duration::from_secs(1))
        .await
        .unwrap();
    let tokens = log_in(idp).await;
    assert_eq!(tokens.refresh_expires_in.as_secs(), 1);
    next_second().await;
    next_second().await;
    assert_invalid_grant(refresh(idp, &tokens).await, "Token is not active");
    let other = idp.refresh(tokens.refresh(), ClientLogin::public("app"));
    assert_invalid_grant(other.await.map_err(refusal), "Token is not active");
}

async fn refuses_after_logout(idp: &dyn IdentityProvider) {
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

const CLIENT: &str = "Invalid client or Invalid client credentials";

async fn refuses_after_revocation(idp: &dyn IdentityProvider) {
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

async fn refuses_while_the_user_is_disabled(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.set_user_enabled(USER, false).await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "User disabled");
    let login = idp.log_in(USER, PASSWORD, ClientLogin::service()).await;
    assert_invalid_grant(login.map_err(refusal), "Account disabled");
    idp.set_user_enabled(USER, true).await.unwrap();
    refresh(idp, &tokens).await.unwrap();
}

async fn refuses_when_the_user_is_deleted(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.delete_user(USER).await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "Session not active");
    let login = idp.log_in(USER, PASSWORD, ClientLogin::service()).await;
    assert_invalid_grant(login.map_err(refusal), "Invalid user credentials");
}

async fn refuses_stale_tokens(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.not_before_now().await.unwrap();
    assert_invalid_grant(refresh(idp, &tokens).await, "Stale token");
    let tokens = log_in(idp).await;
    refresh(idp, &tokens).await.unwrap();
}

async fn refuses_clients_that_do_not_authenticate(idp: &dyn IdentityProvider) {
    let missing = "Parameter client_assertion_type is missing";
    let cases = [
        (
            ClientLogin::post("service", "wrong"),
            401,
            "unauthorized_client",
            CLIENT,
        ),
        (
            ClientLogin::basic("service", "wrong"),
            401,
            "unauthorized_client",
            CLIENT,
        ),
        (
            ClientLogin::post("service", ""),
            401,
            "unauthorized_client",
            CLIENT,
        ),
        (
            ClientLogin::public("service"),
            401,
            "unauthorized_client",
            CLIENT,
        ),
        (
            ClientLogin::post("nobody", "x"),
            401,
            "invalid_client",
            CLIENT,
        ),
        (
            ClientLogin::post("off", "off"),
            401,
            "invalid_client",
            CLIENT,
        ),
        (ClientLogin::public("keyed"), 400, "invalid_client", missing),
        (
            ClientLogin::post("signer", SIGNER_SECRET),
            400,
            "invalid_client",
            missing,
        ),
        (
            ClientLogin::public("client-tls-auth"),
            401,
            "invalid_client",
            CLIENT,
        ),
    ];
    for (login, status, error, description) in cases {
        let answer = idp.log_in(USER, PASSWORD, login).await.map_err(refusal);
        assert_refused(answer, status, error, description);
    }
    let granted = [
        ClientLogin::basic("service", SERVICE_SECRET),
        ClientLogin::post("service", SERVICE_SECRET),
        ClientLogin::public("app"),
        // A public client's secret is not looked at.
        ClientLogin::post("app", "whatever"),
        ClientLogin::SecretJwt("signer".to_owned(), SIGNER_SECRET.to_owned()),
        ClientLogin::Key("keyed".to_owned(), KEY.clone()),
    ];
    for login in granted {
        idp.log_in(USER, PASSWORD, login).await.unwrap();
    }
    let bound = [
        (
            ClientLogin::post("client-dpop-auth", keycloak_testkit::seed::DPOP_SECRET),
            "DPoP proof is missing",
        ),
        (
            ClientLogin::post("cert-bound", keycloak_testkit::seed::CERT_BOUND_SECRET),
            "Client Certification missing for MTLS HoK Token Binding",
        ),
    ];
    for (login, description) in bound {
        let answer = idp.log_in(USER, PASSWORD, login).await.map_err(refusal);
        assert_refused(answer, 400, "invalid_request", description);
    }
}

async fn refuses_bad_assertions(idp: &dyn IdentityProvider) {
    let issuer = idp.issuer();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut claims = assertion_claims("keyed", &issuer);
        change(&mut claims);
        KEY.sign(&claims)
    };
    let without = |name: &str| {
        changed(&|claims| {
            claims.as_object_mut().unwrap().remove(name);
        })
    };
    let with = |name: &str, value: Value| changed(&|claims| claims[name] = value.clone());
    let unknown = SigningKey::generate(Algorithm::Rs256);
    let forged = unknown.sign_with_header(
        &json!({"alg": "RS256", "kid": KEY.kid()}),
        &assertion_claims("keyed", &issuer),
    );
    let pss = KEY.sign_with_header(
        &json!({"alg": "PS256", "kid": KEY.kid()}),
        &assertion_claims("keyed", &issuer),
    );
    let spent = KEY.assertion("keyed", &issuer);
    let first = ClientLogin::Assertion(spent.clone());
    idp.token(&TokenCall::client_credentials(first))
        .await
        .unwrap();

    let bad_signature =
        "Client authentication with signed JWT failed: Signature on JWT token failed validation";
    let too_far = "Token expiration is too far in the future and iat claim not present in token";
    let cases = [
        (spent, 400, "Token reuse detected"),
        (
            with("aud", json!("elsewhere")),
            400,
            "Invalid token audience",
        ),
        (
            with("aud", json!([issuer, "x"])),
            400,
            "Multiple audiences not allowed",
        ),
        (without("aud"), 400, "Invalid token audience"),
        (without("exp"), 400, "Token exp claim is required"),
        (without("jti"), 400, "Token jti claim is required"),
        (with("exp", json!(now - 100)), 400, "Token is not active"),
        (with("nbf", json!(now + 100)), 400, "Token is not active"),
        (
            with("iat", json!(now + 100)),
            400,
            "Token was issued in the future",
        ),
        (
            with("iat", json!(now - 100)),
            400,
            "Token was issued too far in the past to be used now",
        ),
        (
            changed(&|claims| {
                claims["exp"] = json!(now + 300);
                claims.as_object_mut().unwrap().remove("iat");
            }),
            400,
            too_far,
        ),
        (with("sub", json!("service")), 401, CLIENT),
        (without("iss"), 401, CLIENT),
        (forged, 400, bad_signature),
        (
            unknown.assertion("keyed", &issuer),
            400,
            "Unable to load public key",
        ),
        (pss, 400, "Invalid signature algorithm"),
        ("garbage".to_owned(), 401, CLIENT),
    ];
    for (index, (assertion, status, description)) in cases.into_iter().enumerate() {
        let call = TokenCall::client_credentials(ClientLogin::Assertion(assertion));
        let answer = idp.token(&call).await.map_err(refusal);
        let refused = answer.err();
        let expected = Refusal::new(status, "invalid_client", description);
        assert_eq!(refused, Some(expected), "case {index}");
    }
    let accepted = [
        with("aud", json!([issuer])),
        with("aud", json!(idp.token_endpoint())),
        with("aud", json!(idp.url(Endpoint::Introspection))),
        without("iat"),
        with("exp", json!(now + 300)),
    ];
    for assertion in accepted {
        let call = TokenCall::client_credentials(ClientLogin::Assertion(assertion));
        idp.token(&call).await.unwrap();
    }
    let wrong = ClientLogin::SecretJwt("signer".to_owned(), "x".repeat(40));
    let answer = idp.token(&TokenCall::client_credentials(wrong)).await;
    assert_refused(
        answer.map_err(refusal),
        400,
        "unauthorized_client",
        "Client authentication with client secret signed JWT failed: \
         Signature on JWT token by client secret  failed validation",
    );
}

async fn reads_the_keys_of_a_client_from_its_address(idp: &dyn IdentityProvider) {
    // Another provider publishes the client's keys, among others that are of no use.
    let publisher = EmbeddedIdp::start().await.unwrap();
    let keys = publisher.realm(&Realm::new("keys"));
    let url = keys.url(Endpoint::Jwks);
    idp.set_client_keys("kong", ClientKeys::Url(url))
        .await
        .unwrap();
    let login = || ClientLogin::Key("kong".to_owned(), keys.signing_key());
    let tokens = idp.log_in(USER, PASSWORD, login()).await.unwrap();
    idp.refresh(tokens.refresh(), login()).await.unwrap();
    assert_eq!(publisher.count(Endpoint::Jwks), 1);

    idp.set_client_keys("kong", ClientKeys::Jwks(KEY.jwks()))
        .await
        .unwrap();
    let login = ClientLogin::Key("kong".to_owned(), KEY.clone());
    idp.log_in(USER, PASSWORD, login).await.unwrap();
}

async fn refuses_users_and_grants(idp: &dyn IdentityProvider) {
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

async fn narrows_scopes_and_refuses_unknown_ones(idp: &dyn IdentityProvider) {
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

async fn offline_tokens_have_no_end(idp: &dyn IdentityProvider) {
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

async fn issues_refresh_tokens_as_the_client_is_set(idp: &dyn IdentityProvider) {
    let login = ClientLogin::post("no-refresh", "x");
    let tokens = idp.log_in(USER, PASSWORD, login).await.unwrap();
    assert_eq!(tokens.refresh_token, None);
    let login = || ClientLogin::post("self-refresh", "x");
    let call = TokenCall::client_credentials(login());
    let tokens = idp.token(&call).await.unwrap();
    idp.refresh(tokens.refresh(), login()).await.unwrap();
}

async fn introspects_for_the_audience_only(idp: &dyn IdentityProvider) {
    let insider = || ClientLogin::post("insider", "inside");
    let call = TokenCall::password(USER, PASSWORD, insider());
    let tokens = idp.token(&call).await.unwrap();
    let audience = tokens.claims()["aud"].clone();
    assert_eq!(audience, json!(["insider", "account"]));
    let active = idp
        .introspect(&tokens.access_token, insider())
        .await
        .unwrap();
    let expected = [
        ("active", json!(true)),
        ("client_id", json!("insider")),
        ("username", json!(USER)),
        ("token_type", json!("Bearer")),
        ("typ", json!("Bearer")),
        ("sub", tokens.claims()["sub"].clone()),
        ("iss", json!(idp.issuer())),
    ];
    for (name, value) in expected {
        assert_eq!(active[name], value, "{name}");
    }
    let inactive = json!({"active": false});
    let service = ClientLogin::service;
    let own = log_in(idp).await;
    for (token, login) in [
        // Neither the client that a token was issued to nor anyone else learns anything,
        // unless the token is for them.
        (tokens.access_token.as_str(), service()),
        (own.access_token.as_str(), service()),
        (tokens.refresh(), insider()),
        ("garbage", insider()),
    ] {
        assert_eq!(idp.introspect(token, login).await.unwrap(), inactive);
    }
    idp.log_out(USER).await.unwrap();
    let ended = idp
        .introspect(&tokens.access_token, insider())
        .await
        .unwrap();
    assert_eq!(ended, inactive);

    let cases = [
        (
            ClientLogin::post("insider", "wrong"),
            401,
            "invalid_client",
            "Client authentication failed.",
        ),
        (
            ClientLogin::post("nobody", "x"),
            401,
            "invalid_client",
            CLIENT,
        ),
        (
            ClientLogin::public("app"),
            403,
            "invalid_request",
            "Client not allowed.",
        ),
    ];
    for (login, status, error, description) in cases {
        let answer = idp.introspect("x", login).await.map_err(refusal);
        assert_refused(answer, status, error, description);
    }
}

async fn takes_another_secret(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.set_client_secret("service", "new").await.unwrap();
    let old = refresh(idp, &tokens).await;
    assert_refused(old, 401, "unauthorized_client", CLIENT);
    let new = ClientLogin::post("service", "new");
    idp.refresh(tokens.refresh(), new).await.unwrap();
}

async fn signs_with_a_new_key_and_withdraws_the_old_one(idp: &dyn IdentityProvider) {
    let kids = || async {
        let (_, jwks) = get(&idp.url(Endpoint::Jwks)).await;
        let keys = jwks["keys"].as_array().unwrap().clone();
        keys.iter()
            .map(|key| key["kid"].clone())
            .collect::<Vec<_>>()
    };
    let old = log_in(idp).await;
    idp.rotate_keys().await.unwrap();
    let new = refresh(idp, &old).await.unwrap();
    let kid = |tokens: &Tokens| header(&tokens.access_token)["kid"].clone();
    assert_ne!(kid(&old), kid(&new));
    let published = kids().await;
    assert!(published.contains(&kid(&old)) && published.contains(&kid(&new)));
    idp.withdraw_old_keys().await.unwrap();
    let published = kids().await;
    assert!(!published.contains(&kid(&old)) && published.contains(&kid(&new)));
    // Refresh tokens are signed by another key.
    refresh(idp, &new).await.unwrap();
}

async fn issues_short_lived_tokens(idp: &dyn IdentityProvider) {
    let life = Duration::from_secs(7);
    idp.set_access_token_lifespan(life).await.unwrap();
    assert_eq!(log_in(idp).await.expires_in, life);
}

async fn tells_what_is_wrong_with_the_request(idp: &dyn IdentityProvider) {
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

async fn counts_requests_and_goes_down_and_comes_back(idp: &dyn IdentityProvider) {
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

#[tokio::test]
async fn the_shared_server_is_one() {
    let Some(keycloak) = Keycloak::start_or_skip().await else {
        return;
    };
    let again = Keycloak::start().await.unwrap();
    assert!(std::ptr::eq(keycloak, again));
    let realm = realm().unique();
    let made = keycloak.realm(&realm).await.unwrap();
    let error = keycloak.realm(&realm).await.unwrap_err().to_string();
    assert!(error.contains("already exists"), "{error}");
    made.delete().await.unwrap();
}
