//! Whom a request is from, told to its upstream: `X-Consumer-*`, `X-Credential-Identifier`,
//! `X-Authenticated-Groups`, `X-Anonymous-Consumer`.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use oidc_core::authorize::{Acl, Identity};
use oidc_core::grant::Granted;

use super::header_value;
use super::inject::put;
use crate::config::identity_header as header;

/// Whom a request is from, once that is decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    granted: Option<Arc<Granted>>,
    identity: Option<Identity>,
}

impl Caller {
    /// Somebody who was not asked: on a public route, or with a preflight.
    #[must_use]
    pub(crate) fn unasked() -> Self {
        Self::default()
    }

    /// Nobody who is known.
    #[must_use]
    pub(crate) const fn anonymous(identity: Identity) -> Self {
        Self {
            granted: None,
            identity: Some(identity),
        }
    }

    /// Somebody whose credential was taken.
    #[must_use]
    pub(crate) const fn authenticated(granted: Arc<Granted>, identity: Identity) -> Self {
        Self {
            granted: Some(granted),
            identity: Some(identity),
        }
    }

    /// What the credential gave.
    #[must_use]
    pub(crate) fn granted(&self) -> Option<&Granted> {
        self.granted.as_deref()
    }

    /// Whom the gateway takes this to be.
    #[must_use]
    pub(crate) const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

/// The headers that are written here, which no client may send on whichever route.
pub(crate) const WRITTEN: [HeaderName; 7] = header::ALL;

/// Writes who it is, after whatever a client sent under these names was removed.
pub(crate) fn write(identity: &Identity, acl: Option<&Acl>, headers: &mut HeaderMap) {
    let told = acl.is_none_or(|acl| !acl.hide_groups_header);
    let mut groups: Vec<&str> = Vec::new();
    if let Some(consumer) = identity.consumer() {
        for (name, value) in [
            (&header::CONSUMER_ID, Some(&consumer.id)),
            (&header::CONSUMER_USERNAME, consumer.username.as_ref()),
            (&header::CONSUMER_CUSTOM_ID, consumer.custom_id.as_ref()),
        ] {
            if let Some(value) = value {
                put(headers, name, header_value::text(value));
            }
        }
        groups.extend(consumer.acl_groups.iter().map(String::as_str));
    }
    if let Some(credential) = identity.credential() {
        put(headers, &header::CREDENTIAL, header_value::text(credential));
    }
    if told {
        for group in identity.consumer_groups() {
            if !groups.contains(&group.as_str()) {
                groups.push(group);
            }
        }
        put(
            headers,
            &header::CONSUMER_GROUPS,
            header_value::list(&groups),
        );
        let own = identity.authenticated_groups().unwrap_or_default();
        put(
            headers,
            &header::AUTHENTICATED_GROUPS,
            header_value::list(own),
        );
    }
    if identity.is_anonymous() {
        headers.insert(header::ANONYMOUS, HeaderValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oidc_core::authorize::{AclRule, Consumer, IdentityRule};

    use super::*;

    fn lines(identity: &Identity, acl: Option<&Acl>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        write(identity, acl, &mut headers);
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("visible ASCII")))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_consumer_is_told_in_ascii_and_its_groups_only_if_the_list_says_so() {
        let mut rule = IdentityRule::default();
        rule.anonymous = Some(Arc::new(Consumer {
            id: "1".to_owned(),
            username: Some("Jürgen\r\nX: y".to_owned()),
            custom_id: None,
            acl_groups: vec!["a".to_owned(), "b, c".to_owned()],
            groups: vec!["a".to_owned(), "gold".to_owned()],
        }));
        let identity = rule.anonymous().expect("a consumer");
        let acl = |hide_groups_header| Acl {
            rule: AclRule::Allow(vec!["a".to_owned()]),
            always_use_authenticated_groups: false,
            include_consumer_groups: false,
            hide_groups_header,
        };
        let who = [
            "x-anonymous-consumer: true",
            "x-consumer-id: 1",
            "x-consumer-username: J%C3%BCrgen%0D%0AX: y",
        ];
        assert_eq!(lines(&identity, Some(&acl(true))), who);
        let mut with_groups = who.to_vec();
        with_groups.insert(1, "x-consumer-groups: a, b%2C c, gold");
        assert_eq!(lines(&identity, Some(&acl(false))), with_groups);
        assert_eq!(lines(&identity, None), with_groups);
    }
}
