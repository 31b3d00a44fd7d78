//! Services, and the root of the file: Kong's declarative format.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oidc_core::possession::Enforcement;

use super::attachments::{Attached, Place};
use super::document::Node;
use super::gateway::{ClientCertificates, Listener, Settings};
use super::plugin::OidcPlugin;
use super::reader::{Context, Item, Section};
use super::routes::{self, Route};
use super::{Certificate, Gateway, certificates, entities, gateway};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Where requests are forwarded to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Scheme, host, port and path.
    pub url: url::Url,
    /// For a connection. Default 60 s.
    pub connect_timeout: Duration,
    /// Between two reads. Default 60 s.
    pub read_timeout: Duration,
    /// Between two writes. Default 60 s.
    pub write_timeout: Duration,
    /// How often a request is tried again that is safe to try again. Default 5.
    pub retries: u32,
    /// Whether its certificate is checked. Default: yes.
    pub tls_verify: bool,
    /// Files of authorities to trust instead of the system's.
    pub ca_certificates: Vec<PathBuf>,
    /// The certificate that the gateway shows to it, where it asks for one.
    pub client_certificate: Option<Arc<Certificate>>,
}

/// What Kong's exports hold beside what matters here.
pub(super) const EXPORTED: &[&str] = &["id", "tags", "created_at", "updated_at", "ws_id"];

const ROOT: &[&str] = &[
    "_format_version",
    "_transform",
    "ca_certificates",
    "certificates",
    "consumer_groups",
    "consumers",
    "gateway",
    "plugins",
    "routes",
    "services",
];

pub(super) fn resolve(context: &Context<'_>, root: &Node) -> Option<Gateway> {
    let root = Item::root(context, root);
    let mut section = root.section()?;
    if let Some(item) = section.take("_format_version") {
        item.one_of(&[("1.1", ()), ("2.1", ()), ("3.0", ())]);
    }
    section.ignore(&["_transform", "_info", "_workspace"]);
    let settings = gateway::read(section.take("gateway"), &root);
    let certificates = certificates::read(&mut section);
    context.certificates.get_or_init(|| certificates);
    let authorities = certificates::read_authorities(&mut section);
    context.authorities.get_or_init(|| authorities);
    let entities = entities::read(&mut section);
    context.entities.get_or_init(|| entities);
    let mut attached = Attached::default();
    attached.take_referring(&mut section);
    let mut services = BTreeMap::new();
    let mut routes = Vec::new();
    for item in section
        .take("services")
        .map(|item| item.list())
        .unwrap_or_default()
    {
        read_service(&item, &mut attached, &mut services, &mut routes);
    }
    for item in section
        .take("routes")
        .map(|item| item.list())
        .unwrap_or_default()
    {
        let referred = item
            .section()
            .and_then(|mut section| section.take("service"));
        let Some((at, service)) = referred.and_then(|at| reference(&at).map(|name| (at, name)))
        else {
            item.problem::<()>("service is required: the name of one of services");
            continue;
        };
        match services.get(&service) {
            Some(found) => routes::read(&item, found, &mut attached, &mut routes),
            None => {
                at.problem::<()>(format!("there is no service {}", at.shown(&service)));
            }
        }
    }
    section.finish(ROOT);
    attached.apply(&mut routes);
    if let Some(settings) = &settings {
        for route in &routes {
            if let Some(why) = route
                .plugin
                .as_deref()
                .and_then(|p| unprovable(p, settings))
            {
                root.problem::<()>(format!("the plugin of the route {:?}: {why}", route.name));
            }
        }
    }
    if routes.is_empty() {
        root.problem::<()>("no route: nothing would ever be forwarded; add services with routes");
    }
    let count = services.len();
    Some(Gateway {
        settings: settings?,
        routes,
        services: count,
    })
}

/// A reference by name: `service: x`, or `service: {name: x}` as in Kong's exports.
pub(super) fn reference(item: &Item<'_>) -> Option<String> {
    match item.tree() {
        super::document::Tree::Table(_) => {
            let mut section = item.section()?;
            section
                .take("name")
                .or_else(|| section.take("id"))?
                .filled_text()
        }
        _ => item.filled_text(),
    }
}

