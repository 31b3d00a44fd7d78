//! `cargo xtask bench`: the gateway beside a plain proxy, in rounds that take turns, on loopback.

mod report;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use keycloak_testkit::seed::{PASSWORD, SERVICE_SECRET, USER};
use keycloak_testkit::{ClientLogin, EmbeddedIdp, IdentityProvider as _, Realm};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use self::report::{Report, Run, Scenario};
use crate::gateway::{Gateway, free_address};
use crate::workspace::{cargo, output, program, run, target};

/// How long a part of the measurement may take until it accepts.
const PATIENCE: Duration = Duration::from_secs(10);

/// Processor time is counted in hundredths of a second.
const MICROS_PER_TICK: f64 = 10_000.0;

/// `john:doe`, as a header has it.
const JOHN: &str = "am9objpkb2U=";

/// What is measured, and for how long.
#[derive(Args)]
pub(crate) struct Bench {
    /// How many rounds; in each, every scenario has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// How long one turn takes, in seconds.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=30))]
    seconds: u32,
    /// How many connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=512))]
    connections: u32,
    /// Leaves out the micro benchmarks.
    #[arg(long)]
    only_load: bool,
}

/// What is loaded, and with which request.
struct Target {
    name: &'static str,
    address: SocketAddr,
    path: &'static str,
    header: Option<String>,
    /// A token whose twins of unknown keys flood the same path meanwhile.
    flood: Option<String>,
    /// The process whose processor time counts.
    process: u32,
}

impl Bench {
    /// Measures, and prints a table.
    ///
    /// # Errors
    /// If something cannot be built, does not start, or answers no request at all.
    pub(crate) fn run(self) -> Result<()> {
        if !self.only_load {
            micro_benchmarks()?;
        }
        run(cargo().args(["build", "--release", "--package", "gateway-bench"]))?;
        let gateway = crate::gateway::build("release")?;
        let parts = target().join("release/gateway-bench");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        println!("\n{}", runtime.block_on(self.measure(&gateway, &parts))?);
        Ok(())
    }

    async fn measure(&self, gateway: &Path, parts: &Path) -> Result<Report> {
        let [upstream, proxy, listen, admin] = addresses()?;
        let upstream_process = part(
            parts,
            &["upstream", "--listen", &upstream.to_string()],
            upstream,
        )
        .await?;
        let proxy_arguments = [
            "proxy",
            "--listen",
            &proxy.to_string(),
            "--upstream",
            &upstream.to_string(),
        ];
        let proxy_process = part(parts, &proxy_arguments, proxy).await?;
        let provider = EmbeddedIdp::start().await?.realm(
            // As long as it takes: what is measured is the gateway, not the provider.
            &Realm::seed("bench").access_token_lifespan(Duration::from_secs(3600)),
        );
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("gateway.yaml");
        fs::write(
            &config,
            configuration(listen, admin, upstream, &provider.issuer()),
        )?;
        let gateway = Gateway::start(gateway, &config, admin).await?;
        let tokens = provider
            .log_in(USER, PASSWORD, ClientLogin::service())
            .await?;

        let bearer = format!("Authorization: Bearer {}", tokens.access_token);
        let id = |child: &Child| child.id().context("it ended");
        let gateway_id = gateway.id().context("the gateway ended")?;
        let through_the_gateway = |name, path, header| Target {
            name,
            address: listen,
            path,
            header,
            flood: None,
            process: gateway_id,
        };
        let targets = [
            Target {
                name: "the upstream itself",
                address: upstream,
                path: "/",
                header: None,
                flood: None,
                process: id(&upstream_process)?,
            },
            Target {
                name: "plain hyper proxy",
                address: proxy,
                path: "/",
                header: None,
                flood: None,
                process: id(&proxy_process)?,
            },
            through_the_gateway("gateway, no plugin", "/plain", None),
            through_the_gateway(
                "gateway, password",
                "/password",
                Some(format!("Authorization: Basic {JOHN}")),
            ),
            through_the_gateway(
                "gateway, refresh token",
                "/refresh",
                Some(format!("Refresh-Token: {}", tokens.refresh())),
            ),
            through_the_gateway("gateway, bearer token", "/bearer", Some(bearer.clone())),
            through_the_gateway(
                "gateway, bearer token, verified each time",
                "/verified",
                Some(bearer.clone()),
            ),
            Target {
                flood: Some(tokens.access_token.clone()),
                ..through_the_gateway(
                    "gateway, bearer token, beside 500 unknown keys a second",
                    "/bearer",
                    Some(bearer),
                )
            },
        ];
        let mut scenarios: Vec<_> = targets
            .iter()
            .map(|target| Scenario {
                name: target.name,
                runs: Vec::new(),
            })
            .collect();
        for round in 1..=self.rounds {
            println!("round {round} of {}", self.rounds);
            for (target, scenario) in targets.iter().zip(&mut scenarios) {
                scenario
                    .runs
                    .push(self.turn(parts, target).await.context(target.name)?);
            }
        }
        gateway.stop().await?;
        Ok(Report {
            scenarios,
            baseline: 1,
        })
    }

