//! A test that is left out for want of the provider says so, and on a build server it fails.

use std::io::Write as _;
use std::sync::OnceLock;

use anyhow::{Result, ensure};
use second_provider::Installed;

/// `none` leaves out the tests that need the provider.
const CHOICE: &str = "SECOND_PROVIDER";

/// It is tried once in a process.
static TRIED: OnceLock<Result<Installed>> = OnceLock::new();

pub(super) async fn installed_or_skip() -> Option<Installed> {
    let tried = tokio::task::spawn_blocking(|| TRIED.get_or_init(find))
        .await
        .expect("no panic");
    match tried {
        Ok(installed) => Some(installed.clone()),
        Err(error) => {
            skip(error);
            None
        }
    }
}

fn find() -> Result<Installed> {
    ensure!(
        std::env::var(CHOICE).as_deref() != Ok("none"),
        "{CHOICE} is none"
    );
    second_provider::install(|line| say(&format!("{line}\n")))
}

fn skip(error: &anyhow::Error) {
    let ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(!ci, "the second provider is required here: {error:#}");
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    say(&format!(
        "\n*** SKIPPED: {test}: the second provider cannot be had: {error:#} ***\n"
    ));
}

/// Written past the test harness, which hides what a passing test prints.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
