//! How clients authenticate, and how they fail to (RFC 6749 §2.3, RFC 7523).

use std::time::{SystemTime, UNIX_EPOCH};

use keycloak_testkit::keys::{Algorithm, SigningKey, assertion_claims};
use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{
    ClientKeys, ClientLogin, EmbeddedIdp, Endpoint, IdentityProvider, Realm, Refusal, TokenCall,
};
use serde_json::{Value, json};

use crate::support::{CLIENT, KEY, SIGNER_SECRET, assert_refused, log_in, refresh, refusal};

pub(crate) async fn refuses_clients_that_do_not_authenticate(idp: &dyn IdentityProvider) {
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

pub(crate) async fn refuses_bad_assertions(idp: &dyn IdentityProvider) {
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

pub(crate) async fn reads_the_keys_of_a_client_from_its_address(idp: &dyn IdentityProvider) {
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

pub(crate) async fn takes_another_secret(idp: &dyn IdentityProvider) {
    let tokens = log_in(idp).await;
    idp.set_client_secret("service", "new").await.unwrap();
    let old = refresh(idp, &tokens).await;
    assert_refused(old, 401, "unauthorized_client", CLIENT);
    let new = ClientLogin::post("service", "new");
    idp.refresh(tokens.refresh(), new).await.unwrap();
}
