//! The way of one request, top to bottom: frame → route → extract → decide → rewrite → forward.
//! Serves the contract's section on what a request meets.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version, header};
use oidc_core::grant::Granted;
use oidc_core::{CredentialKind, Denial, Fault, Reason, UnixTime};
use token_extractors::{Found, Malformed};

use crate::app::{App, PreparedRoute, Unrouted};
use crate::authenticate::{Caller, DPOP_NONCE, Evidence, Plugin};
use crate::forward::{
    Answer, Body, ClientBody, ForwardError, ForwardedHeaders, OnUpgrade, RequestBody, Upgrade,
    remove_hop_by_hop, via,
};
use crate::framing::{self, BadRequest, Collected};
use crate::listen::Connection;
use crate::respond::{self, REQUEST_ID};
use crate::routes::{Asked, BadTarget, Matched, normalise, upstream_path};
use crate::shared::Shared;
use crate::telemetry::RequestId;

/// Answers one request, whatever comes of it.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    connection: &Connection,
    request: Request<ClientBody>,
) -> Response<Body> {
    let begun = Instant::now();
    let app = shared.app();
    let in_flight = InFlight::begin(shared);
    let mut story = Story::new(connection, request.method());
    let outcome = Exchange {
        app: &app,
        shared,
        connection,
        story: &mut story,
    }
    .run(request)
    .await;
    drop(in_flight);
    let mut response = match outcome {
        Ok(response) => response,
        Err(refusal) => {
            shared.metrics().refused(refusal.reason);
            story.reason = Some(refusal.reason);
            refusal.response
        }
    };
    response
        .headers_mut()
        .insert(REQUEST_ID, story.id.header_value());
    if let Some(route) = story.route.and_then(|place| app.routes().get(place)) {
        route.metrics.answered(response.status());
    }
    story.tell(&app, response.status(), begun);
    response
}

/// A request that the gateway answers itself.
struct Refusal {
    reason: &'static str,
    response: Response<Body>,
}

impl Refusal {
    fn new(reason: &'static str, status: StatusCode) -> Box<Self> {
        Box::new(Self {
            reason,
            response: respond::message(status, respond::words(status)),
        })
    }
}

type Outcome<T> = Result<T, Box<Refusal>>;

/// One request on its way.
struct Exchange<'a> {
    app: &'a App,
    shared: &'a Arc<Shared>,
    connection: &'a Connection,
    story: &'a mut Story,
}

impl<'a> Exchange<'a> {
    async fn run(mut self, request: Request<ClientBody>) -> Outcome<Response<Body>> {
        let (mut parts, incoming) = request.into_parts();
        let limits = &self.app.settings().limits;
        let host =
            framing::check(&parts, limits, self.connection.refused()).map_err(Self::bad_request)?;
        framing::name_host(&mut parts);
        let path = normalise(parts.uri.path())
            .map_err(|bad| Refusal::new(bad.code(), StatusCode::BAD_REQUEST))?
            .into_owned();
        self.story.path.clone_from(&path);
        let https = self.connection.hop().is_https(&parts.headers);
        let (route, matched) = self.route(&parts, &host, &path, https)?;
        let target = upstream_path(
            route.upstream.base_path(),
            &path,
            matched.length,
            route.strip_path,
        )
        .map_err(|bad| Refusal::new(bad.code(), StatusCode::BAD_REQUEST))?;
        if limits
            .body
            .is_some_and(|most| framing::declared_length(&parts.headers) > Some(most))
        {
            return Err(Refusal::new(
                ForwardError::BodyTooLarge.code(),
                StatusCode::PAYLOAD_TOO_LARGE,
            ));
        }
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        parts.extensions.clear();
        let client_version = parts.version;
        let (caller, body) = self.authenticate(route, &mut parts, incoming).await?;
        let granted = caller.granted();
        let upgrade = self.rewrite(route, &matched, &path, &mut parts, &caller);
        parts.uri = framing::with_path(&target, parts.uri.query())
            .ok_or_else(|| Self::bad_request(BadRequest::RequestLine))?;
        parts.version = Version::HTTP_11;
        let trailers = parts.headers.contains_key(header::TE);
        let answer = route
            .upstream
            .send(parts, body, self.connection.shard())
            .await
            .map_err(|error| {
                tracing::debug!(request_id = %self.story.id, %error, "not forwarded");
                let mut refusal = Refusal::new(error.code(), error.status());
                if let (Some(plugin), Some(granted)) = (&route.plugin, granted) {
                    plugin.write_newest(granted, refusal.response.headers_mut());
                }
                refusal
            })?;
        let mut response = match answer {
            Answer::Response(response) => response,
            Answer::Switched(response, upstream) => {
                let switch = upgrade.as_ref().zip(on_upgrade);
                return self.switched(response, upstream, switch);
            }
        };
        let received = response.version();
        *response.version_mut() = Version::HTTP_11;
        let kept = remove_hop_by_hop(response.headers_mut());
        let headers = response.headers_mut();
        headers.append(header::VIA, via(received));
        // A client that takes trailers is told of those to come; hyper sends no others.
        if trailers
            && client_version != Version::HTTP_10
            && let Some(trailer) = kept.trailer
        {
            headers.insert(header::TRAILER, trailer);
        }
        if let (Some(plugin), Some(granted)) = (&route.plugin, granted) {
            plugin.write_downstream(granted, headers);
        }
        Ok(response)
    }

