//! The gateway's binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A token that is verified makes and drops many small things, for which it takes less time than
/// glibc's, and some memory more; with huge pages that would be several times as much.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    proxy_bin::cli::run(std::env::args_os())
}
