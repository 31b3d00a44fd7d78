//! Whom a request is from, as its upstream is told: Kong's mapping of claims to consumers, consumer
//! groups, credentials and groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::consumer::{Consumer, ConsumerBy, Consumers};
use super::sources::{ClaimSources, scalar, words};
use crate::grant::Granted;
use crate::{Denial, Reason};

/// How tokens are mapped to those whom the gateway knows; prepared once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityRule {
    /// Where claims are looked for.
    pub sources: ClaimSources,
    /// How a consumer is found; `None` looks for none.
    pub consumer: Option<ConsumerRule>,
    /// How consumer groups are found; `None` looks for none.
    pub consumer_groups: Option<ConsumerGroupRule>,
    /// The claim that names the credential (`credential_claim`).
    pub credential_claim: Vec<String>,
    /// The claim that holds the caller's groups (`authenticated_groups_claim`).
    pub authenticated_groups_claim: Option<Vec<String>>,
    /// Whom requests are from that are not authenticated; `None` refuses them.
    pub anonymous: Option<Arc<Consumer>>,
}

/// How a consumer is found.
#[derive(Clone, Debug)]
pub struct ConsumerRule {
    /// Those who may be found.
    pub consumers: Arc<Consumers>,
    /// The paths of the claims that may name one (`consumer_claims`); the first that does decides.
    pub claims: Vec<Vec<String>>,
    /// By what, in order (`consumer_by`).
    pub by: Vec<ConsumerBy>,
    /// Whether user names match without regard to case (`by_username_ignore_case`).
    pub ignore_case: bool,
    /// Whether a request without a consumer is let through (`consumer_optional`).
    pub optional: bool,
}

/// How consumer groups are found.
#[derive(Clone, Debug)]
pub struct ConsumerGroupRule {
    /// The names of those that there are.
    pub known: Arc<BTreeSet<String>>,
    /// The path of the claim that names them (`consumer_groups_claim`).
    pub claim: Vec<String>,
    /// Whether a request without a group is let through (`consumer_groups_optional`).
    pub optional: bool,
}

impl Default for IdentityRule {
    fn default() -> Self {
        Self {
            sources: ClaimSources::default(),
            consumer: None,
            consumer_groups: None,
            credential_claim: vec!["sub".to_owned()],
            authenticated_groups_claim: None,
            anonymous: None,
        }
    }
}

/// Whom a request is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    consumer: Option<Arc<Consumer>>,
    anonymous: bool,
    consumer_groups: Vec<String>,
    credential: Option<String>,
    authenticated_groups: Option<Vec<String>>,
}

impl IdentityRule {
    /// Whom the tokens are of.
    ///
    /// # Errors
    /// If they are of no consumer, or of no consumer group, and one is required.
    pub fn identify(&self, granted: &Granted) -> Result<Identity, Denial> {
        let find = |path: &[String]| self.sources.find(granted, path);
        let deny = |reason| Denial::new(reason).for_kind(granted.kind());
        let consumer = match &self.consumer {
            None => None,
            Some(rule) => match rule.find(find) {
                None if !rule.optional => return Err(deny(Reason::ConsumerUnknown)),
                found => found,
            },
        };
        let mut consumer_groups = match &self.consumer_groups {
            None => Vec::new(),
            Some(rule) => {
                let groups = find(&rule.claim).map_or_else(Vec::new, |value| rule.known_of(value));
                if groups.is_empty() && !rule.optional {
                    return Err(deny(Reason::ConsumerGroupUnknown));
                }
                groups
            }
        };
        if let Some(consumer) = &consumer {
            consumer_groups.extend(consumer.groups.iter().cloned());
        }
        Ok(Identity {
            consumer,
            anonymous: false,
            consumer_groups: each_once(consumer_groups),
            credential: find(&self.credential_claim).and_then(scalar),
            authenticated_groups: self
                .authenticated_groups_claim
                .as_ref()
                .and_then(|path| find(path))
                .map(|value| each_once(words(value))),
        })
    }

    /// Whom a request is from that is not authenticated, where such requests are let through.
    #[must_use]
    pub fn anonymous(&self) -> Option<Identity> {
        let consumer = self.anonymous.as_ref()?;
        Some(Identity {
            anonymous: true,
            consumer_groups: consumer.groups.clone(),
            consumer: Some(Arc::clone(consumer)),
            ..Identity::default()
        })
    }
}

impl ConsumerRule {
    fn find<'c>(&self, claim: impl Fn(&[String]) -> Option<&'c Value>) -> Option<Arc<Consumer>> {
        self.claims
            .iter()
            .filter_map(|path| scalar(claim(path)?))
            .find_map(|value| {
                self.by
                    .iter()
                    .find_map(|by| self.consumers.find(*by, &value, self.ignore_case))
            })
            .map(Arc::clone)
    }
}

impl ConsumerGroupRule {
    /// The groups that the value names: the whole text, or else its words.
    fn known_of(&self, value: &Value) -> Vec<String> {
        if let Some(whole) = scalar(value).filter(|whole| self.known.contains(whole)) {
            return vec![whole];
        }
        let named = words(value).into_iter();
        named.filter(|name| self.known.contains(name)).collect()
    }
}

impl Identity {
    /// The consumer, if there is one.
    #[must_use]
    pub fn consumer(&self) -> Option<&Consumer> {
        self.consumer.as_deref()
    }

    /// Whether nobody is authenticated.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The consumer groups: those of the token, and those that the consumer is a member of.
    #[must_use]
    pub fn consumer_groups(&self) -> &[String] {
        &self.consumer_groups
    }

    /// What the credential is called, such as the subject.
    #[must_use]
    pub fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// The groups that the token itself names; `None` where it has no such claim.
    #[must_use]
    pub fn authenticated_groups(&self) -> Option<&[String]> {
        self.authenticated_groups.as_deref()
    }
}

fn each_once(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .collect()
}