    /// One scenario's turn in a round.
    async fn turn(&self, parts: &Path, target: &Target) -> Result<Run> {
        let mut load = Command::from(program(parts));
        load.args([
            "load",
            "--target",
            &target.address.to_string(),
            "--path",
            target.path,
        ])
        .args(["--connections", &self.connections.to_string()])
        .args(["--seconds", &self.seconds.to_string()])
        .kill_on_drop(true);
        if let Some(header) = &target.header {
            load.args(["--header", header]);
        }
        let flood = target.flood.as_ref().map(|token| {
            let mut flood = Command::from(program(parts));
            flood
                .args(["flood", "--target", &target.address.to_string()])
                .args(["--path", target.path, "--token", token])
                .args(["--seconds", &self.seconds.to_string()])
                .kill_on_drop(true);
            flood.output()
        });
        let flood = flood.map(tokio::spawn);
        let before = cpu_us(target.process)?;
        let output = load.output().await?;
        let after = cpu_us(target.process)?;
        if let Some(flood) = flood {
            let flooded = flood.await??;
            ensure!(
                flooded.status.success(),
                "the flood was not refused: {}",
                String::from_utf8_lossy(&flooded.stderr)
                    .lines()
                    .next()
                    .unwrap_or_default()
            );
        }
        // The command line has a token in it, and is not shown.
        ensure!(
            output.status.success(),
            "the load failed: {}",
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .next()
                .unwrap_or_default()
        );
        let figures: Value = serde_json::from_slice(&output.stdout)?;
        let figure = |name: &str| figures[name].as_f64().with_context(|| format!("no {name}"));
        Ok(Run {
            requests: figure("requests")?,
            errors: figures["errors"].as_u64().context("no errors")?,
            seconds: figure("seconds")?,
            p50_us: figure("p50_us")?,
            p99_us: figure("p99_us")?,
            cpu_us: after - before,
        })
    }
}

/// The benchmarks of single functions, in every package that has some.
fn micro_benchmarks() -> Result<()> {
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for bench in package["targets"].as_array().into_iter().flatten() {
            let is_bench = bench["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.contains(&"bench".into()));
            if let (true, Some(package), Some(name)) =
                (is_bench, package["name"].as_str(), bench["name"].as_str())
            {
                run(cargo().args(["bench", "--package", package, "--bench", name]))?;
            }
        }
    }
    Ok(())
}

fn addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        *address = free_address()?;
    }
    Ok(addresses)
}

/// Starts a part of the measurement, and waits until it accepts.
async fn part(parts: &Path, arguments: &[&str], address: SocketAddr) -> Result<Child> {
    let child = Command::from(program(parts))
        .args(arguments)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", parts.display()))?;
    let accepts = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, accepts)
        .await
        .with_context(|| format!("`gateway-bench {}` does not accept", arguments.join(" ")))?;
    Ok(child)
}

/// The processor time of a process until now, user's and system's.
fn cpu_us(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    parse_cpu(&stat).with_context(|| format!("the process {process} has no processor time"))
}

/// Fields 14 and 15 of `proc_pid_stat(5)`; the name before them may have spaces in it.
fn parse_cpu(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) * MICROS_PER_TICK)
}

fn configuration(
    listen: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
    issuer: &str,
) -> String {
    let service = |name: &str, plugin: &str| {
        format!(
            "  - name: {name}\n    url: http://{upstream}\n    routes: [{{name: {name}, paths: [/{name}]}}]\n{plugin}"
        )
    };
    let plugin = |methods: &str, more: &str| {
        format!(
            "    plugins:\n      - name: openid-connect\n        config:\n          issuer: {issuer}\n          \
             client_id: [service]\n          client_secret: [{}]\n          client_auth: [client_secret_basic]\n          \
             auth_methods: [{methods}]\n          refresh_token_param_type: [header]\n          refresh_token_param_name: refresh_token\n{more}",
            SERVICE_SECRET
        )
    };
    format!(
        "gateway:\n  listen: [\"{listen}\"]\n  admin_listen: \"{admin}\"\n  log: {{level: warn}}\nservices:\n{}{}{}{}{}",
        service("plain", ""),
        service("password", &plugin("password", "")),
        service("refresh", &plugin("refresh_token", "")),
        service("bearer", &plugin("bearer", "")),
        service(
            "verified",
            &plugin("bearer", "          cache_tokens: false\n")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::parse_cpu;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 4 0 100";
        assert_eq!(parse_cpu(stat), Some(3_000_000.0));
        assert_eq!(parse_cpu("42"), None);
    }
}
