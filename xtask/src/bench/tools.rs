//! Other people's programs: the peers and the load generators, which of them are here, and how the
//! missing ones are installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::workspace::{find, program};

/// A program that the comparison uses if it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Nginx,
    Haproxy,
    Apache,
    Wrk,
    H2load,
}

/// Where Debian keeps programs that are not on everybody's search path.
const SYSTEM: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Where Debian keeps Apache's modules.
pub(crate) const APACHE_MODULES: &str = "/usr/lib/apache2/modules";

impl Tool {
    const ALL: &[Self] = &[
        Self::Nginx,
        Self::Haproxy,
        Self::Apache,
        Self::Wrk,
        Self::H2load,
    ];

    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Apache => "apache2",
            Self::Wrk => "wrk",
            Self::H2load => "h2load",
        }
    }

    /// The Debian packages that bring it.
    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx-light"],
            Self::Haproxy => &["haproxy"],
            Self::Apache => &["apache2", "libapache2-mod-auth-openidc"],
            Self::Wrk => &["wrk"],
            Self::H2load => &["nghttp2-client"],
        }
    }

    /// What goes on without it.
    const fn without(self) -> &'static str {
        match self {
            Self::Nginx => "not compared, and the upstream is this project's own",
            Self::Haproxy | Self::Apache => "not compared",
            Self::Wrk => "the load is this project's own generator's, and TLS is left out",
            Self::H2load => "HTTP/2 is left out",
        }
    }

    fn locate(self) -> Option<PathBuf> {
        let name = self.program();
        let path = find(name).or_else(|| {
            SYSTEM
                .iter()
                .map(|folder| Path::new(folder).join(name))
                .find(|path| path.is_file())
        })?;
        let whole = self != Self::Apache
            || Path::new(APACHE_MODULES)
                .join("mod_auth_openidc.so")
                .is_file();
        whole.then_some(path)
    }

    /// What it says of its version.
    fn version(self, path: &Path) -> String {
        let arguments: &[&str] = match self {
            Self::H2load => &["--version"],
            _ => &["-v"],
        };
        let said = program(path).args(arguments).output();
        let said = said.map_or_else(
            |_| String::new(),
            |said| {
                let text = [said.stdout, said.stderr].concat();
                String::from_utf8_lossy(&text).into_owned()
            },
        );
        let own = version_in(&said);
        if self == Self::Apache {
            let module = package_version("libapache2-mod-auth-openidc");
            return format!("Apache {own}, mod_auth_openidc {module}");
        }
        format!("{} {own}", self.program())
    }
}

/// The version that a Debian package has.
fn package_version(package: &str) -> String {
    let asked = program("dpkg-query")
        .args(["--show", "--showformat=${Version}", package])
        .output();
    asked
        .ok()
        .filter(|asked| asked.status.success())
        .map_or_else(
            || "of unknown version".to_owned(),
            |asked| String::from_utf8_lossy(&asked.stdout).trim().to_owned(),
        )
}

/// The first word with digits and a point in it, without a program's name before it.
fn version_in(said: &str) -> String {
    said.split_whitespace()
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .find(|word| word.contains('.') && word.contains(|c: char| c.is_ascii_digit()))
        .unwrap_or("of unknown version")
        .to_owned()
}

/// The programs that are here.
#[derive(Debug)]
pub(crate) struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// Looks for all of them.
    pub(crate) fn look() -> Self {
        Self(
            Tool::ALL
                .iter()
                .filter_map(|&tool| Some((tool, tool.locate()?)))
                .collect(),
        )
    }

    /// None of them, whether they are here or not: for what is to be the same everywhere.
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn path(&self, tool: Tool) -> Option<&Path> {
        self.0.get(&tool).map(PathBuf::as_path)
    }

    pub(crate) fn has(&self, tool: Tool) -> bool {
        self.0.contains_key(&tool)
    }

    /// What each says of its version.
    pub(crate) fn versions(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(tool, path)| tool.version(path))
            .collect()
    }

    /// One line for each that is missing, and how all of them are installed. Empty if none is.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing: Vec<_> = Tool::ALL.iter().filter(|tool| !self.has(**tool)).collect();
        let mut lines: Vec<_> = missing
            .iter()
            .map(|tool| format!("{} is not here: {}", tool.program(), tool.without()))
            .collect();
        if !missing.is_empty() {
            let packages: Vec<_> = missing.iter().flat_map(|tool| tool.packages()).collect();
            let packages: Vec<_> = packages.iter().map(|package| **package).collect();
            lines.push(format!(
                "to install (Debian, Ubuntu): sudo apt-get install --no-install-recommends {}",
                packages.join(" ")
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Tool, Tools, version_in};

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.test/\nStatus: …",
                "2.6.12-1+deb12u4",
            ),
            ("Server version: Apache/2.4.71 (Debian)\n", "2.4.71"),
            (
                "wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012",
                "4.1.0-3+b2",
            ),
            ("h2load nghttp2/1.52.0\n", "1.52.0"),
            ("", "of unknown version"),
        ] {
            assert_eq!(version_in(said), version);
        }
    }

    #[test]
    fn what_is_missing_is_named_with_one_command_for_all() {
        let some = [(Tool::Nginx, "nginx".into()), (Tool::Haproxy, "h".into())];
        let lines = Tools(BTreeMap::from(some)).missing();
        assert_eq!(lines.len(), 4);
        assert!(lines[3].ends_with("apache2 libapache2-mod-auth-openidc wrk nghttp2-client"));
        let all = Tool::ALL.iter().map(|&tool| (tool, "x".into()));
        assert!(Tools(all.collect()).missing().is_empty());
    }
}
