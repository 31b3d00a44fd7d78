//! A gateway in the test's own process.

use std::net::SocketAddr;
use std::path::PathBuf;

use proxy_bin::Server;

use crate::{Client, Config};

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Starts a gateway with this configuration.
    ///
    /// # Panics
    /// If the configuration has problems, or cannot run.
    pub async fn start(config: &Config) -> Self {
        let gateway = proxy_bin::config::from_yaml(&config.text())
            .unwrap_or_else(|problems| panic!("a configuration without problems:\n{problems}"));
        Self::run(gateway, None).await
    }

    /// Starts a gateway with the configuration in this file, which a reload reads again.
    ///
    /// # Panics
    /// If the configuration has problems, or cannot run.
    pub async fn start_from(file: PathBuf) -> Self {
        let gateway = proxy_bin::config::load(&file, [])
            .unwrap_or_else(|problems| panic!("a configuration without problems:\n{problems}"));
        Self::run(gateway, Some(file)).await
    }

    async fn run(gateway: proxy_bin::config::Gateway, file: Option<PathBuf>) -> Self {
        let server = Server::start(gateway, file)
            .await
            .expect("a gateway that starts");
        let address = *server.addresses().first().expect("a listener");
        let admin = server.admin_address();
        Self {
            server,
            address,
            admin,
        }
    }

    /// Where it takes requests.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everywhere that it takes requests.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses()
    }

    /// A client of it.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::of(self.address)
    }

    /// A client of its admin listener.
    #[must_use]
    pub const fn admin(&self) -> Client {
        Client::of(self.admin)
    }

    /// Where its own public keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/openid-connect/jwks", self.admin)
    }

    /// Reads its file again.
    ///
    /// # Errors
    /// If the file is refused.
    pub async fn reload(&mut self) -> Result<(), proxy_bin::ServerError> {
        self.server.reload().await
    }

    /// Stops it; tells whether everything under way was finished.
    pub async fn stop(self) -> bool {
        self.server.stop().await
    }
}
