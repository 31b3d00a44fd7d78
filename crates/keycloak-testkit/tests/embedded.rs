//! What the embedded provider can and Keycloak cannot: opaque tokens, signed introspection, nonces
//! in proofs of possession, clients with certificates of their own making.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keycloak_testkit::pki::Identity;
use keycloak_testkit::{
    Call, Client, ClientLogin, DpopKey, EmbeddedIdp, EmbeddedRealm, Endpoint, IdentityProvider,
    Realm, TokenCall, User, claims, header,
};
use serde_json::{Value, json};

async fn serve(realm: Realm) -> EmbeddedRealm {
    let idp = EmbeddedIdp::start().await.unwrap();
    idp.realm(&realm.user(User::new("ann", "pw")))
}

fn password() -> TokenCall {
    TokenCall::password("ann", "pw", ClientLogin::post("backend", "x")).scope("openid")
}

async fn introspect(realm: &EmbeddedRealm, token: &str, accept: &str) -> keycloak_testkit::Reply {
    let pairs = [
        ("token", token),
        ("client_id", "backend"),
        ("client_secret", "x"),
    ];
    let form = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let call = Call::post(form.to_vec()).header("accept", accept);
    realm.call(Endpoint::Introspection, &call).await.unwrap()
}

#[tokio::test]
async fn opaque_tokens_are_good_and_say_nothing() {
    let client = Client::secret("backend", "x")
        .opaque_tokens()
        .audience("backend");
    let realm = serve(Realm::new("opaque").client(client)).await;
    let tokens = realm.token(&password()).await.unwrap();
    let token = tokens.access_token.as_str();
    assert_eq!(claims(token), Value::Null);
    let login = || ClientLogin::post("backend", "x");
    let seen = realm.introspect(token, login()).await.unwrap();
    assert_eq!(
        (&seen["active"], &seen["username"]),
        (&json!(true), &json!("ann"))
    );
    let call = Call::get().bearer(token);
    let user = realm.call(Endpoint::Userinfo, &call).await.unwrap();
    assert_eq!(user.body["preferred_username"], "ann");
    realm.revoke(token, login()).await.unwrap();
    let seen = realm.introspect(token, login()).await.unwrap();
    assert_eq!(seen, json!({"active": false}));
}

#[tokio::test]
async fn introspection_is_signed_for_who_asks_for_that() {
    let client = Client::secret("backend", "x").audience("backend");
    let realm = serve(Realm::new("signed").client(client)).await;
    let tokens = realm.token(&password()).await.unwrap();
    let signed = "application/token-introspection+jwt";
    for (token, active) in [(tokens.access_token.as_str(), true), ("garbage", false)] {
        let reply = introspect(&realm, token, signed).await;
        assert_eq!(reply.header("content-type"), Some(signed));
        assert_eq!(header(&reply.text)["typ"], "token-introspection+jwt");
        let claims = claims(&reply.text);
        assert_eq!(claims["iss"], json!(realm.issuer()));
        assert_eq!(claims["aud"], "backend");
        assert_eq!(claims["token_introspection"]["active"], active);
    }
    realm.alter_introspection_jwt(|parts| parts["header"]["typ"] = json!("JWT"));
    realm.alter_introspection(|answer| answer["active"] = json!("yes"));
    let reply = introspect(&realm, &tokens.access_token, signed).await;
    assert_eq!(header(&reply.text)["typ"], "JWT");
    assert_eq!(claims(&reply.text)["token_introspection"]["active"], "yes");
    realm.alter_userinfo(|answer| answer["sub"] = json!("someone else"));
    let call = Call::get().bearer(&tokens.access_token);
    let user = realm.call(Endpoint::Userinfo, &call).await.unwrap();
    assert_eq!(user.body["sub"], "someone else");
}

#[tokio::test]
async fn proofs_need_the_nonce_that_the_realm_gave() {
    let client = Client::secret("backend", "x").dpop_bound();
    let realm = serve(Realm::new("nonce").client(client).dpop_nonce(true)).await;
    let key = DpopKey::new();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", "backend"),
        ("client_secret", "x"),
    ];
    let form = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let url = realm.token_endpoint();
    let send = |nonce: Option<String>| {
        let proof = key.proof("POST", &url);
        let proof = match nonce {
            Some(nonce) => proof.nonce(&nonce),
            None => proof,
        };
        let call = Call::post(form.to_vec()).header("dpop", &proof.sign());
        let realm = realm.clone();
        async move { realm.call(Endpoint::Token, &call).await.unwrap() }
    };
    let first = send(None).await;
    assert_eq!(
        (first.status, &first.body["error"]),
        (400, &json!("use_dpop_nonce"))
    );
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    assert_eq!(send(Some(nonce.clone())).await.status, 200);
    realm.renew_dpop_nonce();
    let stale = send(Some(nonce.clone())).await;
    assert_eq!(stale.status, 400);
    let newer = stale.header("dpop-nonce").unwrap().to_owned();
    assert_ne!(newer, nonce);
    let tokens = send(Some(newer)).await.tokens().unwrap();

    let call = Call::get().dpop(&tokens.access_token, &key);
    let user = realm.call(Endpoint::Userinfo, &call).await.unwrap();
    assert_eq!(user.status, 401);
    let challenge = user.header("www-authenticate").unwrap();
    assert!(challenge.contains("use_dpop_nonce"), "{challenge}");
    assert!(user.header("dpop-nonce").is_some());
}

#[tokio::test]
async fn clients_register_certificates_of_their_own_making() {
    let (ours, theirs) = (Identity::self_signed("CN=a"), Identity::self_signed("CN=a"));
    let jwks = json!({"keys": [ours.public_jwk()]});
    let client = Client::self_signed("backend", jwks).certificate_bound();
    let realm = serve(Realm::new("selfsigned").client(client)).await;
    let login = |identity| ClientLogin::certificate("backend", identity);
    let tokens = realm.log_in("ann", "pw", login(&ours)).await.unwrap();
    assert_eq!(
        tokens.claims()["cnf"],
        json!({"x5t#S256": ours.thumbprint()})
    );
    let refused = realm.log_in("ann", "pw", login(&theirs)).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().error, "invalid_client");
}
