//! The section `gateway`: this program's own settings, each with a default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::reader::{Item, Section};

const SECOND: Duration = Duration::from_secs(1);

/// This program's own settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests are taken.
    pub listen: Vec<Listener>,
    /// Where health, metrics and the gateway's own keys are published.
    pub admin_listen: SocketAddr,
    /// Where the gateway keeps its own keys.
    pub state_dir: PathBuf,
    /// How long a new key of the gateway's own is published before it signs. Default 90 s:
    /// providers keep a client's keys for up to a minute.
    pub keys_overlap: Duration,
    /// Peers whose `X-Forwarded-*`, `Forwarded` and `X-Real-IP` are believed.
    pub trusted_ips: Vec<IpNet>,
    /// Files of authorities that vouch for providers, besides the system's.
    pub trusted_certificates: Vec<PathBuf>,
    /// Bounds of a request.
    pub limits: Limits,
    /// Bounds of time.
    pub timeouts: Timeouts,
    /// How long keys are served that cannot be fetched again.
    pub jwks_max_stale: Duration,
    /// The most keys of a set.
    pub jwks_max_keys: usize,
    /// The largest key set, in bytes.
    pub jwks_max_bytes: usize,
    /// The log.
    pub log: LogSettings,
    /// How many threads serve requests. Default: one for each core.
    pub workers: Option<usize>,
}

/// Where requests are taken.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address.
    pub address: SocketAddr,
    /// TLS, if it is on.
    pub tls: Option<ListenerTls>,
}

/// TLS of a listener.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The authorities of client certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate.
    pub client_auth: ClientCertificates,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not.
    Off,
    /// They are, and may go without.
    Optional,
    /// They have to have one.
    Required,
    /// Asked for, and taken whoever made it: for tokens that are bound to a certificate, where the
    /// binding is what counts (RFC 8705 §3).
    Unverified,
}

/// Bounds of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line. Default 8 KiB; beyond it 414.
    pub request_line: usize,
    /// Bytes of the header section. Default 64 KiB; beyond it 431.
    pub headers: usize,
    /// Header lines. Default 100; beyond it 431.
    pub header_count: usize,
    /// Bytes of a body that is read for credentials. Default 1 MiB; a longer one is 413, unless
    /// there is a credential elsewhere.
    pub credential_body: usize,
    /// Bytes of a body. Default: no bound; beyond it 413.
    pub body: Option<u64>,
    /// Connections at a time. Default 10 000.
    pub connections: usize,
    /// Tokens that are remembered, with token requests under way. Default 100 000.
    pub cached_tokens: usize,
}

/// Bounds of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's header section. Default 10 s.
    pub headers: Duration,
    /// For a body that is read for credentials. Default 30 s.
    pub credential_body: Duration,
    /// For a kept connection without a request, and for a client that takes nothing of an answer.
    /// Default 60 s.
    pub idle: Duration,
    /// For requests under way when the program is told to stop. Default 30 s.
    pub drain: Duration,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The level, or a filter as in `RUST_LOG`, which goes before it.
    pub level: String,
    /// The format.
    pub format: LogFormat,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON lines otherwise.
    Auto,
    /// Text.
    Text,
    /// JSON lines.
    Json,
}

pub(super) const KEYS: &[&str] = &[
    "admin_listen",
    "jwks",
    "keys",
    "limits",
    "listen",
    "log",
    "state_dir",
    "timeouts",
    "trusted_certificates",
    "trusted_ips",
    "workers",
];

