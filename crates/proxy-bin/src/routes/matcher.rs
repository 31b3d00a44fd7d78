//! Routes in Kong's order, found without trying those that cannot fit.

use std::collections::HashMap;

use http::{HeaderMap, Method};

use super::forest::Forest;
use super::hosts::{HostRule, Hosts};
use super::literals::beginnings;
use crate::config::{Protocol, Route, RoutePath};

/// What a route is chosen by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The host, in lower case, without a port.
    pub(crate) host: &'a str,
    /// The normalised path.
    pub(crate) path: &'a str,
    /// The header.
    pub(crate) headers: &'a HeaderMap,
    /// Whether the client came by TLS.
    pub(crate) https: bool,
}

/// The route that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Its place among the routes that the matcher was made from.
    pub(crate) route: usize,
    /// How many bytes of the path its own path covers.
    pub(crate) length: usize,
    /// Whether the route would take the request if it came by TLS, which it did not.
    pub(crate) needs_https: bool,
}

/// Routes, prepared.
///
/// The order is Kong's: the best-ranked path of a route that fits. To find it, those with the same
/// hosts are together in a group, which a request's host leads to; in a group a path is found by
/// what it begins with: a prefix by itself, a regular expression by its literal beginning. So a
/// request costs what its own host and path are long, and one trial for each path that is left:
///
/// - 10 000 prefixes, or 10 000 hosts, differ in these: a handful is left;
/// - of 10 000 regular expressions, those are left that begin like the request's path; if they all
///   begin alike (`~/(a|b)…`, `~.*`), they all are tried, as Kong does;
/// - routes of the same path and hosts that differ in methods or headers are all left;
/// - a host in many lists that differ costs a walk for each of them.
///
/// What it takes grows with the length of what is configured, not with products of it.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    /// In their order.
    entries: Vec<Entry>,
    /// Of each route.
    conditions: Vec<Conditions>,
    hosts: Hosts,
    /// The best place among the entries that each group has.
    best: Vec<usize>,
    /// A tree for each group, of places among the entries.
    paths: Forest,
}

/// One path of one route.
#[derive(Debug)]
struct Entry {
    route: usize,
    path: Option<RoutePath>,
}

/// What else a route asks for.
#[derive(Debug)]
struct Conditions {
    methods: Vec<Method>,
    headers: Vec<(http::HeaderName, Vec<String>)>,
    http: bool,
    https: bool,
}

/// A path of each entry, in their order.
fn ranked(routes: &[Route]) -> Vec<Entry> {
    let mut ranked = Vec::new();
    for (place, route) in routes.iter().enumerate() {
        let paths = route.paths.iter().map(Some);
        let whatever = route.paths.is_empty().then_some(None);
        for path in paths.chain(whatever) {
            let entry = Entry {
                route: place,
                path: path.cloned(),
            };
            ranked.push((Rank::of(route, path, place), entry));
        }
    }
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    ranked.into_iter().map(|(_, entry)| entry).collect()
}

/// The group of each route, and the hosts of each group.
fn grouped(routes: &[Route]) -> (Vec<usize>, Vec<Vec<HostRule>>) {
    let mut groups: HashMap<Vec<HostRule>, usize> = HashMap::new();
    let of_routes = routes
        .iter()
        .map(|route| {
            let mut hosts: Vec<_> = route.hosts.iter().map(|host| HostRule::of(host)).collect();
            hosts.sort();
            hosts.dedup();
            let next = groups.len();
            *groups.entry(hosts).or_insert(next)
        })
        .collect();
    let mut hosts: Vec<_> = groups.into_iter().collect();
    hosts.sort_unstable_by_key(|(_, group)| *group);
    (
        of_routes,
        hosts.into_iter().map(|(hosts, _)| hosts).collect(),
    )
}

impl Matcher {
    /// Prepares these routes.
    #[must_use]
    pub(crate) fn new(routes: &[Route]) -> Self {
        let entries = ranked(routes);
        let (groups, hosts) = grouped(routes);
        let mut best = vec![usize::MAX; hosts.len()];
        let mut keys = vec![Vec::new(); hosts.len()];
        for (place, entry) in entries.iter().enumerate() {
            let group = groups[entry.route];
            best[group] = best[group].min(place);
            let beginnings = match &entry.path {
                None => vec![Vec::new()],
                Some(RoutePath::Prefix(prefix)) => vec![prefix.clone().into_bytes()],
                Some(RoutePath::Regex(regex)) => beginnings(regex.as_str()),
            };
            keys[group].extend(beginnings.into_iter().map(|key| (key, place)));
        }
        Self {
            entries,
            conditions: routes.iter().map(Conditions::of).collect(),
            hosts: Hosts::new(&hosts),
            best,
            paths: Forest::new(keys),
        }
    }

    /// The first route that fits, in Kong's order.
    #[must_use]
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Option<Matched> {
        let mut found: Option<(usize, Matched)> = None;
        for group in self.hosts.of(asked.host) {
            if found.is_some_and(|(place, _)| place < self.best[group]) {
                continue;
            }
            for (_, places) in self.paths.along(group, asked.path.bytes()) {
                let bound = found.map_or(usize::MAX, |(place, _)| place);
                let better = places.iter().copied().take_while(|place| *place < bound);
                let fitting = better
                    .map(|place| (place, self.fits(&self.entries[place], asked)))
                    .find_map(|(place, matched)| Some((place, matched?)));
                found = fitting.or(found);
            }
        }
        found.map(|(_, matched)| matched)
    }

