//! A server process of a prepared distribution, in a directory of its own.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::backend::is_ready;
use super::distribution::{Prepared, failed, last_lines};
use super::guard::Guard;
use super::java::java;
use crate::admin::Admin;
use crate::http_client::HttpClient;
use crate::pki::{Authority, CertificateFiles};
use crate::{Error, random};

/// How long a start may take; on a busy machine it is half a minute.
const START_TIME: Duration = Duration::from_secs(240);

/// How often a free port may turn out to be taken.
const PORT_TRIES: usize = 3;

/// The administrator's name.
const ADMIN: &str = "admin";

/// What the Java machine is told: little memory, quick start.
const JAVA_OPTIONS: [&str; 15] = [
    "-Xms64m",
    "-Xmx512m",
    "-XX:MetaspaceSize=96M",
    "-XX:MaxMetaspaceSize=256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "-Djava.security.egd=file:/dev/urandom",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// A running server. It ends when it is dropped, or when this process ends.
#[derive(Debug)]
pub(super) struct Server {
    admin: Admin,
    tls_url: String,
    _guard: Guard,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(super) async fn start(prepared: &Prepared, port: u16) -> Result<Self, Error> {
        let password = prepared.password()?;
        let mut tries = 1;
        loop {
            let run = Directory::new(&prepared.tree(), Some(&prepared.database()))?;
            let chosen = if port == 0 { free_port()? } else { port };
            let tls_port = free_port()?;
            let mut guard = run.start(chosen, tls_port, "KILL", None)?;
            let base = format!("http://127.0.0.1:{chosen}");
            match wait(&mut guard, &base, &run.log()).await {
                Ok(()) => {
                    return Ok(Self {
                        admin: Admin::new(base, ADMIN, password),
                        tls_url: format!("https://127.0.0.1:{tls_port}"),
                        _guard: guard,
                    });
                }
                // Another process may have taken the port since it was found free.
                Err(_) if port == 0 && tries < PORT_TRIES && is_taken(&run.log()) => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn admin(&self) -> Admin {
        self.admin.clone()
    }

    pub(super) fn tls_url(&self) -> &str {
        &self.tls_url
    }
}

/// Starts a server for the first time and ends it: what is left is a database with the master
/// realm and its administrator. That takes longer than any later start.
pub(super) fn set_up_database(entry: &Path, password: &str) -> Result<(), Error> {
    let tree = entry.join("keycloak");
    let run = Directory::new(&tree, None)?;
    let port = free_port()?;
    let mut guard = run.start(port, free_port()?, "TERM", Some(password))?;
    let base = format!("http://127.0.0.1:{port}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Tool {
            doing: "starting Keycloak for the first time".to_owned(),
            reason: error.to_string(),
        })?;
    runtime.block_on(wait(&mut guard, &base, &run.log()))?;
    guard.end();
    let database = entry.join("database");
    fs::create_dir(&database).map_err(failed("creating", &database))?;
    let file = run.database().join(DATABASE);
    fs::copy(&file, database.join(DATABASE)).map_err(failed("copying", &file))?;
    fs::remove_dir_all(&run.0).map_err(failed("removing", &run.0))
}

/// The file that the database consists of.
const DATABASE: &str = "keycloakdb.mv.db";

/// What one server writes to; the rest is linked to the distribution.
struct Directory(PathBuf);

impl Directory {
    fn new(tree: &Path, database: Option<&Path>) -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("keycloak-testkit-{}", random::hex(8)));
        create_private(&path)?;
        let run = Self(path);
        for part in ["lib", "providers", "themes", "conf"] {
            let link = run.0.join(part);
            symlink(&tree.join(part), &link).map_err(failed("linking", &link))?;
        }
        let data = run.database();
        fs::create_dir_all(&data).map_err(failed("creating", &data))?;
        if let Some(database) = database {
            let file = database.join(DATABASE);
            fs::copy(&file, data.join(DATABASE)).map_err(failed("copying", &file))?;
        }
        Ok(run)
    }

    fn database(&self) -> PathBuf {
        self.0.join("data").join("h2")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// What the server shows, and whose clients it trusts.
    fn certificates(&self) -> Result<(CertificateFiles, PathBuf), Error> {
        let authority = Authority::shared();
        let files = authority
            .server(&["127.0.0.1", "localhost"])
            .write(&self.0, "server")
            .map_err(failed("writing a certificate to", &self.0))?;
        let trusted = authority
            .write(&self.0, "authority")
            .map_err(failed("writing a certificate to", &self.0))?;
        Ok((files, trusted))
    }

    /// Starts the Java machine itself: with `kc.sh` there would be a shell in between. Without an
    /// administrator to set up, the directory is removed when the server has ended.
    fn start(
        &self,
        port: u16,
        tls_port: u16,
        signal: &str,
        password: Option<&str>,
    ) -> Result<Guard, Error> {
        let (files, authority) = self.certificates()?;
        let mut command = Command::new(java()?);
        command
            .args(JAVA_OPTIONS)
            .arg(format!("-Dkc.home.dir={}", self.0.display()))
            .arg(format!(
                "-Djboss.server.config.dir={}",
                self.0.join("conf").display()
            ))
            .arg("-cp")
            .arg(self.0.join("lib").join("quarkus-run.jar"))
            .arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint")
            .args(["start", "--optimized", "--cache=local"])
            // Without a host name, a realm's issuer is where the client found it.
            .args(["--http-enabled=true", "--hostname-strict=false"])
            .args(["--http-host=127.0.0.1", &format!("--http-port={port}")])
            .arg(format!("--https-port={tls_port}"))
            .args(["--https-client-auth=request"])
            .arg(option("--https-certificate-file", &files.certificate))
            .arg(option("--https-certificate-key-file", &files.key))
            .arg(option("--https-trust-store-file", &authority));
        without_settings(&mut command);
        if let Some(password) = password {
            command
                .env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN)
                .env("KC_BOOTSTRAP_ADMIN_PASSWORD", password);
        }
        let removed = password.is_none().then_some(self.0.as_path());
        Guard::server(&command, signal, removed, &self.log()).map_err(|error| Error::Tool {
            doing: "starting Keycloak".to_owned(),
            reason: error.to_string(),
        })
    }
}

fn option(name: &str, file: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(file);
    option
}

/// Settings meant for another Keycloak stay out.
pub(super) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = ["KC_", "QUARKUS_", "KEYCLOAK_"];
        if foreign.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    for name in ["JAVA_OPTS", "JAVA_OPTS_APPEND", "DEBUG"] {
        command.env_remove(name);
    }
}

async fn wait(guard: &mut Guard, base: &str, log: &Path) -> Result<(), Error> {
    let http = HttpClient::new();
    let deadline = Instant::now() + START_TIME;
    let failed = |what: &str, text: &str| Error::Tool {
        doing: "starting Keycloak".to_owned(),
        reason: format!("{what}; its last words:\n{}", last_lines(text, 12)),
    };
    // The log goes with the server's directory, so it is read while the server runs.
    let mut said = String::new();
    while !is_ready(&http, base).await {
        said = fs::read_to_string(log).unwrap_or(said);
        if guard.has_ended() {
            return Err(failed("it ended at once", &said));
        }
        if Instant::now() > deadline {
            let time = format!("it does not answer after {} s", START_TIME.as_secs());
            return Err(failed(&time, &said));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn is_taken(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("already bound"))
}

pub(super) fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Error::Listen {
            address: "127.0.0.1:0".to_owned(),
            source,
        })
}

/// The database in it holds the administrator's password.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(failed("creating", path))
}

#[cfg(unix)]
fn symlink(to: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "the distribution is run on Unix only; set KEYCLOAK_URL or start a container engine",
    ))
}
