//! A provider, an upstream and a gateway between them.

use keycloak_testkit::{
    Client as IdpClient, ClientKeys, ClientLogin, EchoUpstream, EmbeddedIdp, IdentityProvider,
    Keycloak, Realm, Tokens,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Client, Config, Gateway};

/// Everything that one test case needs; each has its own realm, upstream and gateway.
pub struct World {
    /// The provider's realm.
    pub idp: Box<dyn IdentityProvider>,
    /// The upstream.
    pub upstream: EchoUpstream,
    /// The gateway.
    pub gateway: Gateway,
    /// Kept for as long as the provider's realm is in use.
    _embedded: Option<EmbeddedIdp>,
    _state: TempDir,
}

type Change = Box<dyn FnOnce(&mut Config) + Send>;

/// A world to be.
#[must_use]
pub struct WorldBuilder {
    realm: Realm,
    changes: Vec<Change>,
}

/// The client that cases use which are not about private keys: its secret is known to the test,
/// so that it can talk to the provider as the same client.
pub const APP: &str = "app";
/// Its secret, with characters that forms and headers have to escape.
pub const APP_SECRET: &str = "s3cr3t!+%:é/?&=";

impl World {
    /// A world with the seed's realm and configuration.
    pub fn seed() -> WorldBuilder {
        WorldBuilder {
            realm: Realm::seed("kong").unique(),
            changes: Vec::new(),
        }
    }

    /// A world whose gateway is the client `app` by a secret.
    pub fn app() -> WorldBuilder {
        let mut builder = Self::seed();
        builder.realm = builder.realm.client(IdpClient::secret(APP, APP_SECRET));
        builder
            .plugin("client_id", json!([APP]))
            .plugin("client_secret", json!([APP_SECRET]))
            .plugin("client_auth", json!(["client_secret_basic"]))
    }

    /// A client of the gateway.
    #[must_use]
    pub const fn client(&self) -> Client {
        self.gateway.client()
    }

    /// How the test itself logs in as the gateway's client.
    #[must_use]
    pub fn app_login(&self) -> ClientLogin {
        ClientLogin::basic(APP, APP_SECRET)
    }

    /// Tokens of john's, straight from the provider, issued to the gateway's client.
    ///
    /// # Panics
    /// If the provider refuses.
    pub async fn john(&self) -> Tokens {
        self.idp
            .log_in("john", "doe", self.app_login())
            .await
            .expect("john's tokens")
    }
}

impl WorldBuilder {
    /// Changes the realm.
    pub fn realm(mut self, change: impl FnOnce(Realm) -> Realm) -> Self {
        self.realm = change(self.realm);
        self
    }

    /// Sets a parameter of the plugin.
    pub fn plugin(self, name: &'static str, value: Value) -> Self {
        self.config(move |config| {
            config.plugin(name, value);
        })
    }

    /// Sets a setting of the gateway itself.
    pub fn gateway(self, name: &'static str, value: Value) -> Self {
        self.config(move |config| {
            config.gateway(name, value);
        })
    }

    /// Changes the configuration.
    pub fn config(mut self, change: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Builds it around the embedded provider.
    ///
    /// # Panics
    /// If something does not start.
    pub async fn embedded(self) -> World {
        let idp = EmbeddedIdp::start().await.expect("an embedded provider");
        let realm = idp.realm(&self.realm);
        self.around(Box::new(realm), Some(idp)).await
    }

    /// Builds it around a real Keycloak; `None` if there is none here, which is said aloud.
    ///
    /// # Panics
    /// If something does not start.
    pub async fn keycloak(self) -> Option<World> {
        let keycloak = Keycloak::start_or_skip().await?;
        let realm = keycloak.realm(&self.realm).await.expect("a realm");
        Some(self.around(Box::new(realm), None).await)
    }

    async fn around(self, idp: Box<dyn IdentityProvider>, embedded: Option<EmbeddedIdp>) -> World {
        let upstream = EchoUpstream::start().await.expect("an upstream");
        let state = tempfile::tempdir().expect("a directory");
        let mut config = Config::seed(&idp.issuer(), upstream.address(), state.path());
        for change in self.changes {
            change(&mut config);
        }
        let gateway = Gateway::start(&config).await;
        idp.set_client_keys("kong", ClientKeys::Url(gateway.jwks_url()))
            .await
            .expect("the client's key set");
        World {
            idp,
            upstream,
            gateway,
            _embedded: embedded,
            _state: state,
        }
    }
}

/// Runs one case against the embedded provider and against a real Keycloak.
#[macro_export]
macro_rules! on_both {
    ($(#[$meta:meta])* $name:ident, $world:expr, $case:expr) => {
        mod $name {
            use super::*;

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                let world = $world.embedded().await;
                ($case)(world).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread")]
            async fn keycloak() {
                if let Some(world) = $world.keycloak().await {
                    ($case)(world).await;
                }
            }
        }
    };
}
