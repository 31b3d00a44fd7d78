//! How the gateway that is measured is built: as it is released, unless something else is wanted.

use anyhow::Result;
use clap::Args;

use super::ground::Built;
use crate::build::{Linkage, RELEASE, guided};
use crate::workspace::{cargo, run};

/// How the gateway is built.
#[derive(Args)]
pub(crate) struct Manner {
    /// The cargo profile that the gateway is built with: `quick` for a look while developing
    #[arg(long, default_value = RELEASE)]
    profile: String,
    /// Builds the gateway without a profile of its own, which guides what is released
    #[arg(long)]
    unguided: bool,
}

impl Manner {
    /// Whether the gateway is what is released.
    pub(crate) fn is_released(&self) -> bool {
        self.profile == RELEASE && !self.unguided
    }

    /// As a report names it.
    pub(crate) fn name(&self) -> String {
        let guided = if self.is_released() { ", guided" } else { "" };
        format!("profile {}{guided}", self.profile)
    }

    /// Builds the gateway, and what it is measured with.
    ///
    /// # Errors
    /// If one of them does not build.
    pub(crate) fn build(&self) -> Result<Built> {
        run(cargo()
            .args(["build", "--package", "gateway-bench"])
            .args(["--profile", &self.profile]))?;
        let parts = crate::gateway::binary(&self.profile).with_file_name("gateway-bench");
        let gateway = if self.is_released() {
            guided(Linkage::Dynamic)?
        } else {
            crate::gateway::build(&self.profile)?
        };
        Ok(Built { gateway, parts })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Manner;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        manner: Manner,
    }

    #[test]
    fn a_report_says_whether_the_gateway_was_guided() {
        for (line, name) in [
            ("bench", "profile release, guided"),
            ("bench --unguided", "profile release"),
            ("bench --profile quick", "profile quick"),
        ] {
            let line = Line::parse_from(line.split(' '));
            assert_eq!(line.manner.name(), name);
        }
    }
}
