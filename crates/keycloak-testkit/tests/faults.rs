//! Faults on the wire of the embedded provider, as a client meets them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keycloak_testkit::{
    ClientLogin, EmbeddedIdp, EmbeddedRealm, Endpoint, Fault, Gate, IdentityProvider as _, Realm,
};
use serde_json::Value;

/// A client as a gateway would be one: over the wire.
async fn send(request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client
        .request(request)
        .await
        .map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

async fn get(url: &str) -> Result<Response<Bytes>, String> {
    send(Request::get(url).body(Full::default()).unwrap()).await
}

async fn refresh(realm: &EmbeddedRealm, token: &str) -> Result<Response<Bytes>, String> {
    let body = format!(
        "grant_type=refresh_token&refresh_token={token}&client_id=service&client_secret={}",
        keycloak_testkit::seed::SERVICE_SECRET
    );
    let request = Request::post(realm.token_endpoint())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .unwrap();
    send(request).await
}

async fn realm() -> EmbeddedRealm {
    let idp = EmbeddedIdp::start().await.unwrap();
    idp.realm(&Realm::seed("kong").rotation(true))
}

#[tokio::test]
async fn answers_go_wrong_as_asked_and_then_recover() {
    let realm = realm().await;
    let url = realm.url(Endpoint::Jwks);
    let whole = get(&url).await.unwrap();
    let half = whole.body().len() / 2;
    let cases = [
        ("status", Fault::status(500)),
        ("too many", Fault::too_many_requests(Duration::from_secs(7))),
        ("redirect", Fault::redirect(307, "http://127.0.0.1:1/")),
        ("html", Fault::html()),
        ("huge", Fault::huge(1 << 20)),
        ("cut json", Fault::cut_json()),
        ("mark", Fault::byte_order_mark()),
        ("utf-16", Fault::utf16()),
        ("type", Fault::content_type("text/html")),
        ("cut", Fault::cut()),
        ("lost", Fault::lose_answer()),
        ("cut in answer", Fault::cut_in_answer()),
        ("drip", Fault::drip(Duration::from_millis(1))),
    ];
    for (name, fault) in cases {
        realm.faults().next(Endpoint::Jwks, 1, fault);
        let answer = get(&url).await;
        let body = answer.as_ref().map(|answer| answer.body().clone());
        match name {
            "status" => assert_eq!(answer.unwrap().status(), 500),
            "too many" => assert_eq!(answer.unwrap().headers()["retry-after"], "7"),
            "redirect" => {
                assert_eq!(answer.unwrap().headers()["location"], "http://127.0.0.1:1/");
            }
            "html" => assert!(body.unwrap().starts_with(b"<!DOCTYPE")),
            "huge" => assert_eq!(body.unwrap().len(), 1 << 20),
            "cut json" => assert_eq!(body.unwrap().len(), half),
            "mark" => assert!(body.unwrap().starts_with(b"\xEF\xBB\xBF{")),
            "utf-16" => assert!(body.unwrap().starts_with(b"\0{")),
            "type" => assert_eq!(answer.unwrap().headers()["content-type"], "text/html"),
            "cut" | "lost" | "cut in answer" => assert!(answer.is_err(), "{name}"),
            "drip" => assert_eq!(&body.unwrap(), whole.body()),
            _ => panic!("{name} is no case"),
        }
        assert_eq!(get(&url).await.unwrap().status(), 200, "after {name}");
    }
}

#[tokio::test]
async fn a_lost_answer_has_used_the_token_up_and_an_error_has_not() {
    let realm = realm().await;
    for (fault, used) in [
        (Fault::lose_answer(), true),
        (Fault::cut_in_answer(), true),
        (Fault::status(503), false),
        (Fault::cut(), false),
    ] {
        let tokens = realm
            .log_in("john", "doe", ClientLogin::service())
            .await
            .unwrap();
        realm.faults().next(Endpoint::Token, 1, fault.clone());
        let _ = refresh(&realm, tokens.refresh()).await;
        let again = realm
            .refresh(tokens.refresh(), ClientLogin::service())
            .await;
        assert_eq!(again.is_err(), used, "{fault:?}");
    }
}

#[tokio::test]
async fn holds_many_requests_until_the_gate_opens() {
    let realm = realm().await;
    let gate = Gate::closed();
    realm.faults().always(Endpoint::Token, Fault::hold(&gate));
    let tokens = realm
        .log_in("john", "doe", ClientLogin::service())
        .await
        .unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (realm, token) = (realm.clone(), tokens.refresh().to_owned());
        clients.spawn(async move { refresh(&realm, &token).await.unwrap().status() });
    }
    gate.wait_for(20).await;
    let requests = realm.wait_for_token_requests(20).await;
    assert!(requests.iter().all(|request| request.status.is_none()));
    gate.open();
    let statuses = clients.join_all().await;
    // Rotation: one of them uses the token, the others replay it.
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    let requests = realm.token_requests();
    assert!(requests.iter().all(|request| request.status.is_some()));
    assert_eq!(requests[0].grant, "refresh_token");
    assert_eq!(requests[0].client_id.as_deref(), Some("service"));
    assert_eq!(requests[0].authentication, "client_secret_post");
}