    /// Both sides speak another protocol from now on, if it is one that was asked for.
    fn switched(
        &self,
        mut response: Response<Body>,
        upstream: OnUpgrade,
        switch: Option<(&Upgrade, OnUpgrade)>,
    ) -> Outcome<Response<Body>> {
        let chosen = remove_hop_by_hop(response.headers_mut()).upgrade;
        let (protocol, client) = match (switch, chosen) {
            (Some((offer, client)), Some(chosen)) if offer.includes(&chosen) => (chosen, client),
            // What follows would be read as something that it is not.
            _ => {
                return Err(Refusal::new(
                    ForwardError::Malformed.code(),
                    StatusCode::BAD_GATEWAY,
                ));
            }
        };
        self.shared
            .upgrades()
            .relay(client, upstream, self.connection.place());
        self.connection.upgraded();
        let headers = response.headers_mut();
        headers.insert(
            header::CONNECTION,
            http::HeaderValue::from_static("Upgrade"),
        );
        headers.insert(header::UPGRADE, protocol);
        Ok(response)
    }

    fn bad_request(bad: BadRequest) -> Box<Refusal> {
        let mut refusal = Refusal::new(bad.code(), bad.status());
        if bad.ends_connection() {
            refusal
                .response
                .headers_mut()
                .insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        }
        if bad == BadRequest::Method {
            // RFC 9110 §15.5.6: what would do instead.
            let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            let headers = refusal.response.headers_mut();
            headers.insert(header::ALLOW, http::HeaderValue::from_static(allowed));
        }
        refusal
    }

    /// The route, if the client came to it by a protocol that it takes.
    fn route(
        &mut self,
        parts: &Parts,
        host: &str,
        path: &str,
        https: bool,
    ) -> Outcome<(&'a PreparedRoute, Matched)> {
        let asked = Asked {
            method: &parts.method,
            host,
            path,
            headers: &parts.headers,
            https,
        };
        let (route, matched) = self.app.route(&asked).map_err(|unrouted| match unrouted {
            Unrouted::Ambiguous => {
                Refusal::new(BadTarget::Ambiguous.code(), StatusCode::BAD_REQUEST)
            }
            Unrouted::NoRoute => Box::new(Refusal {
                reason: "request.no_route",
                response: respond::message(
                    StatusCode::NOT_FOUND,
                    "no Route matched with those values",
                ),
            }),
        })?;
        self.story.route = Some(matched.route);
        if matched.needs_https {
            let mut response =
                respond::message(StatusCode::UPGRADE_REQUIRED, "Please use HTTPS protocol");
            let headers = response.headers_mut();
            headers.insert(
                header::CONNECTION,
                http::HeaderValue::from_static("Upgrade"),
            );
            headers.insert(
                header::UPGRADE,
                http::HeaderValue::from_static("TLS/1.2, HTTP/1.1"),
            );
            return Err(Box::new(Refusal {
                reason: "request.needs_https",
                response,
            }));
        }
        Ok((route, matched))
    }

