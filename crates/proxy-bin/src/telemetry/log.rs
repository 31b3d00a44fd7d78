//! The log: to stderr, as text on a terminal, as JSON lines otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::{LogFormat, LogSettings};

/// A log that cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LogError {
    /// The level is no filter.
    #[error("the log level is not one: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// There is one already.
    #[error("a log was started before")]
    Started(#[from] TryInitError),
}

/// Starts the log of this process. `RUST_LOG` goes before the settings' level.
///
/// # Errors
/// If the level is no filter, or a log was started before.
pub(crate) fn start_log(settings: &LogSettings) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        _ => EnvFilter::try_new(&settings.level)?,
    };
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .try_init()?;
    } else {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init()?;
    }
    Ok(())
}
