//! A profile: named after the program that it was gathered with, so that it is made once for each, and
//! cargo builds anew when it is another.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{Context, SHA256};

use crate::workspace::{program, run};

/// What the load is: another one gives another profile.
const TRAINING: &[u8] = include_bytes!("training.rs");

/// How files end: a profile, and what a process leaves of which one is made.
const PROFILE: &str = "profdata";
const RAW: &str = "profraw";

/// Where a profile is, or is going to be.
pub(super) struct Profile(PathBuf);

impl Profile {
    /// The profile of this program, in this folder.
    ///
    /// # Errors
    /// If the program cannot be read.
    pub(super) fn of(counting: &Path, folder: &Path) -> Result<Self> {
        let program =
            fs::read(counting).with_context(|| format!("{} cannot be read", counting.display()))?;
        Ok(Self(folder.join(name(&program, TRAINING))))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn exists(&self) -> bool {
        self.0.is_file()
    }

    /// Makes it of what the processes leave that the training runs.
    ///
    /// # Errors
    /// As the training, or if they have left nothing.
    pub(super) fn make(
        &self,
        raw: &Path,
        llvm_profdata: &Path,
        train: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        // What an earlier training has left, which may have been broken off.
        if raw.exists() {
            fs::remove_dir_all(raw)?;
        }
        train()?;
        // One file for all: each process adds to what is there.
        let left = raw.is_dir() && !with_extension(raw, RAW)?.is_empty();
        ensure!(
            left,
            "the gateway has been trained, and has not written what it counted to {}",
            raw.display()
        );
        // Under its name it is whole.
        let unfinished = self.0.with_extension("unfinished");
        run(program(llvm_profdata)
            .args(["merge", "-o"])
            .arg(&unfinished)
            .arg(raw))?;
        fs::remove_dir_all(raw)?;
        let folder = self.0.parent().context("a profile is in a folder")?;
        for old in with_extension(folder, PROFILE)? {
            fs::remove_file(old)?;
        }
        fs::rename(&unfinished, &self.0)?;
        Ok(())
    }
}

/// The files of a folder whose names end so.
fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(extension)) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// A name that is another if the program or its training is.
fn name(program: &[u8], training: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    for part in [program, training] {
        // The lengths keep what ends the one from beginning the other.
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let digits: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{digits}.{PROFILE}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use anyhow::bail;

    use super::{Profile, name};

    #[test]
    fn a_name_tells_programs_and_trainings_apart() {
        let one = name(b"gateway", b"load");
        assert_eq!(one, name(b"gateway", b"load"));
        assert_eq!(one.len(), "0123456789abcdef.profdata".len());
        for (program, training) in [
            (&b"gatewaz"[..], &b"load"[..]),
            (b"gateway", b"loae"),
            (b"gatewayl", b"oad"),
        ] {
            assert_ne!(one, name(program, training));
        }
    }

    /// In place of LLVM's: the profile has the names of what it is made of.
    fn merger(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("merge");
        fs::write(&path, "#!/bin/sh\nls \"$4\" > \"$3\"\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn only_a_whole_training_leaves_a_profile() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let merger = merger(folder);
        let counting = folder.join("oidc-proxy");
        fs::write(&counting, "a program").unwrap();
        fs::write(folder.join("0000.profdata"), "another program's").unwrap();
        let raw = folder.join("raw");
        let count = |name: &str| {
            fs::create_dir_all(&raw).unwrap();
            fs::write(raw.join(name), "counts").unwrap();
        };
        let profile = Profile::of(&counting, folder).unwrap();

        let broken_off = profile.make(&raw, &merger, || {
            count("broken_off.profraw");
            bail!("answered 502")
        });
        assert!(broken_off.is_err());
        assert!(!profile.exists());

        let silent = profile.make(&raw, &merger, || {
            fs::create_dir_all(&raw)?;
            Ok(fs::write(raw.join("notes.txt"), "no counts")?)
        });
        assert!(silent.is_err());
        assert!(profile.make(&raw, &merger, || Ok(())).is_err());
        assert!(!profile.exists());

        let trained = profile.make(&raw, &merger, || {
            count("1.profraw");
            Ok(())
        });
        trained.unwrap();
        let made = fs::read_to_string(profile.path()).unwrap();
        assert_eq!(made, "1.profraw\n");
        assert!(!folder.join("0000.profdata").exists());
    }
}
