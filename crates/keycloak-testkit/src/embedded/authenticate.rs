//! Client authentication at the token endpoint and its neighbours (RFC 6749 §2.3, RFC 7523 §3,
//! RFC 8705 §2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Header};
use serde_json::Value;

use super::possession::Presented;
use super::refusal::{bad_assertion, invalid_request, unknown_client, wrong_secret};
use super::state::LiveRealm;
use crate::call::ASSERTION_TYPE;
use crate::clock;
use crate::pki::{Parties, Subject, thumbprint};
use crate::provider::path;
use crate::realm::{ClientAuthentication, ClientKeys};
use crate::wire::basic;
use crate::{Client, Endpoint, Refusal};

/// How long an assertion may be old, and how far ahead its end may be if it has no `iat`.
const ASSERTION_AGE: u64 = 60;

/// By how much clocks may differ.
const SKEW: u64 = 15;

/// The parameters of a request, each at most once (RFC 6749 §3.2).
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let params: Vec<(String, String)> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let repeated = params
            .iter()
            .enumerate()
            .any(|(index, (name, _))| params[..index].iter().any(|(other, _)| other == name));
        if repeated {
            return Err(invalid_request("duplicated parameter"));
        }
        Ok(Self(params))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl LiveRealm {
    /// The client that the request proves to come from.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        form: &Form,
        presented: &Presented,
    ) -> Result<Client, Refusal> {
        let basic = headers.get(header::AUTHORIZATION).and_then(basic);
        let assertion = form
            .get("client_assertion")
            .filter(|_| form.get("client_assertion_type") == Some(ASSERTION_TYPE));
        let asserted: Option<Value> =
            assertion.and_then(|assertion| insecure_decode_claims(assertion).ok());
        let id = match (&basic, form.get("client_id"), &asserted) {
            (Some((id, _)), _, _) => id.clone(),
            (None, Some(id), _) => id.to_owned(),
            (None, None, Some(claims)) => subject(claims).ok_or_else(unknown_client)?.to_owned(),
            (None, None, None) => return Err(unknown_client()),
        };
        let client = self.state().client(&id).cloned();
        let client = client
            .filter(|client| client.enabled)
            .ok_or_else(unknown_client)?;
        match &client.authentication {
            ClientAuthentication::None => Ok(client),
            ClientAuthentication::Secret(secret) => {
                if assertion.is_some() && basic.is_none() && form.get("client_secret").is_none() {
                    return Err(unknown_client());
                }
                let presented = basic
                    .as_ref()
                    .map(|(_, secret)| secret.as_str())
                    .or_else(|| form.get("client_secret"));
                if presented == Some(secret) {
                    Ok(client)
                } else {
                    Err(wrong_secret())
                }
            }
            ClientAuthentication::Certificate { subject } => {
                let shown = presented.certificate.as_deref().and_then(Parties::of);
                let fits = shown.is_some_and(|shown| {
                    !shown.self_issued && Subject::read(subject) == Some(shown.subject)
                });
                fits.then_some(client).ok_or_else(unknown_client)
            }
            ClientAuthentication::SelfSigned(jwks) => {
                let shown = presented.certificate.as_deref();
                let known = shown.is_some_and(|shown| is_among(jwks, shown));
                known.then_some(client).ok_or_else(unknown_client)
            }
            ClientAuthentication::SecretJwt(_) | ClientAuthentication::PrivateKeyJwt(_) => {
                if form.get("client_assertion_type").is_none() {
                    return Err(bad_assertion("Parameter client_assertion_type is missing"));
                }
                let Some(assertion) = form.get("client_assertion") else {
                    return Err(bad_assertion("client_assertion parameter missing"));
                };
                let claims = asserted.ok_or_else(unknown_client)?;
                self.check_assertion(&client, assertion, &claims).await?;
                Ok(client)
            }
        }
    }

    async fn check_assertion(
        &self,
        client: &Client,
        assertion: &str,
        claims: &Value,
    ) -> Result<(), Refusal> {
        if claims.get("iss") != claims.get("sub") || subject(claims).is_none() {
            return Err(unknown_client());
        }
        if subject(claims) != Some(&client.id) {
            return Err(wrong_secret());
        }
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| unknown_client())?;
        self.check_signature(client, assertion, &header).await?;
        self.check_audience(claims)?;
        check_times(claims)?;
        let Some(id) = claims.get("jti").and_then(Value::as_str) else {
            return Err(bad_assertion("Token jti claim is required"));
        };
        if self.state().spent.insert(id.to_owned()) {
            Ok(())
        } else {
            Err(bad_assertion("Token reuse detected"))
        }
    }

    async fn check_signature(
        &self,
        client: &Client,
        assertion: &str,
        header: &Header,
    ) -> Result<(), Refusal> {
        let alg = format!("{:?}", header.alg);
        let (key, failed) = match &client.authentication {
            ClientAuthentication::SecretJwt(secret) => {
                if !alg.starts_with("HS") {
                    return Err(bad_assertion("Invalid signature algorithm"));
                }
                let failed = Refusal::new(
                    400,
                    "unauthorized_client",
                    "Client authentication with client secret signed JWT failed: \
                     Signature on JWT token by client secret  failed validation",
                );
                (DecodingKey::from_secret(secret.as_bytes()), failed)
            }
            ClientAuthentication::PrivateKeyJwt(keys) => {
                if alg != client.assertion_algorithm {
                    return Err(bad_assertion("Invalid signature algorithm"));
                }
                let failed = bad_assertion(
                    "Client authentication with signed JWT failed: \
                     Signature on JWT token failed validation",
                );
                (self.client_key(keys, header.kid.as_deref()).await?, failed)
            }
            _ => return Err(unknown_client()),
        };
        let Some((message, signature)) = assertion.rsplit_once('.') else {
            return Err(failed);
        };
        match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, header.alg) {
            Ok(true) => Ok(()),
            _ => Err(failed),
        }
    }

    /// The client's key with this id. Keycloak asks for an unknown one again every ten seconds at
    /// most; here it is asked for at once.
    async fn client_key(
        &self,
        keys: &ClientKeys,
        kid: Option<&str>,
    ) -> Result<DecodingKey, Refusal> {
        let found = match keys {
            ClientKeys::Jwks(jwks) => find(jwks, kid),
            ClientKeys::Url(url) => {
                let mut fetched = self.fetched.lock().await;
                match fetched.get(url).and_then(|jwks| find(jwks, kid)) {
                    Some(key) => Some(key),
                    None => {
                        let jwks = self.fetch(url).await?;
                        let key = find(&jwks, kid);
                        fetched.insert(url.clone(), jwks);
                        key
                    }
                }
            }
        };
        found.ok_or_else(|| bad_assertion("Unable to load public key"))
    }

    async fn fetch(&self, url: &str) -> Result<Value, Refusal> {
        let failed = |reason: &str| {
            bad_assertion(&format!(
                "Client authentication with signed JWT failed: \
                 Error when loading public keys: {reason}"
            ))
        };
        let request = Request::get(url)
            .body(Bytes::new())
            .map_err(|_| failed("malformed address"))?;
        let response = self
            .http
            .send(request)
            .await
            .map_err(|error| failed(&error.to_string()))?;
        serde_json::from_slice(response.body()).map_err(|_| failed("no JSON"))
    }

    fn check_audience(&self, claims: &Value) -> Result<(), Refusal> {
        let audience = match claims.get("aud") {
            Some(Value::String(audience)) => audience.as_str(),
            Some(Value::Array(several)) if several.len() > 1 => {
                return Err(bad_assertion("Multiple audiences not allowed"));
            }
            Some(Value::Array(one)) => one.first().and_then(Value::as_str).unwrap_or_default(),
            _ => "",
        };
        let accepted = [Endpoint::Token, Endpoint::Introspection]
            .map(|endpoint| format!("{}{}", self.issuer, path(endpoint)));
        if audience == self.issuer || accepted.iter().any(|url| url == audience) {
            Ok(())
        } else {
            Err(bad_assertion("Invalid token audience"))
        }
    }
}

