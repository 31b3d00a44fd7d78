//! Debian packages that the tests need: installed where that is possible, named where it is not.

use anyhow::{Result, bail};

use crate::engine;
use crate::workspace::{find, is_root, program, run};

/// The oldest Java that runs the pinned Keycloak.
const JAVA_MIN: u32 = 17;

/// Something needed, and the package that brings it.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
    is_met: fn(&str) -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        program: "java",
        package: "default-jre-headless",
        why: "runs Keycloak",
        is_met: |_| java_version().is_some_and(|version| version >= JAVA_MIN),
    },
    Need {
        program: "mvn",
        package: "maven",
        why: "fetches Keycloak",
        is_met: is_found,
    },
    Need {
        program: "dockerd",
        package: "docker.io",
        why: "runs Keycloak in a container",
        is_met: |program| engine::answers() || is_found(program),
    },
    Need {
        program: "debootstrap",
        package: "debootstrap",
        why: "builds Keycloak's image where none can be pulled",
        is_met: is_found,
    },
    Need {
        program: "curl",
        package: "curl",
        why: "the commands of the demo and of docs/",
        is_met: is_found,
    },
    Need {
        program: "jq",
        package: "jq",
        why: "the commands of the demo and of docs/",
        is_met: is_found,
    },
    Need {
        program: "openssl",
        package: "openssl",
        why: "the commands of docs/",
        is_met: is_found,
    },
    Need {
        program: "valgrind",
        package: "valgrind",
        why: "counts instructions",
        is_met: is_found,
    },
];

/// Sees to it that every program that the tests run is there.
///
/// # Errors
/// With the command to type, if something is missing and cannot be installed from here.
pub(crate) fn install_missing() -> Result<()> {
    let missing: Vec<_> = NEEDS
        .iter()
        .filter(|need| !(need.is_met)(need.program))
        .collect();
    for need in NEEDS {
        let state = if missing.iter().any(|it| it.program == need.program) {
            "missing"
        } else {
            "found"
        };
        println!("{state}: {} ({})", need.program, need.why);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    if !is_root() || find("apt-get").is_none() {
        bail!(
            "type this, or install the same in your system's way:\n    \
             sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    run(apt_get().arg("update"))?;
    run(apt_get()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&packages))?;
    match missing.iter().find(|need| !(need.is_met)(need.program)) {
        Some(need) => bail!(
            "{} is installed, and brought no usable {}",
            need.package,
            need.program
        ),
        None => Ok(()),
    }
}

fn apt_get() -> std::process::Command {
    let mut command = program("apt-get");
    command
        .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_found(program: &str) -> bool {
    find(program).is_some()
}

/// The major version of the Java on the search path.
fn java_version() -> Option<u32> {
    let output = program("java").arg("-version").output().ok()?;
    major_version(&String::from_utf8_lossy(&output.stderr))
}

/// `openjdk version "17.0.15" 2025-04-15` is 17.
fn major_version(text: &str) -> Option<u32> {
    let (_, quoted) = text.split_once('"')?;
    let digits = quoted.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn java_tells_its_version_in_several_ways() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("openjdk version \"26-ea\"", Some(26)),
            ("java version \"1.8.0_412\"", Some(1)),
            ("no such program", None),
        ] {
            assert_eq!(major_version(text), version, "{text}");
        }
    }
}
