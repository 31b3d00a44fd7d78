//! What is counted, by name.

/// One thing that is counted.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
    /// By how many hundredths it may grow; `None` if it is somebody else's program.
    pub(crate) bound: Option<f64>,
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A part of the work, by `gateway-instructions`.
    Part,
    /// A whole request through a proxy, over a connection that is kept.
    Request {
        proxy: Proxy,
        path: &'static str,
        credential: Credential,
    },
}

/// A proxy that can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Gateway,
    Nginx,
    Haproxy,
}

impl Proxy {
    /// Its program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Gateway => "oidc-proxy",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

/// What a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Bearer,
    /// The same, with a header line that is another in each request.
    BearerAmongOthers,
    RefreshToken,
}

/// Between two runs it differs by less than one hundredth.
const BOUND: f64 = 3.0;

/// Most of it is the cryptographic library's, which chooses its code by what the processor can do.
const BOUND_OF_SIGNATURES: f64 = 10.0;

/// What the others are compared with.
pub(crate) const PLAIN: &str = "nginx-plain";

const fn part(name: &'static str, what: &'static str, bound: f64) -> Scenario {
    Scenario {
        name,
        what,
        kind: Kind::Part,
        bound: Some(bound),
    }
}

const fn request(
    name: &'static str,
    what: &'static str,
    proxy: Proxy,
    path: &'static str,
    credential: Credential,
    bound: Option<f64>,
) -> Scenario {
    Scenario {
        name,
        what,
        kind: Kind::Request {
            proxy,
            path,
            credential,
        },
        bound,
    }
}

/// All of them, in the order of the table.
pub(crate) const ALL: &[Scenario] = &[
    request(
        "request-no-plugin",
        "a request through the gateway, no plugin",
        Proxy::Gateway,
        "/plain",
        Credential::Bearer,
        Some(BOUND),
    ),
    request(
        "request-bearer-remembered",
        "a request through the gateway, bearer token that is remembered",
        Proxy::Gateway,
        "/bearer",
        Credential::Bearer,
        Some(BOUND),
    ),
    request(
        "request-bearer-new-section",
        "the same, where a header line is another in each request",
        Proxy::Gateway,
        "/bearer",
        Credential::BearerAmongOthers,
        Some(BOUND),
    ),
    request(
        "request-refresh-token-remembered",
        "a request through the gateway, refresh token that is remembered",
        Proxy::Gateway,
        "/refresh",
        Credential::RefreshToken,
        Some(BOUND),
    ),
    request(
        "request-bearer-verified",
        "a request through the gateway, bearer token verified each time (RS256)",
        Proxy::Gateway,
        "/verified",
        Credential::Bearer,
        Some(BOUND_OF_SIGNATURES),
    ),
    request(
        PLAIN,
        "the same request through nginx, plain",
        Proxy::Nginx,
        "/bearer",
        Credential::Bearer,
        None,
    ),
    request(
        "haproxy-plain",
        "the same request through haproxy, plain",
        Proxy::Haproxy,
        "/bearer",
        Credential::Bearer,
        None,
    ),
    part(
        "extract-nothing",
        "looking for credentials where there are none",
        BOUND,
    ),
    part(
        "extract-bearer",
        "finding a bearer token in a header",
        BOUND,
    ),
    part(
        "extract-refresh-token",
        "finding a refresh token in a header",
        BOUND,
    ),
    part(
        "extract-sole",
        "finding the only header line that can hold a credential",
        BOUND,
    ),
    part(
        "bearer-remembered",
        "deciding on a bearer token that is remembered",
        BOUND,
    ),
    part(
        "refresh-token-remembered",
        "deciding on a refresh token that is remembered",
        BOUND,
    ),
    part(
        "bearer-verified-rs256",
        "deciding on a bearer token that is new, RS256 with 2048 bit",
        BOUND_OF_SIGNATURES,
    ),
    part(
        "bearer-verified-es256",
        "deciding on a bearer token that is new, ES256",
        BOUND_OF_SIGNATURES,
    ),
];

/// The one of this name.
pub(crate) fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

/// For the command line.
///
/// # Errors
/// With the names that there are.
pub(crate) fn parse(name: &str) -> Result<&'static Scenario, String> {
    named(name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        format!("there are {}", names.join(", "))
    })
}
