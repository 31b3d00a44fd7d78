//! The state in which the token endpoint is asked, once: RFC 6749 §5.

use std::sync::Arc;

use super::keys::AwaitKeys;
use super::received::Received;
use super::request::TokenRequest;
use super::response::{self, TokenReply, Unavailable};
use super::{Grant, Step};
use crate::provider::ProviderMetadata;
use crate::rotation::Subject;
use crate::{Credential, Denial, Reason, UnixTime};

/// Waits for the answer of the token endpoint.
#[derive(Debug)]
pub struct AwaitToken {
    pub(super) grant: Grant,
    pub(super) metadata: Arc<ProviderMetadata>,
    pub(super) request: TokenRequest,
    pub(super) sent: Credential,
    pub(super) subject: Option<Subject>,
}

impl AwaitToken {
    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What is to be sent, once.
    pub const fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Goes on with the answer, or ends for lack of one.
    pub fn answered(self, reply: Result<TokenReply, Unavailable>, now: UnixTime) -> Step {
        let reply = match reply {
            Ok(reply) => reply,
            Err(unavailable) => return self.grant.deny(unavailable.reason()),
        };
        let secrets = self.secrets();
        let tokens = match response::read(&reply, self.grant.kind(), &secrets) {
            Ok(tokens) => tokens,
            Err(denial) => return self.refused(denial),
        };
        let refresh_token = tokens.refresh_token.or(match self.sent {
            // RFC 6749 §6: without a new one the old one stays current.
            Credential::RefreshToken(token) => Some(token),
            _ => None,
        });
        let received = Received {
            access_token: tokens.access_token,
            id_token: tokens.id_token,
            refresh_token,
            scope: tokens.scope,
            received_at: now,
            expires_at: tokens
                .expires_in
                .filter(|life| !life.is_zero())
                .map(|life| now.plus(life)),
            uncacheable: tokens.expires_in.is_some_and(|life| life.is_zero()),
            subject: self.subject,
        };
        AwaitKeys::begin(self.grant, self.metadata, Arc::new(received))
    }

    /// What was sent and must not be repeated.
    fn secrets(&self) -> Vec<&str> {
        let policy = &*self.grant.policy;
        let further = policy.token_post_args.iter().chain(&policy.token_headers);
        let further = further.map(|(_, value)| value.expose());
        let presented = self.grant.credential.secrets().into_iter();
        presented
            .chain(self.sent.secrets())
            .chain(self.grant.client().secrets())
            .chain(further)
            .collect()
    }

    /// A refused refresh token whose own word names another client was used with the wrong one.
    fn refused(self, denial: Denial) -> Step {
        let azp = self.grant.hint().and_then(|hint| hint.azp.as_deref());
        let mismatch = denial.reason() == Reason::RefreshTokenRefused
            && azp.is_some_and(|azp| azp != self.grant.client().id());
        if !mismatch {
            return self.grant.done(denial);
        }
        let words = denial.hint().unwrap_or_default();
        self.grant
            .done(Denial::new(Reason::RefreshTokenClientMismatch).with_hint(words))
    }
}
