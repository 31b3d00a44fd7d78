//! Headers that the gateway writes from what a grant gave: `upstream_*_header`, `downstream_*_header`.

use http::{HeaderMap, HeaderValue};
use oidc_core::Secret;
use oidc_core::grant::Granted;

use crate::config::HeaderTarget;

/// Which token a header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// The access token.
    Access,
    /// The newest refresh token.
    Refresh,
    /// The ID token.
    Id,
}

/// One header, and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    carried: Carried,
    target: HeaderTarget,
}

impl Injection {
    /// The injections of these targets; what has no target is not written.
    pub(crate) fn all<'t>(
        targets: impl IntoIterator<Item = (Carried, Option<&'t HeaderTarget>)>,
    ) -> Vec<Self> {
        targets
            .into_iter()
            .filter_map(|(carried, target)| {
                Some(Self {
                    carried,
                    target: target?.clone(),
                })
            })
            .collect()
    }

    /// The header that is written.
    #[must_use]
    pub(crate) const fn target(&self) -> &HeaderTarget {
        &self.target
    }

    /// Whether it carries the newest refresh token.
    #[must_use]
    pub(crate) fn is_of_refresh_token(&self) -> bool {
        self.carried == Carried::Refresh
    }

    /// Writes it, in place of whatever stood there; removes it if there is nothing to write.
    pub(crate) fn write(&self, granted: &Granted, headers: &mut HeaderMap) {
        let secret = match self.carried {
            Carried::Access => Some(granted.access_token()),
            Carried::Refresh => granted.refresh_token(),
            Carried::Id => granted.id_token(),
        };
        match secret.and_then(|secret| self.value(secret)) {
            Some(value) => {
                headers.insert(self.target.name.clone(), value);
            }
            None => {
                headers.remove(&self.target.name);
            }
        }
    }

    /// `None` of a token that no header can hold: it opens no second line, and is not cut.
    fn value(&self, secret: &Secret) -> Option<HeaderValue> {
        let token = secret.expose();
        let mut value = if self.target.bearer {
            let mut text = String::with_capacity("Bearer ".len() + token.len());
            text.push_str("Bearer ");
            text.push_str(token);
            HeaderValue::try_from(text)
        } else {
            HeaderValue::from_str(token)
        }
        .ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
