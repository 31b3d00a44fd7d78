//! `oidc-proxy serve`: runs the gateway until it is told to stop.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{fail, runtime};
use crate::config::{self, LogFormat};
use crate::server::Server;
use crate::telemetry::start_log;

pub(super) fn run(file: &Path, log_format: Option<&str>) -> ExitCode {
    let mut gateway = match config::load(file, std::env::vars()) {
        Ok(gateway) => gateway,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    match log_format {
        Some("text") => gateway.settings.log.format = LogFormat::Text,
        Some("json") => gateway.settings.log.format = LogFormat::Json,
        _ => {}
    }
    if let Err(error) = start_log(&gateway.settings.log) {
        return fail(&error);
    }
    let runtime = match runtime(gateway.settings.workers) {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        // Before the listeners open: a signal must not be missed.
        let signals = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        );
        let (mut terminate, mut interrupt, mut hangup) = match signals {
            (Ok(terminate), Ok(interrupt), Ok(hangup)) => (terminate, interrupt, hangup),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return fail(&error),
        };
        let mut server = match Server::start(gateway, Some(file.to_owned())).await {
            Ok(server) => server,
            Err(error) => return fail(&error),
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => match server.reload().await {
                    Ok(()) => tracing::info!("the configuration was read again and is in force"),
                    Err(error) => tracing::error!("the configuration stays as it was: {error}"),
                },
            }
        }
        tracing::info!("stopping: requests under way are finished");
        tokio::select! {
            whole = server.stop() => {
                if !whole {
                    tracing::warn!("the time for draining is over: connections were cut");
                }
            }
            // Whoever asks twice does not want to wait.
            _ = terminate.recv() => tracing::warn!("told twice to stop: connections are cut"),
            _ = interrupt.recv() => tracing::warn!("told twice to stop: connections are cut"),
        }
        tracing::info!("stopped");
        ExitCode::SUCCESS
    })
}
