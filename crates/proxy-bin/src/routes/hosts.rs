//! Which routes a host leads to: lists of hosts, found by any of their members.

use std::collections::HashMap;

use super::forest::Forest;

/// A host of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum HostRule {
    Exact(String),
    Suffix(String),
    Prefix(String),
}

impl HostRule {
    pub(super) fn of(host: &str) -> Self {
        // What is asked for comes without the final dot, too.
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(suffix) = host.strip_prefix('*') {
            Self::Suffix(suffix.to_owned())
        } else if let Some(prefix) = host.strip_suffix('*') {
            Self::Prefix(prefix.to_owned())
        } else {
            Self::Exact(host.to_owned())
        }
    }
}

/// Lists of hosts, numbered from 0 on. The one that holds no host is for every host.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<String, Vec<usize>>,
    /// Two trees: beginnings, and ends, which are read backwards.
    wildcards: Forest,
    has_wildcards: bool,
    every: Option<usize>,
}

const BEGINNINGS: usize = 0;
const ENDS: usize = 1;

impl Hosts {
    /// Lists that are numbered as they come, each once.
    pub(super) fn new(lists: &[Vec<HostRule>]) -> Self {
        let mut hosts = Self::default();
        let mut wildcards = vec![Vec::new(), Vec::new()];
        for (list, rules) in lists.iter().enumerate() {
            if rules.is_empty() {
                hosts.every = Some(list);
            }
            for rule in rules {
                match rule {
                    HostRule::Exact(host) => {
                        hosts.exact.entry(host.clone()).or_default().push(list);
                    }
                    HostRule::Prefix(prefix) => {
                        wildcards[BEGINNINGS].push((prefix.clone().into_bytes(), list));
                    }
                    HostRule::Suffix(suffix) => {
                        wildcards[ENDS].push((suffix.bytes().rev().collect(), list));
                    }
                }
            }
        }
        hosts.has_wildcards = wildcards.iter().any(|tree| !tree.is_empty());
        hosts.wildcards = Forest::new(wildcards);
        hosts
    }

    /// The lists that a host is in. One may come more than once.
    pub(super) fn of(&self, host: &str) -> impl Iterator<Item = usize> {
        let exact = if self.exact.is_empty() {
            &[][..]
        } else {
            self.exact.get(host).map_or(&[][..], Vec::as_slice)
        };
        // A wildcard stands for at least one byte.
        let wildcards = self.has_wildcards.then(|| {
            let beginnings = self.wildcards.along(BEGINNINGS, host.bytes());
            let ends = self.wildcards.along(ENDS, host.bytes().rev());
            let length = host.len();
            let found = beginnings.chain(ends);
            found
                .filter(move |(covered, _)| *covered < length)
                .flat_map(|(_, lists)| lists)
        });
        let listed = exact.iter().chain(wildcards.into_iter().flatten());
        listed.copied().chain(self.every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_the_lists_that_it_fits() {
        let lists: Vec<Vec<HostRule>> = [
            &["a.com", "b.com"][..],
            &["*.com"],
            &[],
            &["a.*", "c.a.com"],
            &["*.a.com", "a.com."],
        ]
        .iter()
        .map(|list| list.iter().map(|host| HostRule::of(host)).collect())
        .collect();
        let hosts = Hosts::new(&lists);
        for (host, expected) in [
            ("a.com", vec![0, 1, 2, 3, 4]),
            ("b.com", vec![0, 1, 2]),
            (".com", vec![2]),
            ("com", vec![2]),
            ("a.", vec![2]),
            ("a.b", vec![2, 3]),
            ("x.a.com", vec![1, 2, 4]),
            ("c.a.com", vec![1, 2, 3, 4]),
            ("", vec![2]),
        ] {
            let mut found: Vec<usize> = hosts.of(host).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found, expected, "{host}");
        }
    }
}
