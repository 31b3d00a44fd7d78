//! How a grant would be run, up to the point at which the provider would be asked.

use std::sync::Arc;

use oidc_core::grant::{AwaitFlight, AwaitVerification, Ended, Grant, GrantPolicy, Granted, Step};
use oidc_core::provider::Endpoint;
use oidc_core::rotation::Recall;
use oidc_core::{Credential, Denial, Reason};
use url::Url;

use crate::Broker;

impl Broker {
    /// Finds out how a grant would be run, and stops before the token endpoint.
    ///
    /// # Errors
    /// With the reason for which it would not get that far.
    pub async fn dry_run(
        &self,
        policy: &Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
    ) -> Result<Dry, Denial> {
        let deadline = self.deadline();
        let step = match Grant::start(Arc::clone(policy), credential, client_arg) {
            Step::Metadata(state) => self.shared.find_metadata(state, deadline).await,
            step => step,
        };
        match step {
            Step::Flight(state) => {
                let now = (self.shared.clock)();
                let remembered = self.shared.memory.remembered(&state.key());
                let found = match remembered.map(|remembered| remembered.recall(now)) {
                    Some(Recall::Serve { granted, .. }) => Found::Result(granted),
                    Some(Recall::Refresh(_) | Recall::Verify(_)) => Found::Successor,
                    Some(Recall::Refuse(denial)) => Found::Refusal(denial),
                    Some(Recall::Present { .. }) | None => Found::Nothing,
                };
                Ok(Dry {
                    state: DryState::Flight(state),
                    found,
                })
            }
            Step::Verify(state) => {
                let now = (self.shared.clock)();
                let served = |key| self.shared.memory.served(&key, now);
                let found = match state.key().and_then(served) {
                    Some((granted, _)) => Found::Result(granted),
                    None => Found::Nothing,
                };
                Ok(Dry {
                    state: DryState::Verify(state),
                    found,
                })
            }
            Step::Done(Ended {
                result: Err(denial),
                ..
            }) => Err(denial),
            // Nothing else comes before a flight.
            _ => Err(Reason::TooManyFlights.into()),
        }
    }
}

/// How a grant would be run.
#[derive(Debug)]
pub struct Dry {
    state: DryState,
    /// What is remembered of the credential.
    pub found: Found,
}

#[derive(Debug)]
enum DryState {
    Flight(AwaitFlight),
    Verify(AwaitVerification),
}

impl Dry {
    /// The grant: its kind, its client, and why that one.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        match &self.state {
            DryState::Flight(state) => state.grant(),
            DryState::Verify(state) => state.grant(),
        }
    }

    /// The endpoint that would be asked, and where it is if the provider has it; `None` if the
    /// keys of the provider decide alone.
    #[must_use]
    pub fn question(&self) -> Option<(Endpoint, Option<&Url>)> {
        let DryState::Flight(flight) = &self.state else {
            return None;
        };
        let endpoint = flight.endpoint();
        Some((endpoint, flight.url_of(endpoint)))
    }
}

/// What is remembered of a credential.
#[derive(Debug)]
pub enum Found {
    /// Nothing: it would be sent.
    Nothing,
    /// A result: it would be served.
    Result(Arc<Granted>),
    /// A newer refresh token: it would be sent instead.
    Successor,
    /// A refusal a moment ago: it would be repeated.
    Refusal(Denial),
}
