//! The layer: who is let through and with what, how the others are answered, and that a service
//! behind it is asked as tower asks services.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::{Builder, Parts};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use keycloak_testkit::seed::{PASSWORD, USER};
use keycloak_testkit::{ClientLogin, EmbeddedIdp, Endpoint, IdentityProvider as _, Realm, claims};
use oidc_broker::layer::{AuthenticateLayer, BearerToken};
use oidc_broker::{Broker, HttpTransport};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::provider::Provider;
use oidc_core::{Credential, Denial, Secret};
use serde_json::json;
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;

use crate::support::*;

#[path = "../../examples/tower.rs"]
#[expect(dead_code, reason = "its main is the example's own")]
mod example;

/// A service that keeps what it was asked, and takes a request only where it said it was ready.
#[derive(Default)]
struct Inner {
    asked: Arc<Mutex<Vec<Parts>>>,
    ready: bool,
    fails: bool,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            asked: Arc::clone(&self.asked),
            ready: false,
            fails: self.fails,
        }
    }
}

impl Service<Request<&'static str>> for Inner {
    type Response = Response<Bytes>;
    type Error = &'static str;
    type Future = Ready<Result<Response<Bytes>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<&'static str>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "it was not ready");
        let (head, body) = request.into_parts();
        self.asked.lock().expect("unpoisoned").push(head);
        ready(match self.fails {
            false => Ok(Response::new(body.into())),
            true => Err("the service's own"),
        })
    }
}

/// Asks as a server does: when it is ready, and of the same service again and again.
async fn ask<S>(service: &mut S, request: Builder) -> Result<S::Response, S::Error>
where
    S: Service<Request<&'static str>>,
{
    poll_fn(|context| service.poll_ready(context)).await?;
    let request = request.body("a body").expect("a request");
    service.call(request).await
}

fn bearer(token: &str) -> Builder {
    Request::builder().header("authorization", format!("Bearer {token}"))
}

fn layer(idp: &Arc<Idp>) -> AuthenticateLayer {
    AuthenticateLayer::new(broker(idp), bearer_policy())
}

