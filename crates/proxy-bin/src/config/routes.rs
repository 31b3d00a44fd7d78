//! Routes: which requests go to which service, as in Kong's declarative format.

use std::sync::Arc;

use oidc_core::authorize::Acl;

use super::attachments::{Attached, Place};
use super::plugin::OidcPlugin;
use super::reader::Item;
use super::services::{EXPORTED, Service};

/// Which requests go to a service.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub service: Arc<Service>,
    /// Paths; none means every path.
    pub paths: Vec<RoutePath>,
    /// Methods; none means every method.
    pub methods: Vec<http::Method>,
    /// Hosts, `*` at one end for any; none means every host.
    pub hosts: Vec<String>,
    /// Headers that have to have one of these values.
    pub headers: Vec<(http::HeaderName, Vec<String>)>,
    /// Protocols; Kong's default is both.
    pub protocols: Vec<Protocol>,
    /// Which of two regular expressions goes first.
    pub regex_priority: i64,
    /// Whether the matched prefix is removed from the path. Default: yes.
    pub strip_path: bool,
    /// Whether the client's `Host` goes upstream. Default: no.
    pub preserve_host: bool,
    /// The plugin `openid-connect` that is in force.
    pub plugin: Option<Arc<OidcPlugin>>,
    /// The plugin `acl` that is in force.
    pub acl: Option<Arc<Acl>>,
}

/// A path of a route.
#[derive(Clone, Debug)]
pub enum RoutePath {
    /// The path begins like this.
    Prefix(String),
    /// The path matches this from its beginning.
    Regex(regex::Regex),
}

/// A protocol of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

pub(super) fn read<'a>(
    item: &Item<'a>,
    service: &Arc<Service>,
    attached: &mut Attached<'a>,
    routes: &mut Vec<Route>,
) {
    let Some(mut section) = item.section() else {
        return;
    };
    section.ignore(EXPORTED);
    // Bodies are streamed both ways, whatever is said here.
    section.ignore(&["service", "request_buffering", "response_buffering"]);
    for (name, default) in [
        ("snis", ""),
        ("sources", ""),
        ("destinations", ""),
        ("path_handling", "v0"),
        ("https_redirect_status_code", "426"),
    ] {
        section.only_default(name, default);
    }
    let name = section
        .take("name")
        .and_then(|item| item.filled_text())
        .unwrap_or_else(|| format!("{}#{}", service.name, routes.len() + 1));
    let paths: Vec<RoutePath> = section.take("paths").map_or_else(Vec::new, |item| {
        item.list().iter().filter_map(route_path).collect()
    });
    let methods = section.take("methods").map_or_else(Vec::new, |item| {
        item.list().iter().filter_map(method).collect()
    });
    let hosts = section.take("hosts").map_or_else(Vec::new, |item| {
        item.list().iter().filter_map(host).collect()
    });
    let headers = section
        .take("headers")
        .map_or_else(Vec::new, |item| headers(&item));
    let protocols = section.take("protocols").map_or_else(
        || vec![Protocol::Http, Protocol::Https],
        |item| {
            let words = [("http", Protocol::Http), ("https", Protocol::Https)];
            item.list()
                .iter()
                .filter_map(|item| item.one_of(&words))
                .collect()
        },
    );
    let flag =
        |item: Option<Item<'_>>, default| item.and_then(|item| item.bool()).unwrap_or(default);
    let strip_path = flag(section.take("strip_path"), true);
    let preserve_host = flag(section.take("preserve_host"), false);
    let regex_priority = section
        .take("regex_priority")
        .and_then(|item| item.integer(0, 1 << 30))
        .unwrap_or(0);
    let first = attached.know_route(&name);
    attached.take_own(&mut section, &Place::Route(name.clone()));
    section.finish(&[
        "headers",
        "hosts",
        "methods",
        "name",
        "paths",
        "plugins",
        "preserve_host",
        "protocols",
        "regex_priority",
        "service",
        "strip_path",
    ]);
    if !first {
        item.problem::<()>(format!("a second route {}", item.shown(&name)));
    }
    routes.push(Route {
        name,
        service: Arc::clone(service),
        paths,
        methods,
        hosts,
        headers,
        protocols,
        regex_priority: i64::try_from(regex_priority).unwrap_or(0),
        strip_path,
        preserve_host,
        plugin: None,
        acl: None,
    });
}

fn route_path(item: &Item<'_>) -> Option<RoutePath> {
    let text = item.filled_text()?;
    if let Some(pattern) = text.strip_prefix('~') {
        // Kong anchors a regular expression at the path's beginning.
        return match regex::Regex::new(&format!("^(?:{pattern})")) {
            Ok(regex) => Some(RoutePath::Regex(regex)),
            Err(_) => item.problem(format!(
                "{} is not a regular expression",
                item.shown(pattern)
            )),
        };
    }
    if text.starts_with('/') {
        return Some(RoutePath::Prefix(text));
    }
    item.problem(format!(
        "{} is not a path: it begins with / (a prefix), or with ~ (a regular expression)",
        item.shown(&text)
    ))
}

fn method(item: &Item<'_>) -> Option<http::Method> {
    let text = item.filled_text()?;
    let upper = text.chars().all(|c| c.is_ascii_uppercase());
    match http::Method::from_bytes(text.as_bytes()) {
        Ok(method) if upper => Some(method),
        _ => item.problem(format!(
            "{} is not a method; methods are upper case, such as GET",
            item.shown(&text)
        )),
    }
}

fn host(item: &Item<'_>) -> Option<String> {
    let text = item.filled_text()?.to_ascii_lowercase();
    let inner = text
        .strip_prefix("*.")
        .or_else(|| text.strip_suffix(".*"))
        .unwrap_or(&text);
    if inner.is_empty() || inner.contains(['*', '/', ' ', '@']) {
        return item.problem(format!(
            "{} is not a host; a wildcard stands at one end: *.example.com or example.*",
            item.shown(&text)
        ));
    }
    Some(text)
}

fn headers(item: &Item<'_>) -> Vec<(http::HeaderName, Vec<String>)> {
    let Some(section) = item.section() else {
        return Vec::new();
    };
    let mut section = section;
    let mut headers = Vec::new();
    for name in section.names() {
        let Some(values) = section.take(&name) else {
            continue;
        };
        match http::HeaderName::try_from(name.as_str()) {
            Ok(header) => headers.push((header, values.texts())),
            Err(_) => {
                values.problem::<()>(format!("{name:?} is not a header name"));
            }
        }
    }
    headers
}
