//! The requests that a grant sends to the provider: RFC 6749 §4.3.2, §4.4.2 and §6, RFC 7523 §2.2,
//! RFC 7662 §2.1, RFC 8693 §2.1, OIDC Core §5.3.1.

use std::fmt;

use aws_lc_rs::digest;
use url::{Url, form_urlencoded};

use super::policy::GrantPolicy;
use crate::client::assertion::AssertionClaims;
use crate::client::{Client, ClientAuthentication};
use crate::jose::{Claims, CompactJws};
use crate::provider::{Endpoint, shown};
use crate::{Credential, Denial, Reason, Secret, UnixTime};

/// When a step is taken, and 16 bytes of randomness for it: this crate has neither of its own.
#[derive(Clone, Copy)]
pub struct Moment {
    /// The time.
    pub now: UnixTime,
    /// Randomness, never used twice: it makes a client assertion's `jti`.
    pub random: [u8; 16],
}

/// An HTTP request to the provider, complete but for the sending.
///
/// It has to be sent at most once: a refresh token that is replayed after a rotation ends the
/// session at a provider that detects reuse.
#[derive(Clone)]
#[must_use]
pub struct ProviderRequest {
    endpoint: Endpoint,
    url: Url,
    headers: Vec<(String, Secret)>,
    body: Option<Secret>,
}

impl ProviderRequest {
    /// Which endpoint it is for.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Where it goes.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Its headers, by lower-case name; `accept` among them, and `content-type` if it has a body.
    #[must_use]
    pub fn headers(&self) -> &[(String, Secret)] {
        &self.headers
    }

    /// The server's nonce that its proof of possession carries.
    pub(super) fn nonce(&self) -> Option<String> {
        let (_, proof) = self.headers.iter().find(|(name, _)| name == "dpop")?;
        let jws = CompactJws::parse(proof.expose()).ok()?;
        let claims = Claims::parse(&jws.payload().ok()?).ok()?;
        claims.text("nonce").map(str::to_owned)
    }

    /// Its body, a form, which goes by POST; a request without one goes by GET.
    #[must_use]
    pub const fn body(&self) -> Option<&Secret> {
        self.body.as_ref()
    }
}

impl fmt::Debug for ProviderRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        write!(
            f,
            "ProviderRequest({method} {}, [redacted])",
            shown(&self.url)
        )
    }
}

/// Room for a refresh token and a client assertion of a provider such as Keycloak.
const FORM_CAPACITY: usize = 4096;

/// A form for an endpoint at which a client authenticates.
pub(super) struct Form<'a> {
    fields: form_urlencoded::Serializer<'a, String>,
}

impl Form<'_> {
    pub(super) fn new() -> Self {
        // Large enough, as a rule, not to leave copies of secrets behind in growing.
        let text = String::with_capacity(FORM_CAPACITY);
        Self {
            fields: form_urlencoded::Serializer::new(text),
        }
    }

    pub(super) fn put(&mut self, name: &str, value: &str) -> &mut Self {
        self.fields.append_pair(name, value);
        self
    }

    /// The request with this form, in which the client proves who it is.
    ///
    /// # Errors
    /// If its assertion cannot be signed.
    pub(super) fn into_request(
        mut self,
        to: &Destination<'_>,
        client: &Client,
        moment: Moment,
    ) -> Result<ProviderRequest, Denial> {
        let jti = moment.id();
        let authenticated = client
            .authentication_at(to.endpoint)
            .authenticate(&AssertionClaims {
                client_id: client.id(),
                // One audience, and the issuer: what Keycloak takes, and RFC 7523bis asks for.
                audience: to.issuer,
                now: moment.now,
                lifetime: to.assertion_lifetime,
                jti: &jti,
            })
            .map_err(|error| Denial::new(Reason::AssertionFailed).with_hint(&error.to_string()))?;
        for (name, value) in &authenticated.form {
            self.put(name, value.expose());
        }
        let mut headers = vec![
            (
                "content-type".to_owned(),
                Secret::new("application/x-www-form-urlencoded"),
            ),
            ("accept".to_owned(), Secret::new(to.accept)),
        ];
        replace(&mut headers, to.headers);
        if let Some(authorization) = authenticated.authorization {
            headers.retain(|(name, _)| name != "authorization");
            headers.push(("authorization".to_owned(), authorization));
        }
        Ok(ProviderRequest {
            endpoint: to.endpoint,
            url: to.url.clone(),
            headers,
            body: Some(Secret::new(self.fields.finish())),
        })
    }
}

/// Where a form goes, and what goes with it.
pub(super) struct Destination<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) url: &'a Url,
    pub(super) issuer: &'a str,
    pub(super) assertion_lifetime: std::time::Duration,
    pub(super) accept: &'static str,
    pub(super) headers: &'a [(String, Secret)],
}

/// The time alone: what the randomness makes is good once.
impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Moment").field(&self.now).finish()
    }
}

