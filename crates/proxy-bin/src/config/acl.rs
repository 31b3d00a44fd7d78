//! The plugin `acl`: Kong's parameters, typed.

use oidc_core::authorize::{Acl, AclRule};

use super::plugin::flag;
use super::reader::Item;

pub(super) fn read(item: &Item<'_>) -> Option<Acl> {
    let mut section = item.section()?;
    let s = &mut section;
    let mut list = |name: &str| {
        let item = s.take(name)?;
        let groups = item.texts();
        // An empty list is what exports write for one that is not used.
        (!groups.is_empty()).then_some(groups)
    };
    let (allow, deny) = (list("allow"), list("deny"));
    let rule = match (allow, deny) {
        (Some(groups), None) => Some(AclRule::Allow(groups)),
        (None, Some(groups)) => Some(AclRule::Deny(groups)),
        (Some(_), Some(_)) => item.problem("allow stands beside deny: use one or the other"),
        (None, None) => item.problem("allow or deny is required, with at least one group"),
    };
    let always = flag(s, "always_use_authenticated_groups", false);
    let include = flag(s, "include_consumer_groups", false);
    let hide = flag(s, "hide_groups_header", false);
    section.finish(&[
        "allow",
        "always_use_authenticated_groups",
        "deny",
        "hide_groups_header",
        "include_consumer_groups",
    ]);
    Some(Acl {
        rule: rule?,
        always_use_authenticated_groups: always,
        include_consumer_groups: include,
        hide_groups_header: hide,
    })
}
