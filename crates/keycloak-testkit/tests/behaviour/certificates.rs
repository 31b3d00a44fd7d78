//! Clients with certificates: authentication by them, and tokens bound to them (RFC 8705).

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use keycloak_testkit::pki::{Authority, Identity};
use keycloak_testkit::seed::{CERT_BOUND_SECRET, PASSWORD, USER};
use keycloak_testkit::{
    Call, ClientLogin, Endpoint, Fault, IdentityProvider, TokenCall, Tokens, claims,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::support::{CLIENT, assert_refused, get, refusal};

/// The subject of the seed realm's client, as its certificate has it.
const SUBJECT: &str = "CN=JohnDoe, OU=IT";

const OTHER: &str =
    "Client certificate missing, or its thumbprint and one in the token did NOT match";

fn shared() -> &'static Authority {
    Authority::shared()
}

pub(crate) async fn authenticates_a_client_by_its_subject(idp: &dyn IdentityProvider) {
    let john = shared().client(SUBJECT);
    let login = || ClientLogin::certificate("client-tls-auth", &john);
    let tokens = idp.log_in(USER, PASSWORD, login()).await.unwrap();
    assert_eq!(tokens.claims()["iss"], json!(idp.issuer()));
    assert_eq!(tokens.claims()["cnf"], Value::Null);
    let newer = idp.refresh(tokens.refresh(), login()).await.unwrap();
    idp.introspect(&newer.access_token, login()).await.unwrap();
    idp.end_session(newer.refresh(), login()).await.unwrap();

    for subject in ["CN=JohnDoe", "OU=IT, CN=JohnDoe", "CN=johndoe, OU=IT"] {
        let login = ClientLogin::certificate("client-tls-auth", &shared().client(subject));
        let answer = idp.log_in(USER, PASSWORD, login).await.map_err(refusal);
        assert_refused(answer, 401, "invalid_client", CLIENT);
    }
    for stranger in [
        Authority::new("another").client(SUBJECT),
        shared().expired_client(SUBJECT),
    ] {
        let login = ClientLogin::certificate("client-tls-auth", &stranger);
        let error = idp.log_in(USER, PASSWORD, login).await.unwrap_err();
        assert!(error.refusal().is_none(), "the handshake fails: {error}");
    }
}

pub(crate) async fn binds_tokens_to_a_certificate(idp: &dyn IdentityProvider) {
    let (ours, theirs) = (shared().client("CN=ours"), shared().client("CN=theirs"));
    let login = || ClientLogin::post("cert-bound", CERT_BOUND_SECRET);
    let grant = |certificate: Option<&Identity>, call: TokenCall| {
        let call = match certificate {
            Some(one) => call.certificate(one),
            None => call,
        };
        async move { idp.token(&call).await.map_err(refusal) }
    };
    let password = || TokenCall::password(USER, PASSWORD, login()).scope("openid");
    assert_refused(
        grant(None, password()).await,
        400,
        "invalid_request",
        "Client Certification missing for MTLS HoK Token Binding",
    );
    let first = grant(Some(&ours), password()).await.unwrap();
    let bound = json!({"x5t#S256": ours.thumbprint()});
    assert_eq!(first.claims()["cnf"], bound);
    assert_eq!(claims(first.refresh())["cnf"], bound);
    assert_eq!(first.token_type, "Bearer");

    let refresh = |tokens: &Tokens| TokenCall::refresh(tokens.refresh(), login());
    for other in [None, Some(&theirs)] {
        let answer = grant(other, refresh(&first)).await;
        assert_refused(answer, 401, "unauthorized_client", OTHER);
    }
    let second = grant(Some(&ours), refresh(&first)).await.unwrap();
    assert_eq!(second.claims()["cnf"], bound);
    let own = TokenCall::client_credentials(login());
    assert_eq!(
        grant(Some(&ours), own).await.unwrap().claims()["cnf"],
        bound
    );

    let call = Call::get().bearer(&second.access_token);
    let good = call.clone().certificate(&ours);
    let reply = idp.call(Endpoint::Userinfo, &good).await.unwrap();
    assert_eq!(reply.body["preferred_username"], USER);
    for call in [call.clone(), call.certificate(&theirs)] {
        let reply = idp.call(Endpoint::Userinfo, &call).await.unwrap();
        assert_eq!(reply.status, 401);
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.contains(OTHER), "{challenge}");
    }
}

pub(crate) async fn counts_and_breaks_by_https_too(idp: &dyn IdentityProvider) {
    let tls = idp.tls().unwrap();
    let (_, metadata) = get(&idp.url(Endpoint::Discovery)).await;
    let aliases = &metadata["mtls_endpoint_aliases"];
    assert_eq!(aliases["token_endpoint"], json!(tls.token_endpoint()));
    assert_eq!(
        aliases["userinfo_endpoint"],
        json!(tls.url(Endpoint::Userinfo))
    );
    assert_eq!(metadata["token_endpoint"], json!(idp.token_endpoint()));

    let john = shared().client(SUBJECT);
    let send = || {
        let form = format!(
            "grant_type=password&username={USER}&password={PASSWORD}&client_id=client-tls-auth"
        );
        post(tls.authority_file(), &john, tls.token_endpoint(), form)
    };
    assert_eq!(send().await, Ok(200));
    let requests = idp.wait_for_token_requests(1).await;
    assert_eq!(requests[0].authentication, "tls_client_auth");
    assert_eq!(requests[0].client_id.as_deref(), Some("client-tls-auth"));
    assert_eq!(requests[0].certificate, Some(john.thumbprint()));
    assert_eq!(requests[0].status, Some(200));
    idp.faults().next(Endpoint::Token, 1, Fault::status(503));
    assert_eq!(send().await, Ok(503));
    idp.go_down().await;
    send().await.unwrap_err();
    idp.come_back().await.unwrap();
    assert_eq!(send().await, Ok(200));
}

/// What a program under test does: it knows the authority's file, and its own certificate.
async fn post(
    authority: &std::path::Path,
    identity: &Identity,
    url: String,
    form: String,
) -> Result<u16, String> {
    let mut roots = RootCertStore::empty();
    let file = CertificateDer::from_pem_file(authority).unwrap();
    roots.add(file).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(identity.certificate_pem().as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http2()
        .build();
    let client: HttpClient<_, Full<Bytes>> =
        HttpClient::builder(TokioExecutor::new()).build(connector);
    let request = Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(form))
        .unwrap();
    let response = client.request(request).await;
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await;
    Ok(status)
}
