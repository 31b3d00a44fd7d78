//! One scenario counted: two runs that differ in nothing but how often it is done, and the
//! difference between them. Starting up and ending are in both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::callgrind::Counted;
use super::proxies::{Surroundings, installed};
use super::scenario::{Credential, Kind, Proxy, Scenario};
use super::wire;
use crate::workspace::{cargo, run, target};

/// What both the gateway and its parts are built with. Not guided by a profile: one is a little
/// different from the next, and counts that are kept have to come out the same.
pub(crate) const PROFILE: &str = "release";

/// How often a request is sent in the first run and in the second.
const REQUESTS: [u64; 2] = [112, 1136];

/// How often a part is done.
const PARTS: [u64; 2] = [100, 1100];

/// How long a run of parts may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is needed to count.
pub(crate) struct Counter {
    surroundings: Surroundings,
    gateway: PathBuf,
    parts: PathBuf,
    connections: usize,
}

/// What was counted.
pub(crate) struct Count {
    /// Instructions each time.
    pub(crate) each: u64,
    /// Callgrind's files of both runs.
    pub(crate) files: [PathBuf; 2],
    /// How often more it was done in the second.
    pub(crate) times: u64,
}

impl Counter {
    /// Builds what is counted, and starts what that needs.
    ///
    /// # Errors
    /// If something does not build or does not start.
    pub(crate) fn new(connections: usize) -> Result<Self> {
        // By one command: what both depend on is built once.
        run(cargo()
            .args(["build", "--profile", PROFILE])
            .args(["--package", "proxy-bin", "--bin", "oidc-proxy"])
            .args([
                "--package",
                "gateway-instructions",
                "--bin",
                "gateway-instructions",
            ]))?;
        Ok(Self {
            surroundings: Surroundings::start(wire::upstream()?)?,
            gateway: crate::gateway::binary(PROFILE),
            parts: target().join(PROFILE).join("gateway-instructions"),
            connections,
        })
    }

    /// Counts one; `None` if its program is not installed.
    ///
    /// # Errors
    /// If it does not do what it should.
    pub(crate) fn count(&self, scenario: &Scenario) -> Result<Option<Count>> {
        let folder = self.surroundings.folder();
        let files = ["first", "second"].map(|run| folder.join(format!("{}.{run}", scenario.name)));
        let (times, totals) = match scenario.kind {
            Kind::Part => {
                let totals = self.part(scenario.name, &files)?;
                (PARTS[1] - PARTS[0], totals)
            }
            Kind::Request {
                proxy,
                path,
                credential,
            } => {
                let binary = match proxy {
                    Proxy::Gateway => Some(self.gateway.clone()),
                    Proxy::Nginx | Proxy::Haproxy => installed(proxy.program()),
                };
                let Some(binary) = binary else {
                    return Ok(None);
                };
                let tokens = &self.surroundings.tokens;
                let line = match credential {
                    Credential::Bearer => format!("Authorization: Bearer {}", tokens.access_token),
                    Credential::BearerAmongOthers => format!(
                        "X-Sequence: {}\r\nAuthorization: Bearer {}",
                        wire::NUMBER,
                        tokens.access_token
                    ),
                    Credential::RefreshToken => format!("Refresh-Token: {}", tokens.refresh()),
                };
                let totals = self.requests(proxy, &binary, &wire::request(path, &line), &files)?;
                (REQUESTS[1] - REQUESTS[0], totals)
            }
        };
        let [first, second] = totals;
        let more = second.checked_sub(first).context("doing more took less")?;
        Ok(Some(Count {
            each: (more + times / 2) / times,
            files,
            times,
        }))
    }

    fn part(&self, name: &str, files: &[PathBuf; 2]) -> Result<[u64; 2]> {
        let mut totals = [0; 2];
        for ((total, file), times) in totals.iter_mut().zip(files).zip(PARTS) {
            let arguments = ["run", name, "--count", &times.to_string()];
            *total = Counted::start(file, &[], &self.parts, &arguments)?.finish(PATIENCE)?;
        }
        Ok(totals)
    }

    fn requests(
        &self,
        proxy: Proxy,
        binary: &Path,
        request: &str,
        files: &[PathBuf; 2],
    ) -> Result<[u64; 2]> {
        let connections = u64::try_from(self.connections)?;
        ensure!(
            REQUESTS.iter().all(|times| times % connections == 0),
            "{connections} connections cannot share {REQUESTS:?} requests evenly: take 1, 2, 4, 8 or 16"
        );
        let mut totals = [0; 2];
        for ((total, file), times) in totals.iter_mut().zip(files).zip(REQUESTS) {
            let running = self.surroundings.start_proxy(proxy, binary, file)?;
            let each = times / connections;
            wire::send(running.listen, request, each, self.connections)?;
            *total = running.stop()?;
        }
        Ok(totals)
    }
}
