//! A real Keycloak server, wherever it can be had from.

mod backend;
mod container;
mod distribution;
mod guard;
mod java;
mod realm;
mod relay;
mod server;
mod skip;

use std::path::PathBuf;

use tokio::sync::OnceCell;

pub use backend::{Backend, StartError};
pub use realm::KeycloakRealm;

use crate::admin::Admin;
use crate::{Error, Realm};
use backend::Running;

/// The version that is fetched, and that the embedded provider answers like.
pub const VERSION: &str = "26.7.4";

/// A running Keycloak server.
///
/// [`Keycloak::start`] gives the one server of this process; every test makes a realm of its own
/// in it. The server listens on 127.0.0.1, and it ends with the process, however that ends.
///
/// ```no_run
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use keycloak_testkit::{ClientLogin, IdentityProvider, Keycloak, Realm};
///
/// let Some(keycloak) = Keycloak::start_or_skip().await else {
///     return Ok(());
/// };
/// let realm = keycloak.realm(&Realm::seed("kong").unique()).await?;
/// let tokens = realm.log_in("john", "doe", ClientLogin::service()).await.unwrap();
/// assert!(tokens.refresh_token.is_some());
/// # Ok::<(), keycloak_testkit::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Keycloak {
    admin: Admin,
    running: Running,
}

static SHARED: OnceCell<Result<Keycloak, StartError>> = OnceCell::const_new();

impl Keycloak {
    /// The server of this process, started by whoever asks first. A failure is remembered: it is
    /// tried once.
    ///
    /// # Errors
    /// With a reason for each back end, and what to do.
    pub async fn start() -> Result<&'static Self, &'static StartError> {
        SHARED.get_or_init(|| Self::launch(0)).await.as_ref()
    }

    /// As [`start`](Self::start), but where no server can be had it says so on standard error and
    /// gives nothing, so that the test can be left out.
    ///
    /// # Panics
    /// Instead of leaving the test out, with `CI=true` or `KEYCLOAK_REQUIRED=1` in the
    /// environment, or if the environment asks for a server in particular that cannot be had.
    pub async fn start_or_skip() -> Option<&'static Self> {
        match Self::start().await {
            Ok(keycloak) => Some(keycloak),
            Err(error) => {
                error.skip();
                None
            }
        }
    }

    /// A server of the caller's own, at this port of 127.0.0.1; port 0 takes a free one. It ends
    /// when it is dropped. A server whose address is in the environment stays where it is.
    ///
    /// # Errors
    /// With a reason for each back end, and what to do.
    pub async fn launch(port: u16) -> Result<Self, StartError> {
        let running = backend::start(port).await?;
        Ok(Self {
            admin: running.admin(),
            running,
        })
    }

    /// Fetches the distribution, if it is not in the cache yet, and prepares it for quick starts.
    /// What is done is told line by line. This blocks for minutes.
    ///
    /// # Errors
    /// If Java or Maven is missing, or fails.
    pub fn fetch(tell: impl FnMut(&str)) -> Result<PathBuf, Error> {
        distribution::fetch(tell)
    }

    /// Where it listens, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.admin.base_url()
    }

    /// Where it listens by https itself, if the kit started it. A realm's own side by https
    /// ([`IdentityProvider::tls`](crate::IdentityProvider::tls)) is a wire in front of this one,
    /// which counts; this one is not watched.
    #[must_use]
    pub fn tls_url(&self) -> Option<&str> {
        self.running.tls_url()
    }

    /// Its administrator.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Where it comes from.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.running.backend()
    }

    /// Makes a realm, with a wire of its own in front of it.
    ///
    /// # Errors
    /// If there is a realm of this name already, or the server has a fixed host name.
    pub async fn realm(&self, realm: &Realm) -> Result<KeycloakRealm, Error> {
        let tidy = self.backend() == Backend::Address;
        KeycloakRealm::open(self.admin.clone(), self.tls_url(), realm, tidy).await
    }
}
