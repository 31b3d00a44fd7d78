//! `cargo xtask build`: the gateway as it is released. It is built twice: a first one counts how often it
//! takes which way under a load, and the second is laid out by what the first has counted.

mod profile;
mod toolchain;
mod training;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use self::profile::Profile;
use self::toolchain::{host, llvm_profdata, with_flags};
use crate::gateway::PROGRAM;
use crate::workspace::{cargo, root, run, target};

/// The profile of what is released.
pub(crate) const RELEASE: &str = "release";

/// The gateway as it is released, guided by a profile of itself.
#[derive(Args)]
#[command(after_long_help = NOTES)]
pub(crate) struct Build {
    /// Links everything in: the binary needs no file of the system that it runs on (Linux)
    #[arg(long = "static")]
    is_static: bool,
    /// Builds it without a profile: sooner, and it takes a little more time for each request
    #[arg(long)]
    unguided: bool,
}

/// What `--help` ends with.
const NOTES: &str = "\
The gateway is built twice. The first one counts how often it takes which way while it is under a
load of this project's own making, and the second is laid out by that: it takes some 5 to 9 % less
processor time for a request. It takes some 10 minutes on two cores, and seconds where nothing has
changed. LLVM's tools of the compiler are needed; with rustup they are installed.";

/// What a binary needs of the system that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// The system's libraries.
    Dynamic,
    /// Nothing.
    Static,
}

impl Linkage {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Dynamic => &[],
            Self::Static => &["-Ctarget-feature=+crt-static"],
        }
    }

    /// Where guided builds and their profiles are, below cargo's folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Dynamic => "guided",
            Self::Static => "guided-static",
        }
    }

    /// The machine that is built for: this one.
    fn triple(self) -> Result<String> {
        let triple = host()?;
        ensure!(
            self == Self::Dynamic || triple.contains("-linux-"),
            "a static binary is one for Linux; this machine builds for {triple}"
        );
        Ok(triple)
    }
}

impl Build {
    /// Builds, and says where the binary is.
    ///
    /// # Errors
    /// If it does not build, or cannot be trained.
    pub(crate) fn run(self) -> Result<()> {
        let linkage = if self.is_static {
            Linkage::Static
        } else {
            Linkage::Dynamic
        };
        let binary = match (self.unguided, linkage) {
            (false, linkage) => guided(linkage)?,
            (true, Linkage::Static) => unguided_static("proxy-bin", PROGRAM, RELEASE)?,
            (true, Linkage::Dynamic) => {
                let mut build = cargo();
                build.args(["build", "--locked", "--release"]).args([
                    "--package",
                    "proxy-bin",
                    "--bin",
                    PROGRAM,
                ]);
                run(&mut build)?;
                crate::gateway::binary(RELEASE)
            }
        };
        println!("the gateway is {}", shown(&binary).display());
        Ok(())
    }
}

/// Builds the gateway as it is released; gives where it is.
///
/// # Errors
/// If LLVM's tools are missing, it does not build, or does not do what it is trained with.
pub(crate) fn guided(linkage: Linkage) -> Result<PathBuf> {
    let triple = linkage.triple()?;
    // Before minutes have gone by.
    let llvm_profdata = llvm_profdata(&triple)?;
    // The compiler runs in other folders than this program.
    let folder = root().join(target()).join(linkage.folder());
    let builder = Builder {
        linkage,
        triple,
        folder: &folder,
    };
    println!("A guided build: some 10 minutes on two cores, or seconds where nothing has changed.");
    let began = Instant::now();
    let raw = folder.join("raw");
    println!("1 of 3: a gateway that counts which way it takes");
    let counting = builder.build("gather", &format!("-Cprofile-generate={}", raw.display()))?;
    let profile = Profile::of(&counting, &folder)?;
    if profile.exists() {
        println!("2 of 3: its profile is there, and nothing has changed since");
    } else {
        println!("2 of 3: its profile, under a load of some seconds");
        profile.make(&raw, &llvm_profdata, || training::train(counting))?;
    }
    println!("3 of 3: the gateway, guided by it");
    let flag = format!("-Cprofile-use={}", profile.path().display());
    let binary = builder.build("built", &flag)?;
    println!("built in {} s", began.elapsed().as_secs());
    Ok(binary)
}

/// Builds a program that needs no file of the system that it runs on; gives where it is.
///
/// # Errors
/// If it does not build, or this is not Linux.
pub(crate) fn unguided_static(package: &str, name: &str, profile: &str) -> Result<PathBuf> {
    let triple = Linkage::Static.triple()?;
    // With the target named, the flag is kept from build scripts and macros, which cannot be static.
    let mut build = cargo();
    build
        .args(["build", "--locked", "--package", package, "--bin", name])
        .args(["--profile", profile, "--target", &triple]);
    run(with_flags(&mut build, Linkage::Static.flags()))?;
    Ok(target().join(triple).join(profile).join(name))
}

/// What the two builds of the gateway have in common.
struct Builder<'a> {
    linkage: Linkage,
    triple: String,
    folder: &'a Path,
}

impl Builder<'_> {
    /// The gateway with one more flag, in a folder of cargo's that no other flags disturb.
    fn build(&self, folder: &str, flag: &str) -> Result<PathBuf> {
        let folder = self.folder.join(folder);
        let mut flags = self.linkage.flags().to_vec();
        flags.push(flag);
        let mut build = cargo();
        build
            .args(["build", "--locked", "--release"])
            .args(["--package", "proxy-bin", "--bin", PROGRAM])
            // With the target named, the flags are kept from build scripts and macros.
            .args(["--target", &self.triple])
            .arg("--target-dir")
            .arg(&folder);
        run(with_flags(&mut build, &flags))?;
        Ok(folder.join(&self.triple).join(RELEASE).join(PROGRAM))
    }
}

/// A path as somebody in the workspace's root would type it.
fn shown(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}
