//! What is issued, and what becomes of it: shape, lifetime, keys, introspection.

use std::time::Duration;

use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{
    ClientLogin, Endpoint, IdentityProvider, TokenCall, Tokens, claims, header,
};
use serde_json::{Value, json};

use crate::support::{CLIENT, assert_refused, get, life, log_in, refresh, refusal};

pub(crate) async fn issues_tokens_of_this_shape(idp: &dyn IdentityProvider) {
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
    assert_eq!(life(&tokens.access_token), 300);
    assert_eq!(life(tokens.refresh()), 1800);

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

pub(crate) async fn gives_tokens_to_a_client_itself(idp: &dyn IdentityProvider) {
    let call = TokenCall::client_credentials(ClientLogin::basic("service", SERVICE_SECRET));
    let tokens = idp.token(&call).await.unwrap();
    let access = tokens.claims();
    assert_eq!(tokens.refresh_token, None);
    assert_eq!(tokens.session, None);
    assert_eq!(access["preferred_username"], "service-account-service");
    assert_eq!(access["client_id"], "service");
    assert_eq!(access["sid"], Value::Null);
}

pub(crate) async fn issues_refresh_tokens_as_the_client_is_set(idp: &dyn IdentityProvider) {
    let login = ClientLogin::post("no-refresh", "x");
    let tokens = idp.log_in(USER, PASSWORD, login).await.unwrap();
    assert_eq!(tokens.refresh_token, None);
    let login = || ClientLogin::post("self-refresh", "x");
    let call = TokenCall::client_credentials(login());
    let tokens = idp.token(&call).await.unwrap();
    idp.refresh(tokens.refresh(), login()).await.unwrap();
}

pub(crate) async fn issues_short_lived_tokens(idp: &dyn IdentityProvider) {
    let lifespan = Duration::from_secs(7);
    idp.set_access_token_lifespan(lifespan).await.unwrap();
    let tokens = log_in(idp).await;
    assert_eq!(life(&tokens.access_token), 7);
    assert!(tokens.expires_in <= lifespan);
}

pub(crate) async fn signs_with_a_new_key_and_withdraws_the_old_one(idp: &dyn IdentityProvider) {
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

pub(crate) async fn introspects_for_the_audience_only(idp: &dyn IdentityProvider) {
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