    /// Whether an entry fits, apart from hosts.
    fn fits(&self, entry: &Entry, asked: &Asked<'_>) -> Option<Matched> {
        let conditions = &self.conditions[entry.route];
        if !conditions.met(asked) {
            return None;
        }
        let length = match &entry.path {
            None => 0,
            Some(RoutePath::Prefix(prefix)) => asked
                .path
                .starts_with(prefix.as_str())
                .then_some(prefix.len())?,
            Some(RoutePath::Regex(regex)) => regex.find(asked.path)?.end(),
        };
        Some(Matched {
            route: entry.route,
            length,
            needs_https: !asked.https && !conditions.http,
        })
    }
}

impl Conditions {
    fn of(route: &Route) -> Self {
        Self {
            methods: route.methods.clone(),
            headers: route.headers.clone(),
            http: route.protocols.contains(&Protocol::Http),
            https: route.protocols.contains(&Protocol::Https),
        }
    }

    fn met(&self, asked: &Asked<'_>) -> bool {
        if !self.methods.is_empty() && !self.methods.contains(asked.method) {
            return false;
        }
        let has = |(name, values): &(http::HeaderName, Vec<String>)| {
            asked.headers.get_all(name).iter().any(|line| {
                values
                    .iter()
                    .any(|value| line.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
            })
        };
        self.headers.iter().all(has) && (self.https || !asked.https)
    }
}

/// Kong's order: more kinds of conditions first, exact hosts before wildcards, more header
/// conditions, regular expressions by priority before prefixes, longer prefixes, then as written.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    conditions: std::cmp::Reverse<usize>,
    wildcard_host: bool,
    headers: std::cmp::Reverse<usize>,
    prefix: bool,
    regex_priority: std::cmp::Reverse<i64>,
    length: std::cmp::Reverse<usize>,
    place: usize,
}

impl Rank {
    fn of(route: &Route, path: Option<&RoutePath>, place: usize) -> Self {
        use std::cmp::Reverse;
        let conditions = [
            !route.paths.is_empty(),
            !route.methods.is_empty(),
            !route.hosts.is_empty(),
            !route.headers.is_empty(),
        ];
        let (prefix, length) = match path {
            None => (true, 0),
            Some(RoutePath::Prefix(prefix)) => (true, prefix.len()),
            // Kong does not rank expressions by their length.
            Some(RoutePath::Regex(_)) => (false, 0),
        };
        Self {
            conditions: Reverse(conditions.into_iter().filter(|set| *set).count()),
            wildcard_host: route.hosts.iter().any(|host| host.contains('*')),
            headers: Reverse(route.headers.len()),
            prefix,
            regex_priority: Reverse(if prefix { 0 } else { route.regex_priority }),
            length: Reverse(length),
            place,
        }
    }
}

#[cfg(test)]
mod scan;

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "
services:
  - name: s
    url: http://127.0.0.1:9080
    routes:
      - {name: all, paths: ['/']}
      - {name: api, paths: ['/api', '/v1']}
      - {name: api-users, paths: ['/api/users']}
      - {name: regex, paths: ['~/api/\\d+$']}
      - {name: post, paths: ['/api'], methods: [POST]}
      - {name: host, hosts: [example.com], paths: ['/']}
      - {name: wild, hosts: ['*.example.com'], paths: ['/']}
      - {name: versioned, paths: ['/api'], headers: {x-version: ['2']}}
      - {name: tls, paths: ['/tls'], protocols: [https]}
";

    #[test]
    fn the_most_specific_route_takes_the_request() {
        let gateway = crate::config::from_yaml(ROUTES).expect("a configuration");
        let matcher = Matcher::new(&gateway.routes);
        let two = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-version"),
            http::HeaderValue::from_static("2"),
        )]);
        let none = HeaderMap::new();
        for (method, host, path, headers, expected) in [
            ("GET", "a", "/", &none, "all"),
            ("GET", "a", "/apis", &none, "api"),
            ("GET", "a", "/v1/x", &none, "api"),
            ("GET", "a", "/api/users/7", &none, "api-users"),
            ("GET", "a", "/api/42", &none, "regex"),
            ("GET", "a", "/api/42x", &none, "api"),
            ("POST", "a", "/api/users", &none, "post"),
            ("GET", "example.com", "/", &none, "host"),
            ("GET", "www.example.com", "/", &none, "wild"),
            ("GET", "badexample.com", "/", &none, "all"),
            ("GET", ".example.com", "/", &none, "all"),
            ("GET", "a", "/api", &two, "versioned"),
        ] {
            let asked = Asked {
                method: &Method::from_bytes(method.as_bytes()).expect("a method"),
                host,
                path,
                headers,
                https: false,
            };
            let matched = matcher.find(&asked).expect("a route");
            assert_eq!(
                gateway.routes[matched.route].name, expected,
                "{host} {path}"
            );
        }
    }

    #[test]
    fn a_route_for_tls_says_so_to_who_comes_without() {
        let gateway = crate::config::from_yaml(ROUTES).expect("a configuration");
        let matcher = Matcher::new(&gateway.routes);
        for (https, needs) in [(false, true), (true, false)] {
            let asked = Asked {
                method: &Method::GET,
                host: "a",
                path: "/tls/x",
                headers: &HeaderMap::new(),
                https,
            };
            let matched = matcher.find(&asked).expect("a route");
            assert_eq!(gateway.routes[matched.route].name, "tls");
            assert_eq!(matched.needs_https, needs);
        }
    }
}
