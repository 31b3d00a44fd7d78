//! The gateway's binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    proxy_bin::cli::run(std::env::args_os())
}
