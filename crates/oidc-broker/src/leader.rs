//! The leader of a flight: a task of its own, that always finishes.
//! Serves the contract: the flight survives the disconnect of whoever started it.

use std::sync::Arc;
use std::time::Instant;

use oidc_core::grant::{AwaitKeys, AwaitToken, Granted, MemoryPlan, Step, TokenReply, Unavailable};
use oidc_core::{Denial, Fingerprint, Reason, Secret};
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
        let outcome = self.shared.finish_grant(step, deadline).await;
        let now = (self.shared.clock)();
        self.shared
            .memory
            .finish(self.key, self.plan.remember(&outcome, now), now);
        self.landed = true;
        self.sender.send_replace(Some(outcome));
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
    ) -> Result<Arc<Granted>, Denial> {
        loop {
            step = match step {
                Step::Token(state) => self.call_token(state, deadline).await,
                Step::Keys(state) => self.find_keys(state, deadline).await,
                Step::Done(outcome) => return outcome,
                // Neither follows on a token request.
                Step::Metadata(_) | Step::Flight(_) => return Err(Reason::TooManyFlights.into()),
            };
        }
    }

    async fn call_token(&self, state: AwaitToken, deadline: tokio::time::Instant) -> Step {
        let request = state.request();
        let mut builder = http::Request::post(request.url().as_str());
        for (name, value) in request.headers() {
            let mut value = match http::HeaderValue::from_str(value.expose()) {
                Ok(value) => value,
                Err(_) => return state.answered(Err(Unavailable::Unreachable), (self.clock)()),
            };
            value.set_sensitive(true);
            builder = builder.header(name.as_str(), value);
        }
        let Ok(message) = builder.body(request.body().clone()) else {
            return state.answered(Err(Unavailable::Unreachable), (self.clock)());
        };
        let begun = Instant::now();
        let answer = timeout_at(deadline, self.transport.send(message)).await;
        let status = match &answer {
            Ok(Ok(response)) => Some(response.status.as_u16()),
            _ => None,
        };
        self.observer.called("token", begun.elapsed(), status);
        tracing::debug!(
            endpoint = %request.url(),
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
            Ok(Ok(response)) => {
                let retry_after = response.retry_after();
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

    async fn find_keys(&self, state: AwaitKeys, deadline: tokio::time::Instant) -> Step {
        let wanted: Vec<&str> = state.wanted().iter().map(String::as_str).collect();
        match timeout_at(deadline, self.jwks.keys(state.jwks_uri(), &wanted)).await {
            Ok(Ok(keys)) => state.found(&keys),
            Ok(Err(error)) => {
                tracing::warn!(jwks_uri = %state.jwks_uri(), %error, "no keys of the provider");
                state.unavailable()
            }
            Err(_) => state.unavailable(),
        }
    }
}
