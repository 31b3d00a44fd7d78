//! The gateway's image: a binary linked statically on this machine, packed by `docker/Dockerfile`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::engine::docker;
use crate::workspace::{cargo, output, program, root, run, target};

/// Where systems keep the certificate authorities that they trust.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// How the gateway's image is built.
#[derive(Args)]
pub(crate) struct Gateway {
    /// The cargo profile of the binary.
    #[arg(long, default_value = "release")]
    profile: String,
    /// The image's name and tag.
    #[arg(long, default_value = "oidc-proxy:latest")]
    tag: String,
}

impl Gateway {
    /// Builds the image.
    ///
    /// # Errors
    /// If the binary or the image cannot be built.
    pub(crate) fn run(&self) -> Result<()> {
        let binary = static_binary("proxy-bin", "oidc-proxy", &self.profile)?;
        let context = context("gateway", &binary)?;
        fs::copy(authorities()?, context.join("ca-certificates.crt"))?;
        // The keys' folder is its owner's alone, from the start.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(context.join("state/oidc-proxy"))?;
        build("Dockerfile", &self.tag, &context)?;
        run(docker().args(["run", "--rm", &self.tag, "--version"]))
    }
}

/// Builds the echo upstream's image.
///
/// # Errors
/// If the binary or the image cannot be built.
pub(crate) fn echo() -> Result<()> {
    let binary = static_binary("xtask", "echo-upstream", "quick")?;
    let context = context("echo", &binary)?;
    build("echo.Dockerfile", "echo-upstream:latest", &context)
}

/// A binary that needs no file of the system that it runs on.
fn static_binary(package: &str, name: &str, profile: &str) -> Result<PathBuf> {
    let rustc = output(program("rustc").arg("-vV"))?;
    let triple = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    if !triple.contains("-linux-") {
        bail!("the image takes a binary for Linux; this machine builds for {triple}");
    }
    // With the target named, the flag is kept from build scripts and macros, which cannot be static.
    run(cargo()
        .args(["build", "--locked", "--package", package, "--bin", name])
        .args(["--profile", profile, "--target", triple])
        .env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    Ok(target().join(triple).join(profile).join(name))
}

/// The folder that the engine's client sends, with the binary in it.
fn context(name: &str, binary: &Path) -> Result<PathBuf> {
    let folder = target().join("image").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let file = binary.file_name().context("a binary has a name")?;
    fs::copy(binary, folder.join(file))?;
    Ok(folder)
}

fn authorities() -> Result<&'static Path> {
    AUTHORITIES
        .iter()
        .map(Path::new)
        .find(|path| path.is_file())
        .context("this machine has no certificate authorities: install the package ca-certificates")
}

fn build(dockerfile: &str, tag: &str, context: &Path) -> Result<()> {
    run(docker()
        .args(["build", "--quiet", "--tag", tag, "--file"])
        .arg(root().join("docker").join(dockerfile))
        .args([
            "--label",
            concat!(
                "org.opencontainers.image.version=",
                env!("CARGO_PKG_VERSION")
            ),
        ])
        .arg(context))
}
