//! `cargo xtask`: the one door for developers. Each command is one file.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod demo;
mod engine;
mod gateway;
mod image;
mod instructions;
mod keycloak;
mod packages;
mod provider;
mod second_provider;
mod signals;
mod steps;
mod test;
mod tidy;
mod walkthrough;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The one door for developers: everything that is done with this repository is a command here.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
enum Command {
    /// Shows the refresh token workflow: provider, upstream and gateway on this machine, with the
    /// commands to type.
    Demo(demo::Demo),
    /// Runs everything that has to pass, and puts in place what that needs. CI runs this.
    Test(test::Test),
    /// Checks the rules of the house that no compiler holds.
    Tidy,
    /// Builds the gateway as it is released, guided by a profile of itself.
    Build(build::Build),
    /// Measures the gateway beside nginx, haproxy and Apache, on loopback.
    Bench(bench::Bench),
    /// Counts the instructions that a request takes, and compares them with those that are kept.
    Instructions(instructions::Instructions),
    /// Runs a real Keycloak with the demo's realm until Ctrl-C.
    Keycloak,
    /// Builds container images on this machine.
    #[command(subcommand)]
    Image(image::Image),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Tidy => tidy::run(),
        Command::Build(build) => build.run(),
        Command::Bench(bench) => bench.run(),
        Command::Instructions(instructions) => instructions.run(),
        Command::Keycloak => keycloak::run(),
        Command::Image(image) => image.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
