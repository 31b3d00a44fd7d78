//! `cargo xtask tidy`: the rules of the house that no compiler holds. Also a test.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Component, Path};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::workspace::{cargo, output, program, root};

/// Which of our crates a crate may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("oidc-core", &[]),
    ("keycloak-testkit", &[]),
    ("jwks-cache", &["oidc-core"]),
    ("token-extractors", &["oidc-core"]),
    ("oidc-broker", &["oidc-core", "jwks-cache"]),
    (
        "proxy-bin",
        &["oidc-core", "oidc-broker", "jwks-cache", "token-extractors"],
    ),
];

/// What every crate's tests may depend on.
const FOR_TESTS: &str = "keycloak-testkit";

/// What the crate that does no I/O must not bring, even through others.
const NO_IO: (&str, &[&str]) = (
    "oidc-core",
    &["tokio", "hyper", "reqwest", "mio", "socket2"],
);

/// The longest source file, and the length from which a file is worth a look.
const LINES_MAX: usize = 800;
const LINES_NOTED: usize = 500;

/// Marks of unfinished work. Spelt in two parts, so that this file passes.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("#[ign", "ore"),
];

/// Parts of the host names of package registries: a mirror is the user's choice, and so no host is
/// written down.
const REGISTRIES: &[&str] = &[
    concat!("mav", "en"),
    concat!("npm", "js"),
    concat!("deb", "ian"),
    concat!("py", "pi"),
    concat!("python", "hosted"),
    concat!("go", "lang"),
    concat!("crates", ".io"),
];

/// Checks every rule.
///
/// # Errors
/// With all that is broken, one line each.
pub(crate) fn run() -> Result<()> {
    let mut broken = Vec::new();
    let workspace = Workspace::read()?;
    arrows(&workspace, &mut broken);
    no_io(&mut broken)?;
    crate_roots(&workspace, &mut broken)?;
    readmes(&workspace, &mut broken);
    files(&mut broken)?;
    reasons(&mut broken)?;
    if broken.is_empty() {
        println!("tidy");
        return Ok(());
    }
    bail!("{} rules broken:\n{}", broken.len(), broken.join("\n"))
}

/// What cargo knows of the workspace.
struct Workspace(Vec<Value>);

impl Workspace {
    fn read() -> Result<Self> {
        let json = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
        let mut metadata: Value = serde_json::from_str(&json)?;
        match metadata["packages"].take() {
            Value::Array(packages) => Ok(Self(packages)),
            _ => bail!("`cargo metadata` names no packages"),
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.0
            .iter()
            .filter_map(|package| package["name"].as_str())
            .collect()
    }
}

/// The members of a JSON array; none, if it is something else.
fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Dependencies among our crates go the one way that the architecture has.
fn arrows(workspace: &Workspace, broken: &mut Vec<String>) {
    let ours = workspace.names();
    for package in &workspace.0 {
        let Some((name, allowed)) = ARROWS.iter().find(|(name, _)| package["name"] == *name) else {
            continue;
        };
        for dependency in members(&package["dependencies"]) {
            let Some(on) = dependency["name"].as_str().filter(|on| ours.contains(on)) else {
                continue;
            };
            let for_tests = dependency["kind"] == "dev" && on == FOR_TESTS && *name != FOR_TESTS;
            if !allowed.contains(&on) && !for_tests {
                broken.push(format!("{name} must not depend on {on}"));
            }
        }
    }
}

fn no_io(broken: &mut Vec<String>) -> Result<()> {
    let (package, forbidden) = NO_IO;
    let tree = output(cargo().args([
        "tree",
        "--edges=normal",
        "--prefix=none",
        "--package",
        package,
    ]))?;
    let brought: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for name in forbidden.iter().filter(|name| brought.contains(*name)) {
        broken.push(format!(
            "{package} must not bring {name}: see `cargo tree -p {package} -e normal -i {name}`"
        ));
    }
    Ok(())
}

/// Every library and binary forbids unsafe code where it begins.
fn crate_roots(workspace: &Workspace, broken: &mut Vec<String>) -> Result<()> {
    for target in workspace
        .0
        .iter()
        .flat_map(|package| members(&package["targets"]))
    {
        let is_root = members(&target["kind"]).any(|kind| kind == "lib" || kind == "bin");
        let Some(path) = target["src_path"].as_str().filter(|_| is_root) else {
            continue;
        };
        if !fs::read_to_string(path)?.contains("#![forbid(unsafe_code)]") {
            broken.push(format!(
                "{}: lacks #![forbid(unsafe_code)]",
                relative(Path::new(path))
            ));
        }
    }
    Ok(())
}

fn readmes(workspace: &Workspace, broken: &mut Vec<String>) {
    for manifest in workspace
        .0
        .iter()
        .filter_map(|package| package["manifest_path"].as_str())
    {
        let readme = Path::new(manifest).with_file_name("README.md");
        if !readme.is_file() {
            broken.push(format!("{}: is missing", relative(&readme)));
        }
    }
}

/// The rules for what a file says.
fn files(broken: &mut Vec<String>) -> Result<()> {
    let list =
        output(program("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let machine = paths_of_this_machine();
    for name in list.lines().filter(|name| *name != "Cargo.lock") {
        // Something deleted, or not text.
        let Ok(text) = fs::read_to_string(root().join(name)) else {
            continue;
        };
        let lines = text.lines().count();
        if name.ends_with(".rs") && lines > LINES_MAX {
            broken.push(format!(
                "{name}: {lines} lines, and {LINES_MAX} are allowed: two jobs in one room?"
            ));
        } else if name.ends_with(".rs") && lines > LINES_NOTED {
            println!("{name}: {lines} lines: two jobs in one room?");
        }
        for (line, number) in text.lines().zip(1..) {
            for fault in faults(line, &machine) {
                broken.push(format!("{name}:{number}: {fault}"));
            }
        }
    }
    Ok(())
}

/// What is wrong with one line.
fn faults(line: &str, machine: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for mark in UNFINISHED.iter().filter(|mark| line.contains(*mark)) {
        faults.push(format!("unfinished or left out: {mark}"));
    }
    for host in hosts(line) {
        if REGISTRIES.iter().any(|part| host.contains(part)) {
            faults.push(format!("the host of a package registry: {host}"));
        }
    }
    for path in machine.iter().filter(|path| line.contains(*path)) {
        faults.push(format!("a path of this machine: {path}"));
    }
    faults
}

/// The hosts of the URLs in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(|rest| {
        rest.split(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c)))
            .next()
    })
}

