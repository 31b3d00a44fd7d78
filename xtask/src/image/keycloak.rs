//! Keycloak's image: the official one where it can be pulled, else one that is used the same way,
//! built from this machine's Debian packages and the pinned distribution.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

use crate::engine::docker;
use crate::keycloak::{distribution, image};
use crate::workspace::{find, is_root, output, program, run, succeeds, target};

/// What is of no use in a container that runs one program.
const UNNEEDED: &[&str] = &[
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
];

/// How the official image is set up, as far as its users can tell.
const CHANGES: &[&str] = &[
    r#"ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]"#,
    "EXPOSE 8080 8443 9000",
    "ENV LANG=C.UTF-8 KC_RUN_IN_CONTAINER=true",
    "USER 1000",
    r#"LABEL org.opencontainers.image.title="Keycloak on Debian, a stand-in for the official image""#,
];

/// Sees to it that the image is there.
///
/// # Errors
/// If it can be neither pulled nor built, with what is missing.
pub(crate) fn provide() -> Result<()> {
    let image = image();
    if succeeds(docker().args(["image", "inspect", &image])) {
        println!("{image} is there");
        return Ok(());
    }
    let Err(refusal) = output(docker().args(["pull", "--quiet", &image])) else {
        println!("pulled {image}");
        return Ok(());
    };
    println!("{refusal:#}\nso it is built here");
    build(&image)
}

fn build(image: &str) -> Result<()> {
    if !is_root() || find("debootstrap").is_none() || find("apt-get").is_none() {
        bail!("building {image} takes root, on Debian, with the package debootstrap");
    }
    let keycloak = distribution()?.join("keycloak");
    let folder = Folder::new(target().join("image/keycloak"))?;
    let root = folder.0.join("root");
    let debian = Debian::of_this_machine()?;
    println!("a Debian {} with Java", debian.codename);
    let log = folder.0.join("debootstrap.log");
    let debootstrap = program("debootstrap")
        .args(["--variant=minbase", "--include=default-jre-headless"])
        .arg(&debian.codename)
        .arg(&root)
        .arg(&debian.mirror)
        .stdout(fs::File::create(&log)?)
        .status()
        .context("`debootstrap` cannot be started")?;
    if !debootstrap.success() {
        let said = fs::read_to_string(&log)?;
        let last: Vec<_> = said.lines().rev().take(10).collect();
        bail!(
            "`debootstrap` failed: {debootstrap}\n{}",
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    for path in UNNEEDED {
        let path = root.join(path);
        fs::remove_dir_all(&path)?;
        fs::create_dir(&path)?;
    }
    install(&keycloak, &root)?;
    import(&root, image)
}

/// Puts the distribution where the official image has it, owned by the user that runs it.
fn install(keycloak: &Path, root: &Path) -> Result<()> {
    let home = root.join("opt/keycloak");
    output(program("cp").arg("--recursive").arg(keycloak).arg(&home))?;
    fs::create_dir_all(home.join("data/import"))?;
    let mut users = OpenOptions::new()
        .append(true)
        .open(root.join("etc/passwd"))?;
    writeln!(
        users,
        "keycloak:x:1000:0:keycloak:/opt/keycloak:/sbin/nologin"
    )?;
    output(program("chown").args(["--recursive", "1000:0"]).arg(&home))?;
    Ok(())
}

/// Makes the file system an image.
fn import(root: &Path, image: &str) -> Result<()> {
    let mut tar = program("tar")
        .args([
            "--create",
            "--numeric-owner",
            "--one-file-system",
            "--directory",
        ])
        .arg(root)
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()
        .context("`tar` cannot be started")?;
    let files = tar.stdout.take().context("`tar` has no output")?;
    let mut import = docker();
    import.arg("import");
    for change in CHANGES {
        import.args(["--change", change]);
    }
    let imported = output(import.args(["-", image]).stdin(files));
    ensure!(tar.wait()?.success(), "`tar` failed");
    println!("built {image} {}", imported?);
    Ok(())
}

/// The Debian that apt on this machine gets its packages from.
struct Debian {
    codename: String,
    mirror: String,
}

impl Debian {
    fn of_this_machine() -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release")?;
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .context("/etc/os-release names no release")?;
        let mut mirrors = Self::mirrors(codename)?;
        if mirrors.is_empty() {
            run(program("apt-get").args(["-qq", "update"]))?;
            mirrors = Self::mirrors(codename)?;
        }
        let mirror = mirrors
            .lines()
            .next()
            .with_context(|| format!("apt has no source for {codename}"))?;
        Ok(Self {
            codename: codename.to_owned(),
            mirror: mirror.to_owned(),
        })
    }

    fn mirrors(codename: &str) -> Result<String> {
        output(
            program("apt-get")
                .args(["indextargets", "--format", "$(REPO_URI)"])
                .args(["Created-By: Packages", "Component: main"])
                .arg(format!("Codename: {codename}")),
        )
    }
}

/// A folder that is empty at first and gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(path: PathBuf) -> Result<Self> {
        Self::remove(&path);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Stays on one file system: what a bootstrap that was cut off left mounted is not ours.
    fn remove(path: &Path) {
        succeeds(
            program("rm")
                .args(["--recursive", "--force", "--one-file-system"])
                .arg(path),
        );
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        Self::remove(&self.0);
    }
}
