//! The Java runtime that a distribution needs.

use std::path::PathBuf;
use std::process::Command;

use crate::Error;

/// Keycloak 26 runs on this release and on later ones.
const OLDEST: u32 = 17;

/// What to do where there is none.
const INSTALL: &str = "install a Java runtime of release 17 or later \
    (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME";

/// The program to run.
pub(super) fn java() -> Result<PathBuf, Error> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = home.map_or_else(
        || PathBuf::from("java"),
        |home| PathBuf::from(home).join("bin").join("java"),
    );
    let output = Command::new(&program)
        .arg("-version")
        .output()
        .map_err(|error| {
            Error::Missing(format!(
                "{} cannot be run ({error}); {INSTALL}",
                program.display()
            ))
        })?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match release(&text) {
        Some(release) if release < OLDEST => Err(Error::Missing(format!(
            "{} is of release {release}; {INSTALL}",
            program.display()
        ))),
        // An unknown way to say the version is no reason to give up.
        _ => Ok(program),
    }
}

/// The release in what `java -version` says: `17.0.15` and `1.8.0` are 17 and 8.
fn release(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut numbers = quoted.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        release => Some(release),
    }
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn reads_the_release() {
        let cases = [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("openjdk version \"21-ea\"", Some(21)),
            ("something else", None),
        ];
        for (text, expected) in cases {
            assert_eq!(release(text), expected, "{text}");
        }
    }
}
