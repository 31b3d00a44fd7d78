//! The compiler: which machine it builds for, the flags that it is given, and LLVM's tool for profiles.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::{find, output, program, run};

/// The variable in which cargo takes flags that may have spaces in them, and what is between two.
const ENCODED: &str = "CARGO_ENCODED_RUSTFLAGS";
const SEPARATOR: &str = "\u{1f}";

/// The variable in which people give them.
const PLAIN: &str = "RUSTFLAGS";

/// The machine that the compiler builds for unless it is told otherwise.
///
/// # Errors
/// If there is no compiler.
pub(super) fn host() -> Result<String> {
    let rustc = output(program("rustc").arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// LLVM's tool that makes one profile of several: the compiler's own, since another version's may not
/// be read. Installed if rustup is here.
///
/// # Errors
/// If it is not here and cannot be installed.
pub(super) fn llvm_profdata(host: &str) -> Result<PathBuf> {
    let sysroot = output(program("rustc").args(["--print", "sysroot"]))?;
    let path = Path::new(&sysroot).join("lib/rustlib").join(host);
    let path = path.join("bin/llvm-profdata");
    if !path.is_file() && find("rustup").is_some() {
        run(program("rustup").args(["component", "add", "llvm-tools"]))?;
    }
    ensure!(
        path.is_file(),
        "the compiler's llvm-profdata is not here, which a guided build needs: install the component \
         llvm-tools (`rustup component add llvm-tools`), or build with `--unguided`"
    );
    Ok(path)
}

/// A command of cargo's with these flags for the compiler behind those that its user gives it.
pub(super) fn with_flags<'a>(command: &'a mut Command, flags: &[&str]) -> &'a mut Command {
    let given = |name| env::var(name).ok();
    command.env(ENCODED, encoded(given(ENCODED), given(PLAIN), flags))
}

/// All flags as cargo takes them: it reads one of the two variables.
fn encoded(given_encoded: Option<String>, given_plain: Option<String>, flags: &[&str]) -> String {
    let plain = given_plain.unwrap_or_default();
    let encoded = given_encoded.unwrap_or_else(|| {
        let words: Vec<_> = plain.split_whitespace().collect();
        words.join(SEPARATOR)
    });
    let given = encoded.split(SEPARATOR).filter(|flag| !flag.is_empty());
    let all: Vec<_> = given.chain(flags.iter().copied()).collect();
    all.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn the_users_flags_are_kept_before_ours() {
        let some = |flags: &str| Some(flags.to_owned());
        let ours = ["-Cprofile-use=/a b/c"];
        for (encoded_flags, plain, all) in [
            (None, None, "-Cprofile-use=/a b/c"),
            (
                None,
                some(" -C  target-cpu=native "),
                "-C\u{1f}target-cpu=native\u{1f}-Cprofile-use=/a b/c",
            ),
            // Cargo looks at the other no more.
            (
                some("--cfg\u{1f}x=\"y z\""),
                some("-g"),
                "--cfg\u{1f}x=\"y z\"\u{1f}-Cprofile-use=/a b/c",
            ),
            (some(""), some("-g"), "-Cprofile-use=/a b/c"),
        ] {
            assert_eq!(encoded(encoded_flags, plain, &ours), all);
        }
        assert_eq!(encoded(None, some("-g"), &[]), "-g");
    }
}
