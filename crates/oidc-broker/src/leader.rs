//! The leader of a flight: a task of its own, that always finishes.
//! Serves the contract: the flight survives the disconnect of whoever started it.

use std::sync::Arc;
use std::time::Instant;

use jwks_cache::{CacheError, FetchError};
use oidc_core::client::Client;
use oidc_core::grant::{
    AwaitKeys, AwaitReply, Ended, MemoryPlan, ProviderReply, ProviderRequest, Step, Unavailable,
};
use oidc_core::jose::KeySet;
use oidc_core::provider::shown;
use oidc_core::{Fingerprint, Reason, Secret};
use tokio::sync::watch;
use tokio::time::timeout_at;
use url::Url;

use crate::broker::Shared;
use crate::memory::Outcome;
use crate::transport::TransportError;

/// A flight that is led. Dropped without having landed, it is given up: whoever waits is told,
/// and the next caller may lead.
pub(crate) struct Leader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Fingerprint,
    pub(crate) plan: MemoryPlan,
    pub(crate) sender: watch::Sender<Outcome>,
    pub(crate) landed: bool,
}

impl Leader {
    /// Runs the grant from here to its end, and tells everybody.
    pub(crate) async fn run(mut self, step: Step, deadline: tokio::time::Instant) {
        let ended = self.shared.finish_grant(step, deadline).await;
        let now = (self.shared.clock)();
        self.shared
            .memory
            .finish(self.key, self.plan.remember(&ended, now), now);
        self.landed = true;
        self.sender.send_replace(Some(ended.result));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.landed {
            self.shared.memory.abandon(self.key);
        }
    }
}

impl Shared {
    /// Performs what a grant needs once it is nobody's turn but its own.
    pub(crate) async fn finish_grant(
        &self,
        mut step: Step,
        deadline: tokio::time::Instant,
    ) -> Ended {
        let mut tried = Tried::default();
        loop {
            step = match step {
                Step::Call(state) => self.call(state, deadline).await,
                Step::Keys(state) => self.find_keys(state, &mut tried, deadline).await,
                Step::Done(ended) => return ended,
                // None of these follows on a token request.
                Step::Metadata(_) | Step::Flight(_) | Step::Verify(_) => {
                    return Err(Reason::TooManyFlights.into()).into();
                }
            };
        }
    }

    async fn call(&self, state: AwaitReply, deadline: tokio::time::Instant) -> Step {
        let grant = state.grant();
        tracing::debug!(
            endpoint = %shown(state.request().url()),
            grant = %grant.kind(),
            client_id = grant.client().map(Client::id),
            "calling the provider"
        );
        let reply = self.ask(state.request(), deadline).await;
        state.answered(reply, (self.clock)())
    }

    /// Sends a request, once, and takes what comes for it.
    pub(crate) async fn ask(
        &self,
        request: &ProviderRequest,
        deadline: tokio::time::Instant,
    ) -> Result<ProviderReply, Unavailable> {
        let mut builder = match request.body() {
            Some(_) => http::Request::post(request.url().as_str()),
            None => http::Request::get(request.url().as_str()),
        };
        for (name, value) in request.headers() {
            let mut value =
                http::HeaderValue::from_str(value.expose()).map_err(|_| Unavailable::Unsendable)?;
            value.set_sensitive(true);
            builder = builder.header(name.as_str(), value);
        }
        let body = request.body().cloned();
        let message = builder
            .body(body.unwrap_or_else(|| Secret::new("")))
            .map_err(|_| Unavailable::Unsendable)?;
        let begun = Instant::now();
        let answer = timeout_at(deadline, self.transport.send(message)).await;
        let status = match &answer {
            Ok(Ok(response)) => Some(response.status.as_u16()),
            _ => None,
        };
        self.observer
            .called(request.endpoint().name(), begun.elapsed(), status);
        tracing::debug!(endpoint = %shown(request.url()), status, "called the provider");
        match answer {
            Err(_) => Err(Unavailable::Timeout),
            Ok(Err(TransportError::Unreachable)) => Err(Unavailable::Unreachable),
            Ok(Err(TransportError::Cut)) => Err(Unavailable::Cut),
            Ok(Err(TransportError::TooLarge)) => Err(Unavailable::TooLarge),
            Ok(Err(TransportError::NotHttp)) => Err(Unavailable::NotHttp),
            Ok(Ok(response)) => {
                let retry_after = response.retry_after((self.clock)());
                let dpop_nonce = response
                    .text(&http::HeaderName::from_static("dpop-nonce"))
                    .map(str::to_owned);
                let content_type = response
                    .text(&http::header::CONTENT_TYPE)
                    .map(str::to_owned);
                match String::from_utf8(response.body) {
                    Err(_) if response.status.is_success() => Err(Unavailable::NotUtf8),
                    body => Ok(ProviderReply {
                        status: response.status.as_u16(),
                        content_type,
                        retry_after,
                        dpop_nonce,
                        body: Secret::new(body.unwrap_or_default()),
                    }),
                }
            }
        }
    }

    async fn find_keys(
        &self,
        state: AwaitKeys,
        tried: &mut Tried,
        deadline: tokio::time::Instant,
    ) -> Step {
        let uri = state.jwks_uri();
        let wanted: Vec<&str> = state.wanted().iter().map(String::as_str).collect();
        let before = if state.wants_newer() {
            tried.0.iter().find(|(other, _)| other == uri)
        } else {
            None
        };
        let found = match before {
            Some((_, tried)) => timeout_at(deadline, self.jwks.newer(uri, tried)).await,
            None => timeout_at(deadline, self.jwks.keys(uri, &wanted)).await,
        };
        let error = match found {
            Ok(Ok(keys)) => {
                // What is served from memory asks once, and does not come back for newer ones.
                if !state.serves_known() && before.is_none() {
                    tried.0.push((uri.clone(), Arc::clone(&keys)));
                }
                return state.found(&keys, (self.clock)());
            }
            Ok(Err(error)) => error,
            Err(_) => CacheError::Fetch(FetchError::Timeout),
        };
        tracing::warn!(jwks_uri = %shown(uri), %error, "no keys of the provider");
        match error {
            CacheError::Fetch(FetchError::Redirected) => {
                state.unavailable(Reason::Redirected, None)
            }
            CacheError::Fetch(FetchError::Status { retry_after, .. }) => {
                state.unavailable(Reason::KeysUnavailable, retry_after)
            }
            _ => state.unavailable(Reason::KeysUnavailable, None),
        }
    }
}

/// The key sets that did not verify a grant's tokens: newer ones are wanted than these.
#[derive(Default)]
struct Tried(Vec<(Url, Arc<KeySet>)>);
