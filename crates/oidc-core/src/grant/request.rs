//! The token request that a grant sends: RFC 6749 §4.3.2, §4.4.2 and §6, RFC 7523 §2.2.

use std::fmt;

use url::{Url, form_urlencoded};

use super::policy::GrantPolicy;
use crate::client::assertion::AssertionClaims;
use crate::client::{Client, ClientAuthentication};
use crate::provider::shown;
use crate::{Credential, Denial, Reason, Secret, UnixTime};

/// When a step is taken, and 16 bytes of randomness for it: this crate has neither of its own.
#[derive(Clone, Copy)]
pub struct Moment {
    /// The time.
    pub now: UnixTime,
    /// Randomness, never used twice: it makes a client assertion's `jti`.
    pub random: [u8; 16],
}

/// An HTTP request to a token endpoint, complete but for the sending.
///
/// It has to be sent at most once: a refresh token that is replayed after a rotation ends the
/// session at a provider that detects reuse.
#[derive(Clone)]
#[must_use]
pub struct TokenRequest {
    url: Url,
    headers: Vec<(String, Secret)>,
    body: Secret,
}

impl TokenRequest {
    /// Where it goes, by POST.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Its headers, by lower-case name; `content-type` and `accept` among them.
    #[must_use]
    pub fn headers(&self) -> &[(String, Secret)] {
        &self.headers
    }

    /// Its body, a form.
    #[must_use]
    pub const fn body(&self) -> &Secret {
        &self.body
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest(POST {}, [redacted])", shown(&self.url))
    }
}

/// Room for a refresh token and a client assertion of a provider such as Keycloak.
const FORM_CAPACITY: usize = 4096;

/// The request of this grant.
///
/// # Errors
/// If the client's assertion cannot be signed.
pub(super) fn build(
    policy: &GrantPolicy,
    client: &Client,
    credential: &Credential,
    token_endpoint: &Url,
    issuer: &str,
    moment: Moment,
) -> Result<TokenRequest, Denial> {
    // Large enough, as a rule, not to leave copies of secrets behind in growing.
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(FORM_CAPACITY));
    let mut headers = vec![
        (
            "content-type".to_owned(),
            Secret::new("application/x-www-form-urlencoded"),
        ),
        ("accept".to_owned(), Secret::new("application/json")),
    ];
    form.append_pair("grant_type", grant_type(credential)?);
    // The caller's own client, in a client credentials grant; otherwise one of ours.
    let callers;
    let client = match credential {
        Credential::RefreshToken(token) => {
            form.append_pair("refresh_token", token.expose());
            client
        }
        Credential::Password { username, password } => {
            form.append_pair("username", username)
                .append_pair("password", password.expose());
            client
        }
        Credential::ClientCredentials {
            client_id,
            client_secret,
        } => {
            callers = callers_client(client, client_id, client_secret);
            &callers
        }
        Credential::Bearer(_) => client,
    };
    if !matches!(credential, Credential::RefreshToken(_)) && !policy.scopes.is_empty() {
        form.append_pair("scope", &policy.scopes.join(" "));
    }
    for audience in &policy.audience {
        form.append_pair("audience", audience);
    }
    for (name, value) in &policy.token_post_args {
        form.append_pair(name, value.expose());
    }
    let jti = moment
        .random
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let authenticated = client
        .authentication()
        .authenticate(&AssertionClaims {
            client_id: client.id(),
            // One audience, and the issuer: what Keycloak takes, and RFC 7523bis asks for.
            audience: issuer,
            now: moment.now,
            lifetime: policy.assertion_lifetime,
            jti: &jti,
        })
        .map_err(|error| Denial::new(Reason::AssertionFailed).with_hint(&error.to_string()))?;
    for (name, value) in &authenticated.form {
        form.append_pair(name, value.expose());
    }
    headers.retain(|(name, _)| policy.token_headers.iter().all(|(other, _)| other != name));
    headers.extend(policy.token_headers.iter().cloned());
    if let Some(authorization) = authenticated.authorization {
        headers.retain(|(name, _)| name != "authorization");
        headers.push(("authorization".to_owned(), authorization));
    }
    Ok(TokenRequest {
        url: token_endpoint.clone(),
        headers,
        body: Secret::new(form.finish()),
    })
}

fn grant_type(credential: &Credential) -> Result<&'static str, Denial> {
    match credential {
        Credential::RefreshToken(_) => Ok("refresh_token"),
        Credential::Password { .. } => Ok("password"),
        Credential::ClientCredentials { .. } => Ok("client_credentials"),
        Credential::Bearer(_) => Err(Reason::CredentialMissing.into()),
    }
}

/// The caller's id and secret, sent in the form if our own client sends its secret there, and in
/// the `Authorization` header otherwise.
fn callers_client(ours: &Client, id: &str, secret: &Secret) -> Client {
    let authentication = match ours.authentication() {
        ClientAuthentication::SecretPost(_) => ClientAuthentication::SecretPost(secret.clone()),
        _ => ClientAuthentication::SecretBasic(secret.clone()),
    };
    Client::new(id, authentication)
}
