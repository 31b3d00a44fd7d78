//! Parts of the gateway's work, done so many times: what valgrind counts the instructions of.
#![forbid(unsafe_code)]

mod extraction;
mod inputs;
mod tokens;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use inputs::Inputs;

/// Parts of the gateway's work, for `cargo xtask instructions`.
#[derive(Parser)]
#[command(name = "gateway-instructions")]
enum Command {
    /// Does one part so many times.
    Run {
        /// Which part.
        part: Part,
        /// How many times.
        #[arg(long)]
        count: u64,
    },
    /// Prints new inputs.
    Inputs,
}

/// A part of the gateway's work.
#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Looks for credentials where there are none.
    ExtractNothing,
    /// Finds a bearer token in a header.
    ExtractBearer,
    /// Finds a refresh token in a header.
    ExtractRefreshToken,
    /// Finds the only header line that can hold a credential.
    ExtractSole,
    /// Decides on a bearer token that was verified before.
    BearerRemembered,
    /// Decides on a refresh token that was traded before.
    RefreshTokenRemembered,
    /// Decides on a bearer token that is new, RSA of 2048 bit.
    BearerVerifiedRs256,
    /// Decides on a bearer token that is new, ECDSA with P-256.
    BearerVerifiedEs256,
}

fn main() -> Result<()> {
    let (part, count) = match Command::parse() {
        Command::Run { part, count } => (part, count),
        Command::Inputs => {
            println!("{:#}", inputs::new()?);
            return Ok(());
        }
    };
    let inputs = Inputs::kept()?;
    match part {
        Part::ExtractNothing => extraction::nothing(count),
        Part::ExtractBearer => extraction::bearer(&inputs, count),
        Part::ExtractRefreshToken => extraction::refresh_token(&inputs, count),
        Part::ExtractSole => extraction::sole(&inputs, count),
        Part::BearerRemembered => tokens::bearer(&inputs, &inputs.rs256, true, count),
        Part::RefreshTokenRemembered => tokens::refresh_token(&inputs, count),
        Part::BearerVerifiedRs256 => tokens::bearer(&inputs, &inputs.rs256, false, count),
        Part::BearerVerifiedEs256 => tokens::bearer(&inputs, &inputs.es256, false, count),
    }
}