    /// Finds the credential, removes it, and trades it.
    async fn authenticate(
        &mut self,
        route: &PreparedRoute,
        parts: &mut Parts,
        incoming: ClientBody,
    ) -> Outcome<(Caller, RequestBody)> {
        let settings = self.app.settings();
        let body_limit = settings.limits.body;
        let Some(plugin) = &route.plugin else {
            route
                .admit(None)
                .map_err(|denial| self.denied(&denial, respond::not_admitted()))?;
            let body = RequestBody::flowing(incoming, body_limit, &route.never_trailers);
            return Ok((Caller::unasked(), body));
        };
        let extractor = plugin.extractor();
        let https = self.connection.hop().is_https(&parts.headers);
        let evidence = plugin.possession().look(parts, self.connection, https);
        let format = extractor
            .needs_body(&parts.headers)
            .filter(|_| !hyper::body::Body::is_end_stream(&incoming));
        let refuse = |error: ForwardError| Refusal::new(error.code(), error.status());
        let (mut whole, mut flowing) = (None, None);
        match format {
            Some(format) => match framing::collect(incoming, parts, settings).await {
                Ok(Collected::Whole(bytes)) => whole = Some((format, bytes)),
                Ok(Collected::Longer(begun, rest)) => flowing = Some((begun, rest)),
                Err(error) => return Err(refuse(error)),
            },
            None => flowing = Some((Bytes::new(), incoming)),
        }
        let read = whole.as_ref().map(|(format, bytes)| (*format, &bytes[..]));
        let extraction = extractor
            .extract(parts, read)
            .map_err(|malformed| self.deny(plugin.refusals(), &malformed_denial(malformed)))?;
        // A body that is too long to look through may hold what was not found elsewhere.
        if format.is_some() && whole.is_none() && extraction.found.is_none() {
            return Err(refuse(ForwardError::BodyTooLarge));
        }
        let edits = extraction.edits;
        edits.apply_to_headers(&mut parts.headers);
        if let Some(query) = parts.uri.query().and_then(|query| edits.query(query)) {
            parts.uri = framing::with_query(&parts.uri, &query)
                .ok_or_else(|| Self::bad_request(BadRequest::RequestLine))?;
        }
        let body = match (whole, flowing) {
            (Some((format, bytes)), _) => {
                let bytes = edits.body(format, &bytes).map_or(bytes, Bytes::from);
                parts
                    .headers
                    .insert(header::CONTENT_LENGTH, bytes.len().into());
                RequestBody::whole(bytes)
            }
            (None, Some((begun, rest))) => {
                RequestBody::begun(begun, rest, body_limit, &route.never_trailers)
            }
            (None, None) => RequestBody::empty(),
        };
        if plugin.lets_through(&parts.method) {
            return Ok((Caller::unasked(), body));
        }
        let client_arg = extraction.client_arg.as_deref();
        let caller = self
            .caller(plugin, extraction.found, client_arg, &evidence)
            .await?;
        route
            .admit(caller.identity())
            .map_err(|denial| match caller.granted() {
                Some(granted) => self.deny_owner(plugin, &denial, granted),
                None => self.deny(plugin.refusals(), &denial),
            })?;
        Ok((caller, body))
    }

    /// Whom a request is from: by its credential, or nobody, where nobody may come.
    async fn caller(
        &mut self,
        plugin: &Plugin,
        found: Option<Found<'_>>,
        client_arg: Option<&str>,
        evidence: &Evidence,
    ) -> Outcome<Caller> {
        let by_dpop = found.as_ref().is_some_and(|found| found.by_dpop);
        let deadline = plugin.deadline();
        let traded = match found {
            None => Err(Denial::new(Reason::CredentialMissing)),
            Some(found) => {
                self.story.kind = Some(found.credential.kind());
                plugin
                    .authenticate(found.credential, client_arg, deadline)
                    .await
            }
        };
        let refused = |denial: Denial| match plugin.anonymous(&denial) {
            Some(identity) => Ok(Caller::anonymous(identity)),
            None => Err(denial),
        };
        let traded = match traded {
            Ok(traded) => traded,
            Err(denial) => {
                return refused(denial).map_err(|denial| self.deny(plugin.refusals(), &denial));
            }
        };
        let proven = plugin.possession().prove(&traded, by_dpop, evidence, now());
        if let Err(denial) = proven {
            return refused(denial).map_err(|denial| self.unproven(plugin, &denial));
        }
        let granted = match plugin.complete(Arc::clone(&traded), deadline).await {
            Ok(granted) => granted,
            Err(denial) => {
                return refused(denial).map_err(|denial| self.deny_owner(plugin, &denial, &traded));
            }
        };
        match plugin.permit(&granted) {
            Ok(identity) => Ok(Caller::authenticated(granted, identity)),
            Err(denial) => Err(self.deny_owner(plugin, &denial, &granted)),
        }
    }

    /// Refuses somebody whose credential was taken, and who may own a newer one by now.
    fn deny_owner(&mut self, plugin: &Plugin, denial: &Denial, granted: &Granted) -> Box<Refusal> {
        let mut refusal = self.deny(plugin.refusals(), denial);
        plugin.write_newest(granted, refusal.response.headers_mut());
        refusal
    }

