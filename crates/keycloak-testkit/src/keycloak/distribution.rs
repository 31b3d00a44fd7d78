//! The distribution: fetched once by Maven, checked, built and started once, then kept in a cache.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::VERSION;
use super::java::java;
use super::server;
use crate::{Error, random};

/// The checksum of the archive of [`VERSION`].
const SHA256: &str = "04823c336b797a7e18889a44262a7a64e6bf624cbbcc518c85e2622176ff2eee";

/// What the archive is called in a Maven repository.
const ARTIFACT: &str = "org.keycloak:keycloak-quarkus-dist";

/// Changes when entries of the cache are made in another way.
const RECIPE: &str = "2";

/// What to do where Maven is missing.
const INSTALL: &str = "install it (Debian: apt-get install maven), or set KEYCLOAK_HOME to an \
    unpacked distribution, or KEYCLOAK_URL to a running server";

/// A distribution that starts quickly: it is built, and its database has been set up.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    directory: PathBuf,
}

impl Prepared {
    /// The tree with `bin`, `lib` and so on.
    pub(super) fn tree(&self) -> PathBuf {
        self.directory.join("keycloak")
    }

    /// The database with the master realm, to be copied for every server.
    pub(super) fn database(&self) -> PathBuf {
        self.directory.join("database")
    }

    /// The administrator's password in that database.
    pub(super) fn password(&self) -> Result<String, Error> {
        let file = self.directory.join("password");
        fs::read_to_string(&file).map_err(failed("reading", &file))
    }
}

/// Fetches and prepares the pinned version, and gives its directory.
pub(super) fn fetch(mut tell: impl FnMut(&str)) -> Result<PathBuf, Error> {
    prepare_download(&mut tell).map(|prepared| prepared.directory)
}

/// The pinned version, from the cache or by way of Maven.
pub(super) fn prepare_download(mut tell: impl FnMut(&str)) -> Result<Prepared, Error> {
    let entry = format!("keycloak-{VERSION}-{RECIPE}");
    cached(&entry, &mut tell, |directory, tell| {
        java()?;
        let archive = download(directory, tell)?;
        tell("checking and unpacking the archive");
        check(&archive)?;
        unpack(&archive, directory)?;
        fs::remove_file(&archive).map_err(failed("removing", &archive))
    })
}

/// A copy of a distribution that is unpacked somewhere, which stays as it is.
pub(super) fn prepare_home(home: &Path, mut tell: impl FnMut(&str)) -> Result<Prepared, Error> {
    let home = home
        .canonicalize()
        .map_err(failed("opening KEYCLOAK_HOME,", home))?;
    let runner = home.join("lib").join("quarkus-run.jar");
    let changed = fs::metadata(&runner)
        .and_then(|metadata| metadata.modified())
        .map_err(failed(
            "KEYCLOAK_HOME is no distribution of Keycloak; opening",
            &runner,
        ))?;
    let name = Sha256::digest(format!("{} {changed:?}", home.display()));
    let name: String = name.iter().take(8).map(|b| format!("{b:02x}")).collect();
    cached(
        &format!("home-{name}-{RECIPE}"),
        &mut tell,
        |directory, tell| {
            java()?;
            tell(&format!("copying {}", home.display()));
            let tree = directory.join("keycloak");
            fs::create_dir(&tree).map_err(failed("creating", &tree))?;
            for part in ["bin", "conf", "lib", "providers", "themes"] {
                let mut copy = Command::new("cp");
                copy.arg("-R").arg(home.join(part)).arg(&tree);
                run(copy, "copying the distribution")?;
            }
            Ok(())
        },
    )
}

