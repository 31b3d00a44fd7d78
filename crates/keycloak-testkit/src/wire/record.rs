//! A token request as the provider saw it (RFC 6749 §2.3, §4, §6; RFC 7523 §2.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use jsonwebtoken::dangerous::insecure_decode_claims;
use serde_json::Value;

use super::Peer;
use crate::pki::thumbprint;

/// A request to the token endpoint, as it came.
#[derive(Clone)]
pub struct TokenRequest {
    /// The realm in the path.
    pub realm: String,
    /// `grant_type`, empty if there was none.
    pub grant: String,
    /// The client named in the header, the form or the assertion.
    pub client_id: Option<String>,
    /// How the client authenticated, as discovery names the methods: `client_secret_basic`,
    /// `client_secret_post`, `client_secret_jwt`, `private_key_jwt`, `tls_client_auth` (a
    /// certificate and nothing else) or `none`; several are joined by `+`, which RFC 6749 §2.3
    /// forbids.
    pub authentication: String,
    /// The form, in order.
    pub params: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The thumbprint of the client's certificate, as `x5t#S256` says it.
    pub certificate: Option<String>,
    /// What was answered, as soon as it was.
    pub status: Option<u16>,
}

impl TokenRequest {
    pub(crate) fn read(request: &Request<Bytes>) -> Self {
        let params: Vec<(String, String)> = url::form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        let realm = request
            .uri()
            .path()
            .split('/')
            .skip_while(|segment| *segment != "realms")
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let headers = request.headers().clone();
        let find = |name: &str| {
            let found = params.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let basic = headers.get(header::AUTHORIZATION).and_then(basic);
        let assertion = find("client_assertion");
        let mut methods = Vec::new();
        if basic.is_some() {
            methods.push("client_secret_basic");
        }
        if find("client_secret").is_some() {
            methods.push("client_secret_post");
        }
        if let Some(assertion) = &assertion {
            methods.push(if is_symmetric(assertion) {
                "client_secret_jwt"
            } else {
                "private_key_jwt"
            });
        }
        let peer = request.extensions().get::<Peer>();
        let certificate = peer.and_then(|peer| Some(thumbprint(peer.certificate.as_ref()?)));
        if methods.is_empty() {
            methods.push(match certificate {
                Some(_) => "tls_client_auth",
                None => "none",
            });
        }
        let client_id = basic
            .map(|(id, _)| id)
            .or_else(|| find("client_id"))
            .or_else(|| assertion.as_deref().and_then(subject));
        Self {
            realm,
            grant: find("grant_type").unwrap_or_default(),
            client_id,
            authentication: methods.join("+"),
            params,
            headers,
            certificate,
            status: None,
        }
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.params.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("TokenRequest")
            .field("realm", &self.realm)
            .field("grant", &self.grant)
            .field("client_id", &self.client_id)
            .field("authentication", &self.authentication)
            .field("params", &names)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Id and secret of a `Basic` header, each form-decoded (RFC 6749 §2.3.1).
pub(crate) fn basic(value: &http::HeaderValue) -> Option<(String, String)> {
    let value = value.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    let pair = format!("v={}", text.replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn subject(assertion: &str) -> Option<String> {
    let claims: Value = insecure_decode_claims(assertion).ok()?;
    Some(claims.get("sub")?.as_str()?.to_owned())
}

fn is_symmetric(assertion: &str) -> bool {
    jsonwebtoken::decode_header(assertion)
        .is_ok_and(|header| format!("{:?}", header.alg).starts_with("HS"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::TokenRequest;
    use crate::keys::{Algorithm, SigningKey, secret_assertion};

    fn read(authorization: Option<&str>, form: &str) -> TokenRequest {
        let mut request = Request::post("/realms/kong/protocol/openid-connect/token");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let request = request
            .body(Bytes::copy_from_slice(form.as_bytes()))
            .expect("a request");
        TokenRequest::read(&request)
    }

    #[test]
    fn names_the_client_and_its_method() {
        let signed = SigningKey::generate(Algorithm::Es256).assertion("kong", "x");
        let symmetric = secret_assertion("kong", "x", "secret");
        let cases = [
            (
                Some("Basic a29uZzpzJTNBdA=="),
                String::new(),
                "client_secret_basic",
            ),
            (
                None,
                "client_id=kong&client_secret=x".to_owned(),
                "client_secret_post",
            ),
            (
                None,
                format!("client_assertion={signed}"),
                "private_key_jwt",
            ),
            (
                None,
                format!("client_assertion={symmetric}"),
                "client_secret_jwt",
            ),
            (None, "client_id=kong".to_owned(), "none"),
            (
                Some("basic a29uZzpzJTNBdA=="),
                "client_secret=x".to_owned(),
                "client_secret_basic+client_secret_post",
            ),
        ];
        for (authorization, form, method) in cases {
            let request = read(authorization, &form);
            assert_eq!(request.authentication, method);
            assert_eq!(request.client_id.as_deref(), Some("kong"), "{method}");
            assert_eq!(request.realm, "kong");
        }
    }

    #[test]
    fn debug_shows_names_but_no_values() {
        let request = read(None, "grant_type=refresh_token&refresh_token=canary");
        let text = format!("{request:?}");
        assert!(
            text.contains("refresh_token") && !text.contains("canary"),
            "{text}"
        );
    }
}