    /// A refusal for want of a proof; it may bring the nonce that the next proof needs.
    fn unproven(&mut self, plugin: &Plugin, denial: &Denial) -> Box<Refusal> {
        let mut refusal = self.deny(plugin.refusals(), denial);
        if let Some(nonce) = plugin.possession().fresh_nonce(now()) {
            refusal.response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        refusal
    }

    fn deny(&mut self, refusals: &respond::Refusals, denial: &Denial) -> Box<Refusal> {
        self.denied(denial, refusals.answer(denial))
    }

    fn denied(&mut self, denial: &Denial, response: Response<Body>) -> Box<Refusal> {
        self.story.denial = Some(denial.clone());
        Box::new(Refusal {
            reason: denial.reason().code(),
            response,
        })
    }

    /// Makes the request that goes upstream of the one that came.
    fn rewrite(
        &self,
        route: &PreparedRoute,
        matched: &Matched,
        path: &str,
        parts: &mut Parts,
        caller: &Caller,
    ) -> Option<Upgrade> {
        let kept = remove_hop_by_hop(&mut parts.headers);
        route.managed.remove_from(&mut parts.headers);
        if self.connection.hop().is_trusted() {
            let headers = &mut parts.headers;
            route.from_trusted_peers.remove_aliases_from(headers);
        } else {
            route.from_trusted_peers.remove_from(&mut parts.headers);
        }
        framing::join_cookies(parts);
        let headers = &mut parts.headers;
        // The gateway has asked for the body itself.
        headers.remove(header::EXPECT);
        let host = headers.remove(header::HOST);
        ForwardedHeaders {
            host: host.as_ref(),
            path,
            prefix: route
                .strip_path
                .then(|| path.get(..matched.length))
                .flatten(),
        }
        .write(self.connection.hop(), headers);
        headers.append(header::VIA, via(parts.version));
        headers.insert(REQUEST_ID, self.story.id.header_value());
        let to = if route.preserve_host { host } else { None };
        headers.insert(
            header::HOST,
            to.unwrap_or_else(|| route.upstream.host().clone()),
        );
        // RFC 9110 §7.8: in HTTP/1.0 it means nothing, and in HTTP/2 it is not said in this way.
        let upgrade = kept
            .upgrade
            .filter(|_| parts.version == Version::HTTP_11)
            .and_then(Upgrade::offered);
        if let Some(upgrade) = &upgrade {
            headers.insert(
                header::CONNECTION,
                http::HeaderValue::from_static("Upgrade"),
            );
            headers.insert(header::UPGRADE, upgrade.value().clone());
        } else if kept.trailers_taken {
            headers.insert(header::TE, http::HeaderValue::from_static("trailers"));
        }
        if let Some(trailer) = kept.trailer {
            headers.insert(header::TRAILER, trailer);
        }
        route.tell(caller, headers);
        upgrade
    }
}

fn now() -> UnixTime {
    static CLOCK: LazyLock<jwks_cache::Clock> = LazyLock::new(oidc_broker::system_clock);
    CLOCK()
}

fn malformed_denial(malformed: Malformed) -> Denial {
    Denial::new(Reason::CredentialMalformed(malformed.code()))
}

/// What is told of a request when it has been answered. Never a query, never a credential.
struct Story {
    id: RequestId,
    peer: std::net::SocketAddr,
    method: Method,
    path: String,
    /// Place of the route among the configuration's.
    route: Option<usize>,
    kind: Option<CredentialKind>,
    denial: Option<Denial>,
    reason: Option<&'static str>,
}

impl Story {
    fn new(connection: &Connection, method: &Method) -> Self {
        Self {
            id: connection.next_request(),
            peer: connection.peer(),
            method: method.clone(),
            path: String::new(),
            route: None,
            kind: None,
            denial: None,
            reason: None,
        }
    }

    fn tell(&self, app: &App, status: StatusCode, begun: Instant) {
        let route = self
            .route
            .and_then(|place| app.routes().get(place))
            .map(|route| route.name.as_str());
        let duration_ms =
            u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX) as f64 / 1e3;
        let credential = self.kind.map(CredentialKind::name);
        let hint = self.denial.as_ref().and_then(Denial::hint);
        let ours = self
            .denial
            .as_ref()
            .is_some_and(|denial| denial.reason().fault() != Fault::Caller);
        if ours || (self.reason.is_some() && status.is_server_error()) {
            tracing::warn!(
                target: "access",
                request_id = %self.id,
                peer = %self.peer,
                method = %self.method,
                path = self.path,
                route,
                credential,
                status = status.as_u16(),
                reason = self.reason,
                provider_says = hint,
                duration_ms,
                "answered by the gateway"
            );
        } else {
            tracing::info!(
                target: "access",
                request_id = %self.id,
                peer = %self.peer,
                method = %self.method,
                path = self.path,
                route,
                credential,
                status = status.as_u16(),
                reason = self.reason,
                provider_says = hint,
                duration_ms,
                "answered"
            );
        }
    }
}

/// Counts a request while it has no answer.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.metrics().in_flight().inc();
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics().in_flight().dec();
    }
}
