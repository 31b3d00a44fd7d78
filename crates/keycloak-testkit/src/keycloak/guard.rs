//! A process that ends with this one, even if this one is killed.
//!
//! A shell starts it and watches a pipe that only this process holds open. The kernel closes the
//! pipe when this process ends, in whatever way, and the shell then ends the other one.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Arguments: the signal that ends the server, a directory to remove afterwards, the log, and the
/// command. Standard input is the pipe.
const SERVER: &str = r#"
signal=$1 directory=$2 log=$3
shift 3
exec 3<&0 </dev/null
"$@" >"$log" 2>&1 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -s "$signal" "$server"; } >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$server"
status=$?
kill "$guard" 2>/dev/null
[ -z "$directory" ] || rm -rf -- "$directory"
exit "$status"
"#;

/// Runs a command when the pipe is closed.
const AFTERWARDS: &str = r#"
cat >/dev/null
exec "$@" >/dev/null 2>&1 </dev/null
"#;

/// How long a server may take to end.
const END_TIME: Duration = Duration::from_secs(20);

/// What watches over a server.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Starts a server that is ended with this signal. The directory, if any, is removed when it
    /// has ended.
    pub(super) fn server(
        command: &Command,
        signal: &str,
        directory: Option<&Path>,
        log: &Path,
    ) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SERVER, "sh", signal])
            .arg(directory.map_or_else(|| OsStr::new(""), Path::as_os_str))
            .arg(log)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Self::spawn(shell)
    }

    /// Runs a command when this process has ended or the guard is dropped.
    pub(super) fn afterwards(program: &str, arguments: &[&str]) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", AFTERWARDS, "sh", program])
            .args(arguments);
        Self::spawn(shell)
    }

    fn spawn(mut shell: Command) -> io::Result<Self> {
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
    }

    /// Whether what it watches over has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Ends it, and waits until it has.
    pub(super) fn end(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + END_TIME;
        while !self.has_ended() {
            if Instant::now() > deadline {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::Guard;

    fn until(expected: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "expected: {expected}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_server_ends_with_its_guard_and_its_directory_goes() {
        let outer = tempfile::tempdir().unwrap();
        let directory = outer.path().join("run");
        std::fs::create_dir(&directory).unwrap();
        let log = outer.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"pid $$ $GREETING\"; exec sleep 1000"]);
        command.env("GREETING", "hello");
        let guard = Guard::server(&command, "KILL", Some(&directory), &log).unwrap();
        let line = || std::fs::read_to_string(&log).unwrap_or_default();
        until("the server's first line", || line().ends_with("hello\n"));
        let pid = line().split(' ').nth(1).unwrap().to_owned();
        let lives = || {
            let kill = Command::new("kill").args(["-0", &pid]).output();
            kill.is_ok_and(|output| output.status.success())
        };
        assert!(lives());
        drop(guard);
        assert!(!lives());
        assert!(!directory.exists());
    }

    #[test]
    fn a_server_that_ends_by_itself_is_noticed() {
        let outer = tempfile::tempdir().unwrap();
        let log = outer.path().join("log");
        let command = Command::new("true");
        let mut guard = Guard::server(&command, "KILL", None, &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !guard.has_ended() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_command_runs_afterwards() {
        let outer = tempfile::tempdir().unwrap();
        let file = outer.path().join("done");
        let guard = Guard::afterwards("touch", &[file.to_str().unwrap()]).unwrap();
        assert!(!file.exists());
        drop(guard);
        assert!(file.exists());
    }
}
