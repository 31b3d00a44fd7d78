//! Routes in the order in which they are tried, and the first that fits a request.

use http::{HeaderMap, Method};

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
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    entries: Vec<Entry>,
}

/// One path of one route.
#[derive(Debug)]
struct Entry {
    route: usize,
    path: Option<RoutePath>,
    methods: Vec<Method>,
    hosts: Vec<HostRule>,
    headers: Vec<(http::HeaderName, Vec<String>)>,
    http: bool,
    https: bool,
}

#[derive(Debug)]
enum HostRule {
    Exact(String),
    Suffix(String),
    Prefix(String),
}

impl HostRule {
    fn of(host: &str) -> Self {
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

    fn fits(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            Self::Prefix(prefix) => host.len() > prefix.len() && host.starts_with(prefix),
        }
    }
}

impl Matcher {
    /// Prepares these routes.
    #[must_use]
    pub(crate) fn new<'r>(routes: impl IntoIterator<Item = &'r Route>) -> Self {
        let mut ranked: Vec<(Rank, Entry)> = Vec::new();
        for (place, route) in routes.into_iter().enumerate() {
            let paths: Vec<Option<&RoutePath>> = if route.paths.is_empty() {
                vec![None]
            } else {
                route.paths.iter().map(Some).collect()
            };
            for path in paths {
                let entry = Entry {
                    route: place,
                    path: path.cloned(),
                    methods: route.methods.clone(),
                    hosts: route.hosts.iter().map(|host| HostRule::of(host)).collect(),
                    headers: route.headers.clone(),
                    http: route.protocols.contains(&Protocol::Http),
                    https: route.protocols.contains(&Protocol::Https),
                };
                ranked.push((Rank::of(route, path, place), entry));
            }
        }
        ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self {
            entries: ranked.into_iter().map(|(_, entry)| entry).collect(),
        }
    }

    /// The first route that fits.
    #[must_use]
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Option<Matched> {
        self.entries.iter().find_map(|entry| entry.fits(asked))
    }
}

impl Entry {
    fn fits(&self, asked: &Asked<'_>) -> Option<Matched> {
        let length = match &self.path {
            None => 0,
            Some(RoutePath::Prefix(prefix)) => asked
                .path
                .starts_with(prefix.as_str())
                .then_some(prefix.len())?,
            Some(RoutePath::Regex(regex)) => regex.find(asked.path)?.end(),
        };
        if !self.methods.is_empty() && !self.methods.contains(asked.method) {
            return None;
        }
        if !self.hosts.is_empty() && !self.hosts.iter().any(|rule| rule.fits(asked.host)) {
            return None;
        }
        let has = |(name, values): &(http::HeaderName, Vec<String>)| {
            asked.headers.get_all(name).iter().any(|line| {
                values
                    .iter()
                    .any(|value| line.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
            })
        };
        if !self.headers.iter().all(has) {
            return None;
        }
        if asked.https && !self.https {
            return None;
        }
        Some(Matched {
            route: self.route,
            length,
            needs_https: !asked.https && !self.http,
        })
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