fn read_service<'a>(
    item: &Item<'a>,
    attached: &mut Attached<'a>,
    services: &mut BTreeMap<String, Arc<Service>>,
    routes: &mut Vec<Route>,
) {
    let Some(mut section) = item.section() else {
        return;
    };
    section.ignore(EXPORTED);
    let enabled = section
        .take("enabled")
        .is_none_or(|item| item.bool().unwrap_or(true));
    let name = section.required("name").and_then(|item| item.filled_text());
    let url = service_url(&mut section);
    let milliseconds = |item: Option<Item<'_>>| {
        item.and_then(|item| item.duration(MILLISECOND))
            .unwrap_or(Duration::from_secs(60))
    };
    let connect_timeout = milliseconds(section.take("connect_timeout"));
    let read_timeout = milliseconds(section.take("read_timeout"));
    let write_timeout = milliseconds(section.take("write_timeout"));
    let retries = section
        .take("retries")
        .and_then(|item| item.integer(0, 32_767))
        .unwrap_or(5);
    let tls_verify = section
        .take("tls_verify")
        .and_then(|item| item.bool())
        .unwrap_or(true);
    let ca_certificates = section
        .take("ca_certificates")
        .map_or_else(Vec::new, |item| {
            item.texts().into_iter().map(PathBuf::from).collect()
        });
    let client_certificate = section
        .take("client_certificate")
        .and_then(|item| certificates::referred(&item, &reference(&item)?));
    let place = name.clone().unwrap_or_default();
    attached.know_service(&place);
    attached.take_own(&mut section, &Place::Service(place));
    let own_routes = section
        .take("routes")
        .map(|item| item.list())
        .unwrap_or_default();
    section.finish(&[
        "ca_certificates",
        "client_certificate",
        "connect_timeout",
        "enabled",
        "host",
        "name",
        "path",
        "plugins",
        "port",
        "protocol",
        "read_timeout",
        "retries",
        "routes",
        "tls_verify",
        "url",
        "write_timeout",
    ]);
    // Routes of a service that is wrong are read all the same, to find their problems.
    let service = Arc::new(Service {
        name: name.clone().unwrap_or_default(),
        url: url.clone().unwrap_or_else(placeholder),
        connect_timeout,
        read_timeout,
        write_timeout,
        retries: u32::try_from(retries).unwrap_or(5),
        tls_verify,
        ca_certificates,
        client_certificate,
    });
    let mut read = Vec::new();
    for route in own_routes {
        routes::read(&route, &service, attached, &mut read);
    }
    if !enabled {
        return;
    }
    routes.append(&mut read);
    if let Some(name) = name
        && services.insert(name.clone(), service).is_some()
    {
        item.problem::<()>(format!("a second service {}", item.shown(&name)));
    }
}

/// Stands in for a URL whose problem has been reported, so that it never runs.
fn placeholder() -> url::Url {
    url::Url::parse("http://invalid.invalid/").unwrap_or_else(|_| unreachable!("a constant URL"))
}

fn service_url(section: &mut Section<'_>) -> Option<url::Url> {
    let parts = ["protocol", "host", "port", "path"].map(|name| section.take(name));
    if let Some(item) = section.take("url") {
        if parts.iter().any(Option::is_some) {
            return item
                .problem("url stands beside protocol, host, port or path: use one or the other");
        }
        let url = item.url()?;
        if url.query().is_some() || url.fragment().is_some() {
            return item.problem("an upstream's URL has no query or fragment");
        }
        return Some(url);
    }
    let [protocol, host, port, path] = parts;
    let Some(host) = host else {
        return section
            .item
            .problem("url is required, such as http://127.0.0.1:9080");
    };
    let scheme = match protocol {
        Some(item) => item.one_of(&[("http", "http"), ("https", "https")])?,
        None => "http",
    };
    let port = match port {
        Some(item) => item.integer(1, 65_535)?,
        None => 80,
    };
    let path = path.and_then(|item| item.text()).unwrap_or_default();
    let name = host.filled_text()?;
    match url::Url::parse(&format!("{scheme}://{name}:{port}{path}")) {
        Ok(url) => Some(url),
        Err(_) => host.problem(format!("{} is not a host", host.shown(&name))),
    }
}

/// Why nobody could ever prove what a plugin asks for.
fn unprovable(plugin: &OidcPlugin, settings: &Settings) -> Option<&'static str> {
    let possession = &plugin.possession;
    let asks = |listener: &Listener| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| tls.client_auth != ClientCertificates::Off)
    };
    if possession.policy.mtls != Enforcement::Off
        && possession.certificate_header.is_some()
        && settings.trusted_ips.is_empty()
    {
        return Some(
            "proof_of_possession_mtls_from_header is believed from peers in gateway.trusted_ips alone, and there are none",
        );
    }
    let strict = possession.policy.mtls == Enforcement::Strict;
    (strict && possession.certificate_header.is_none() && !settings.listen.iter().any(asks)).then_some(
        "proof_of_possession_mtls is strict, and no listener asks for certificates: set tls.client_auth of gateway.listen, or proof_of_possession_mtls_from_header",
    )
}