/// Where this workspace and its user live, and the folder at the top of that if it is no usual one.
fn paths_of_this_machine() -> Vec<String> {
    const USUAL: &[&str] = &[
        "home", "Users", "tmp", "usr", "var", "opt", "root", "srv", "mnt", "etc",
    ];
    let mut paths = vec![format!("{}/", root().display())];
    if let Some(home) = env::var_os("HOME").filter(|home| home != "/") {
        paths.push(format!("{}/", Path::new(&home).display()));
    }
    let top = root().components().find_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    paths.extend(
        top.filter(|top| !USUAL.contains(top))
            .map(|top| format!("/{top}/")),
    );
    paths
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The page that every reason code stands on.
const REASONS: &str = "docs/operations.md";

/// What reason codes begin with.
const FAMILIES: &[&str] = &[
    "acl",
    "authorization",
    "client",
    "client_credentials",
    "credential",
    "discovery",
    "dpop",
    "gateway",
    "id_token",
    "introspection",
    "mtls",
    "password",
    "possession",
    "provider",
    "refresh_token",
    "request",
    "token",
    "token_exchange",
    "token_response",
    "upstream",
    "userinfo",
];

/// Each reason code has a row, for whoever meets it in a log.
fn reasons(broken: &mut Vec<String>) -> Result<()> {
    let page = fs::read_to_string(root().join(REASONS))?;
    for crate_name in ["oidc-core", "token-extractors", "proxy-bin"] {
        let folder = root().join("crates").join(crate_name).join("src");
        for file in rust_files(&folder)? {
            let text = fs::read_to_string(&file)?;
            for code in codes(&text) {
                if !page.contains(&format!("`{code}`")) {
                    broken.push(format!("{REASONS}: no row for the reason code {code}"));
                }
            }
        }
    }
    broken.sort();
    broken.dedup();
    Ok(())
}

/// The texts of a source that are reason codes, before its tests.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|text| {
            let Some((family, rest)) = text.split_once('.') else {
                return false;
            };
            FAMILIES.contains(&family)
                && !rest.is_empty()
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
                && !matches!(
                    rest,
                    "yaml" | "json" | "toml" | "rs" | "md" | "pem" | "test"
                )
        })
}

fn rust_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_none_or(|name| name != "advice.rs")
        {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{faults, run};

    #[test]
    fn the_house_is_tidy() {
        if let Err(error) = run() {
            panic!("{error:#}");
        }
    }

    #[test]
    fn a_line_is_wrong_for_what_it_names() {
        let machine = ["/build/gateway/".to_owned()];
        for (line, count) in [
            ("a plain line about /usr/lib and https://example.test/x", 0),
            (concat!("// TO", "DO: later"), 1),
            (concat!("fetch http://deb.deb", "ian.org/x"), 1),
            (
                concat!(
                    "https://repo.mav",
                    "en.example/a https://registry.npm",
                    "js.org/b"
                ),
                2,
            ),
            ("cd /build/gateway/docs", 1),
            ("a package named debian-archive-keyring", 0),
        ] {
            assert_eq!(faults(line, &machine).len(), count, "{line}");
        }
    }
}
