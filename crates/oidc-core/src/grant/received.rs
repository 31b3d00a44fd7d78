//! Tokens as the provider issued them or a caller presented them, before they are verified.

use super::Granted;
use super::inquiry::Said;
use crate::rotation::Subject;
use crate::{Secret, UnixTime};

/// Tokens that came and are not verified yet.
#[derive(Debug)]
pub struct Received {
    pub(super) access_token: Secret,
    pub(super) id_token: Option<Secret>,
    pub(super) refresh_token: Option<Secret>,
    pub(super) scope: Option<String>,
    pub(super) received_at: UnixTime,
    /// When the response says that the access token ends.
    pub(super) expires_at: Option<UnixTime>,
    pub(super) uncacheable: bool,
    /// Whom the tokens must be about, if that is known.
    pub(crate) subject: Option<Subject>,
    /// What the provider says about the access token.
    pub(super) said: Option<Said>,
}

impl Received {
    /// A token that a caller presents.
    pub(super) const fn presented(access_token: Secret, now: UnixTime) -> Self {
        Self {
            access_token,
            id_token: None,
            refresh_token: None,
            scope: None,
            received_at: now,
            expires_at: None,
            uncacheable: false,
            subject: None,
            said: None,
        }
    }
}

/// A result, to be verified in another way.
impl From<&Granted> for Received {
    fn from(granted: &Granted) -> Self {
        Self {
            access_token: granted.access_token.clone(),
            id_token: granted.id_token.as_ref().map(|(token, _)| token.clone()),
            refresh_token: granted.refresh_token.clone(),
            scope: granted.scope.clone(),
            received_at: granted.received_at,
            expires_at: Some(granted.expires_at),
            uncacheable: granted.uncacheable,
            subject: granted.expected_subject.clone(),
            said: None,
        }
    }
}
