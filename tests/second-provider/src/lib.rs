//! A certified OpenID provider for the tests, beside Keycloak: the npm package `oidc-provider`,
//! installed once by npm and kept in a cache. The process that runs it is `server.mjs`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// The version that is installed.
pub const VERSION: &str = "9.13.3";

const MANIFEST: &str = include_str!("../package.json");
const LOCK: &str = include_str!("../package-lock.json");

/// The oldest Node.js that has what the package calls.
const NODE_MIN: (u32, u32) = (20, 12);

/// What to do where Node.js or npm is missing.
const ADVICE: &str = "install Node.js 20.12 or later with npm (Debian 13 and later: \
    apt-get install nodejs npm; elsewhere: https://nodejs.org/en/download)";

/// What folders are called that are not whole yet.
const DRAFT: &str = "oidc-provider-draft-";

/// Where the package is, once it is installed.
#[derive(Clone, Debug)]
pub struct Installed {
    folder: PathBuf,
}

impl Installed {
    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What starts a provider. It is told what to be like, and ended, by its standard input.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("node");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("server.mjs"))
            .arg(&self.folder);
        command
    }
}

/// Finds Node.js, and installs the package if it is not in the cache yet. What is done is told line
/// by line. This blocks for seconds.
///
/// # Errors
/// If Node.js or npm is missing or fails, with what to do.
pub fn install(mut tell: impl FnMut(&str)) -> Result<Installed> {
    check_node()?;
    let cache = cache()?;
    let digest = Sha256::digest(LOCK);
    let digest: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let folder = cache.join(format!("oidc-provider-{VERSION}-{digest}"));
    if !folder.is_dir() {
        fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
        let path = cache.join("oidc-provider.lock");
        let lock = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        if lock.try_lock().is_err() {
            tell("waiting for another process that installs oidc-provider");
            lock.lock()
                .with_context(|| format!("locking {}", path.display()))?;
        }
        if !folder.is_dir() {
            fill(&cache, &folder, &mut tell)?;
        }
    }
    Ok(Installed { folder })
}

/// Has npm install what the lock says, and gives the result its name when it is whole.
fn fill(cache: &Path, folder: &Path, tell: &mut dyn FnMut(&str)) -> Result<()> {
    // Left behind by a process that was killed; the lock says that nobody uses it.
    for left in fs::read_dir(cache).into_iter().flatten().flatten() {
        if left.file_name().to_string_lossy().starts_with(DRAFT) {
            let _ = fs::remove_dir_all(left.path());
        }
    }
    let draft = tempfile::Builder::new()
        .prefix(DRAFT)
        .tempdir_in(cache)
        .with_context(|| format!("creating a folder in {}", cache.display()))?;
    for (name, text) in [("package.json", MANIFEST), ("package-lock.json", LOCK)] {
        let path = draft.path().join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    tell(&format!("fetching oidc-provider {VERSION} with npm (4 MB)"));
    // npm knows the user's registry, proxies and certificates. No package needs a script of its own.
    output(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(draft.path()),
    )
    .with_context(|| format!("npm has to fetch oidc-provider; {ADVICE}"))?;
    fs::rename(draft.path(), folder).with_context(|| format!("naming {}", folder.display()))?;
    tell(&format!("ready in {}", folder.display()));
    Ok(())
}

fn check_node() -> Result<()> {
    let text = output(Command::new("node").arg("--version")).context(ADVICE)?;
    let text = text.trim();
    // An unknown way to say the version is no reason to give up.
    let version = release(text).unwrap_or(NODE_MIN);
    ensure!(version >= NODE_MIN, "node is of version {text}; {ADVICE}");
    Ok(())
}

/// `v20.20.2` is 20.20.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What a program prints.
fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}\n{}", output.status, text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `$XDG_CACHE_HOME/keycloak-testkit`, or the same below `~/.cache`: the testkit's, so that all of
/// what the tests fetch is in one place.
fn cache() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))
        .context("no place for a cache; set HOME or XDG_CACHE_HOME")?;
    Ok(base.join("keycloak-testkit"))
}

#[cfg(test)]
mod tests {
    use super::{LOCK, MANIFEST, VERSION, release};

    #[test]
    fn the_version_is_the_one_that_is_locked() {
        for text in [MANIFEST, LOCK] {
            assert!(text.contains(&format!("\"oidc-provider\": \"{VERSION}\"")));
        }
    }

    #[test]
    fn the_lock_names_no_registry() {
        assert!(LOCK.contains("\"integrity\""));
        assert!(!LOCK.contains("\"resolved\""));
    }

    #[test]
    fn reads_the_version_of_node() {
        for (text, version) in [
            ("v20.20.2", Some((20, 20))),
            ("v9.1.0", Some((9, 1))),
            ("v24.0.0-nightly", Some((24, 0))),
            ("something else", None),
        ] {
            assert_eq!(release(text), version, "{text}");
        }
    }
}
