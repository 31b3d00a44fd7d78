//! Tokens bound to a key by proofs of possession, good proofs and bad ones (RFC 9449).

use keycloak_testkit::seed::{DPOP_SECRET, PASSWORD, USER};
use keycloak_testkit::{
    Call, ClientLogin, DpopKey, DpopProof, Endpoint, IdentityProvider, TokenCall, Tokens, claims,
};
use serde_json::{Value, json};

use crate::support::{assert_refused, get, refusal};

fn bound() -> ClientLogin {
    ClientLogin::post("client-dpop-auth", DPOP_SECRET)
}

fn password(login: ClientLogin) -> TokenCall {
    TokenCall::password(USER, PASSWORD, login).scope("openid")
}

#[track_caller]
fn assert_bound(tokens: &Tokens, key: &DpopKey) {
    let claims = tokens.claims();
    assert_eq!(claims["cnf"]["jkt"], json!(key.thumbprint()));
    assert_eq!(claims["typ"], "DPoP");
    assert_eq!(tokens.token_type, "DPoP");
}

pub(crate) async fn binds_tokens_to_a_key(idp: &dyn IdentityProvider) {
    let (key, other) = (DpopKey::new(), DpopKey::new());
    let missing = "DPoP proof is missing";
    let answer = idp.token(&password(bound())).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_request", missing);
    let first = idp.token(&password(bound()).dpop(&key)).await.unwrap();
    assert_bound(&first, &key);
    // The refresh token of a confidential client is not bound, yet a proof is asked for.
    assert_eq!(claims(first.refresh())["cnf"], Value::Null);
    let refresh = TokenCall::refresh(first.refresh(), bound());
    let answer = idp.token(&refresh).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_request", missing);
    let second = idp.token(&refresh.dpop(&other)).await.unwrap();
    assert_bound(&second, &other);
    let own = TokenCall::client_credentials(bound()).dpop(&key);
    assert_bound(&idp.token(&own).await.unwrap(), &key);

    // Who does not have to send a proof may, each time anew.
    let free = idp
        .token(&password(ClientLogin::service()).dpop(&key))
        .await;
    let free = free.unwrap();
    assert_bound(&free, &key);
    let unbound = idp.refresh(free.refresh(), ClientLogin::service()).await;
    assert_eq!(unbound.unwrap().token_type, "Bearer");

    let app = || ClientLogin::public("app");
    let public = idp.token(&password(app()).dpop(&key)).await.unwrap();
    assert_eq!(
        claims(public.refresh())["cnf"]["jkt"],
        json!(key.thumbprint())
    );
    let refresh = TokenCall::refresh(public.refresh(), app());
    let answer = idp.token(&refresh).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_grant", missing);
    let answer = idp.token(&refresh.clone().dpop(&other)).await;
    let mismatch = "DPoP confirmation doesn't match DPoP proof";
    assert_refused(answer.map_err(refusal), 400, "invalid_grant", mismatch);
    assert_bound(&idp.token(&refresh.dpop(&key)).await.unwrap(), &key);

    let (_, metadata) = get(&idp.url(Endpoint::Discovery)).await;
    let algorithms = metadata["dpop_signing_alg_values_supported"].as_array();
    assert!(algorithms.unwrap().contains(&json!("ES256")));
}

pub(crate) async fn binds_tokens_by_https_too(idp: &dyn IdentityProvider) {
    let key = DpopKey::new();
    let certificate = keycloak_testkit::pki::Authority::shared().client("CN=ours");
    let call = password(bound()).dpop(&key).certificate(&certificate);
    assert_bound(&idp.token(&call).await.unwrap(), &key);
    let proof = key.proof("POST", &idp.token_endpoint());
    let call = password(bound())
        .dpop_proof(proof)
        .certificate(&certificate);
    let answer = idp.token(&call).await.map_err(refusal);
    assert_refused(answer, 400, "invalid_request", "DPoP HTTP URL mismatch");
}

