//! Where a server comes from: back ends in the order in which they are tried.

use std::fmt;

use super::container;
use super::distribution::{self, Prepared};
use super::server::Server;
use crate::Error;
use crate::admin::Admin;
use crate::http_client::HttpClient;

/// A way to get a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// A running one, at `KEYCLOAK_URL`, with `KEYCLOAK_ADMIN` and `KEYCLOAK_ADMIN_PASSWORD`.
    Address,
    /// A distribution unpacked at `KEYCLOAK_HOME`.
    Home,
    /// The official image, if there is a container engine.
    Container,
    /// The distribution from the Maven repository, kept in a cache.
    Download,
}

impl Backend {
    const ALL: [Self; 4] = [Self::Address, Self::Home, Self::Container, Self::Download];

    /// As `KEYCLOAK_TESTKIT_BACKEND` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Home => "home",
            Self::Container => "container",
            Self::Download => "download",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why no server could be had: each back end that was tried, and its reason.
pub struct StartError {
    /// Back ends, or what else was tried, each with its reason.
    reasons: Vec<(&'static str, String)>,
    configured: bool,
}

impl StartError {
    /// Whether the environment asks for a server in particular: then it is no matter of chance
    /// that there is none.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.configured
    }

    /// Says on standard error that the running test is left out, and why.
    ///
    /// # Panics
    /// Instead, with `CI=true` or `KEYCLOAK_REQUIRED=1` in the environment, or if a server
    /// [is configured](Self::is_configured).
    pub fn skip(&self) {
        super::skip::skip(self);
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no Keycloak server could be had:")?;
        for (backend, reason) in &self.reasons {
            write!(f, "\n  {backend}: {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {}

/// As `Display`: tests show errors by `unwrap`, and what to do is in the text.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A server that runs.
#[derive(Debug)]
pub(super) enum Running {
    Address(Admin),
    Process(Server, Backend),
    Container(Box<container::Running>),
}

impl Running {
    pub(super) fn admin(&self) -> Admin {
        match self {
            Self::Address(admin) => admin.clone(),
            Self::Process(server, _) => server.admin(),
            Self::Container(container) => container.admin(),
        }
    }

    /// Its own address by https.
    pub(super) fn tls_url(&self) -> Option<&str> {
        match self {
            Self::Address(_) => None,
            Self::Process(server, _) => Some(server.tls_url()),
            Self::Container(container) => Some(container.tls_url()),
        }
    }

    pub(super) const fn backend(&self) -> Backend {
        match self {
            Self::Address(_) => Backend::Address,
            Self::Process(_, backend) => *backend,
            Self::Container(_) => Backend::Container,
        }
    }
}

/// Why a back end gives no server.
pub(super) enum No {
    /// It does not apply here; the next one may.
    Absent(String),
    /// It was asked for and failed.
    Failed(String),
}

impl From<Error> for No {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Tries the back ends in order, or the one that the environment forces.
pub(super) async fn start(port: u16) -> Result<Running, StartError> {
    let unavailable = |reason: String, configured| StartError {
        reasons: vec![("environment", reason)],
        configured,
    };
    let forced = match forced() {
        Ok(Choice::Any) => None,
        Ok(Choice::Only(backend)) => Some(backend),
        Ok(Choice::None) => {
            return Err(unavailable(format!("{VARIABLE} is none"), false));
        }
        Err(reason) => return Err(unavailable(reason, true)),
    };
    let mut configured = forced.is_some();
    let mut reasons = Vec::new();
    for backend in Backend::ALL {
        if forced.is_some_and(|forced| forced != backend) {
            continue;
        }
        let started = match backend {
            Backend::Address => address().await,
            Backend::Home => home(port).await,
            Backend::Container => container::start(port)
                .await
                .map(|running| Running::Container(Box::new(running))),
            Backend::Download => download(port).await,
        };
        match started {
            Ok(running) => return Ok(running),
            Err(No::Absent(reason)) => reasons.push((backend.name(), reason)),
            Err(No::Failed(reason)) => {
                configured |= matches!(backend, Backend::Address | Backend::Home);
                reasons.push((backend.name(), reason));
                break;
            }
        }
    }
    Err(StartError {
        reasons,
        configured,
    })
}

/// Which back ends may be tried.
enum Choice {
    Any,
    Only(Backend),
    /// None: tests that need a server are to be left out.
    None,
}

const VARIABLE: &str = "KEYCLOAK_TESTKIT_BACKEND";

fn forced() -> Result<Choice, String> {
    let Ok(name) = std::env::var(VARIABLE) else {
        return Ok(Choice::Any);
    };
    if name == "none" {
        return Ok(Choice::None);
    }
    let known = Backend::ALL
        .into_iter()
        .find(|backend| backend.name() == name);
    known.map(Choice::Only).ok_or_else(|| {
        format!("{VARIABLE} is {name:?}; it may be address, home, container, download or none")
    })
}

async fn address() -> Result<Running, No> {
    let Ok(url) = std::env::var("KEYCLOAK_URL") else {
        return Err(No::Absent(
            "KEYCLOAK_URL is not set; set it to the address of a running server".to_owned(),
        ));
    };
    if !url.starts_with("http://") {
        return Err(No::Failed(
            "KEYCLOAK_URL has to begin with http://, since tests look into the traffic".to_owned(),
        ));
    }
    let variable = |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok());
    let user = variable(["KEYCLOAK_ADMIN", "KC_BOOTSTRAP_ADMIN_USERNAME"]);
    let password = variable(["KEYCLOAK_ADMIN_PASSWORD", "KC_BOOTSTRAP_ADMIN_PASSWORD"]);
    let admin = Admin::new(
        url,
        user.unwrap_or_else(|| "admin".to_owned()),
        password.unwrap_or_else(|| "admin".to_owned()),
    );
    admin.call(http::Method::GET, "/master", None).await?;
    Ok(Running::Address(admin))
}

async fn home(port: u16) -> Result<Running, No> {
    let Some(home) = std::env::var_os("KEYCLOAK_HOME") else {
        return Err(No::Absent(
            "KEYCLOAK_HOME is not set; set it to an unpacked distribution".to_owned(),
        ));
    };
    let prepared = blocking(move || distribution::prepare_home(home.as_ref(), quietly)).await?;
    process(&prepared, port, Backend::Home).await
}

async fn download(port: u16) -> Result<Running, No> {
    let prepared = blocking(|| distribution::prepare_download(quietly)).await;
    let prepared = prepared.map_err(|error| No::Absent(error.to_string()))?;
    process(&prepared, port, Backend::Download).await
}

async fn process(prepared: &Prepared, port: u16, backend: Backend) -> Result<Running, No> {
    let server = Server::start(prepared, port).await?;
    Ok(Running::Process(server, backend))
}

/// Progress goes past the test harness: minutes of silence look like a hang.
fn quietly(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "keycloak-testkit: {line}");
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Whether a server at this base address answers for its master realm.
pub(super) async fn is_ready(http: &HttpClient, base: &str) -> bool {
    let request = http::Request::get(format!("{base}/realms/master")).body(bytes::Bytes::new());
    match request {
        Ok(request) => http
            .send(request)
            .await
            .is_ok_and(|response| response.status() == 200),
        Err(_) => false,
    }
}
