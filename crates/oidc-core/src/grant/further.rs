//! What has to be found out beyond what a credential gave: introspection, exchange, user info.
//! Each is a grant of its own, so that it is shared and remembered like any other.

use super::granted::UserInfo;
use super::{GrantPolicy, Granted};
use crate::{Credential, CredentialKind};

impl GrantPolicy {
    /// The credential of the next grant that belongs to this one, until there is none. What it
    /// gives is put together by [`Granted::with`] or [`Granted::without`].
    #[must_use]
    pub fn further(&self, granted: &Granted) -> Option<Credential> {
        let token = || granted.access_token.clone();
        let is_bearer = granted.kind == CredentialKind::Bearer;
        let exchanged = granted.presented.is_some();
        if is_bearer
            && !exchanged
            && self.access_tokens.introspect_signed
            && granted.introspection.is_none()
        {
            return Some(Credential::Introspection(token()));
        }
        if let Some(exchange) = &self.exchange
            && granted.kind.is_access_token()
            && !exchanged
            && granted
                .claims()
                .is_some_and(|claims| exchange.wants(claims))
        {
            return Some(Credential::TokenExchange(token()));
        }
        let not_asked = matches!(granted.user_info, UserInfo::NotAsked);
        (self.user_info.wanted && not_asked).then(|| Credential::UserInfo(token()))
    }
}
