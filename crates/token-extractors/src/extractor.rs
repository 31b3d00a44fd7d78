//! What is looked for, compiled once from configuration; and what was found.
//! Serves the contract: only in the places configured, in Kong's order of kinds, never first-wins.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use oidc_core::{Credential, CredentialKind, Secret};

use crate::body::BodyFormat;
use crate::looked::{Looked, One};
use crate::malformed::Malformed;
use crate::places::{InvalidName, Place, header_name};
use crate::sole::{Looks, Sole};
use crate::strip::Edits;
use crate::{basic, bearer};

/// What to look for. A kind that is `None` is off.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExtractorConfig {
    /// Places of access tokens (`bearer_token_param_type`).
    pub bearer: Option<Vec<Place>>,
    /// The cookie that holds an access token (`bearer_token_cookie_name`).
    pub bearer_cookie: Option<String>,
    /// The one header that holds an access token (`bearer_token_header_name`).
    pub bearer_header: Option<String>,
    /// Whether the scheme `DPoP` brings an access token, too (RFC 9449 §7.1).
    pub dpop: bool,
    /// Name and places of refresh tokens (`refresh_token_param_name`, `refresh_token_param_type`).
    pub refresh_token: Option<(String, Vec<Place>)>,
    /// Places of user name and password (`password_param_type`).
    pub password: Option<Vec<Place>>,
    /// Places of a client's id and secret (`client_credentials_param_type`).
    pub client_credentials: Option<Vec<Place>>,
    /// The parameter that names the client to use (`client_arg`).
    pub client_arg: Option<String>,
    /// Whether credentials are removed from what goes upstream. Default: yes.
    pub hide_credentials: bool,
}

impl Default for ExtractorConfig {
    fn default() -> Self {
        Self {
            bearer: None,
            bearer_cookie: None,
            bearer_header: None,
            dpop: false,
            refresh_token: None,
            password: None,
            client_credentials: None,
            client_arg: None,
            hide_credentials: true,
        }
    }
}

/// Looks for credentials; made once, used for every request.
#[derive(Clone, Debug)]
pub struct Extractor {
    config: ExtractorConfig,
    bearer_headers: Vec<HeaderName>,
    refresh_header: Option<HeaderName>,
    client_headers: Vec<HeaderName>,
    looks: Looks,
}

/// A credential, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'e> {
    /// The credential.
    pub credential: Credential,
    /// Where it stood.
    pub place: Place,
    /// Under which name: a header's, a parameter's, a cookie's.
    pub name: &'e str,
    /// Whether the scheme `DPoP` brought it.
    pub by_dpop: bool,
}

/// What a request holds.
#[derive(Clone, Debug, Default)]
pub struct Extraction<'e> {
    /// The credential that decides.
    pub found: Option<Found<'e>>,
    /// The request's word for the client to use.
    pub client_arg: Option<String>,
    /// What has to be removed.
    pub edits: Edits<'e>,
}

impl Extractor {
    /// Prepares a configuration.
    ///
    /// # Errors
    /// If a name for a header cannot be one.
    pub fn compile(config: ExtractorConfig) -> Result<Self, InvalidName> {
        let bearer_headers = match &config.bearer_header {
            Some(name) => vec![header_name(name)?],
            None => ["authorization", "access-token", "x-access-token"]
                .map(HeaderName::from_static)
                .into(),
        };
        let refresh_header = match &config.refresh_token {
            Some((name, places)) if places.contains(&Place::Header) => Some(header_name(name)?),
            _ => None,
        };
        let client_headers = match &config.client_arg {
            Some(name) => vec![header_name(&format!("x-{name}"))?, header_name(name)?],
            None => Vec::new(),
        };
        let looks = Looks::of(
            &config,
            &bearer_headers,
            refresh_header.as_ref(),
            &client_headers,
        );
        Ok(Self {
            looks,
            config,
            bearer_headers,
            refresh_header,
            client_headers,
        })
    }

