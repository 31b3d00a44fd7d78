//! `cargo xtask test`: all that holds this project together, with whatever that needs; CI's too.

use std::env;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::engine::Engine;
use crate::steps::Steps;
use crate::workspace::{cargo, is_ci, run};
use crate::{demo, gateway, image, instructions, keycloak, packages, second_provider, tidy};

/// What tells the testkit where to take Keycloak from.
const BACKEND: &str = "KEYCLOAK_TESTKIT_BACKEND";

/// What tells the tests to leave the second provider out.
const SECOND_PROVIDER: &str = "SECOND_PROVIDER";

/// With one of these set, somebody has chosen already.
const CHOICES: &[&str] = &[BACKEND, "KEYCLOAK_URL", "KEYCLOAK_HOME"];

/// Which tests.
#[derive(Args)]
pub(crate) struct Test {
    /// Leaves out what needs a real Keycloak, the second provider, a container engine or the
    /// network.
    #[arg(long)]
    quick: bool,
    /// Runs only the tests whose names contain one of these, and no other check.
    filter: Vec<String>,
}

impl Test {
    /// Runs them.
    ///
    /// # Errors
    /// If a step fails; where `CI` is `true`, also if something that is needed is missing.
    pub(crate) fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        let has_keycloak = !self.quick && prepare(&mut steps);
        if self.filter.is_empty() {
            static_checks(&mut steps);
        }
        steps.run("tests", || {
            let mut test = cargo_test(&[]);
            self.choose_backend(&mut test, has_keycloak);
            run(test.arg("--").args(&self.filter))
        });
        if self.filter.is_empty() {
            self.containers(&mut steps);
            self.demos(&mut steps, has_keycloak);
            self.instructions(&mut steps);
        }
        steps.finish()
    }

    /// The distribution starts in seconds, a container does not: by itself, the testkit would take
    /// the container where an engine runs.
    fn choose_backend(&self, test: &mut Command, has_keycloak: bool) {
        if self.quick {
            for choice in CHOICES {
                test.env_remove(choice);
            }
            // The tests that need one are left out, and say so.
            test.env(BACKEND, "none").env(SECOND_PROVIDER, "none");
        } else if has_keycloak && CHOICES.iter().all(|name| env::var_os(name).is_none()) {
            test.env(BACKEND, "download");
        }
    }

    /// The testkit's other way to a real Keycloak.
    fn containers(&self, steps: &mut Steps) {
        const STEP: &str = "tests with Keycloak in a container";
        if self.quick {
            return steps.skip(STEP, "--quick");
        }
        // Stopped at the end of this function, if it is ours.
        let Some(_engine) = steps.prepare("container engine", is_ci(), Engine::find_or_start)
        else {
            return steps.skip(STEP, "there is no container engine");
        };
        let image = steps.prepare("Keycloak's image", is_ci(), image::keycloak::provide);
        if image.is_none() {
            return steps.skip(STEP, "there is no image of Keycloak");
        }
        steps.run(STEP, || {
            run(cargo_test(&["--test", "behaviour"])
                .env(BACKEND, "container")
                .args(["--", "keycloak"]))
        });
    }

    /// The demo, with the gateway that the tests have built.
    fn demos(&self, steps: &mut Steps, has_keycloak: bool) {
        steps.run("demo", || demo::check(&gateway::binary("dev"), false));
        if has_keycloak {
            steps.run("demo with Keycloak", || {
                demo::check(&gateway::binary("dev"), true)
            });
        } else {
            let why = if self.quick {
                "--quick"
            } else {
                "there is no Keycloak"
            };
            steps.skip("demo with Keycloak", why);
        }
    }

    /// How many instructions a request takes, by a gateway that is built as it is released.
    fn instructions(&self, steps: &mut Steps) {
        const STEP: &str = "instruction counts";
        if self.quick {
            return steps.skip(STEP, "--quick");
        }
        match instructions::obstacle() {
            Some(obstacle) if !is_ci() => steps.skip(STEP, obstacle),
            _ => {
                steps.run(STEP, instructions::compare);
            }
        }
    }
}

/// Always of the whole workspace, so that nothing is built again with other features.
fn cargo_test(arguments: &[&str]) -> Command {
    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast"])
        .args(arguments);
    test
}

/// Puts in place what the tests need; whether that is Keycloak, too. Outside of CI, what cannot be
/// had is left out, and said.
fn prepare(steps: &mut Steps) -> bool {
    steps.prepare("programs", is_ci(), packages::install_missing);
    steps.prepare("second provider", is_ci(), second_provider::install);
    steps
        .prepare("Keycloak's distribution", is_ci(), keycloak::distribution)
        .is_some()
}

/// What needs no test to run.
fn static_checks(steps: &mut Steps) {
    steps.run("format", || run(cargo().args(["fmt", "--all", "--check"])));
    steps.run("house rules", tidy::run);
    steps.run("lints", || {
        run(cargo()
            .args(["clippy", "--workspace", "--all-targets", "--quiet"])
            .args(["--", "-D", "warnings"]))
    });
    steps.run("documentation", || {
        run(cargo()
            .args(["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"))
    });
}
