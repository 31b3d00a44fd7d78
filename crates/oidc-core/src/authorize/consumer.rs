//! Consumers, and how one is found by a claim's value: Kong's entities `consumers` and `acls`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Somebody whom the gateway knows by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Its id.
    pub id: String,
    /// Its name.
    pub username: Option<String>,
    /// Its name elsewhere, such as a subject at the provider.
    pub custom_id: Option<String>,
    /// Its groups for the plugin `acl`.
    pub acl_groups: Vec<String>,
    /// The consumer groups that it is a member of.
    pub groups: Vec<String>,
}

/// By what a consumer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerBy {
    /// [`Consumer::id`].
    Id,
    /// [`Consumer::username`].
    Username,
    /// [`Consumer::custom_id`].
    CustomId,
}

/// All consumers, prepared to be found.
#[derive(Default)]
pub struct Consumers {
    by_id: HashMap<String, Arc<Consumer>>,
    by_username: HashMap<String, Arc<Consumer>>,
    by_custom_id: HashMap<String, Arc<Consumer>>,
    /// By the user name in lower case; `None` where two differ in nothing else.
    by_folded: HashMap<String, Option<Arc<Consumer>>>,
}

impl Consumers {
    /// These consumers. Of two that share an id, a user name or a custom id, the first one is found.
    pub fn new(consumers: impl IntoIterator<Item = Consumer>) -> Self {
        let mut all = Self::default();
        for consumer in consumers.into_iter().map(Arc::new) {
            let keep = |map: &mut HashMap<_, _>, name: Option<&String>| {
                if let Some(name) = name {
                    map.entry(name.clone())
                        .or_insert_with(|| Arc::clone(&consumer));
                }
            };
            keep(&mut all.by_id, Some(&consumer.id));
            keep(&mut all.by_username, consumer.username.as_ref());
            keep(&mut all.by_custom_id, consumer.custom_id.as_ref());
            if let Some(name) = &consumer.username {
                match all.by_folded.entry(name.to_ascii_lowercase()) {
                    Entry::Vacant(free) => {
                        free.insert(Some(Arc::clone(&consumer)));
                    }
                    Entry::Occupied(mut taken) => {
                        taken.insert(None);
                    }
                }
            }
        }
        all
    }

    /// The consumer of this value.
    ///
    /// Without regard to case, the very spelling goes before others, and a value that fits two
    /// consumers fits none: which one is meant would be a guess. Only ASCII letters have a case
    /// here, so that no look-alike of another alphabet is folded onto a name.
    #[must_use]
    pub fn find(&self, by: ConsumerBy, value: &str, ignore_case: bool) -> Option<&Arc<Consumer>> {
        match by {
            ConsumerBy::Id => self.by_id.get(value),
            ConsumerBy::CustomId => self.by_custom_id.get(value),
            ConsumerBy::Username => self.by_username.get(value).or_else(|| {
                let folded = ignore_case.then(|| value.to_ascii_lowercase())?;
                self.by_folded.get(&folded)?.as_ref()
            }),
        }
    }

    /// The consumer of this id or user name, as settings refer to it.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Consumer>> {
        self.find(ConsumerBy::Id, name, false)
            .or_else(|| self.find(ConsumerBy::Username, name, false))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl std::fmt::Debug for Consumers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumers({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumers() -> Consumers {
        let consumer = |id: &str, username: Option<&str>, custom_id: Option<&str>| Consumer {
            id: id.to_owned(),
            username: username.map(str::to_owned),
            custom_id: custom_id.map(str::to_owned),
            ..Consumer::default()
        };
        Consumers::new([
            consumer("1", Some("john"), Some("j-1")),
            consumer("2", Some("Jane"), None),
            consumer("3", Some("jane"), Some("john")),
            consumer("4", None, Some("c-4")),
            consumer("5", Some("Kim"), None),
        ])
    }

    #[test]
    fn each_way_finds_its_own_and_none_is_guessed() {
        use ConsumerBy::{CustomId, Id, Username};
        for (by, value, ignore_case, expected) in [
            (Username, "john", false, Some("1")),
            (CustomId, "john", false, Some("3")),
            (Id, "john", false, None),
            (Id, "4", false, Some("4")),
            (Username, "c-4", false, None),
            (Username, "John", false, None),
            (Username, "JOHN", true, Some("1")),
            (CustomId, "J-1", true, None),
            (Id, "", true, None),
            // The very spelling goes first; of two that fit otherwise, neither is taken.
            (Username, "jane", true, Some("3")),
            (Username, "Jane", true, Some("2")),
            (Username, "JANE", true, None),
            // The Kelvin sign is no K.
            (Username, "\u{212a}im", true, None),
            (Username, "kIM", true, Some("5")),
        ] {
            let consumers = consumers();
            let found = consumers.find(by, value, ignore_case);
            let found = found.map(|consumer| consumer.id.as_str());
            assert_eq!(found, expected, "{by:?} {value} {ignore_case}");
        }
        assert_eq!(consumers().named("2").expect("by id").id, "2");
        assert_eq!(consumers().named("john").expect("by name").id, "1");
        assert!(consumers().named("c-4").is_none(), "never by a custom id");
    }
}
