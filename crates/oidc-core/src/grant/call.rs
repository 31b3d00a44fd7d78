//! The state in which the provider is asked, once: RFC 6749 §5, RFC 7662 §2.2, OIDC Core §5.3.2.

use std::sync::Arc;

use super::flight;
use super::inquiry;
use super::keys::AwaitKeys;
use super::received::Received;
use super::reply::{ProviderReply, Unavailable, wants_nonce};
use super::request::{Moment, ProviderRequest};
use super::response;
use super::{Grant, Step};
use crate::client::Client;
use crate::provider::ProviderMetadata;
use crate::rotation::Subject;
use crate::{Credential, CredentialKind, Denial, Reason, UnixTime};

/// Waits for the provider's answer.
#[derive(Debug)]
pub struct AwaitReply {
    pub(super) grant: Grant,
    pub(super) metadata: Arc<ProviderMetadata>,
    pub(super) request: ProviderRequest,
    pub(super) sent: Credential,
    pub(super) subject: Option<Subject>,
    pub(super) moment: Moment,
    /// Whether the provider asked for a nonce before.
    pub(super) asked_again: bool,
}

impl AwaitReply {
    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What is to be sent, once.
    pub const fn request(&self) -> &ProviderRequest {
        &self.request
    }

    /// Goes on with the answer, or ends for lack of one.
    pub fn answered(self, reply: Result<ProviderReply, Unavailable>, now: UnixTime) -> Step {
        let reply = match reply {
            Ok(reply) => reply,
            Err(unavailable) => {
                let reason = unavailable.reason(self.request.endpoint());
                return self.grant.deny(reason);
            }
        };
        if let Some(dpop) = &self.grant.policy.dpop {
            let new = dpop.heard(&self.request, reply.dpop_nonce.as_deref());
            let wanted = wants_nonce(&reply, self.request.endpoint());
            if wanted && new && !self.asked_again {
                return self.again(now);
            }
        }
        match &self.sent {
            Credential::Introspection(_) | Credential::UserInfo(_) => self.said(&reply, now),
            _ => self.issued(&reply, now),
        }
    }

    /// Asks once more, with the nonce that the provider wants: it refused the proof before it did
    /// anything with the rest, so that nothing is replayed.
    fn again(self, now: UnixTime) -> Step {
        let random = self.moment.again().again().random;
        let moment = Moment { now, random };
        let request = flight::request(
            &self.grant,
            &self.metadata,
            &self.sent,
            self.request.endpoint(),
            moment,
        );
        match request {
            Ok(request) => Step::Call(Self {
                request,
                moment,
                asked_again: true,
                ..self
            }),
            Err(denial) => self.grant.done(denial),
        }
    }

    /// An answer of the token endpoint.
    fn issued(self, reply: &ProviderReply, now: UnixTime) -> Step {
        let secrets = self.secrets();
        let dpop = self.grant.policy.dpop.is_some();
        let tokens = match response::read(reply, self.grant.kind(), &secrets, dpop) {
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
            said: None,
        };
        AwaitKeys::begin(self.grant, self.metadata, Arc::new(received))
    }

    /// An answer about a token or its user.
    fn said(self, reply: &ProviderReply, now: UnixTime) -> Step {
        let said = match inquiry::read(reply, self.grant.kind(), &self.secrets()) {
            Ok(said) => said,
            Err(denial) => return self.grant.done(denial),
        };
        let (Credential::Introspection(token) | Credential::UserInfo(token)) = self.sent else {
            return self.grant.deny(Reason::CredentialMissing);
        };
        let received = Received {
            said: Some(said),
            ..Received::presented(token, now)
        };
        AwaitKeys::begin(self.grant, self.metadata, Arc::new(received))
    }

    /// What was sent and must not be repeated.
    fn secrets(&self) -> Vec<&str> {
        let policy = &*self.grant.policy;
        let (asked, user) = (&policy.introspection, &policy.user_info);
        let further = policy.token_post_args.iter().chain(&policy.token_headers);
        let further = further.chain(&asked.post_args).chain(&asked.headers);
        let further = further.chain(&user.query_args).chain(&user.headers);
        let further = further.map(|(_, value)| value.expose());
        let presented = self.grant.credential.secrets().into_iter();
        presented
            .chain(self.sent.secrets())
            .chain(self.grant.client().into_iter().flat_map(Client::secrets))
            .chain(further)
            .collect()
    }

    /// A refused refresh token whose own word names another client was used with the wrong one.
    fn refused(self, denial: Denial) -> Step {
        let azp = self.grant.hint().and_then(|hint| hint.azp.as_deref());
        let mismatch = self.grant.kind() == CredentialKind::RefreshToken
            && denial.reason() == Reason::RefreshTokenRefused
            && azp.is_some_and(|azp| azp != self.grant.client_id());
        if !mismatch {
            return self.grant.done(denial);
        }
        let words = denial.hint().unwrap_or_default();
        self.grant
            .done(Denial::new(Reason::RefreshTokenClientMismatch).with_hint(words))
    }
}
