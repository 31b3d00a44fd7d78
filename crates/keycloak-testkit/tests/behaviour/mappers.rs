//! Roles, groups and attributes of users in tokens, and tokens and user information as signed.

use keycloak_testkit::{Call, ClientLogin, Endpoint, IdentityProvider, TokenCall, claims, header};
use serde_json::{Value, json};

use crate::support::{HOSTILE, LONG};

fn rich() -> ClientLogin {
    ClientLogin::post("rich", "x")
}

pub(crate) async fn puts_roles_groups_and_attributes_into_tokens(idp: &dyn IdentityProvider) {
    let call = TokenCall::password("mary", "pw", rich()).scope("openid");
    let tokens = idp.token(&call).await.unwrap();
    let access = tokens.claims();
    let user = Call::get().bearer(&tokens.access_token);
    let user = idp.call(Endpoint::Userinfo, &user).await.unwrap().body;
    let id = claims(tokens.id_token.as_deref().unwrap());
    let seen = idp.introspect(&tokens.access_token, rich()).await.unwrap();
    for (place, found) in [
        ("access token", &access),
        ("user information", &user),
        ("ID token", &id),
        ("introspection", &seen),
    ] {
        let groups = json!(["/böse, gruppe", "/staff/it"]);
        assert_eq!(found["groups"], groups, "{place}");
        assert_eq!(found["motto"], HOSTILE, "{place}");
        assert_eq!(found["essay"], json!("x".repeat(LONG)), "{place}");
        assert_eq!(found["nothing"], Value::Null, "{place}");
    }
    let mut roles: Vec<&Value> = access["realm_access"]["roles"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    roles.retain(|role| *role == "buyer");
    assert_eq!(roles.len(), 1);
    assert_eq!(
        access["resource_access"]["insider"]["roles"],
        json!(["reader"])
    );
    // A role of a client makes that client an audience.
    let mut audience: Vec<&str> = access["aud"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    audience.sort_unstable();
    assert_eq!(audience, ["account", "insider", "rich"]);
    let own = idp.token(&TokenCall::client_credentials(rich())).await;
    assert_eq!(own.unwrap().claims()["groups"], Value::Null);
}

pub(crate) async fn signs_what_it_tells_of_users(idp: &dyn IdentityProvider) {
    let login = || ClientLogin::post("signed", "x");
    let call = TokenCall::password("mary", "pw", login()).scope("openid");
    let tokens = idp.token(&call).await.unwrap();
    let call = Call::get().bearer(&tokens.access_token);
    let reply = idp.call(Endpoint::Userinfo, &call).await.unwrap();
    assert_eq!(reply.header("content-type"), Some("application/jwt"));
    assert_eq!(header(&reply.text), header(&tokens.access_token));
    let told = claims(&reply.text);
    assert_eq!(told["iss"], json!(idp.issuer()));
    assert_eq!(told["aud"], "signed");
    assert_eq!(told["preferred_username"], "mary");

    let form = |token: &str| {
        let pairs = [
            ("token", token),
            ("client_id", "signed"),
            ("client_secret", "x"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    };
    let ask = |accept: &str, token: &str| Call::post(form(token)).header("accept", accept);
    for (accept, has_jwt) in [("application/json", false), ("application/jwt", true)] {
        let call = ask(accept, &tokens.access_token);
        let reply = idp.call(Endpoint::Introspection, &call).await.unwrap();
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.body["active"], true);
        assert_eq!(reply.body["jwt"].is_string(), has_jwt, "{accept}");
    }
    let call = ask("application/jwt", "garbage");
    let reply = idp.call(Endpoint::Introspection, &call).await.unwrap();
    assert_eq!(reply.body, json!({"active": false}));
}
