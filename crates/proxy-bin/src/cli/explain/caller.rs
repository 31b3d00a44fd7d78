//! Whom a request is from, and whether it is let through, told in words.

use oidc_core::Denial;
use oidc_core::authorize::Identity;

use super::{Refused, more, refused};
use crate::app::PreparedRoute;
use crate::authenticate::Plugin;

/// Nobody whom the gateway knows: refused, unless somebody stands for those.
pub(super) fn nobody(
    route: &PreparedRoute,
    plugin: &Plugin,
    denial: &Denial,
) -> Result<(), Refused> {
    let Some(identity) = plugin.anonymous(denial) else {
        return Err(refused(denial));
    };
    more(&format!(
        "not authenticated ({}): goes on as the anonymous consumer, without a token",
        denial.reason().code()
    ));
    told(&identity);
    admitted(route, Some(&identity))
}

/// Whom the upstream is told that it is.
pub(super) fn told(identity: &Identity) {
    if let Some(consumer) = identity.consumer() {
        let name = consumer.username.as_ref().or(consumer.custom_id.as_ref());
        more(&format!("consumer {:?}", name.unwrap_or(&consumer.id)));
    }
    let groups = identity.consumer_groups();
    if !groups.is_empty() {
        more(&format!("consumer groups {groups:?}"));
    }
    if let Some(groups) = identity.authenticated_groups() {
        more(&format!("groups of the token {groups:?}"));
    }
}

/// Whether the plugin `acl` lets it through.
pub(super) fn admitted(route: &PreparedRoute, identity: Option<&Identity>) -> Result<(), Refused> {
    route.admit(identity).map_err(|denial| refused(&denial))
}
