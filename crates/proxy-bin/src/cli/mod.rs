//! The command line: `serve`, `check`, `explain`. Exit 0 if all is well, 1 if not, 2 on bad usage.

mod check;
mod explain;
mod health;
mod serve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// An OpenID Connect gateway: takes a refresh token, a password or client credentials, trades it
/// at the identity provider, and forwards the request with an access token.
#[derive(Debug, Parser)]
#[command(name = "oidc-proxy", version, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Runs the gateway.
    ///
    /// SIGTERM and SIGINT drain it: readiness fails, listeners close, requests under way are
    /// finished. SIGHUP reads the configuration again and keeps all caches of what did not change.
    Serve(File),
    /// Checks a configuration and everything that it names, without listening.
    ///
    /// Every problem is printed in one run, each with its file, line and key. Exit 0 if there is
    /// none, 1 otherwise.
    Check(File),
    /// Tells what would become of one request: which credential is found where, which grant and
    /// client are used, which checks are met or failed. Secrets are never shown.
    ///
    /// The token endpoint is not called, since that could burn a refresh token, unless --run is
    /// given.
    Explain(explain::Question),
    /// Asks a running gateway whether it is ready; for container health checks.
    Health(File),
}

#[derive(Debug, Args)]
struct File {
    /// The configuration: YAML, JSON or TOML.
    #[arg(short, long, value_name = "FILE", env = "OIDC_PROXY_CONFIG")]
    config: PathBuf,
    /// Log as text or as JSON lines, whatever the configuration says.
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json", "auto"])]
    log_format: Option<String>,
}

/// Runs a command line, and gives the process's exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Command::try_parse_from(arguments) {
        Ok(command) => command,
        Err(error) => {
            // Help and version are no errors; everything else is bad usage.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match command.action {
        Action::Serve(file) => serve::run(&file.config, file.log_format.as_deref()),
        Action::Check(file) => check::run(&file.config),
        Action::Explain(question) => explain::run(&question),
        Action::Health(file) => health::run(&file.config),
    }
}

/// A runtime for everything, of so many threads; by default as many as there are cores.
fn runtime(workers: Option<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    use tokio::runtime::Builder;
    let has_one_core = || std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = match workers {
        // A thread that is alone has nobody to share its queue with, and need not try.
        Some(1) => Builder::new_current_thread(),
        None if has_one_core() && std::env::var_os("TOKIO_WORKER_THREADS").is_none() => {
            Builder::new_current_thread()
        }
        Some(workers) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// Prints what went wrong, with its causes, and fails.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = format!("oidc-proxy: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    eprintln!("{text}");
    ExitCode::FAILURE
}
