//! Requests that a test makes itself, straight at the provider: neither counted nor broken.

mod login;
mod reply;

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

pub use login::ClientLogin;
pub use reply::{CallError, Refusal, Reply, Tokens, claims, header};

pub(crate) use login::ASSERTION_TYPE;

use crate::pki::Identity;
use crate::{DpopKey, Error};

/// A request to any endpoint.
#[derive(Clone, Default)]
pub struct Call {
    /// Nothing of it makes a `GET`.
    form: Option<Vec<(String, String)>>,
    headers: HeaderMap,
    certificate: Option<Identity>,
    proof: Option<Proof>,
}

/// What a `DPoP` header is to be.
#[derive(Clone)]
enum Proof {
    /// Made for the request, and for this access token if there is one.
    Fresh(DpopKey, Option<String>),
    Ready(String),
}

impl Call {
    /// A `GET`.
    #[must_use]
    pub fn get() -> Self {
        Self::default()
    }

    /// A form.
    #[must_use]
    pub fn post(form: Vec<(String, String)>) -> Self {
        Self {
            form: Some(form),
            ..Self::default()
        }
    }

    /// A form with a client's authentication.
    pub(crate) fn as_client(
        mut form: Vec<(String, String)>,
        login: &ClientLogin,
        issuer: &str,
    ) -> Self {
        let authorization = login.apply(issuer, &mut form);
        let mut call = Self::post(form);
        call.certificate = login.identity().cloned();
        match authorization {
            Some(value) => call.header("authorization", &value),
            None => call,
        }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("the name of a header");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("the value of a header");
        self.headers.append(name, value);
        self
    }

    /// Brings an access token in the usual way (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Brings an access token with a fresh proof of its key (RFC 9449 §7.1).
    #[must_use]
    pub fn dpop(self, token: &str, key: &DpopKey) -> Self {
        let mut call = self.header("authorization", &format!("DPoP {token}"));
        call.proof = Some(Proof::Fresh(key.clone(), Some(token.to_owned())));
        call
    }

    /// Shows a certificate, so the request goes by https.
    #[must_use]
    pub fn certificate(mut self, identity: &Identity) -> Self {
        self.certificate = Some(identity.clone());
        self
    }

    pub(crate) const fn identity(&self) -> Option<&Identity> {
        self.certificate.as_ref()
    }

    /// The request as it comes to the provider that is called at this address.
    pub(crate) fn request(&self, url: &str) -> Result<Request<Bytes>, Error> {
        let failed = |reason: String| Error::NoAnswer {
            url: url.to_owned(),
            reason,
        };
        let uri: Uri = url.parse().map_err(|error| failed(format!("{error}")))?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let method = match &self.form {
            None => Method::GET,
            Some(_) => Method::POST,
        };
        let mut request = Request::builder()
            .method(&method)
            .uri(target)
            .header(header::HOST, host);
        if self.form.is_some() {
            let form = "application/x-www-form-urlencoded";
            request = request.header(header::CONTENT_TYPE, form);
        }
        let proof = self.proof.as_ref().map(|proof| match proof {
            Proof::Ready(proof) => proof.clone(),
            Proof::Fresh(key, token) => {
                let proof = key.proof(method.as_str(), url);
                let proof = match token {
                    Some(token) => proof.access_token(token),
                    None => proof,
                };
                proof.sign()
            }
        });
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = self.form.iter().flatten();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(body)
            .finish();
        request
            .body(Bytes::from(body))
            .map_err(|error| failed(error.to_string()))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = self.form.iter().flatten();
        let names: Vec<&str> = form.map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Call")
            .field("form", &names)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// A token request that a test makes itself.
#[derive(Clone)]
pub struct TokenCall {
    pub(crate) form: Vec<(String, String)>,
    pub(crate) login: ClientLogin,
    certificate: Option<Identity>,
    proof: Option<Proof>,
}

impl TokenCall {
    /// Any grant.
    #[must_use]
    pub fn new(grant: &str, login: ClientLogin) -> Self {
        Self {
            form: vec![("grant_type".to_owned(), grant.to_owned())],
            login,
            certificate: None,
            proof: None,
        }
    }

    /// The password grant (RFC 6749 §4.3).
    #[must_use]
    pub fn password(user: &str, password: &str, login: ClientLogin) -> Self {
        Self::new("password", login)
            .param("username", user)
            .param("password", password)
    }

    /// The client credentials grant (RFC 6749 §4.4).
    #[must_use]
    pub fn client_credentials(login: ClientLogin) -> Self {
        Self::new("client_credentials", login)
    }

    /// The refresh token grant (RFC 6749 §6).
    #[must_use]
    pub fn refresh(token: &str, login: ClientLogin) -> Self {
        Self::new("refresh_token", login).param("refresh_token", token)
    }

    /// An exchange of an access token (RFC 8693 §2.1).
    #[must_use]
    pub fn exchange(access_token: &str, login: ClientLogin) -> Self {
        Self::new("urn:ietf:params:oauth:grant-type:token-exchange", login)
            .param("subject_token", access_token)
            .param(
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            )
    }

    /// Asks for scopes, separated by spaces.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.param("scope", scope)
    }

    /// Adds a parameter.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shows a certificate, so the request goes by https.
    #[must_use]
    pub fn certificate(mut self, identity: &Identity) -> Self {
        self.certificate = Some(identity.clone());
        self
    }

    /// Proves possession of this key: a fresh proof for the address that is asked.
    #[must_use]
    pub fn dpop(mut self, key: &DpopKey) -> Self {
        self.proof = Some(Proof::Fresh(key.clone(), None));
        self
    }

    /// Sends this `DPoP` header as it is.
    #[must_use]
    pub fn dpop_proof(mut self, proof: impl Into<String>) -> Self {
        self.proof = Some(Proof::Ready(proof.into()));
        self
    }

    /// The request that it is, to this issuer.
    pub(crate) fn to_call(&self, issuer: &str) -> Call {
        let mut call = Call::as_client(self.form.clone(), &self.login, issuer);
        if self.certificate.is_some() {
            call.certificate.clone_from(&self.certificate);
        }
        call.proof.clone_from(&self.proof);
        call
    }
}

impl fmt::Debug for TokenCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.form.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("TokenCall")
            .field("form", &names)
            .field("login", &self.login)
            .finish()
    }
}