pub(super) fn read(item: Option<Item<'_>>, root: &Item<'_>) -> Option<Settings> {
    let mut section = match item {
        Some(item) => Some(item.section()?),
        None => None,
    };
    let mut take = |name: &str| {
        section
            .as_mut()
            .and_then(|section: &mut Section<'_>| section.take(name))
    };
    let listen = match take("listen") {
        Some(item) => listeners(&item),
        None => vec![Listener {
            address: SocketAddr::from(([127, 0, 0, 1], 8000)),
            tls: None,
        }],
    };
    let admin_listen = match take("admin_listen") {
        Some(item) => address(&item),
        None => Some(SocketAddr::from(([127, 0, 0, 1], 8001))),
    };
    let state_dir = match take("state_dir") {
        Some(item) => item.filled_text().map(PathBuf::from),
        None => Some(default_state_dir(root)),
    };
    let trusted_certificates = take("trusted_certificates").map_or_else(Vec::new, |item| {
        item.texts().into_iter().map(PathBuf::from).collect()
    });
    let trusted_ips = take("trusted_ips").map_or_else(Vec::new, |item| {
        item.list().iter().filter_map(network).collect()
    });
    let workers = take("workers")
        .and_then(|item| item.integer(1, 1024))
        .and_then(|count| usize::try_from(count).ok());
    let limits = limits(take("limits"));
    let timeouts = timeouts(take("timeouts"));
    let mut stale = Duration::from_secs(3600);
    let (mut max_keys, mut max_bytes) = (100, 512 * 1024);
    if let Some(mut jwks) = take("jwks").and_then(|item| item.section()) {
        read_duration(&mut jwks, "max_stale", &mut stale);
        read_count(&mut jwks, "max_keys", &mut max_keys, 1, 10_000);
        read_size(&mut jwks, "max_bytes", &mut max_bytes);
        jwks.finish(&["max_stale", "max_keys", "max_bytes"]);
    }
    let mut keys_overlap = 90 * SECOND;
    if let Some(mut keys) = take("keys").and_then(|item| item.section()) {
        read_duration(&mut keys, "overlap", &mut keys_overlap);
        keys.finish(&["overlap"]);
    }
    let mut log = LogSettings {
        level: "info".to_owned(),
        format: LogFormat::Auto,
    };
    if let Some(mut section) = take("log").and_then(|item| item.section()) {
        if let Some(item) = section.take("level")
            && let Some(level) = item.filled_text()
        {
            if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
                item.problem::<()>("not a level; allowed: error, warn, info, debug, trace, or a filter as in RUST_LOG");
            }
            log.level = level;
        }
        if let Some(item) = section.take("format") {
            let words = [
                ("text", LogFormat::Text),
                ("json", LogFormat::Json),
                ("auto", LogFormat::Auto),
            ];
            log.format = item.one_of(&words)?;
        }
        section.finish(&["level", "format"]);
    }
    if let Some(section) = section {
        section.finish(KEYS);
    }
    Some(Settings {
        listen,
        admin_listen: admin_listen?,
        state_dir: state_dir?,
        keys_overlap,
        trusted_certificates,
        trusted_ips,
        limits,
        timeouts,
        jwks_max_stale: stale,
        jwks_max_keys: max_keys,
        jwks_max_bytes: max_bytes,
        log,
        workers,
    })
}

fn default_state_dir(root: &Item<'_>) -> PathBuf {
    let set = |name: &str| {
        root.context
            .variable(name)
            .filter(|value| !value.is_empty())
    };
    set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join("oidc-proxy")
}

fn address(item: &Item<'_>) -> Option<SocketAddr> {
    let text = item.filled_text()?;
    let local = text.replace("localhost:", "127.0.0.1:");
    match local.parse() {
        Ok(address) => Some(address),
        Err(_) => item.problem(format!(
            "{} is not an address with a port, such as 127.0.0.1:8000 or [::1]:8000",
            item.shown(&text)
        )),
    }
}

fn network(item: &Item<'_>) -> Option<IpNet> {
    let text = item.filled_text()?;
    let net = text.parse::<IpNet>().ok();
    match net.or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from)) {
        Some(net) => Some(net),
        None => item.problem(format!(
            "{} is not an IP address or network, such as 10.0.0.0/8",
            item.shown(&text)
        )),
    }
}

fn listeners(item: &Item<'_>) -> Vec<Listener> {
    let mut all: Vec<Listener> = Vec::new();
    for item in item.list() {
        let Some(one) = listener(&item) else { continue };
        if all.iter().any(|before| before.address == one.address) {
            item.problem::<()>(format!("{} is listed twice", one.address));
        }
        all.push(one);
    }
    all
}

fn listener(item: &Item<'_>) -> Option<Listener> {
    if !matches!(item.tree(), super::document::Tree::Table(_)) {
        return Some(Listener {
            address: address(item)?,
            tls: None,
        });
    }
    let mut section = item.section()?;
    let address = section.required("address").and_then(|item| address(&item));
    let tls = section.take("tls").map(|item| tls(&item));
    section.finish(&["address", "tls"]);
    let tls = match tls {
        Some(tls) => Some(tls?),
        None => None,
    };
    Some(Listener {
        address: address?,
        tls,
    })
}