#[tokio::test]
async fn goes_down_and_comes_back_with_its_sessions() {
    let realm = realm().await;
    let tokens = realm
        .log_in("john", "doe", ClientLogin::service())
        .await
        .unwrap();
    realm.go_down().await;
    assert!(refresh(&realm, tokens.refresh()).await.is_err());
    realm.come_back().await.unwrap();
    let answer = refresh(&realm, tokens.refresh()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(realm.count(Endpoint::Token), 1);
}

#[tokio::test]
async fn tokens_and_documents_are_altered_as_asked() {
    let realm = realm().await;
    realm.alter_access_token(|claims| claims["iss"] = "http://elsewhere".into());
    realm.alter_token_response(|response| {
        if let Some(members) = response.as_object_mut() {
            members.remove("refresh_token");
        }
    });
    realm.alter_discovery(|document| document["issuer"] = "x".into());
    let tokens = realm
        .log_in("john", "doe", ClientLogin::service())
        .await
        .unwrap();
    assert_eq!(tokens.claims()["iss"], "http://elsewhere");
    assert_eq!(tokens.refresh_token, None);
    let answer = get(&realm.url(Endpoint::Discovery)).await.unwrap();
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(document["issuer"], "x");
    realm.alter_nothing();
    let tokens = realm
        .log_in("john", "doe", ClientLogin::service())
        .await
        .unwrap();
    assert_eq!(tokens.claims()["iss"], realm.issuer());
}

#[tokio::test]
async fn realms_of_one_provider_do_not_mix() {
    let idp = EmbeddedIdp::start().await.unwrap();
    let one = idp.realm(&Realm::seed("one"));
    let two = idp.realm(&Realm::seed("two"));
    let tokens = one
        .log_in("john", "doe", ClientLogin::service())
        .await
        .unwrap();
    assert!(
        two.refresh(tokens.refresh(), ClientLogin::service())
            .await
            .is_err()
    );
    refresh(&one, tokens.refresh()).await.unwrap();
    assert_eq!(one.token_requests().len(), 1);
    assert_eq!(two.token_requests().len(), 0);
    two.delete().await.unwrap();
    let answer = get(&two.url(Endpoint::Jwks)).await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn stops_listening_when_the_last_of_it_is_dropped() {
    let idp = EmbeddedIdp::start().await.unwrap();
    let realm = idp.realm(&Realm::seed("kong"));
    let url = realm.url(Endpoint::Jwks);
    drop(idp);
    assert_eq!(get(&url).await.unwrap().status(), 200);
    drop(realm);
    let ended = async {
        while get(&url).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("the listener ends");
}