    /// The one header line that the credential of this request can stand in, if nothing else in its
    /// head is looked at: then every request with the same line holds the same. Its body may hold
    /// another all the same, if [`needs_body`](Self::needs_body) says so.
    #[must_use]
    pub fn sole<'r>(&self, head: &'r Parts) -> Option<Sole<'r>> {
        self.looks.sole(head)
    }

    /// The header of a place that [`sole`](Self::sole) names.
    #[must_use]
    pub fn name_of(&self, sole: &Sole<'_>) -> Option<&HeaderName> {
        self.looks.name_of(sole)
    }

    /// The format of the body that [`extract`](Self::extract) needs; `None` if it needs none.
    #[must_use]
    pub fn needs_body(&self, headers: &HeaderMap) -> Option<BodyFormat> {
        let config = &self.config;
        let refresh = config.refresh_token.as_ref().map(|(_, places)| places);
        [
            config.bearer.as_ref(),
            refresh,
            config.password.as_ref(),
            config.client_credentials.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|places| places.contains(&Place::Body))
        .then(|| BodyFormat::of(headers))?
    }

    /// Looks a request through. The first kind found decides; others are removed all the same.
    ///
    /// # Errors
    /// If a credential is repeated, or cannot be one.
    pub fn extract<'e>(
        &'e self,
        head: &Parts,
        body: Option<(BodyFormat, &[u8])>,
    ) -> Result<Extraction<'e>, Malformed> {
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let request = Looked::at(&head.headers, query, body);
        let basic = self.basic(&request)?;
        let by_basic = basic.as_ref().map(|(found, _)| found.credential.kind());
        let kinds = [
            self.bearer(&request)?,
            self.refresh_token(&request)?,
            basic,
            self.pair(&request, CredentialKind::Password, by_basic)?,
            self.pair(&request, CredentialKind::ClientCredentials, by_basic)?,
        ];
        let mut extraction = Extraction::default();
        for (found, edits) in kinds.into_iter().flatten() {
            extraction.edits.headers.extend(edits.headers);
            extraction.edits.query.extend(edits.query);
            extraction.edits.body.extend(edits.body);
            extraction.edits.cookies.extend(edits.cookies);
            let before = |have: &Found<'_>| have.credential.kind() <= found.credential.kind();
            if !extraction.found.as_ref().is_some_and(before) {
                extraction.found = Some(found);
            }
        }
        if extraction.found.is_some() {
            extraction.client_arg = self.client_arg(&request);
        } else if request.body_is_malformed() {
            // The credential may be in there. Where there is one elsewhere, what the body is like
            // is for the upstream to judge.
            return Err(Malformed::Body);
        }
        if !self.config.hide_credentials {
            extraction.edits = Edits::default();
        }
        Ok(extraction)
    }

    fn bearer<'e>(
        &'e self,
        request: &Looked<'_>,
    ) -> Result<Option<(Found<'e>, Edits<'e>)>, Malformed> {
        let Some(places) = &self.config.bearer else {
            return Ok(None);
        };
        let mut one = One::default();
        let mut by_dpop = false;
        for place in places {
            match place {
                Place::Header => {
                    for name in &self.bearer_headers {
                        for line in request.headers.get_all(name) {
                            let token = if *name == header::AUTHORIZATION {
                                bearer::parse(line.as_bytes()).or_else(|| {
                                    let token = bearer::parse_dpop(line.as_bytes());
                                    let token = token.filter(|_| self.config.dpop)?;
                                    by_dpop = true;
                                    Some(token)
                                })
                            } else {
                                Some(bearer::access_token(line.as_bytes()))
                            };
                            let Some(token) = token else { continue };
                            one.put(Place::Header, name.as_str(), token?)?;
                            one.edits.headers.push(name);
                            request.only_authorization(name)?;
                        }
                    }
                }
                Place::Query | Place::Body => {
                    for value in request.values(*place, "access_token") {
                        one.put(*place, "access_token", bearer::access_token(&value?)?)?;
                        one.hide(*place, "access_token");
                    }
                }
                Place::Cookie => {
                    let Some(name) = self.config.bearer_cookie.as_deref() else {
                        continue;
                    };
                    for value in request.cookies(name) {
                        one.put(Place::Cookie, name, bearer::access_token(value)?)?;
                        one.edits.cookies.push(name);
                    }
                }
            }
        }
        Ok(one
            .into_found(Credential::Bearer)
            .map(|(mut found, edits)| {
                found.by_dpop = by_dpop;
                (found, edits)
            }))
    }

    fn refresh_token<'e>(
        &'e self,
        request: &Looked<'_>,
    ) -> Result<Option<(Found<'e>, Edits<'e>)>, Malformed> {
        let Some((name, places)) = &self.config.refresh_token else {
            return Ok(None);
        };
        let mut one = One::default();
        for place in places {
            match (place, &self.refresh_header) {
                (Place::Header, Some(header)) => {
                    for line in request.headers.get_all(header) {
                        one.put(
                            Place::Header,
                            header.as_str(),
                            bearer::refresh_token(line.as_bytes())?,
                        )?;
                        one.edits.headers.push(header);
                    }
                }
                (Place::Header, None) => {}
                (Place::Query | Place::Body, _) => {
                    for value in request.values(*place, name) {
                        one.put(*place, name, bearer::refresh_token(&value?)?)?;
                        one.hide(*place, name);
                    }
                }
                (Place::Cookie, _) => {
                    for value in request.cookies(name) {
                        one.put(Place::Cookie, name, bearer::refresh_token(value)?)?;
                        one.edits.cookies.push(name);
                    }
                }
            }
        }
        Ok(one.into_found(Credential::RefreshToken))
    }

    /// `Authorization: Basic` is a user's password if that is on, and a client's secret otherwise.
    fn basic<'e>(
        &'e self,
        request: &Looked<'_>,
    ) -> Result<Option<(Found<'e>, Edits<'e>)>, Malformed> {
        let on = |places: &Option<Vec<Place>>| {
            places
                .as_ref()
                .is_some_and(|places| places.contains(&Place::Header))
        };
        let password = on(&self.config.password);
        if !password && !on(&self.config.client_credentials) {
            return Ok(None);
        }
        let mut one: One<'_, (String, Secret)> = One::default();
        let kind = if password {
            CredentialKind::Password
        } else {
            CredentialKind::ClientCredentials
        };
        for line in request.headers.get_all(header::AUTHORIZATION) {
            if let Some(pair) = basic::parse(line.as_bytes()) {
                let (name, secret) = pair?;
                basic::check(kind, &name, &secret)?;
                one.put(
                    Place::Header,
                    header::AUTHORIZATION.as_str(),
                    (name, secret),
                )?;
                one.edits.headers.push(&header::AUTHORIZATION);
                request.only_authorization(&header::AUTHORIZATION)?;
            }
        }
        Ok(one.into_found(|pair| credential(kind, pair)))
    }

    /// A name and a secret as two parameters of the query or the body.
    fn pair<'e>(
        &'e self,
        request: &Looked<'_>,
        kind: CredentialKind,
        by_basic: Option<CredentialKind>,
    ) -> Result<Option<(Found<'e>, Edits<'e>)>, Malformed> {
        let (places, names) = match kind {
            CredentialKind::Password => (&self.config.password, ["username", "password"]),
            _ => (
                &self.config.client_credentials,
                ["client_id", "client_secret"],
            ),
        };
        let Some(places) = places else {
            return Ok(None);
        };
        let mut one: One<'_, (String, Secret)> = One::default();
        for place in places
            .iter()
            .filter(|place| matches!(place, Place::Query | Place::Body))
        {
            let [name, secret] = [
                request.one(*place, names[0])?,
                request.one(*place, names[1])?,
            ];
            let (Some(name), Some(secret)) = (name, secret) else {
                continue;
            };
            let text = |bytes: Cow<'_, [u8]>| {
                String::from_utf8(bytes.into_owned()).map_err(|_| Malformed::Bytes)
            };
            let (name, secret) = (text(name)?, Secret::new(text(secret)?));
            basic::check(kind, &name, &secret)?;
            if by_basic == Some(kind) {
                return Err(Malformed::Repeated);
            }
            one.put(*place, names[0], (name, secret))?;
            one.hide(*place, names[0]);
            one.hide(*place, names[1]);
        }
        Ok(one.into_found(|pair| credential(kind, pair)))
    }

    /// Header, then query, then body, as in Kong; not a credential, and not removed.
    fn client_arg(&self, request: &Looked<'_>) -> Option<String> {
        let name = self.config.client_arg.as_deref()?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let header = self
            .client_headers
            .iter()
            .find_map(|name| request.headers.get(name));
        if let Some(value) = header {
            return text(value.as_bytes());
        }
        [Place::Query, Place::Body].into_iter().find_map(|place| {
            let value = request.values(place, name).into_iter().next()?.ok()?;
            text(&value)
        })
    }
}

fn credential(kind: CredentialKind, (name, secret): (String, Secret)) -> Credential {
    match kind {
        CredentialKind::Password => Credential::Password {
            username: name,
            password: secret,
        },
        _ => Credential::ClientCredentials {
            client_id: name,
            client_secret: secret,
        },
    }
}
