//! The provider, an upstream and a gateway between them.

use gateway_tests::{
    Client, Config, Gateway, ProviderClient, ProviderOptions, ProviderTokens, SecondProvider,
    eventually,
};
use keycloak_testkit::EchoUpstream;
use serde_json::json;
use tempfile::TempDir;

/// The gateway's client, unless a test is about another.
pub(crate) const APP: &str = "app";
/// Its secret, with characters that forms and headers have to escape.
pub(crate) const APP_SECRET: &str = "s3cr3t!+%:/?&=";

/// Everything that one test case needs.
pub(crate) struct World {
    pub(crate) idp: SecondProvider,
    pub(crate) upstream: EchoUpstream,
    pub(crate) gateway: Gateway,
    _state: TempDir,
}

/// The client `app` by its secret.
pub(crate) fn app() -> ProviderClient {
    ProviderClient::secret(APP, APP_SECRET)
}

impl World {
    /// A world whose gateway is the client `app`, with this configuration; `None` if the provider
    /// cannot be had here, which is said aloud.
    pub(crate) async fn start(
        options: ProviderOptions,
        change: impl FnOnce(&mut Config),
    ) -> Option<Self> {
        let idp = SecondProvider::start(options).await?;
        let upstream = EchoUpstream::start().await.expect("an upstream");
        let state = tempfile::tempdir().expect("a directory");
        let mut config = Config::seed(&idp.issuer(), upstream.address(), state.path());
        config
            .plugin("client_id", json!([APP]))
            .plugin("client_secret", json!([APP_SECRET]))
            .plugin("client_auth", json!(["client_secret_basic"]))
            .plugin("scopes", json!(["openid", "offline_access"]));
        change(&mut config);
        let gateway = Gateway::start(&config).await;
        Some(Self {
            idp,
            upstream,
            gateway,
            _state: state,
        })
    }

    /// A client of the gateway.
    pub(crate) const fn client(&self) -> Client {
        self.gateway.client()
    }

    /// John's tokens, straight from the provider, issued to the gateway's client.
    pub(crate) async fn john(&self) -> ProviderTokens {
        self.idp.john(APP, Some(APP_SECRET)).await
    }

    /// Waits until so many requests are under way at the gateway.
    pub(crate) async fn under_way(&self, count: usize) {
        let wanted = format!("oidc_proxy_requests_in_flight {count}\n");
        eventually(&wanted, || async {
            let metrics = self.gateway.admin().get("/metrics").send().await;
            metrics.text().contains(&wanted)
        })
        .await;
    }

    /// Whether the session lives: its newest refresh token is good straight at the provider.
    pub(crate) async fn lives_by(&self, newest: &str) -> bool {
        let refreshed = self.idp.refresh(newest, APP, Some(APP_SECRET)).await;
        refreshed.status == 200
    }
}
