//! The prepared routes held to a plain scan over the same entries.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::config::Service;

impl HostRule {
    fn fits(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            Self::Prefix(prefix) => host.len() > prefix.len() && host.starts_with(prefix),
        }
    }
}

fn scan(matcher: &Matcher, routes: &[Route], asked: &Asked<'_>) -> Option<Matched> {
    matcher.entries.iter().find_map(|entry| {
        let mut hosts = routes[entry.route].hosts.iter();
        let here = hosts.len() == 0 || hosts.any(|host| HostRule::of(host).fits(asked.host));
        here.then(|| matcher.fits(entry, asked)).flatten()
    })
}

const HOSTS: &[&str] = &[
    "a.com", "b.com", "a.com.", "x.a.com", "*.com", "*.a.com", "a.*", "x.a.*", "*..",
];

const ASKED_HOSTS: &[&str] = &[
    "", "a.com", "b.com", "x.a.com", "y.a.com", "a.org", "x.a.org", ".com", "com", "a.", "x.",
];

const EXPRESSIONS: &[&str] = &[
    "/a",
    "/[ab]+",
    r"/a/\d+$",
    "(?i)/A",
    "/a|/b",
    "x?/a",
    "/a)|(?:b",
    ".*b",
    "",
    "/(a|ab)(1|b/)",
    "/a{2}",
    "(?m)^/b",
    r"\b/a",
    "/a$",
];

fn path() -> impl Strategy<Value = RoutePath> {
    let expression = select(EXPRESSIONS).prop_map(|pattern| {
        let regex = regex::Regex::new(&format!("^(?:{pattern})"));
        RoutePath::Regex(regex.expect("an expression"))
    });
    prop_oneof![
        2 => "/[ab/]{0,5}".prop_map(RoutePath::Prefix),
        1 => expression,
    ]
}

prop_compose! {
    fn route()(
        paths in prop::collection::vec(path(), 0..4),
        methods in subsequence(vec![Method::GET, Method::POST], 0..=2),
        hosts in prop_oneof![Just(Vec::new()), subsequence(HOSTS, 0..4)],
        x in subsequence(vec!["1", "2"], 0..=2),
        y in any::<bool>(),
        protocols in subsequence(vec![Protocol::Http, Protocol::Https], 0..=2),
        regex_priority in 0..3_i64,
    ) -> Route {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut headers = Vec::new();
        if !x.is_empty() {
            headers.push((HeaderName::from_static("x"), texts(&x)));
        }
        if y {
            headers.push((HeaderName::from_static("y"), texts(&["Yes"])));
        }
        Route {
            name: String::new(),
            service: service(),
            paths,
            methods,
            hosts: texts(&hosts),
            headers,
            protocols,
            regex_priority,
            strip_path: true,
            preserve_host: false,
            plugin: None,
            acl: None,
        }
    }
}

fn service() -> Arc<Service> {
    Arc::new(Service {
        name: String::new(),
        url: url::Url::parse("http://127.0.0.1/").expect("a URL"),
        connect_timeout: Duration::ZERO,
        read_timeout: Duration::ZERO,
        write_timeout: Duration::ZERO,
        retries: 0,
        tls_verify: true,
        ca_certificates: Vec::new(),
        client_certificate: None,
    })
}

#[derive(Debug)]
struct Request {
    method: Method,
    host: &'static str,
    path: String,
    headers: HeaderMap,
    https: bool,
}

prop_compose! {
    fn request()(
        method in select(vec![Method::GET, Method::POST, Method::PUT]),
        host in select(ASKED_HOSTS),
        path in "/[abA1/]{0,7}",
        x in subsequence(vec!["0", "1", "2"], 0..=2),
        y in select(vec![None, Some("yes"), Some("no")]),
        https in any::<bool>(),
    ) -> Request {
        let mut headers = HeaderMap::new();
        for value in x {
            headers.append("x", HeaderValue::from_static(value));
        }
        if let Some(value) = y {
            headers.append("y", HeaderValue::from_static(value));
        }
        Request { method, host, path, headers, https }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_index_finds_what_a_scan_finds(
        routes in prop::collection::vec(route(), 0..16),
        requests in prop::collection::vec(request(), 1..32),
    ) {
        let matcher = Matcher::new(&routes);
        for request in &requests {
            let asked = Asked {
                method: &request.method,
                host: request.host,
                path: &request.path,
                headers: &request.headers,
                https: request.https,
            };
            prop_assert_eq!(matcher.find(&asked), scan(&matcher, &routes, &asked), "{:?}", request);
        }
    }
}
