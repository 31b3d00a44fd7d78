//! A test that is left out says so, and on a build server it fails.

use std::io::Write as _;

use super::StartError;

pub(super) fn skip(error: &StartError) {
    let required = |name: &str| {
        std::env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
    };
    assert!(
        !required("CI") && !required("KEYCLOAK_REQUIRED"),
        "a real Keycloak is required here (CI or KEYCLOAK_REQUIRED is set), and there is none.\n{error}"
    );
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // Written past the test harness, which hides what a passing test prints.
    let _ = writeln!(
        std::io::stderr(),
        "\n*** SKIPPED: {test}: no real Keycloak can be had ***\n{error}\n"
    );
}
