//! Valgrind's callgrind: how a program is started under it, and what its output file says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{find, output, program, succeeds};

/// How long a program may take to end: under valgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where valgrind's own parts are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often it is asked.
const POLL: Duration = Duration::from_millis(20);

/// A program that runs under callgrind; killed if it is dropped.
pub(crate) struct Counted {
    child: Child,
    file: PathBuf,
}

impl Counted {
    /// Starts a program with nothing of this environment: even the length of a variable moves the
    /// stack, and is seen. `file` is where callgrind is to write.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        file: &Path,
        settings: &[(&str, &str)],
        binary: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let valgrind = find("valgrind").context("there is no valgrind")?;
        let mut command: Command = program(valgrind);
        command
            .env_clear()
            .env("PATH", PATH)
            .envs(settings.iter().copied())
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(binary)
            .args(arguments)
            .stdout(Stdio::null());
        let child = command.spawn().context("`valgrind` cannot be started")?;
        Ok(Self {
            child,
            file: file.to_owned(),
        })
    }

    /// Whether it has ended already.
    ///
    /// # Errors
    /// If it has.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it ended too early: {status}"),
            None => Ok(()),
        }
    }

    /// Asks it to end by a signal; gives how many instructions it took.
    ///
    /// # Errors
    /// If it does not end well, or not in time.
    pub(crate) fn stop(self, signal: &str) -> Result<u64> {
        succeeds(program("kill").args([signal, &self.child.id().to_string()]));
        self.finish(PATIENCE)
    }

    /// Waits until it ends by itself; gives how many instructions it took.
    ///
    /// # Errors
    /// If it does not end well, or not in time.
    pub(crate) fn finish(mut self, patience: Duration) -> Result<u64> {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("it does not end within {patience:?}");
            }
            std::thread::sleep(POLL);
        };
        if !status.success() {
            bail!("it did not end well: {status}");
        }
        let text = fs::read_to_string(&self.file)
            .with_context(|| format!("callgrind did not write {}", self.file.display()))?;
        total(&text).context("callgrind's output has no total")
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The line `totals:` stands at the end; `summary:` at the head of each part.
fn total(text: &str) -> Option<u64> {
    let last = |name: &str| {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(name));
        line?.split_whitespace().next()?.parse().ok()
    };
    last("totals:").or_else(|| last("summary:"))
}

/// Which valgrind this is, such as `valgrind-3.19.0`.
///
/// # Errors
/// If there is none.
pub(crate) fn version() -> Result<String> {
    output(program("valgrind").arg("--version"))
}

#[cfg(test)]
mod tests {
    use super::total;

    const HEAD: &str = "# callgrind format\nversion: 1\ncmd: ./a totals: 1\npart: 1\n\nevents: Ir\nsummary: 188766195\n\n";

    #[test]
    fn the_total_is_read_at_the_end_or_else_at_the_head() {
        let whole = format!("{HEAD}fl=(1)\nfn=(1) totals\n1 5\ncalls=1 2\n\ntotals: 188766190\n");
        assert_eq!(total(&whole), Some(188_766_190));
        assert_eq!(total(HEAD), Some(188_766_195));
        for other in ["", "events: Ir\n", "totals:\n", "totals: many\n"] {
            assert_eq!(total(other), None, "{other}");
        }
    }
}
