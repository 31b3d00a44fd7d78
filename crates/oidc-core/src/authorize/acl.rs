//! Whose groups are let through: the rule of Kong's plugin `acl`.

use super::identity::Identity;
use crate::{Denial, Reason};

/// A list of groups, and whose groups are held to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// The list.
    pub rule: AclRule,
    /// Whether the token's own groups go before those of a consumer.
    pub always_use_authenticated_groups: bool,
    /// Whether consumer groups count, too.
    pub include_consumer_groups: bool,
    /// Whether the upstream is not told the groups.
    pub hide_groups_header: bool,
}

/// Which groups are let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclRule {
    /// These alone: one of them is enough.
    Allow(Vec<String>),
    /// All but these: one of them is too much.
    Deny(Vec<String>),
}

impl Acl {
    /// Holds somebody's groups to the list. Whose groups are not known is let through by no list:
    /// neither a request that nobody authenticated, nor one without a consumer whose token has no
    /// claim of groups.
    ///
    /// # Errors
    /// If the groups are not let through.
    pub fn admit(&self, identity: Option<&Identity>) -> Result<(), Denial> {
        let groups = identity.and_then(|identity| self.groups(identity));
        let admitted = groups.is_some_and(|groups| match &self.rule {
            AclRule::Allow(list) => groups.iter().any(|group| list.contains(group)),
            AclRule::Deny(list) => !groups.iter().any(|group| list.contains(group)),
        });
        if admitted {
            Ok(())
        } else {
            Err(Denial::new(Reason::GroupNotAllowed))
        }
    }

    /// The groups that count; `None` if nothing is known of any.
    fn groups<'i>(&self, identity: &'i Identity) -> Option<Vec<&'i String>> {
        let own = identity.authenticated_groups();
        let consumers = identity
            .consumer()
            .map(|consumer| consumer.acl_groups.as_slice());
        let own_first = self.always_use_authenticated_groups || identity.is_anonymous();
        let groups = if own_first {
            own.or(consumers)
        } else {
            consumers.or(own)
        };
        let further = if self.include_consumer_groups {
            identity.consumer_groups()
        } else {
            &[]
        };
        match groups {
            None if further.is_empty() => None,
            groups => Some(groups.unwrap_or_default().iter().chain(further).collect()),
        }
    }
}