pub(crate) async fn refuses_bad_proofs(idp: &dyn IdentityProvider) {
    let (key, other) = (DpopKey::new(), DpopKey::new());
    let url = idp.token_endpoint();
    let good = || key.proof("POST", &url);
    let spent = good().sign();
    let call = password(bound()).dpop_proof(spent.clone());
    idp.token(&call).await.unwrap();
    let own = DpopProof::sign;
    let missing = "DPoP mandatory claims are missing";
    let cases = [
        ("garbage".to_owned(), "DPoP header verification failure"),
        (spent, "DPoP proof has already been used"),
        (own(&key.proof("GET", &url)), "DPoP HTTP method mismatch"),
        (
            own(&key.proof("POST", &format!("{url}/"))),
            "DPoP HTTP URL mismatch",
        ),
        (own(&good().age(60)), "DPoP proof is not active"),
        (own(&good().age(-60)), "DPoP proof is not active"),
        (own(&good().without_claim("jti")), missing),
        (own(&good().without_claim("htm")), missing),
        (own(&good().without_claim("htu")), missing),
        (own(&good().without_claim("iat")), missing),
        (
            own(&good().typ("JWT")),
            "Invalid or missing type in DPoP header: JWT",
        ),
        (
            own(&good().without_header("typ")),
            "Invalid or missing type in DPoP header: null",
        ),
        (own(&good().unsigned()), "Unsupported DPoP algorithm: none"),
        (
            own(&good().symmetric()),
            "Unsupported DPoP algorithm: HS256",
        ),
        (
            own(&good().header("alg", "RS256")),
            "Key with algorithm RS256 and type EC is incorrect for provider algorithm RS256",
        ),
        (own(&good().without_header("jwk")), "No JWK in DPoP header"),
        (
            own(&good().with_private_key()),
            "Private key material must not be present in DPoP JWK",
        ),
        (own(&good().of_key(&other)), BAD_SIGNATURE),
        (own(&good().spoilt()), BAD_SIGNATURE),
    ];
    for (index, (proof, description)) in cases.into_iter().enumerate() {
        let call = password(bound()).dpop_proof(proof);
        let answer = idp.token(&call).await.map_err(refusal).err();
        let expected = keycloak_testkit::Refusal::new(400, "invalid_request", description);
        assert_eq!(answer, Some(expected), "case {index}");
    }
    for proof in [
        good().age(20),
        good().age(-10),
        key.proof("POST", &format!("{url}?a=b#c")),
        good().nonce("whatever"),
        good().claim("ath", "whatever"),
    ] {
        let call = password(bound()).dpop_proof(proof);
        assert_bound(&idp.token(&call).await.unwrap(), &key);
    }
}

const BAD_SIGNATURE: &str = "DPoP verification failure: \
    org.keycloak.exceptions.TokenSignatureInvalidException: Invalid token signature";

pub(crate) async fn tells_of_the_user_to_who_has_the_key(idp: &dyn IdentityProvider) {
    let (key, other) = (DpopKey::new(), DpopKey::new());
    let url = idp.url(Endpoint::Userinfo);
    let tokens = idp.token(&password(bound()).dpop(&key)).await.unwrap();
    let token = tokens.access_token.as_str();
    let ask = |call: Call| async move { idp.call(Endpoint::Userinfo, &call).await.unwrap() };
    let good = ask(Call::get().dpop(token, &key)).await;
    assert_eq!(good.body["preferred_username"], USER);
    let by = |proof: DpopProof| {
        Call::get()
            .header("authorization", &format!("DPoP {token}"))
            .header("dpop", &proof.sign())
    };
    let proof = || key.proof("GET", &url);
    for call in [
        Call::get().dpop(token, &other),
        Call::get().header("authorization", &format!("DPoP {token}")),
        by(proof()),
        by(proof().access_token("another")),
        by(key.proof("POST", &url).access_token(token)),
    ] {
        let reply = ask(call).await;
        let challenge = reply.header("www-authenticate").unwrap();
        assert_eq!(reply.status, 401);
        assert!(challenge.starts_with("DPoP algs=\""), "{challenge}");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    let reply = ask(Call::get().bearer(token)).await;
    assert_eq!(reply.status, 401);
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    // A token without a key is none for this scheme.
    let free = idp.token(&password(ClientLogin::service())).await.unwrap();
    let reply = ask(Call::get().dpop(&free.access_token, &key)).await;
    assert_eq!(reply.status, 401);
}