#[tokio::test(start_paused = true)]
async fn a_good_token_opens_the_service_that_was_ready() {
    let idp = Idp::rotating();
    let inner = Inner::default();
    let mut service = layer(&idp).layer(inner.clone());
    for name in ["a", "b", "a"] {
        let request = bearer(&idp.access_token(name)).header("x-other", "1");
        let response = ask(&mut service, request).await.expect("answered");
        assert_eq!(response.body(), "a body");
    }
    let asked = inner.asked.lock().expect("unpoisoned");
    assert_eq!(asked.len(), 3);
    for head in &*asked {
        let granted = head.extensions.get::<Arc<Granted>>().expect("granted");
        assert_eq!(granted.claims().and_then(|c| c.subject()), Some("john"));
        assert!(!head.headers.contains_key(AUTHORIZATION));
        assert_eq!(head.headers["x-other"], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_else_is_answered_and_the_service_is_not_asked() {
    let idp = Idp::rotating();
    let inner = Inner::default();
    let mut service = layer(&idp).layer(inner.clone());
    let good = idp.access_token("t");
    let other = idp.access_token("other");
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    let (_, signature) = other.rsplit_once('.').expect("three parts");
    let refused = r#"Bearer realm="idp.test", error="invalid_token""#;
    for (request, status, challenge, reason) in [
        (
            Request::builder(),
            401,
            r#"Bearer realm="idp.test""#,
            "credential.missing",
        ),
        (
            bearer(&format!("{signed}.{signature}")),
            401,
            refused,
            "token.signature_invalid",
        ),
        (bearer("opaque"), 401, refused, "token.opaque"),
        (bearer("a b"), 400, "-", "credential.not_b64token"),
        (
            bearer(&good).header("authorization", "Basic am9objpkb2U="),
            400,
            "-",
            "credential.repeated",
        ),
    ] {
        let response = ask(&mut service, request).await.expect("answered");
        assert_eq!(response.status(), status, "{reason}");
        let header = response.headers().get(WWW_AUTHENTICATE);
        let header = header.map_or("-", |value| value.to_str().expect("text"));
        assert_eq!(header, challenge, "{reason}");
        let denial = response.extensions().get::<Denial>().expect("denied");
        assert_eq!(denial.reason().code(), reason);
    }
    assert!(inner.asked.lock().expect("unpoisoned").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_the_callers_fault() {
    let idp = Idp::rotating();
    idp.set(|idp| idp.discovery_down = true);
    let mut service = layer(&idp).layer(Inner::default());
    let request = bearer(&idp.access_token("t"));
    let response = ask(&mut service, request).await.expect("answered");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    assert_eq!(response.body(), r#"{"message":"Service unavailable"}"#);
}

#[tokio::test(start_paused = true)]
async fn the_services_errors_are_its_own() {
    let idp = Idp::rotating();
    let inner = Inner {
        fails: true,
        ..Inner::default()
    };
    let mut service = layer(&idp).layer(inner);
    let failed = ask(&mut service, bearer(&idp.access_token("t"))).await;
    assert_eq!(failed.expect_err("failed"), "the service's own");
}

#[tokio::test(start_paused = true)]
async fn the_header_stays_where_that_is_asked_for() {
    let idp = Idp::rotating();
    let inner = Inner::default();
    let layer = layer(&idp).extract(BearerToken::kept());
    let request = bearer(&idp.access_token("t"));
    let answered = ask(&mut layer.layer(inner.clone()), request).await;
    answered.expect("answered");
    let asked = inner.asked.lock().expect("unpoisoned");
    assert!(asked[0].headers.contains_key(AUTHORIZATION));
}

#[tokio::test(start_paused = true)]
async fn a_bound_token_is_taken_without_a_proof_unless_it_is_refused() {
    let idp = Idp::rotating();
    let (plain, now) = (idp.access_token("t"), clock()().as_secs());
    let cnf = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});
    let claims = json!({"iss": ISSUER, "sub": "john", "iat": now, "exp": now + 60, "cnf": cnf});
    let bound = idp.signed(&claims);
    let lenient = layer(&idp);
    let strict = layer(&idp).refuse_bound_tokens().display_errors(true);
    for (layer, token, status) in [
        (&lenient, &plain, 200),
        (&lenient, &bound, 200),
        (&strict, &plain, 200),
        (&strict, &bound, 401),
    ] {
        let response = ask(&mut layer.layer(Inner::default()), bearer(token)).await;
        let response = response.expect("answered");
        assert_eq!(response.status(), status);
        if status == 401 {
            let body = r#"{"message":"Unauthorized","reason":"dpop.bearer_scheme"}"#;
            assert_eq!(response.body(), body);
        }
    }
}

/// Takes a refresh token from a header of its own.
fn refresh_token(head: &mut Parts) -> Result<Option<Credential>, Denial> {
    let token = head.headers.remove("refresh-token");
    let token = token.as_ref().and_then(|token| token.to_str().ok());
    Ok(token.map(|token| Credential::RefreshToken(Secret::new(token))))
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_ends_nothing() {
    let idp = Idp::answering(|_, n| (Duration::from_secs(1), Answer::Tokens(format!("rt{n}"))));
    let layer = layer(&idp).extract(refresh_token);
    let mut service = layer.layer(Inner::default());
    let request = || Request::builder().header("refresh-token", "rt0");
    let hasty = ask(&mut service, request());
    let gone = tokio::time::timeout(Duration::from_millis(100), hasty).await;
    assert!(gone.is_err());
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
    // The service is as good as before, and the answer is there for whoever asks next.
    let response = ask(&mut service, request()).await.expect("answered");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(idp.refresh_tokens(), ["rt0"]);
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: String,
}

async fn get(url: &str, token: Option<&str>) -> Answered {
    let client: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let request = match token {
        Some(token) => bearer(token),
        None => Request::builder(),
    };
    let request = request.uri(url).body(Full::default()).expect("a request");
    let (head, body) = client
        .request(request)
        .await
        .expect("answered")
        .into_parts();
    let body = body.collect().await.expect("whole").to_bytes();
    Answered {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.into()).expect("text"),
    }
}

#[tokio::test]
async fn the_example_lets_in_whom_the_provider_knows() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong"));
    let serve = async |scope: Option<&str>| {
        let api = example::api(&realm.issuer(), scope.map(str::to_owned)).expect("made");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, api).await });
        format!("http://{address}/whoami")
    };
    let tokens = realm.log_in(USER, PASSWORD, ClientLogin::service());
    let token = tokens.await.expect("logged in").access_token;
    let subject = claims(&token)["sub"].as_str().expect("somebody").to_owned();

    let url = serve(Some("email profile")).await;
    let stranger = get(&url, None).await;
    assert_eq!(stranger.status, 401);
    let challenge = &stranger.headers[WWW_AUTHENTICATE];
    assert_eq!(challenge, r#"Bearer realm="127.0.0.1""#);
    assert_eq!(stranger.body, r#"{"message":"Unauthorized"}"#);

    for _ in 0..2 {
        let known = get(&url, Some(&token)).await;
        assert_eq!((known.status, known.body), (200, subject.clone()));
    }
    assert_eq!(idp.count(Endpoint::Jwks), 1);

    let (rest, signature) = token.rsplit_once('.').expect("three parts");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{rest}.{flipped}{}", &signature[1..]);
    let forger = get(&url, Some(&tampered)).await;
    assert_eq!(forger.status, 401);
    let challenge = &forger.headers[WWW_AUTHENTICATE];
    assert_eq!(
        challenge,
        r#"Bearer realm="127.0.0.1", error="invalid_token""#
    );

    let url = serve(Some("nobody-grants-it")).await;
    let limited = get(&url, Some(&token)).await;
    assert_eq!(limited.status, 403);
    let challenge = &limited.headers[WWW_AUTHENTICATE];
    assert_eq!(
        challenge,
        r#"Bearer realm="127.0.0.1", error="insufficient_scope""#
    );
    assert_eq!(limited.body, r#"{"message":"Forbidden"}"#);
}

/// A service as hyper is given one.
#[derive(Clone)]
struct Whoami;

impl Service<Request<Incoming>> for Whoami {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let granted = request.extensions().get::<Arc<Granted>>();
        let subject = granted.and_then(|granted| granted.claims()?.subject());
        let subject = subject.expect("somebody").to_owned();
        ready(Ok(Response::new(Full::from(subject))))
    }
}

#[tokio::test]
async fn hyper_serves_it_as_well() {
    let idp = EmbeddedIdp::start().await.expect("a provider");
    let realm = idp.realm(&Realm::seed("kong"));
    let provider = Provider::new(&realm.issuer()).expect("an issuer");
    let mut policy = GrantPolicy::new(provider, Vec::new());
    policy.access_tokens.bearer = true;
    let transport = Arc::new(HttpTransport::new().expect("TLS"));
    let broker = Broker::builder(transport).build().expect("randomness");
    let service = AuthenticateLayer::new(broker, policy).layer(Whoami);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    let tokens = realm.log_in(USER, PASSWORD, ClientLogin::service());
    let token = tokens.await.expect("logged in").access_token;
    assert_eq!(get(&url, None).await.status, 401);
    let known = get(&url, Some(&token)).await;
    assert_eq!(known.status, 200);
    assert_eq!(
        known.body,
        claims(&token)["sub"].as_str().expect("somebody")
    );
}