fn check_times(claims: &Value) -> Result<(), Refusal> {
    let time = |name: &str| claims.get(name).and_then(Value::as_u64);
    let now = clock::now();
    let Some(exp) = time("exp") else {
        return Err(bad_assertion("Token exp claim is required"));
    };
    if exp + SKEW < now || time("nbf").is_some_and(|nbf| nbf > now + SKEW) {
        return Err(bad_assertion("Token is not active"));
    }
    match time("iat") {
        Some(iat) if iat > now + SKEW => Err(bad_assertion("Token was issued in the future")),
        Some(iat) if iat + ASSERTION_AGE + SKEW < now => Err(bad_assertion(
            "Token was issued too far in the past to be used now",
        )),
        None if exp > now + ASSERTION_AGE + SKEW => Err(bad_assertion(
            "Token expiration is too far in the future and iat claim not present in token",
        )),
        _ => Ok(()),
    }
}

fn subject(claims: &Value) -> Option<&str> {
    claims.get("sub")?.as_str()
}

/// Whether a JWK Set has this certificate (RFC 8705 §2.2.2).
fn is_among(jwks: &Value, certificate: &[u8]) -> bool {
    let keys = jwks.get("keys").and_then(Value::as_array);
    let (whole, hash) = (STANDARD.encode(certificate), thumbprint(certificate));
    keys.into_iter().flatten().any(|key| {
        let first = key.get("x5c").and_then(|chain| chain.get(0));
        first.is_some_and(|first| *first == *whole)
            || key.get("x5t#S256").is_some_and(|known| *known == *hash)
    })
}

fn find(jwks: &Value, kid: Option<&str>) -> Option<DecodingKey> {
    let keys = jwks.get("keys")?.as_array()?;
    let usable = |key: &&Value| key.get("use").is_none_or(|usage| usage == "sig");
    let wanted = |key: &&Value| kid.is_none_or(|kid| key.get("kid").is_some_and(|id| id == kid));
    let key = keys.iter().filter(usable).find(wanted)?;
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    DecodingKey::from_jwk(&jwk).ok()
}
