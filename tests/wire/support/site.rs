//! A gateway in front of one upstream, without a provider: what the wire is about needs none.

use std::net::SocketAddr;
use std::path::Path;

use gateway_tests::{Client, Config, Gateway};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::Raw;
use super::raw::PATIENCE;

/// A gateway whose one route is public and leads to one upstream, unless changed.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    _state: TempDir,
}

impl Site {
    /// A gateway before an upstream without TLS.
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        Self::with(upstream, |_| {}).await
    }

    /// The same, with a changed configuration.
    pub(crate) async fn with(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let mut config = Self::config(upstream, state.path());
        change(&mut config);
        Self {
            gateway: Gateway::start(&config).await,
            _state: state,
        }
    }

    /// The configuration of such a gateway: paths go upstream as they are.
    pub(crate) fn config(upstream: SocketAddr, state: &Path) -> Config {
        let mut config = Config::seed("http://127.0.0.1:9/realms/none", upstream, state);
        config.value()["services"] = json!([{
            "name": "public",
            "url": format!("http://{upstream}"),
            "routes": [{"name": "public", "paths": ["/"], "strip_path": false}],
        }]);
        config
    }

    /// A new connection to it.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(self.gateway.address()).await
    }

    /// Stops it; tells whether everything under way was finished.
    pub(crate) async fn stop(self) -> bool {
        self.gateway.stop().await
    }

    /// Waits until one of its metrics, with its labels if it has any, has this value.
    ///
    /// # Panics
    /// If it never has.
    pub(crate) async fn wait_for_metric(&self, name: &str, value: f64) {
        let waiting = async {
            while metric(self.gateway.admin(), name).await != value {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{name} is never {value}"));
    }
}

/// 0 if there is none of this name and these labels.
async fn metric(admin: Client, name: &str) -> f64 {
    let answer = admin.get("/metrics").send().await.expect(200);
    let line = answer
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// Makes three services of the one that there is, all before the same upstream: `/protected` has
/// the plugin, `/public` has none, `/preflight` has one that lets preflights through.
pub(crate) fn three_routes(config: &mut Config) {
    let service = config.value()["services"][0].clone();
    let upstream = service["url"].as_str().expect("a URL");
    let upstream = upstream.trim_end_matches("/anything").to_owned();
    let named = |name: &str, plugins: Value| {
        json!({
            "name": name,
            "url": upstream,
            "routes": [{"name": name, "paths": [format!("/{name}")], "strip_path": false}],
            "plugins": plugins,
        })
    };
    let mut lenient = service["plugins"].clone();
    lenient[0]["config"]["run_on_preflight"] = json!(false);
    config.value()["services"] = json!([
        named("protected", service["plugins"].clone()),
        named("public", json!([])),
        named("preflight", lenient),
    ]);
}

/// John's password, as a header line.
pub(crate) const JOHN: &str = "Authorization: Basic am9objpkb2U=\r\n";
