//! A process of the comparison with all its children: a group of their own, which ends when the
//! value does.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{
    Pid, Resource, Signal, getrlimit, kill_process, kill_process_group, setrlimit,
};

use crate::workspace::{find, program};

/// How long a process may take until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may take to end when it is told to; then it is killed.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long it may take if it has something to write yet.
const LONG_FAREWELL: Duration = Duration::from_secs(30);

/// How often it is asked.
const POLL: Duration = Duration::from_millis(5);

/// Files and sockets that a process may have open, if the system lets it.
const FILES: u64 = 65_536;

/// A running process and its children.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

/// A program that ends when this one does, however that ends.
pub(crate) fn bound(path: &Path) -> Command {
    let Some(setpriv) = find("setpriv") else {
        return program(path);
    };
    let mut command = program(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(path);
    command
}

impl Server {
    /// Starts it, and waits until it accepts connections there. What it prints goes to the log.
    ///
    /// # Errors
    /// If it cannot be started, ends, or does not accept in time: with the end of its log.
    pub(crate) fn start(mut command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let name = log.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdout(file.try_clone()?)
            .stderr(file)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let mut server = Self { child, log };
        let deadline = Instant::now() + PATIENCE;
        while !accepts(address)? {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended: {status}: {}", server.said());
            }
            if Instant::now() > deadline {
                bail!(
                    "{name} accepts no connection after {PATIENCE:?}: {}",
                    server.said()
                );
            }
            sleep(POLL);
        }
        Ok(server)
    }

    /// Tells it to end, and waits until it has done what it does at its end.
    ///
    /// # Errors
    /// If it does not end well, or not in time: with the end of its log.
    pub(crate) fn stop(mut self) -> Result<()> {
        match self.end_within(LONG_FAREWELL) {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("it did not end well: {status}: {}", self.said()),
            None => bail!("it has not ended after {LONG_FAREWELL:?}: {}", self.said()),
        }
    }

    /// Tells it to end; how it did, if it did in time.
    fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        // One that has ended is not told: its number may be another's by now.
        if let (Ok(None), Some(id)) = (self.child.try_wait(), self.id()) {
            // If it ends at this moment, all the better.
            let _ = kill_process(id, Signal::TERM);
        }
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => sleep(POLL),
                ended => return ended.ok().flatten(),
            }
        }
    }

    fn id(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// The process group.
    pub(crate) fn group(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    pub(crate) fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let mut last: Vec<_> = log.lines().rev().take(4).collect();
        last.reverse();
        last.join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end_within(FAREWELL);
        // Its children, too; it may have none.
        if let Some(id) = self.id() {
            let _ = kill_process_group(id, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn accepts(address: SocketAddr) -> Result<bool> {
    match TcpStream::connect(address) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Lets this process and those that it starts open many files; gives how many that are.
pub(crate) fn allow_many_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_none_or(|now| now >= wanted) {
        return limit.current.unwrap_or(FILES);
    }
    let before = limit.current;
    limit.current = Some(wanted);
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => wanted,
        Err(_) => before.unwrap_or(FILES),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread::sleep;
    use std::time::Instant;

    use super::{PATIENCE, POLL, Server};
    use crate::gateway::free_address;
    use crate::workspace::program;

    #[test]
    fn a_process_that_ends_at_once_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = program("sh");
        shell.args(["-c", "echo no such key >&2; exit 3"]);
        let error = Server::start(shell, free_address().unwrap(), folder.path().join("sh.log"));
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("sh ended"), "{error}");
        assert!(error.contains("no such key"), "{error}");
    }

    #[test]
    fn a_process_that_is_stopped_has_done_what_it_does_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        // Who accepts is somebody else: a shell cannot listen.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for (status, is_well) in [(0, true), (3, false)] {
            let ready = folder.path().join(format!("ready{status}"));
            let written = folder.path().join(format!("written{status}"));
            let mut shell = program("sh");
            shell.arg("-c").arg(format!(
                "trap 'echo done > {}; exit {status}' TERM; : > {}; while :; do sleep 0.01; done",
                written.display(),
                ready.display()
            ));
            let log = folder.path().join("sh.log");
            let server = Server::start(shell, listener.local_addr().unwrap(), log).unwrap();
            let deadline = Instant::now() + PATIENCE;
            while !ready.exists() {
                assert!(Instant::now() < deadline, "no trap is set");
                sleep(POLL);
            }
            assert_eq!(server.stop().is_ok(), is_well);
            assert!(written.exists());
        }
    }
}
