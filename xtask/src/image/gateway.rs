//! The gateway's image: a binary linked statically on this machine, packed by `docker/Dockerfile`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::build::{Linkage, RELEASE, guided, unguided_static};
use crate::engine::docker;
use crate::gateway::PROGRAM;
use crate::workspace::{root, run, target};

/// Where systems keep the certificate authorities that they trust.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// How the gateway's image is built.
#[derive(Args)]
pub(crate) struct Gateway {
    /// The cargo profile of the binary: that of a release is guided by a profile of the gateway's own.
    #[arg(long, default_value = RELEASE)]
    profile: String,
    /// Builds the binary without a profile of the gateway's own.
    #[arg(long)]
    unguided: bool,
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
        let binary = if self.profile == RELEASE && !self.unguided {
            guided(Linkage::Static)?
        } else {
            unguided_static("proxy-bin", PROGRAM, &self.profile)?
        };
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
    let binary = unguided_static("xtask", "echo-upstream", "quick")?;
    let context = context("echo", &binary)?;
    build("echo.Dockerfile", "echo-upstream:latest", &context)
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
