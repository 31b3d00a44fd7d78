//! From a request to the endpoint that answers it.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::json;

use super::Realms;
use super::authenticate::Form;
use super::metadata::metadata;
use super::possession::Presented;
use super::refusal::{invalid_request, json_response, response};
use super::state::LiveRealm;
use crate::wire::{AnswerFuture, Responder};
use crate::{Endpoint, Refusal};

impl Responder for Realms {
    fn answer(&self, request: Request<Bytes>) -> AnswerFuture<'_> {
        Box::pin(async move {
            let mut segments = request.uri().path().split('/').skip(1);
            if segments.next() != Some("realms") {
                return Ok(not_found("Unable to find matching target resource method"));
            }
            let name = segments.next().unwrap_or_default();
            let Some(realm) = self.find(name) else {
                return Ok(not_found("Realm does not exist"));
            };
            Ok(realm.respond(&request).await)
        })
    }
}

impl LiveRealm {
    async fn respond(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let endpoint = Endpoint::of(request.uri().path());
        let is_get = request.method() == Method::GET;
        match endpoint {
            Endpoint::Discovery if is_get => {
                let document = metadata(&self.issuer, &self.tls);
                let document = self.alterations.apply(|set| &set.discovery, document);
                json_response(StatusCode::OK, &document)
            }
            Endpoint::Jwks if is_get => {
                let keys = self.alterations.apply(|set| &set.jwks, self.jwks());
                json_response(StatusCode::OK, &keys)
            }
            Endpoint::Userinfo => match Form::read(request.body()) {
                Ok(form) => self.userinfo(request, &form),
                Err(refusal) => response(&refusal),
            },
            Endpoint::Token | Endpoint::Introspection | Endpoint::Revocation | Endpoint::Logout
                if request.method() == Method::POST =>
            {
                self.post(endpoint, request)
                    .await
                    .unwrap_or_else(|refusal| self.refused(&refusal))
            }
            Endpoint::Other => not_found("Unable to find matching target resource method"),
            _ => json_response(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"error": "HTTP 405 Method Not Allowed"}),
            ),
        }
    }

    /// A refusal, with the nonce that a proof of possession is to have.
    fn refused(&self, refusal: &Refusal) -> Response<Bytes> {
        let mut response = response(refusal);
        if refusal.error == "use_dpop_nonce" {
            self.add_nonce(&mut response);
        }
        response
    }

    async fn post(
        &self,
        endpoint: Endpoint,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let body: &[u8] = if is_form { request.body() } else { b"" };
        let form = Form::read(body)?;
        if endpoint == Endpoint::Token && form.get("grant_type").is_none() {
            return Err(invalid_request("Missing form parameter: grant_type"));
        }
        let presented = Presented::by(request);
        let client = self
            .authenticate(request.headers(), &form, &presented)
            .await;
        match endpoint {
            Endpoint::Token => {
                let tokens = self.grant(&client?, &form, &presented)?;
                Ok(json_response(StatusCode::OK, &tokens))
            }
            Endpoint::Introspection => {
                let client = client.map_err(introspection_refusal)?;
                self.introspection(&client, &form, request.headers())
            }
            Endpoint::Revocation => self.revocation(&client?, &form),
            _ => self.logout(&client?, &form),
        }
    }
}

/// The introspection endpoint has words of its own for a wrong secret.
fn introspection_refusal(refusal: Refusal) -> Refusal {
    if refusal.error == "unauthorized_client" {
        Refusal::new(401, "invalid_client", "Client authentication failed.")
    } else {
        refusal
    }
}

fn not_found(error: &str) -> Response<Bytes> {
    json_response(StatusCode::NOT_FOUND, &json!({"error": error}))
}
