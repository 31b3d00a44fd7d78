//! The way of one request, top to bottom: frame → route → extract → decide → rewrite → forward.
//! Serves the contract's section on what a request meets.

mod authentication;
mod rewrite;
mod story;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response, StatusCode, Version, header};

use self::story::{Path, Story};
use crate::app::{App, PreparedRoute, Unrouted};
use crate::forward::{
    Answer, Body, ClientBody, ForwardError, OnUpgrade, Upgrade, remove_hop_by_hop, via,
};
use crate::framing::{self, BadRequest};
use crate::listen::Connection;
use crate::respond::{self, REQUEST_ID};
use crate::routes::{Asked, BadTarget, Matched, normalise, upstream_path};
use crate::shared::Shared;

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
            // Otherwise many that are refused would overtake those that are not.
            connection.give_way().await;
            shared.metrics().refused(refusal.reason);
            story.reason = Some(refusal.reason);
            refusal.response
        }
    };
    response
        .headers_mut()
        .insert(REQUEST_ID, story.id_value.clone());
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
        let host = framing::check(&parts, self.connection.refused())
            .and_then(|host| {
                if !self.connection.has_held_to(parts.version, limits) {
                    framing::check_size(&parts, limits)?;
                }
                Ok(host)
            })
            .map_err(Self::bad_request)?;
        let uri = parts.uri.clone();
        let path = normalise(uri.path())
            .map_err(|bad| Refusal::new(bad.code(), StatusCode::BAD_REQUEST))?;
        self.story.path = match &path {
            Cow::Borrowed(_) => Path::AsItCame(uri.clone()),
            Cow::Owned(path) => Path::Normalised(path.clone()),
        };
        let https = self.connection.hop().is_https(&parts.headers);
        let (route, matched) = self.route(&parts, &host, &path, https)?;
        framing::name_host(&mut parts);
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
        let (admitted, body) = self
            .authenticate(route, matched.route, &mut parts, incoming)
            .await?;
        let (lines, upgrade) = self.rewrite(route, &matched, &path, &mut parts, &admitted);
        if target != parts.uri.path() || parts.uri.authority().is_some() {
            parts.uri = framing::with_path(&target, parts.uri.query())
                .ok_or_else(|| Self::bad_request(BadRequest::RequestLine))?;
        }
        parts.version = Version::HTTP_11;
        let trailers = parts.headers.contains_key(header::TE);
        self.connection.give_way().await;
        let answer = route
            .upstream
            .send(parts, &lines, body, self.connection.shard())
            .await
            .map_err(|error| {
                tracing::debug!(request_id = %self.story.id, %error, "not forwarded");
                let mut refusal = Refusal::new(error.code(), error.status());
                if let (Some(plugin), Some(granted)) = (&route.plugin, admitted.caller().granted())
                {
                    plugin.write_newest(granted, refusal.response.headers_mut());
                }
                refusal
            })?;
        self.connection.give_way().await;
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
        admitted.tell_client(route, headers);
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
