//! One shell for all commands of a page, so that its variables last.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long the commands of one block may take; far above what any take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What pages run.
const PROGRAMS: &[&str] = &["bash", "basenc", "curl", "jq", "openssl", "sed"];

/// Reads numbers, runs the file of each, and says when it has ended. A file that fails ends the
/// shell.
const DRIVER: &str = r#"
exec 3>&1
while read -r block; do
    exec >"$block.out" 2>"$block.err"
    source "./$block.sh" </dev/null
    echo done >&3
done
"#;

/// A shell in a directory of its own.
pub(crate) struct Shell {
    directory: PathBuf,
    blocks: usize,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    // Ends with this value.
    _child: Child,
}

/// What a block printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// Whether every command succeeded.
    pub(crate) succeeded: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Shell {
    /// Starts a shell; `None` if a program is missing here, which is said aloud.
    ///
    /// # Panics
    /// If it does not start; where `CI` is `true`, also if a program is missing.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        let missing: Vec<_> = PROGRAMS.iter().filter(|name| !is_found(name)).collect();
        if !missing.is_empty() {
            let ci =
                env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
            assert!(!ci, "programs are missing: {missing:?}");
            eprintln!("skipped, as programs are missing: {missing:?}");
            return None;
        }
        let mut child = Command::new("bash")
            .args(["-euo", "pipefail", "-c", DRIVER])
            .current_dir(directory)
            // Neither a proxy nor somebody's settings stand between curl and the gateway.
            .env("NO_PROXY", "*")
            .env("no_proxy", "*")
            .env("CURL_HOME", directory)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("bash");
        Some(Self {
            directory: directory.to_owned(),
            blocks: 0,
            stdin: child.stdin.take().expect("a pipe"),
            stdout: BufReader::new(child.stdout.take().expect("a pipe")).lines(),
            _child: child,
        })
    }

    /// Runs a block.
    ///
    /// # Panics
    /// If it does not end in time.
    pub(crate) async fn run(&mut self, commands: &str) -> Printed {
        self.blocks += 1;
        let name = format!("block-{}", self.blocks);
        let file = |end: &str| self.directory.join(format!("{name}.{end}"));
        std::fs::write(file("sh"), commands).expect("a file");
        // A shell that has ended takes nothing; its silence is looked at below.
        let _ = self.stdin.write_all(format!("{name}\n").as_bytes()).await;
        let line = tokio::time::timeout(PATIENCE, self.stdout.next_line())
            .await
            .unwrap_or_else(|_| panic!("no end in {PATIENCE:?}:\n{commands}"));
        let printed = |end: &str| {
            let bytes = std::fs::read(file(end)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Printed {
            succeeded: matches!(line, Ok(Some(_))),
            stdout: printed("out"),
            stderr: printed("err"),
        }
    }
}

fn is_found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[tokio::test]
async fn variables_last_and_a_failure_ends_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mut shell) = Shell::start(directory.path()) else {
        return;
    };
    assert!(shell.run("a=1; f() { echo \"$1 $a\"; }\n").await.succeeded);
    let printed = shell.run("cat; f x\necho y >&2\n").await;
    assert!(printed.succeeded);
    assert_eq!((&*printed.stdout, &*printed.stderr), ("x 1\n", "y\n"));
    for commands in ["false | cat\necho no\n", "echo no\n"] {
        let printed = shell.run(commands).await;
        assert!(!printed.succeeded);
        assert_eq!(printed.stdout, "");
    }
}