fn tls(item: &Item<'_>) -> Option<ListenerTls> {
    let mut section = item.section()?;
    let file = |item: Item<'_>| {
        let path = PathBuf::from(item.filled_text()?);
        match std::fs::metadata(&path) {
            Ok(_) => Some(path),
            Err(error) => item.problem(format!(
                "the file {} cannot be read: {error}",
                path.display()
            )),
        }
    };
    let certificate = section.required("certificate").and_then(file);
    let key = section.required("key").and_then(file);
    let client_ca = section.take("client_ca").map(file);
    let client_auth = section
        .take("client_auth")
        .map_or(Some(ClientCertificates::Off), |item| {
            item.one_of(&[
                ("off", ClientCertificates::Off),
                ("optional", ClientCertificates::Optional),
                ("required", ClientCertificates::Required),
                ("unverified", ClientCertificates::Unverified),
            ])
        });
    let vouched = [ClientCertificates::Optional, ClientCertificates::Required];
    if client_auth.is_some_and(|auth| vouched.contains(&auth)) && client_ca.is_none() {
        item.problem::<()>("client_auth needs client_ca: the authorities of client certificates");
    }
    section.finish(&["certificate", "key", "client_ca", "client_auth"]);
    let client_ca = match client_ca {
        Some(path) => Some(path?),
        None => None,
    };
    Some(ListenerTls {
        certificate: certificate?,
        key: key?,
        client_ca,
        client_auth: client_auth?,
    })
}

fn limits(item: Option<Item<'_>>) -> Limits {
    let mut limits = Limits {
        request_line: 8 * 1024,
        headers: 64 * 1024,
        header_count: 100,
        credential_body: 1024 * 1024,
        body: None,
        connections: 10_000,
        cached_tokens: 100_000,
    };
    if let Some(mut section) = item.and_then(|item| item.section()) {
        read_size(&mut section, "request_line", &mut limits.request_line);
        read_size(&mut section, "headers", &mut limits.headers);
        read_count(
            &mut section,
            "header_count",
            &mut limits.header_count,
            1,
            10_000,
        );
        read_size(&mut section, "credential_body", &mut limits.credential_body);
        read_count(
            &mut section,
            "connections",
            &mut limits.connections,
            1,
            1_000_000,
        );
        read_count(
            &mut section,
            "cached_tokens",
            &mut limits.cached_tokens,
            1_000,
            100_000_000,
        );
        limits.body = section.take("body").and_then(|item| item.size());
        section.finish(&[
            "request_line",
            "headers",
            "header_count",
            "credential_body",
            "body",
            "connections",
            "cached_tokens",
        ]);
    }
    limits
}

fn timeouts(item: Option<Item<'_>>) -> Timeouts {
    let mut timeouts = Timeouts {
        headers: 10 * SECOND,
        credential_body: 30 * SECOND,
        idle: 60 * SECOND,
        drain: 30 * SECOND,
    };
    if let Some(mut section) = item.and_then(|item| item.section()) {
        read_duration(&mut section, "headers", &mut timeouts.headers);
        read_duration(
            &mut section,
            "credential_body",
            &mut timeouts.credential_body,
        );
        read_duration(&mut section, "idle", &mut timeouts.idle);
        read_duration(&mut section, "drain", &mut timeouts.drain);
        section.finish(&["headers", "credential_body", "idle", "drain"]);
    }
    timeouts
}

fn read_duration(section: &mut Section<'_>, name: &str, into: &mut Duration) {
    if let Some(duration) = section.take(name).and_then(|item| item.duration(SECOND)) {
        *into = duration;
    }
}

fn read_count(section: &mut Section<'_>, name: &str, into: &mut usize, least: u64, most: u64) {
    let count = section
        .take(name)
        .and_then(|item| item.integer(least, most));
    if let Some(count) = count.and_then(|count| usize::try_from(count).ok()) {
        *into = count;
    }
}

fn read_size(section: &mut Section<'_>, name: &str, into: &mut usize) {
    let size = section.take(name).and_then(|item| item.size());
    if let Some(size) = size.and_then(|size| usize::try_from(size).ok()) {
        *into = size;
    }
}
