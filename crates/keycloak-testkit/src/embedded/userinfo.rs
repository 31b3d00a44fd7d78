//! What a token tells of its user, to who may use the token (OpenID Connect Core §5.3, RFC 6750 §3,
//! RFC 8705 §3, RFC 9449 §7).

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::authenticate::Form;
use super::dpop::ALGORITHMS;
use super::issue::profile;
use super::mappers::mapped;
use super::possession::{OTHER_CERTIFICATE, Presented};
use super::refusal::json_response;
use super::state::LiveRealm;

/// What Keycloak says of every token that is not good, and of every proof.
const BAD_TOKEN: &str = "error=\"invalid_token\", error_description=\"Token verification failed\"";

/// A refusal's scheme, status, and what comes after the realm.
struct Challenge(Scheme, StatusCode, String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Dpop,
}

impl LiveRealm {
    pub(super) fn userinfo(&self, request: &Request<Bytes>, form: &Form) -> Response<Bytes> {
        match self.user_of(request, form) {
            Ok(answer) => answer,
            Err(challenge) => self.challenge(&challenge),
        }
    }

    fn user_of(&self, request: &Request<Bytes>, form: &Form) -> Result<Response<Bytes>, Challenge> {
        let unauthorized =
            |scheme, rest: &str| Challenge(scheme, StatusCode::UNAUTHORIZED, rest.to_owned());
        let (scheme, token) = presented_token(request)
            .or_else(|| Some((Scheme::Bearer, form.get("access_token")?)))
            .ok_or_else(|| unauthorized(Scheme::Bearer, ""))?;
        let bad = || unauthorized(scheme, BAD_TOKEN);
        let claims = self.active_claims(&self.state(), token).ok_or_else(bad)?;
        let presented = Presented::by(request);
        let bound = |name: &str| claims.get("cnf")?.get(name)?.as_str();
        if (scheme == Scheme::Dpop) != bound("jkt").is_some() {
            return Err(bad());
        }
        if let Some(key) = bound("jkt") {
            match self.proven_key(&presented, Some(token)) {
                Ok(proven) if proven == key => {}
                Err(refusal) if refusal.error == "use_dpop_nonce" => {
                    return Err(unauthorized(scheme, "error=\"use_dpop_nonce\""));
                }
                _ => return Err(bad()),
            }
        }
        if let Some(certificate) = bound("x5t#S256")
            && presented.thumbprint().as_deref() != Some(certificate)
        {
            let rest =
                format!("error=\"invalid_token\", error_description=\"{OTHER_CERTIFICATE}\"");
            return Err(unauthorized(scheme, &rest));
        }
        let scope = claims.get("scope").and_then(Value::as_str);
        if !scope.is_some_and(|scope| scope.split(' ').any(|one| one == "openid")) {
            let rest = "error=\"insufficient_scope\", error_description=\"Missing openid scope\"";
            return Err(Challenge(scheme, StatusCode::FORBIDDEN, rest.to_owned()));
        }
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok(self.told(&claims, subject))
    }

    /// What the client may know of the user, signed if it is set so.
    fn told(&self, claims: &Value, subject: &str) -> Response<Bytes> {
        let state = self.state();
        let client = claims["azp"].as_str().and_then(|id| state.client(id));
        let mut answer = Map::new();
        answer.insert("sub".to_owned(), json!(subject));
        if let Some(account) = state.account(subject) {
            answer.extend(profile(account));
            if let Some(client) = client {
                answer.extend(mapped(client, account));
            }
        }
        let signing = client.filter(|client| client.signed_userinfo);
        if let Some(client) = signing {
            answer.insert("iss".to_owned(), json!(self.issuer));
            answer.insert("aud".to_owned(), json!(client.id));
        }
        let answer = Value::Object(answer);
        let answer = self.alterations.apply(|set| &set.userinfo, answer);
        let mut response = json_response(StatusCode::OK, &answer);
        if signing.is_some() {
            *response.body_mut() = Bytes::from(state.signing_key().sign(&answer));
            let jwt = HeaderValue::from_static("application/jwt");
            response.headers_mut().insert(header::CONTENT_TYPE, jwt);
        }
        response
    }

    fn challenge(&self, Challenge(scheme, status, rest): &Challenge) -> Response<Bytes> {
        let realm = format!("realm=\"{}\"", self.state().realm.name);
        let mut text = match scheme {
            Scheme::Bearer => format!("Bearer {realm}"),
            Scheme::Dpop => format!("DPoP algs=\"{}\", {realm}", ALGORITHMS.join(" ")),
        };
        if !rest.is_empty() {
            text.push_str(", ");
            text.push_str(rest);
        }
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = *status;
        if let Ok(value) = HeaderValue::from_str(&text) {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if rest.contains("use_dpop_nonce") {
            self.add_nonce(&mut response);
        }
        response
    }

    /// What the next proof of possession is to contain (RFC 9449 §8).
    pub(super) fn add_nonce(&self, response: &mut Response<Bytes>) {
        let nonce = self.state().dpop_nonce.clone();
        let value = nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok());
        if let Some(value) = value {
            response.headers_mut().insert("dpop-nonce", value);
        }
    }
}

fn presented_token(request: &Request<Bytes>) -> Option<(Scheme, &str)> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = [("bearer", Scheme::Bearer), ("dpop", Scheme::Dpop)];
    let (_, scheme) = known
        .into_iter()
        .find(|(name, _)| scheme.eq_ignore_ascii_case(name))?;
    Some((scheme, token))
}
