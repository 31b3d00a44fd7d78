//! What is counted as a whole: the gateway, nginx and haproxy, each a process with one thread that
//! works.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{
    ClientLogin, EmbeddedIdp, EmbeddedRealm, IdentityProvider as _, Realm, Tokens,
};
use serde_json::json;

use super::callgrind::Counted;
use super::scenario::Proxy;
use crate::gateway::free_address;
use crate::workspace::find;

/// How long a proxy may take until it accepts; under valgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);

/// How often it is started: somebody else may have taken the port that was free a moment ago.
const ATTEMPTS: u8 = 3;

/// What makes a gateway work with one thread.
const ONE_WORKER: (&str, &str) = ("OIDC_PROXY__GATEWAY__WORKERS", "1");

/// As long as usual, since tokens hold it.
const REALM: &str = "customers-of-the-shop";

/// Longer than anything here takes.
const LIFESPAN: Duration = Duration::from_secs(12 * 3600);

/// What all of them run with: the provider, its tokens, the upstream.
pub(crate) struct Surroundings {
    provider: EmbeddedRealm,
    pub(crate) tokens: Tokens,
    upstream: SocketAddr,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// A proxy that accepts, and is counted.
pub(crate) struct Running {
    counted: Counted,
    pub(crate) listen: SocketAddr,
    signal: &'static str,
}

impl Running {
    /// Lets it end; gives how many instructions it took.
    ///
    /// # Errors
    /// If it does not end well.
    pub(crate) fn stop(self) -> Result<u64> {
        self.counted.stop(self.signal)
    }
}

impl Surroundings {
    /// Starts the provider, and logs in.
    ///
    /// # Errors
    /// If something of it does not start.
    pub(crate) fn start(upstream: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (provider, tokens) = runtime.block_on(async {
            let realm = Realm::seed(REALM).access_token_lifespan(LIFESPAN);
            let provider = EmbeddedIdp::start().await?.realm(&realm);
            // As long as usual.
            provider.alter_access_token(|claims| {
                claims["allowed-origins"] = json!(["https://app.example.com"]);
            });
            let tokens = provider
                .log_in(USER, PASSWORD, ClientLogin::service())
                .await?;
            anyhow::Ok((provider, tokens))
        })?;
        Ok(Self {
            provider,
            tokens,
            upstream,
            folder: tempfile::tempdir()?,
            _runtime: runtime,
        })
    }

    /// A folder that goes with this value.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a proxy under callgrind, which is to write this file, and waits until it accepts.
    ///
    /// # Errors
    /// If it does not come so far.
    pub(crate) fn start_proxy(&self, proxy: Proxy, binary: &Path, file: &Path) -> Result<Running> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match self.try_proxy(proxy, binary, file) {
                Err(error) if attempts > 0 => println!("{error:#}; once more"),
                end => return end,
            }
        }
    }

    fn try_proxy(&self, proxy: Proxy, binary: &Path, file: &Path) -> Result<Running> {
        let listen = free_address()?;
        let folder = tempfile::tempdir_in(self.folder())?.keep();
        let folder = folder
            .to_str()
            .context("a temporary folder that is no text")?;
        let config = format!("{folder}/config.yaml");
        let state = format!("{folder}/state");
        let (text, settings, arguments): (_, &[_], &[_]) = match proxy {
            Proxy::Gateway => (
                self.of_gateway(listen, free_address()?),
                &[ONE_WORKER, ("OIDC_PROXY__GATEWAY__STATE_DIR", &state)],
                &["serve", "--log-format", "text", "--config", &config],
            ),
            Proxy::Nginx => (
                self.of_nginx(listen, folder),
                &[],
                &["-e", "stderr", "-c", &config],
            ),
            Proxy::Haproxy => (self.of_haproxy(listen), &[], &["-q", "-db", "-f", &config]),
        };
        fs::write(&config, text)?;
        let mut counted = Counted::start(file, settings, binary, arguments)?;
        let deadline = Instant::now() + PATIENCE;
        while !accepts(listen) {
            counted.still_runs()?;
            ensure!(
                Instant::now() < deadline,
                "it does not accept within {PATIENCE:?}"
            );
            sleep(POLL);
        }
        Ok(Running {
            counted,
            listen,
            // To haproxy, TERM is no reason to end well.
            signal: if proxy == Proxy::Haproxy {
                "-USR1"
            } else {
                "-TERM"
            },
        })
    }

    fn of_gateway(&self, listen: SocketAddr, admin: SocketAddr) -> String {
        let mut config = format!(
            "gateway:
  listen: [\"{listen}\"]
  admin_listen: \"{admin}\"
  log: {{level: warn}}
services:
"
        );
        for (name, plugin) in [
            ("plain", None),
            ("bearer", Some("auth_methods: [bearer]")),
            (
                "verified",
                Some("auth_methods: [bearer]\n          cache_tokens: false"),
            ),
            (
                "refresh",
                Some(
                    "auth_methods: [refresh_token]\n          \
                     refresh_token_param_type: [header]\n          \
                     refresh_token_param_name: refresh_token",
                ),
            ),
        ] {
            config.push_str(&format!(
                "  - name: {name}
    url: http://{}
    routes: [{{name: {name}, paths: [/{name}]}}]
",
                self.upstream
            ));
            if let Some(plugin) = plugin {
                config.push_str(&format!(
                    "    plugins:
      - name: openid-connect
        config:
          issuer: {}
          client_id: [service]
          client_secret: [{SERVICE_SECRET}]
          client_auth: [client_secret_basic]
          {plugin}
",
                    self.provider.issuer()
                ));
            }
        }
        config
    }

    fn of_nginx(&self, listen: SocketAddr, folder: &str) -> String {
        format!(
            "master_process off;
daemon off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream api {{ server {}; keepalive 32; keepalive_requests 1000000; }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
",
            self.upstream
        )
    }

    fn of_haproxy(&self, listen: SocketAddr) -> String {
        format!(
            "global
  nbthread 1
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend clients
  bind {listen}
  default_backend api
backend api
  server api {}
",
            self.upstream
        )
    }
}

/// Whether something listens there. A connection to itself is none: where nothing listens on a port
/// that clients are given, one of them may be given that one (RFC 9293 §3.5, simultaneous open).
fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address)
        .is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
}

/// Where a proxy's program is, if it is installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(|folder| Path::new(folder).join(name));
    find(name).or_else(|| usual.into_iter().find(|path| path.is_file()))
}
