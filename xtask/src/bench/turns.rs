//! The turns: who takes one and where, and how one goes: the contender is started, checked, warmed up,
//! loaded, checked again, stopped.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command as AsyncCommand;

use super::checks::{Refusals, check};
use super::contender::Contender;
use super::ground::Ground;
use super::load::{Generators, Load};
use super::peers;
use super::plan::{Setting, Transport};
use super::process::bound;
use super::progress::Progress;
use super::results::Run;
use super::usage::Usage;

/// How long a contender is loaded before it is measured: its connections to the upstream are open
/// then, and its caches filled.
pub(crate) const WARM_UP_SECONDS: u32 = 1;

/// The turns to take.
pub(crate) struct Turns {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) settings: Vec<(Setting, Vec<Contender>)>,
}

impl Turns {
    /// What has to be checked before the first round.
    fn checks(&self) -> Vec<(Transport, &'static str, Contender)> {
        let mut checks = Vec::new();
        for (setting, contenders) in &self.settings {
            for contender in contenders {
                let one = (setting.part.transport(), setting.part.path(), *contender);
                if !checks.contains(&one) {
                    checks.push(one);
                }
            }
        }
        checks
    }

    /// How many there are.
    fn count(&self) -> usize {
        let turns: usize = self.settings.iter().map(|(_, all)| all.len()).sum();
        turns * usize::try_from(self.rounds).unwrap_or(usize::MAX)
    }

    /// The most connections of a load.
    pub(crate) fn connections_max(&self) -> u32 {
        let connections = self.settings.iter().map(|(setting, _)| setting.connections);
        connections.max().unwrap_or(1)
    }
}

/// Where the turns are taken.
pub(crate) struct Field<'a> {
    ground: &'a Ground,
    generators: Generators<'a>,
    progress: Progress,
    pub(crate) refusals: Refusals,
    turns: &'a Turns,
}

impl<'a> Field<'a> {
    pub(crate) fn new(ground: &'a Ground, generators: Generators<'a>, turns: &'a Turns) -> Self {
        Self {
            ground,
            generators,
            progress: Progress::new(turns.count()),
            refusals: Refusals::new(),
            turns,
        }
    }

    /// That everybody can do what is asked, before the long part begins.
    ///
    /// # Errors
    /// If somebody does not start or does otherwise.
    pub(crate) async fn check_all(&mut self) -> Result<()> {
        let checks = self.turns.checks();
        let connections = self.turns.connections_max();
        eprintln!("checking {} contenders and ways to them", checks.len());
        for (transport, path, contender) in checks {
            let running = peers::start(self.ground, contender, transport, connections)?;
            let address = running.address;
            check(
                self.ground,
                contender,
                transport,
                address,
                path,
                &mut self.refusals,
            )
            .await?;
        }
        Ok(())
    }

    /// One contender's turn.
    ///
    /// # Errors
    /// If it does not start or does otherwise than it should, or the load has no figures.
    pub(crate) async fn turn(
        &mut self,
        setting: Setting,
        contender: Contender,
        round: u32,
    ) -> Result<Run> {
        let (ground, turns) = (self.ground, self.turns);
        self.progress.next(&format!(
            "round {round} of {}: {}: {}",
            turns.rounds,
            setting.title(),
            contender.name()
        ));
        let (transport, path) = (setting.part.transport(), setting.part.path());
        let running = peers::start(ground, contender, transport, setting.connections)?;
        let address = running.address;
        let refusals = &mut self.refusals;
        check(ground, contender, transport, address, path, refusals).await?;
        let header = ground.credentials.good(contender.credential());
        let load = Load {
            transport,
            address,
            path,
            header: &header,
            connections: setting.connections,
            seconds: turns.seconds,
            body: ground.file(path)?.len(),
        };
        let warm_up = Load {
            seconds: WARM_UP_SECONDS,
            ..load
        };
        self.generators.run(warm_up).await?;
        let flood = (contender == Contender::Flooded).then(|| {
            let flood = flood(ground, load);
            tokio::spawn(AsyncCommand::from(flood).kill_on_drop(true).output())
        });
        let before = Usage::of_group(running.group)?;
        let figures = self.generators.run(load).await?;
        let after = Usage::of_group(running.group)?;
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
        let refusals = &mut self.refusals;
        check(ground, contender, transport, address, path, refusals)
            .await
            .context("after the load")?;
        Ok(Run {
            round,
            setting,
            contender,
            figures,
            cpu_us: after.cpu_us_since(&before),
            resident_kib: after.resident_kib,
            peak_kib: after.peak_kib,
        })
    }
}

/// Tokens of unknown keys, for as long as the load.
fn flood(ground: &Ground, load: Load<'_>) -> Command {
    let mut flood = bound(ground.parts());
    flood
        .args(["flood", "--target", &load.address.to_string()])
        .args(["--path", load.path])
        .args(["--token", &ground.credentials.access_token])
        .args(["--seconds", &load.seconds.to_string()]);
    flood
}