/// The cache entry of this name, made if need be: one process makes it, others wait.
fn cached(
    entry: &str,
    tell: &mut dyn FnMut(&str),
    fill: impl FnOnce(&Path, &mut dyn FnMut(&str)) -> Result<(), Error>,
) -> Result<Prepared, Error> {
    let cache = cache()?;
    let directory = cache.join(entry);
    let prepared = Prepared {
        directory: directory.clone(),
    };
    if directory.is_dir() {
        return Ok(prepared);
    }
    fs::create_dir_all(&cache).map_err(failed("creating", &cache))?;
    let path = cache.join("lock");
    let lock = File::create(&path).map_err(failed("creating", &path))?;
    if lock.try_lock().is_err() {
        tell("waiting for another process that prepares Keycloak");
        lock.lock().map_err(failed("locking", &path))?;
    }
    if directory.is_dir() {
        return Ok(prepared);
    }
    let draft = Draft::new(&cache)?;
    fill(&draft.0, tell)?;
    tell("building the server (half a minute)");
    build(&draft.0.join("keycloak"))?;
    tell("setting its database up (half a minute)");
    let password = random::hex(16);
    server::set_up_database(&draft.0, &password)?;
    write_secret(&draft.0.join("password"), &password)?;
    fs::rename(&draft.0, &directory).map_err(failed("naming", &directory))?;
    tell(&format!("ready in {}", directory.display()));
    Ok(prepared)
}

/// A directory that is removed unless it is renamed.
struct Draft(PathBuf);

impl Draft {
    fn new(cache: &Path) -> Result<Self, Error> {
        // Left behind by a process that was killed; the lock says that nobody uses it.
        for left in fs::read_dir(cache).into_iter().flatten().flatten() {
            if left.file_name().to_string_lossy().starts_with("draft-") {
                let _ = fs::remove_dir_all(left.path());
            }
        }
        let directory = cache.join(format!("draft-{}", random::hex(6)));
        fs::create_dir(&directory).map_err(failed("creating", &directory))?;
        Ok(Self(directory))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `$XDG_CACHE_HOME/keycloak-testkit`, or the same below `~/.cache`.
fn cache() -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let base = base.ok_or_else(|| {
        Error::Missing("no place for a cache; set HOME or XDG_CACHE_HOME".to_owned())
    })?;
    Ok(base.join("keycloak-testkit"))
}

/// Maven knows the user's mirrors, proxies and certificates.
fn download(directory: &Path, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    tell(&format!("fetching {ARTIFACT}:{VERSION} with mvn (170 MB)"));
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--quiet", "dependency:copy"])
        .arg(format!("-Dartifact={ARTIFACT}:{VERSION}:tar.gz"))
        .arg(format!("-DoutputDirectory={}", directory.display()))
        // Away from a pom.xml that would be read.
        .current_dir(directory);
    run(
        maven,
        &format!("mvn, which has to fetch Keycloak; {INSTALL}"),
    )?;
    Ok(directory.join(format!("keycloak-quarkus-dist-{VERSION}.tar.gz")))
}

fn check(archive: &Path) -> Result<(), Error> {
    let mut file = File::open(archive).map_err(failed("opening", archive))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(failed("reading", archive))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if found == SHA256 {
        return Ok(());
    }
    Err(Error::Tool {
        doing: "checking the archive of Keycloak".to_owned(),
        reason: format!(
            "its SHA-256 is {found}, and {SHA256} is expected; remove it from the Maven repository on this machine and try again"
        ),
    })
}

fn unpack(archive: &Path, directory: &Path) -> Result<(), Error> {
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(directory);
    run(tar, "unpacking Keycloak")?;
    let unpacked = directory.join(format!("keycloak-{VERSION}"));
    let tree = directory.join("keycloak");
    fs::rename(&unpacked, &tree).map_err(failed("naming", &tree))
}

/// Options that take effect when the server is built, once for all starts.
fn build(tree: &Path) -> Result<(), Error> {
    let mut command = Command::new("sh");
    command
        .arg(tree.join("bin").join("kc.sh"))
        .args(["build", "--db=dev-file"])
        // Whether clients are asked for certificates is decided here, strange as it is.
        .arg("--https-client-auth=request");
    server::without_settings(&mut command);
    run(command, "building Keycloak")
}

fn run(mut command: Command, doing: &str) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        Error::Tool {
            doing: doing.to_owned(),
            reason: format!("{program} cannot be run: {error}"),
        }
    })?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Tool {
        doing: doing.to_owned(),
        reason: format!("{}\n{}", output.status, last_lines(&text, 12)),
    })
}

/// The end of a log, which is where the reason is.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    lines[from..].join("\n")
}

/// Only this user may read it: it opens every server that is started from the cache.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed("writing", path))
}

/// Says what was to be done with which file.
pub(super) fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{doing} {}", path.display());
    move |error| Error::Tool {
        doing,
        reason: error.to_string(),
    }
}
