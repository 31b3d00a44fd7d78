//! A container engine: the one that answers, or one of our own for as long as this value lives.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{find, is_root, output, program, succeeds, target};

/// How long an engine may take until it answers, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the removal of a container may take after its test has ended.
const REMOVAL: Duration = Duration::from_secs(15);

/// The containers that tests start.
const OURS: &str = "label=org.testcontainers.managed-by=testcontainers";

/// How often it is asked.
const POLL: Duration = Duration::from_millis(200);

/// Ways to start an engine, the best first: kernels in virtual machines and containers lack
/// layered file systems or packet filters. Published ports work without the latter, too.
const WAYS: &[&[&str]] = &[&[], &["--iptables=false", "--storage-driver=vfs"]];

/// An engine that answers.
pub(crate) struct Engine {
    ours: Option<Child>,
}

/// Whether an engine answers.
pub(crate) fn answers() -> bool {
    succeeds(docker().args(["version", "--format", "{{.Server.Version}}"]))
}

/// The engine's client.
pub(crate) fn docker() -> Command {
    program("docker")
}

impl Engine {
    /// The engine that answers; or else one that is started, and stopped when this is dropped.
    ///
    /// # Errors
    /// If none answers and none can be started, with what to do.
    pub(crate) fn find_or_start() -> Result<Self> {
        if answers() {
            println!("a container engine answers");
            return Ok(Self { ours: None });
        }
        if !is_root() || find("dockerd").is_none() {
            bail!(
                "no container engine answers, and only root can start one: \
                 start yours (`sudo systemctl start docker`, Docker Desktop, …) and try again"
            );
        }
        let mut reasons = Vec::new();
        for way in WAYS {
            match Self::start(way) {
                Ok(engine) => return Ok(engine),
                Err(reason) => reasons.push(format!("{reason:#}")),
            }
        }
        bail!(
            "no container engine can be started:\n{}",
            reasons.join("\n")
        )
    }

    fn start(way: &[&str]) -> Result<Self> {
        let log = target().join("dockerd.log");
        let file =
            File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        // The daemon ends with us, however we end.
        let daemon = program("setpriv")
            .args(["--pdeathsig", "TERM", "dockerd"])
            .args(way)
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context("`dockerd` cannot be started")?;
        let mut engine = Self { ours: Some(daemon) };
        let deadline = Instant::now() + PATIENCE;
        while !answers() {
            let ended = engine
                .ours
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten();
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<_> = said.lines().rev().take(3).collect();
                bail!(
                    "`dockerd {}` {}: {}",
                    way.join(" "),
                    ended.map_or("does not answer".to_owned(), |status| status.to_string()),
                    last.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            sleep(POLL);
        }
        println!(
            "started `{}`; its log is {}",
            [&["dockerd"], way].concat().join(" "),
            log.display()
        );
        Ok(engine)
    }
}

/// Waits until no test's container is there: it is removed a moment after the test has ended, and
/// would be left behind by an engine that is gone by then.
fn wait_for_containers() {
    let deadline = Instant::now() + REMOVAL;
    while Instant::now() < deadline {
        match output(docker().args(["ps", "--all", "--quiet", "--filter", OURS])) {
            Ok(running) if !running.is_empty() => sleep(POLL),
            _ => return,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(daemon) = &mut self.ours else { return };
        wait_for_containers();
        succeeds(program("kill").args(["-TERM", &daemon.id().to_string()]));
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !matches!(daemon.try_wait(), Ok(None)) {
                println!("stopped the container engine");
                return;
            }
            sleep(POLL);
        }
        println!("the container engine does not stop, and is killed");
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
}
