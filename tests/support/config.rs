//! A gateway's configuration, made by a test that names only what it is about.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

/// A configuration of one service, one route and one plugin: the seed's, unless changed.
#[derive(Clone, Debug)]
pub struct Config(Value);

impl Config {
    /// The seed's configuration: refresh token and password, client `kong` by private key, with
    /// reasons shown to the caller.
    #[must_use]
    pub fn seed(issuer: &str, upstream: SocketAddr, state_dir: &Path) -> Self {
        Self(json!({
            "_format_version": "3.0",
            "gateway": {
                "listen": ["127.0.0.1:0"],
                "admin_listen": "127.0.0.1:0",
                "state_dir": state_dir,
            },
            "services": [{
                "name": "openid-connect",
                "url": format!("http://{upstream}/anything"),
                "routes": [{"name": "openid-connect", "paths": ["/"]}],
                "plugins": [{
                    "name": "openid-connect",
                    "config": {
                        "issuer": issuer,
                        "client_id": ["kong"],
                        "client_auth": ["private_key_jwt"],
                        "auth_methods": ["refresh_token", "password"],
                        "refresh_token_param_type": ["header"],
                        "refresh_token_param_name": "refresh_token",
                        "upstream_refresh_token_header": "refresh_token",
                        "display_errors": true,
                    },
                }],
            }],
        }))
    }

    /// Sets a parameter of the plugin.
    pub fn plugin(&mut self, name: &str, value: Value) -> &mut Self {
        self.0["services"][0]["plugins"][0]["config"][name] = value;
        self
    }

    /// Sets a setting of the gateway itself.
    pub fn gateway(&mut self, name: &str, value: Value) -> &mut Self {
        self.0["gateway"][name] = value;
        self
    }

    /// Sets a setting of the service.
    pub fn service(&mut self, name: &str, value: Value) -> &mut Self {
        self.0["services"][0][name] = value;
        self
    }

    /// The whole, to be changed at will.
    pub fn value(&mut self) -> &mut Value {
        &mut self.0
    }

    /// As it would be written to a file.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}
