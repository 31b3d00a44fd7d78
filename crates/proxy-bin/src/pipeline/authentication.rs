//! From a request to whoever it is from: its credential is found, removed, and traded, or what came of
//! it before is given again. The contract's section on what a request meets.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Response, header};
use http_body::Body as _;
use oidc_broker::Standing;
use oidc_core::grant::Granted;
use oidc_core::{Denial, Reason, UnixTime};
use token_extractors::{Found, Malformed, Sole};

use super::{Exchange, Outcome, Refusal};
use crate::app::PreparedRoute;
use crate::authenticate::{Caller, DPOP_NONCE, Evidence, Line, Plugin, Recalled};
use crate::forward::{Body, ClientBody, ForwardError, RequestBody};
use crate::framing::{self, BadRequest, Collected};
use crate::respond;

/// Who is let through.
pub(super) enum Admitted {
    /// Somebody who was found out about.
    Found(Caller),
    /// Somebody who was found out about before.
    Recalled(Arc<Recalled>),
}

impl Admitted {
    pub(super) fn caller(&self) -> &Caller {
        match self {
            Self::Found(caller) => caller,
            Self::Recalled(recalled) => &recalled.caller,
        }
    }

    /// Writes what the upstream is told.
    pub(super) fn tell_upstream(&self, route: &PreparedRoute, headers: &mut HeaderMap) {
        match self {
            Self::Found(caller) => route.tell(caller, headers),
            Self::Recalled(recalled) => {
                for (name, value) in &recalled.upstream {
                    headers.insert(name.clone(), value.clone());
                }
            }
        }
    }

    /// Writes what the client is told.
    pub(super) fn tell_client(&self, route: &PreparedRoute, headers: &mut HeaderMap) {
        match self {
            Self::Found(caller) => {
                if let (Some(plugin), Some(granted)) = (&route.plugin, caller.granted()) {
                    plugin.write_downstream(granted, headers);
                }
            }
            Self::Recalled(recalled) => {
                for (name, value) in &recalled.downstream {
                    match value {
                        Some(value) => headers.insert(name.clone(), value.clone()),
                        None => headers.remove(name),
                    };
                }
            }
        }
    }
}

impl Exchange<'_> {
    /// Finds the credential, removes it, and trades it; or recalls what came of it.
    pub(super) async fn authenticate(
        &mut self,
        route: &PreparedRoute,
        place: usize,
        parts: &mut Parts,
        incoming: ClientBody,
    ) -> Outcome<(Admitted, RequestBody)> {
        let settings = self.app.settings();
        let body_limit = settings.limits.body;
        let Some(plugin) = &route.plugin else {
            route
                .admit(None)
                .map_err(|denial| self.denied(&denial, respond::not_admitted()))?;
            let body = RequestBody::flowing(incoming, body_limit, &route.never_trailers);
            return Ok((Admitted::Found(Caller::unasked()), body));
        };
        let extractor = plugin.extractor();
        let format = if incoming.is_end_stream() {
            None
        } else {
            extractor.needs_body(&parts.headers)
        };
        let sole = match format {
            None if plugin.can_be_recalled() && !plugin.lets_through(&parts.method) => {
                extractor.sole(parts)
            }
            _ => None,
        };
        let line = sole.map(|sole| self.app.recall().line(place, &sole));
        if let Some(line) = &line
            && let Some(recalled) = self.app.recall().get(line, now())
        {
            self.story.kind = Some(recalled.kind);
            if let Some(name) = &recalled.hidden {
                parts.headers.remove(name);
            }
            let body = RequestBody::flowing(incoming, body_limit, &route.never_trailers);
            return Ok((Admitted::Recalled(recalled), body));
        }
        // What is sent on is about to be changed; what came is what is recalled by.
        let came = sole.map(|sole| (sole.value.clone(), sole.place));
        let https = self.connection.hop().is_https(&parts.headers);
        let evidence = plugin.possession().look(parts, self.connection, https);
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
            return Ok((Admitted::Found(Caller::unasked()), body));
        }
        let client_arg = extraction.client_arg.as_deref();
        let calling = self.caller(plugin, extraction.found, client_arg, &evidence);
        let (caller, standing) = Box::pin(calling).await?;
        route
            .admit(caller.identity())
            .map_err(|denial| match caller.granted() {
                Some(granted) => self.deny_owner(plugin, &denial, granted),
                None => self.deny(plugin.refusals(), &denial),
            })?;
        if let (Some((value, of)), Some(standing)) = (&came, standing) {
            let sole = Sole { place: *of, value };
            let line = self.app.recall().line(place, &sole);
            let hidden = extractor.name_of(&sole).filter(|_| !edits.is_empty());
            self.recall(route, plugin, &line, &caller, standing, hidden);
        }
        Ok((Admitted::Found(caller), body))
    }

    /// Keeps what came of a credential, ready to be given again.
    fn recall(
        &self,
        route: &PreparedRoute,
        plugin: &Plugin,
        line: &Line<'_>,
        caller: &Caller,
        standing: Standing,
        hidden: Option<&HeaderName>,
    ) {
        let (Some(kind), Some(granted)) = (self.story.kind, caller.granted()) else {
            return;
        };
        if let Some(mut recalled) = Recalled::new(line, kind, caller.clone(), standing) {
            recalled.hidden = hidden.cloned();
            route.tell(caller, &mut recalled.upstream);
            recalled.downstream = plugin.told_downstream(granted);
            self.app.recall().put(line, recalled, now());
        }
    }

    /// Whom a request is from: by its credential, or nobody, where nobody may come.
    async fn caller(
        &mut self,
        plugin: &Plugin,
        found: Option<Found<'_>>,
        client_arg: Option<&str>,
        evidence: &Evidence,
    ) -> Outcome<(Caller, Option<Standing>)> {
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
            Some(identity) => Ok((Caller::anonymous(identity), None)),
            None => Err(denial),
        };
        let (traded, standing) = match traded {
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
            Ok(identity) => {
                // What was found out further has an end of its own.
                let standing = standing.filter(|_| Arc::ptr_eq(&traded, &granted));
                Ok((Caller::authenticated(granted, identity), standing))
            }
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
}

fn now() -> UnixTime {
    static CLOCK: LazyLock<jwks_cache::Clock> = LazyLock::new(oidc_broker::system_clock);
    CLOCK()
}

fn malformed_denial(malformed: Malformed) -> Denial {
    Denial::new(Reason::CredentialMalformed(malformed.code()))
}
