//! The program as a child process, and a configuration for it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keycloak_testkit::EchoUpstream;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take; far above what anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program with these arguments, in an environment of its own.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oidc-proxy"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("a process")
}

/// What it printed, on both streams.
pub(crate) fn printed(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A directory with a configuration: one public route to an upstream.
pub(crate) struct Files {
    directory: TempDir,
    pub(crate) config: Value,
}

impl Files {
    pub(crate) fn before(upstream: &EchoUpstream) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = json!({
            "gateway": {
                "listen": ["127.0.0.1:0"],
                "admin_listen": "127.0.0.1:0",
                "state_dir": directory.path().join("state"),
            },
            "services": [{
                "name": "s",
                "url": upstream.url(""),
                "routes": [{"name": "r", "paths": ["/"], "strip_path": false}],
            }],
        });
        Self { directory, config }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration, and gives the file's name.
    pub(crate) fn write(&self) -> String {
        self.write_text(&self.config.to_string())
    }

    pub(crate) fn write_text(&self, text: &str) -> String {
        let path = self.path("gateway.yaml");
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("a path of text").to_owned()
    }
}

/// `oidc-proxy serve`, running.
pub(crate) struct Serving {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Serving {
    pub(crate) fn start(file: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["serve", "--config", file];
        all.extend(arguments);
        Self::spawn(&mut program(&all))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let log = Arc::new(Log::default());
        let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let writing = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut all = writing.lines.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(line);
                writing.more.notify_all();
            }
        });
        Self { child, log }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for so many lines of the log that hold these words, and gives them.
    pub(crate) fn wait_for(&self, words: &str, count: usize) -> Vec<String> {
        let fitting = |lines: &Vec<String>| -> Vec<String> {
            let fits = |line: &&String| line.contains(words);
            lines.iter().filter(fits).cloned().collect()
        };
        let lines = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (lines, late) = self
            .log
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| fitting(lines).len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "{count} of {words:?} in {lines:#?}");
        fitting(&lines)
    }

    /// The address in the first line of a JSON log that holds these words.
    pub(crate) fn address(&self, words: &str) -> SocketAddr {
        let line = self.wait_for(words, 1).remove(0);
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        let address = line["address"].as_str().expect("an address");
        address.parse().expect("an address")
    }

    /// Where it takes requests.
    pub(crate) fn listening(&self) -> SocketAddr {
        self.address("listening on")
    }

    /// Where it is administered.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.address("admin on")
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of this package's fixtures.
pub(crate) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    path.to_str().expect("a path of text").to_owned()
}

/// Waits until nobody listens at an address any more.
pub(crate) async fn refused(address: SocketAddr) {
    let waiting = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the end of listening");
}

/// Sends a request over a connection of its own, and reads the answer to its end.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> String {
    let exchange = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let whole = format!("{head}\r\nHost: a\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(whole.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .expect("an answer in time")
        .expect("an answer")
}
