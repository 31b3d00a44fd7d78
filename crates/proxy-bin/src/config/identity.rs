//! To whom tokens are mapped: Kong's parameters for consumers, consumer groups, credentials and
//! groups.

use std::sync::Arc;

use http::HeaderName;
use oidc_core::authorize::{
    ClaimSources, ConsumerBy, ConsumerGroupRule, ConsumerRule, Consumers, IdentityRule,
};

use super::document::Tree;
use super::plugin::flag;
use super::reader::{Item, Section};

/// The headers in which an upstream is told whom a request is from.
pub(crate) mod header {
    use http::HeaderName;

    /// The consumer's id.
    pub(crate) const CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
    /// Its user name.
    pub(crate) const CONSUMER_USERNAME: HeaderName = HeaderName::from_static("x-consumer-username");
    /// Its custom id.
    pub(crate) const CONSUMER_CUSTOM_ID: HeaderName =
        HeaderName::from_static("x-consumer-custom-id");
    /// Its groups, and the consumer groups.
    pub(crate) const CONSUMER_GROUPS: HeaderName = HeaderName::from_static("x-consumer-groups");
    /// What the credential is called.
    pub(crate) const CREDENTIAL: HeaderName = HeaderName::from_static("x-credential-identifier");
    /// The groups of the token itself.
    pub(crate) const AUTHENTICATED_GROUPS: HeaderName =
        HeaderName::from_static("x-authenticated-groups");
    /// That nobody is authenticated.
    pub(crate) const ANONYMOUS: HeaderName = HeaderName::from_static("x-anonymous-consumer");

    /// All of them.
    pub(crate) const ALL: [HeaderName; 7] = [
        CONSUMER_ID,
        CONSUMER_USERNAME,
        CONSUMER_CUSTOM_ID,
        CONSUMER_GROUPS,
        CREDENTIAL,
        AUTHENTICATED_GROUPS,
        ANONYMOUS,
    ];
}

pub(super) fn read(s: &mut Section<'_>, sources: ClaimSources) -> IdentityRule {
    let mut rule = IdentityRule::default();
    rule.sources = sources;
    rule.consumer = consumer(s);
    rule.consumer_groups = consumer_groups(s);
    if let Some(path) = s.take("credential_claim").and_then(|item| path(&item)) {
        rule.credential_claim = path;
    }
    rule.authenticated_groups_claim = s
        .take("authenticated_groups_claim")
        .and_then(|item| path(&item));
    rule.anonymous = s.take("anonymous").and_then(|item| {
        let name = item.filled_text()?;
        match known(&item)?.named(&name) {
            Some(consumer) => Some(Arc::clone(consumer)),
            None => item.problem(format!(
                "there is no consumer of the id or the username {}",
                item.shown(&name)
            )),
        }
    });
    rule
}

/// The headers that requests with such a mapping may be given.
pub(super) fn written(rule: &IdentityRule) -> Vec<HeaderName> {
    let consumers = rule.consumer.is_some() || rule.anonymous.is_some();
    [
        (header::CREDENTIAL, true),
        (header::CONSUMER_ID, consumers),
        (header::CONSUMER_USERNAME, consumers),
        (header::CONSUMER_CUSTOM_ID, consumers),
        (
            header::CONSUMER_GROUPS,
            consumers || rule.consumer_groups.is_some(),
        ),
        (
            header::AUTHENTICATED_GROUPS,
            rule.authenticated_groups_claim.is_some(),
        ),
        (header::ANONYMOUS, rule.anonymous.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, written)| written.then_some(name))
    .collect()
}

fn known(item: &Item<'_>) -> Option<Arc<Consumers>> {
    let entities = item.context.entities.get()?;
    Some(Arc::clone(&entities.consumers))
}

fn consumer(s: &mut Section<'_>) -> Option<ConsumerRule> {
    let new = s.take("consumer_claims");
    // Exports hold the deprecated parameter beside its successor.
    let old = s.take("consumer_claim");
    let by = s.take("consumer_by").map_or_else(Vec::new, |item| {
        let words = [
            ("custom_id", ConsumerBy::CustomId),
            ("username", ConsumerBy::Username),
            ("id", ConsumerBy::Id),
        ];
        item.list()
            .iter()
            .filter_map(|item| item.one_of(&words))
            .collect()
    });
    let ignore_case = flag(s, "by_username_ignore_case", false);
    let optional = flag(s, "consumer_optional", false);
    let claims: Option<Vec<Vec<String>>> = new
        .as_ref()
        .map(|item| item.list().iter().filter_map(path).collect());
    let old_claim = old.as_ref().filter(|item| !is_empty(item)).and_then(path);
    let claims = match (claims.filter(|claims| !claims.is_empty()), old_claim) {
        (None, old) => vec![old?],
        (Some(claims), None) => claims,
        (Some(claims), Some(old)) if claims == [old.clone()] => claims,
        (Some(_), Some(_)) => {
            return old?.problem("stands beside consumer_claims, which says something else");
        }
    };
    let item = new.or(old)?;
    let consumers = known(&item)?;
    if consumers.is_empty() && !optional {
        item.problem::<()>("there are no consumers, so that nobody could ever pass: add consumers, or set consumer_optional");
    }
    Some(ConsumerRule {
        consumers,
        claims,
        by: if by.is_empty() {
            vec![ConsumerBy::CustomId, ConsumerBy::Username]
        } else {
            by
        },
        ignore_case,
        optional,
    })
}

fn consumer_groups(s: &mut Section<'_>) -> Option<ConsumerGroupRule> {
    let item = s.take("consumer_groups_claim");
    let optional = flag(s, "consumer_groups_optional", false);
    let item = item.filter(|item| !is_empty(item))?;
    let claim = path(&item)?;
    let known = Arc::clone(&item.context.entities.get()?.groups);
    if known.is_empty() && !optional {
        item.problem::<()>("there are no consumer_groups, so that nobody could ever pass: add some, or set consumer_groups_optional");
    }
    Some(ConsumerGroupRule {
        known,
        claim,
        optional,
    })
}

/// An empty list is what exports write for one that is not used.
fn is_empty(item: &Item<'_>) -> bool {
    matches!(item.tree(), Tree::List(items) if items.is_empty())
}

/// The path of a claim, from the outermost name inwards.
pub(super) fn path(item: &Item<'_>) -> Option<Vec<String>> {
    let path = item.texts();
    if path.is_empty() {
        return item.problem("needs the path of a claim");
    }
    Some(path)
}
