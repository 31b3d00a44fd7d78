//! The official image in a container engine.

use std::time::{Duration, Instant};

use testcontainers::core::client::docker_client_instance;
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

use super::VERSION;
use super::backend::{No, is_ready};
use super::guard::Guard;
use super::server::free_port;
use crate::admin::Admin;
use crate::http_client::HttpClient;
use crate::pki::Authority;
use crate::random;

const IMAGE: &str = "quay.io/keycloak/keycloak";

/// How long an engine may take to answer at all.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// How long the image may take to be fetched, and the container to be made.
const PULL_TIME: Duration = Duration::from_secs(900);

/// How long the server may take to answer: in a container it builds itself first.
const START_TIME: Duration = Duration::from_secs(300);

/// The ports inside of a container that has a network of its own.
const INNER_PORT: u16 = 8080;
const INNER_TLS_PORT: u16 = 8443;

/// Where the container has its certificates.
const FILES: &str = "/opt/keycloak/testkit";

/// A server in a container. It is removed when this is dropped, or when this process ends.
pub(super) struct Running {
    admin: Admin,
    tls_url: String,
    _guard: Guard,
    _container: ContainerAsync<GenericImage>,
}

impl Running {
    pub(super) fn admin(&self) -> Admin {
        self.admin.clone()
    }

    pub(super) fn tls_url(&self) -> &str {
        &self.tls_url
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// Starts a container and waits until its server answers.
pub(super) async fn start(port: u16) -> Result<Running, No> {
    let client = probe().await?;
    let password = random::hex(16);
    // On Linux the server shares the host's network, so that it reaches what tests listen with on
    // 127.0.0.1: a client's keys, for example.
    let shares_network = cfg!(target_os = "linux");
    let chosen = if port == 0 { free_port()? } else { port };
    let tls_port = free_port()?;
    let request = request(shares_network, [chosen, tls_port], &password);
    let started = tokio::time::timeout(PULL_TIME, request.start()).await;
    let container = match started {
        Ok(Ok(container)) => container,
        Ok(Err(error)) => {
            return Err(No::Absent(format!(
                "{IMAGE}:{VERSION} cannot be run ({error}); fetch it with: docker pull {IMAGE}:{VERSION}"
            )));
        }
        Err(_) => {
            let time = PULL_TIME.as_secs();
            return Err(No::Absent(format!(
                "{IMAGE}:{VERSION} was not there after {time} s"
            )));
        }
    };
    let guard = removal(container.id())?;
    let base = format!("http://127.0.0.1:{chosen}");
    let http = HttpClient::new();
    let deadline = Instant::now() + START_TIME;
    while !is_ready(&http, &base).await {
        let lives = client.inspect_container(container.id(), None).await;
        let lives = lives
            .ok()
            .and_then(|container| container.state?.running)
            .unwrap_or_default();
        if !lives || Instant::now() > deadline {
            let mut log = container.stdout_to_vec().await.unwrap_or_default();
            log.extend(container.stderr_to_vec().await.unwrap_or_default());
            let log = String::from_utf8_lossy(&log).into_owned();
            let last = super::distribution::last_lines(&log, 12);
            return Err(No::Failed(format!(
                "the server in the container does not answer; its last words:\n{last}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Running {
        admin: Admin::new(base, "admin", password),
        tls_url: format!("https://127.0.0.1:{tls_port}"),
        _guard: guard,
        _container: container,
    })
}

/// An engine that answers at once; without one there is nothing to wait for.
async fn probe() -> Result<testcontainers::bollard::Docker, No> {
    let absent = |reason: &str| {
        No::Absent(format!(
            "no container engine answers ({reason}); start one, or set DOCKER_HOST"
        ))
    };
    let asked = tokio::time::timeout(PROBE_TIME, async {
        let client = docker_client_instance()
            .await
            .map_err(|error| absent(&error.to_string()))?;
        client
            .ping()
            .await
            .map_err(|error| absent(&error.to_string()))?;
        Ok(client)
    });
    asked
        .await
        .unwrap_or_else(|_| Err(absent(&format!("not in {} s", PROBE_TIME.as_secs()))))
}

fn request(
    shares_network: bool,
    [port, tls_port]: [u16; 2],
    password: &str,
) -> ContainerRequest<GenericImage> {
    let image = GenericImage::new(IMAGE, VERSION).with_wait_for(WaitFor::Nothing);
    let [inner, inner_tls] = if shares_network {
        [port, tls_port]
    } else {
        [INNER_PORT, INNER_TLS_PORT]
    };
    let authority = Authority::shared();
    let server = authority.server(&["127.0.0.1", "localhost"]);
    let file = |name: &str| format!("{FILES}/{name}");
    let host = if shares_network {
        "127.0.0.1"
    } else {
        "0.0.0.0"
    };
    let command = [
        "start-dev".to_owned(),
        "--db=dev-mem".to_owned(),
        "--cache=local".to_owned(),
        format!("--http-host={host}"),
        format!("--http-port={inner}"),
        format!("--https-port={inner_tls}"),
        "--https-client-auth=request".to_owned(),
        format!("--https-certificate-file={}", file("server.pem")),
        format!("--https-certificate-key-file={}", file("server.key")),
        format!("--https-trust-store-file={}", file("authority.pem")),
    ];
    let request = if shares_network {
        image.with_cmd(command).with_network("host")
    } else {
        image
            .with_cmd(command)
            .with_mapped_port(port, inner.tcp())
            .with_mapped_port(tls_port, inner_tls.tcp())
    };
    let pem = |text: &str| text.as_bytes().to_vec();
    request
        .with_copy_to(file("server.pem"), pem(server.certificate_pem()))
        .with_copy_to(file("server.key"), pem(&server.key_pem()))
        .with_copy_to(file("authority.pem"), pem(authority.certificate_pem()))
        .with_env_var("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
        .with_env_var("KC_BOOTSTRAP_ADMIN_PASSWORD", password)
        // In a container it would take half of the machine's memory.
        .with_env_var("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m")
        .with_startup_timeout(START_TIME)
}

/// Removes the container when this process ends: engines do not notice that by themselves.
fn removal(id: &str) -> Result<Guard, No> {
    let program = ["docker", "podman"].into_iter().find(|program| {
        let found = std::process::Command::new(program)
            .arg("--version")
            .output();
        found.is_ok_and(|output| output.status.success())
    });
    let program = program.ok_or_else(|| {
        No::Absent(
            "neither docker nor podman is there to remove the container afterwards".to_owned(),
        )
    })?;
    Guard::afterwards(program, &["rm", "--force", "--volumes", id])
        .map_err(|error| No::Failed(error.to_string()))
}
