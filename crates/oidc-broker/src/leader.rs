//! The leader of a flight: a task of its own, that always finishes.
//! Serves the contract: the flight survives the disconnect of whoever started it.

use std::sync::Arc;
use std::time::Instant;

use jwks_cache::{CacheError, FetchError};
use oidc_core::grant::{AwaitKeys, AwaitToken, Ended, MemoryPlan, Step, TokenReply, Unavailable};
use oidc_core::jose::KeySet;
use oidc_core::provider::shown;
use oidc_core::{Fingerprint, Reason, Secret};
use tokio::sync::watch;
use tokio::time::timeout_at;

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
        let mut tried = None;
        loop {
            step = match step {
                Step::Token(state) => self.call_token(state, deadline).await,
                Step::Keys(state) => self.find_keys(state, &mut tried, deadline).await,
                Step::Done(ended) => return ended,
                // Neither follows on a token request.
                Step::Metadata(_) | Step::Flight(_) => {
                    return Err(Reason::TooManyFlights.into()).into();
                }
            };
        }
    }

    async fn call_token(&self, state: AwaitToken, deadline: tokio::time::Instant) -> Step {
        let request = state.request();
        let mut builder = http::Request::post(request.url().as_str());
        for (name, value) in request.headers() {
            let mut value = match http::HeaderValue::from_str(value.expose()) {
                Ok(value) => value,
                Err(_) => return state.answered(Err(Unavailable::Unsendable), (self.clock)()),
            };
            value.set_sensitive(true);
            builder = builder.header(name.as_str(), value);
        }
        let Ok(message) = builder.body(request.body().clone()) else {
            return state.answered(Err(Unavailable::Unsendable), (self.clock)());
        };
        let begun = Instant::now();
        let answer = timeout_at(deadline, self.transport.send(message)).await;
        let status = match &answer {
            Ok(Ok(response)) => Some(response.status.as_u16()),
            _ => None,
        };
        self.observer.called("token", begun.elapsed(), status);
        tracing::debug!(
            endpoint = %shown(request.url()),
            grant = %state.grant().kind(),
            client_id = state.grant().client().id(),
            status,
            "called the token endpoint"
        );
        let reply = match answer {
            Err(_) => Err(Unavailable::Timeout),
            Ok(Err(TransportError::Unreachable)) => Err(Unavailable::Unreachable),
            Ok(Err(TransportError::Cut)) => Err(Unavailable::Cut),
            Ok(Err(TransportError::TooLarge)) => Err(Unavailable::TooLarge),
            Ok(Err(TransportError::NotHttp)) => Err(Unavailable::NotHttp),
            Ok(Ok(response)) => {
                let retry_after = response.retry_after((self.clock)());
                let content_type = response
                    .text(&http::header::CONTENT_TYPE)
                    .map(str::to_owned);
                match String::from_utf8(response.body) {
                    Err(_) if response.status.is_success() => Err(Unavailable::NotUtf8),
                    body => Ok(TokenReply {
                        status: response.status.as_u16(),
                        content_type,
                        retry_after,
                        body: Secret::new(body.unwrap_or_default()),
                    }),
                }
            }
        };
        state.answered(reply, (self.clock)())
    }

    async fn find_keys(
        &self,
        state: AwaitKeys,
        tried: &mut Option<Arc<KeySet>>,
        deadline: tokio::time::Instant,
    ) -> Step {
        let uri = state.jwks_uri();
        let wanted: Vec<&str> = state.wanted().iter().map(String::as_str).collect();
        let found = match tried.take().filter(|_| state.wants_newer()) {
            Some(tried) => timeout_at(deadline, self.jwks.newer(uri, &tried)).await,
            None => timeout_at(deadline, self.jwks.keys(uri, &wanted)).await,
        };
        let error = match found {
            Ok(Ok(keys)) => {
                *tried = Some(Arc::clone(&keys));
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