impl Moment {
    /// The random part as text: an id that is not used twice.
    pub(super) fn id(&self) -> String {
        self.random
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl Moment {
    /// Another id for the same time: for what is sent beside, or after, what this one was for.
    pub(super) fn again(self) -> Self {
        let hash = digest::digest(&digest::SHA256, &self.random);
        let mut random = [0; 16];
        random.copy_from_slice(&hash.as_ref()[..16]);
        Self { random, ..self }
    }
}

fn replace(headers: &mut Vec<(String, Secret)>, by: &[(String, Secret)]) {
    headers.retain(|(name, _)| by.iter().all(|(other, _)| other != name));
    headers.extend(by.iter().cloned());
}

/// The request of a grant at the token endpoint.
///
/// # Errors
/// If the client's assertion cannot be signed.
pub(super) fn token(
    policy: &GrantPolicy,
    client: &Client,
    credential: &Credential,
    url: &Url,
    issuer: &str,
    moment: Moment,
) -> Result<ProviderRequest, Denial> {
    let mut form = Form::new();
    // The caller's own client, in a client credentials grant; otherwise one of ours.
    let callers;
    let mut client = client;
    let (mut scopes, mut audience) = (&policy.scopes, &policy.audience);
    match credential {
        Credential::RefreshToken(token) => {
            form.put("grant_type", "refresh_token")
                .put("refresh_token", token.expose());
            scopes = const { &Vec::new() };
        }
        Credential::Password { username, password } => {
            form.put("grant_type", "password")
                .put("username", username)
                .put("password", password.expose());
        }
        Credential::ClientCredentials {
            client_id,
            client_secret,
        } => {
            form.put("grant_type", "client_credentials");
            callers = callers_client(client, client_id, client_secret);
            client = &callers;
        }
        Credential::TokenExchange(token) => {
            form.put("grant_type", TOKEN_EXCHANGE)
                .put("subject_token", token.expose())
                .put("subject_token_type", ACCESS_TOKEN)
                .put("requested_token_type", ACCESS_TOKEN);
            if let Some(exchange) = &policy.exchange {
                (scopes, audience) = (&exchange.scopes, &exchange.audience);
            }
        }
        Credential::Bearer(_) | Credential::Introspection(_) | Credential::UserInfo(_) => {
            return Err(Reason::CredentialMissing.into());
        }
    }
    if !scopes.is_empty() {
        form.put("scope", &scopes.join(" "));
    }
    for audience in audience {
        form.put("audience", audience);
    }
    for (name, value) in &policy.token_post_args {
        form.put(name, value.expose());
    }
    let to = Destination {
        endpoint: Endpoint::Token,
        url,
        issuer,
        assertion_lifetime: policy.assertion_lifetime,
        accept: "application/json",
        headers: &policy.token_headers,
    };
    let mut request = form.into_request(&to, client, moment)?;
    if let Some(dpop) = &policy.dpop {
        // Not the assertion's id as well: each is used once.
        let proof = dpop.proof("POST", url, None, moment.again())?;
        request.headers.retain(|(name, _)| name != "dpop");
        request.headers.push(("dpop".to_owned(), proof));
    }
    Ok(request)
}

/// RFC 8693 §2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 §3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The question about a token (RFC 7662 §2.1).
///
/// # Errors
/// If the client's assertion cannot be signed.
pub(super) fn introspection(
    policy: &GrantPolicy,
    client: &Client,
    token: &Secret,
    url: &Url,
    issuer: &str,
    moment: Moment,
) -> Result<ProviderRequest, Denial> {
    let asked = &policy.introspection;
    let mut form = Form::new();
    form.put(&asked.token_param, token.expose());
    if !asked.hint.is_empty() {
        form.put("token_type_hint", &asked.hint);
    }
    for (name, value) in &asked.post_args {
        form.put(name, value.expose());
    }
    let to = Destination {
        endpoint: Endpoint::Introspection,
        url,
        issuer,
        assertion_lifetime: policy.assertion_lifetime,
        accept: asked.accept.media_type(),
        headers: &asked.headers,
    };
    form.into_request(&to, client, moment)
}

/// The question about a token's user (OIDC Core §5.3.1).
///
/// # Errors
/// If a proof of possession is needed and cannot be signed.
pub(super) fn user_info(
    policy: &GrantPolicy,
    token: &Secret,
    url: &Url,
    moment: Moment,
) -> Result<ProviderRequest, Denial> {
    let asked = &policy.user_info;
    let mut url = url.clone();
    if !asked.query_args.is_empty() {
        let mut query = url.query_pairs_mut();
        for (name, value) in &asked.query_args {
            query.append_pair(name, value.expose());
        }
    }
    let mut headers = vec![("accept".to_owned(), Secret::new(asked.accept.media_type()))];
    replace(&mut headers, &asked.headers);
    headers.retain(|(name, _)| name != "authorization");
    let bound = policy.dpop.as_ref().filter(|dpop| dpop.owns(token));
    let scheme = if let Some(dpop) = bound {
        headers.retain(|(name, _)| name != "dpop");
        let proof = dpop.proof("GET", &url, Some(token), moment)?;
        headers.push(("dpop".to_owned(), proof));
        "DPoP"
    } else {
        "Bearer"
    };
    let authorization = Secret::new(format!("{scheme} {}", token.expose()));
    headers.push(("authorization".to_owned(), authorization));
    Ok(ProviderRequest {
        endpoint: Endpoint::UserInfo,
        url,
        headers,
        body: None,
    })
}

/// The wish that a token be worth nothing any more (RFC 7009 §2.1).
///
/// # Errors
/// If the client's assertion cannot be signed.
pub(super) fn revocation(
    policy: &GrantPolicy,
    client: &Client,
    (param, token): (&str, &Secret),
    hint: &str,
    (url, issuer): (&Url, &str),
    moment: Moment,
) -> Result<ProviderRequest, Denial> {
    let mut form = Form::new();
    form.put(param, token.expose()).put("token_type_hint", hint);
    let to = Destination {
        endpoint: Endpoint::Revocation,
        url,
        issuer,
        assertion_lifetime: policy.assertion_lifetime,
        accept: "application/json",
        headers: &[],
    };
    form.into_request(&to, client, moment)
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
