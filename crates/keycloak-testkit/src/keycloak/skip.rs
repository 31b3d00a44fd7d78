//! A test that is left out says so, and on a build server it fails.

use std::io::Write as _;
use std::sync::Once;

use super::StartError;

/// The reason is the same for every test of a process.
static EXPLAINED: Once = Once::new();

pub(super) fn skip(error: &StartError) {
    let required = |name: &str| {
        std::env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
    };
    assert!(
        !required("CI") && !required("KEYCLOAK_REQUIRED") && !error.is_configured(),
        "a real Keycloak is required here, and there is none.\n{error}"
    );
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    let mut text = format!("\n*** SKIPPED: {test}: no real Keycloak can be had ***\n");
    EXPLAINED.call_once(|| text.push_str(&format!("{error}\n")));
    // Written past the test harness, which hides what a passing test prints.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
