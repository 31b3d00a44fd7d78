//! Kong's entities `consumers` and `consumer_groups`: those whom claims are mapped to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use oidc_core::authorize::{Consumer, Consumers};

use super::document::Tree;
use super::reader::{Item, Section};
use super::services::EXPORTED;

/// Those who are known.
#[derive(Debug, Default)]
pub(super) struct Entities {
    /// The consumers.
    pub(super) consumers: Arc<Consumers>,
    /// The names of the consumer groups.
    pub(super) groups: Arc<BTreeSet<String>>,
}

/// A reference by one of these names, as `x` or as `{name: x}`.
fn reference(item: &Item<'_>, names: &[&str]) -> Option<String> {
    let Tree::Table(_) = item.tree() else {
        return item.filled_text();
    };
    let mut section = item.section()?;
    let found = names.iter().find_map(|name| section.take(name));
    match found {
        Some(found) => found.filled_text(),
        None => item.problem(format!("needs one of {}", names.join(", "))),
    }
}

/// Reads `consumers` and `consumer_groups`.
pub(super) fn read(section: &mut Section<'_>) -> Entities {
    let (groups, members) = groups(&list_of(section, "consumer_groups"));
    let mut consumers = Vec::new();
    let mut taken = BTreeSet::new();
    for item in list_of(section, "consumers") {
        let Some(consumer) = consumer(&item, &groups) else {
            continue;
        };
        let names = [
            ("id", Some(&consumer.id)),
            ("username", consumer.username.as_ref()),
            ("custom_id", consumer.custom_id.as_ref()),
        ];
        for (what, name) in names {
            if let Some(name) = name
                && !taken.insert((what, name.clone()))
            {
                item.problem::<()>(format!(
                    "a second consumer of the {what} {}",
                    item.shown(name)
                ));
            }
        }
        consumers.push(consumer);
    }
    let mut known = BTreeMap::new();
    for (place, consumer) in consumers.iter().enumerate() {
        let names = [&consumer.username, &consumer.custom_id];
        for name in names.into_iter().flatten().chain([&consumer.id]) {
            known.entry(name.clone()).or_insert(place);
        }
    }
    for (item, group) in members {
        let Some(name) = reference(&item, &["username", "id", "custom_id"]) else {
            continue;
        };
        match known.get(&name).and_then(|place| consumers.get_mut(*place)) {
            Some(consumer) if consumer.groups.contains(&group) => {}
            Some(consumer) => consumer.groups.push(group),
            None => {
                item.problem::<()>(format!("there is no consumer {}", item.shown(&name)));
            }
        }
    }
    Entities {
        consumers: Arc::new(Consumers::new(consumers)),
        groups: Arc::new(groups.into_values().collect()),
    }
}

fn list_of<'a>(section: &mut Section<'a>, name: &str) -> Vec<Item<'a>> {
    section
        .take(name)
        .map(|item| item.list())
        .unwrap_or_default()
}

/// The names of the groups, by whatever refers to them, and who is said to be a member of which.
fn groups<'a>(items: &[Item<'a>]) -> (BTreeMap<String, String>, Vec<(Item<'a>, String)>) {
    let mut groups = BTreeMap::new();
    let mut members = Vec::new();
    for item in items {
        let Some(mut section) = item.section() else {
            continue;
        };
        let id = section.take("id").and_then(|item| item.filled_text());
        section.ignore(EXPORTED);
        let name = section.required("name").and_then(|item| item.filled_text());
        let listed = list_of(&mut section, "consumers");
        section.finish(&["consumers", "id", "name", "tags"]);
        let Some(name) = name else { continue };
        members.extend(listed.into_iter().map(|member| (member, name.clone())));
        for key in [Some(name.clone()), id].into_iter().flatten() {
            if groups.insert(key.clone(), name.clone()).is_some() {
                item.problem::<()>(format!("a second consumer group {}", item.shown(&key)));
            }
        }
    }
    (groups, members)
}

fn consumer(item: &Item<'_>, groups: &BTreeMap<String, String>) -> Option<Consumer> {
    let mut section = item.section()?;
    let mut text = |name: &str| section.take(name).and_then(|item| item.filled_text());
    let (id, username, custom_id) = (text("id"), text("username"), text("custom_id"));
    section.ignore(EXPORTED);
    let acl_groups = list_of(&mut section, "acls")
        .iter()
        .filter_map(acl_group)
        .collect();
    let member_of = list_of(&mut section, "groups")
        .iter()
        .filter_map(|item| {
            let name = reference(item, &["name", "id"])?;
            match groups.get(&name) {
                Some(name) => Some(name.clone()),
                None => item.problem(format!("there is no consumer group {}", item.shown(&name))),
            }
        })
        .collect();
    section.finish(&["acls", "custom_id", "groups", "id", "tags", "username"]);
    let Some(name) = username.as_ref().or(custom_id.as_ref()) else {
        return item.problem("username or custom_id is required");
    };
    Some(Consumer {
        id: id.unwrap_or_else(|| made_up_id(name)),
        username,
        custom_id,
        acl_groups,
        groups: member_of,
    })
}

fn acl_group(item: &Item<'_>) -> Option<String> {
    let Tree::Table(_) = item.tree() else {
        return item.filled_text();
    };
    let mut section = item.section()?;
    section.ignore(EXPORTED);
    let group = section
        .required("group")
        .and_then(|item| item.filled_text());
    section.finish(&["group", "tags"]);
    group
}

/// An id for one that has none: the same whenever the file is read (RFC 9562 §5.8).
fn made_up_id(name: &str) -> String {
    let hash = digest::digest(&digest::SHA256, name.as_bytes());
    let mut bytes = [0_u8; 16];
    bytes
        .iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [
        digits[..4].concat(),
        digits[4..6].concat(),
        digits[6..8].concat(),
        digits[8..10].concat(),
        digits[10..].concat(),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_id_is_a_uuid_and_always_the_same() {
        let id = made_up_id("john");
        assert_eq!(id, made_up_id("john"));
        assert_ne!(id, made_up_id("jane"));
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(&id[14..15], "8", "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
}
