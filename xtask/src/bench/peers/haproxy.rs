//! haproxy: plain, and with its own check of signed tokens.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::Scene;
use crate::bench::contender::Contender;
use crate::bench::plan::Transport;
use crate::bench::process::bound;
use crate::bench::tools::Tool;

pub(super) fn command(scene: &Scene<'_>) -> Result<Command> {
    let ground = scene.ground;
    let haproxy = ground
        .tools()
        .path(Tool::Haproxy)
        .context("there is no haproxy")?;
    let mode = match scene.transport {
        Transport::Http1 => String::new(),
        Transport::Http2 => " proto h2".to_owned(),
        Transport::Tls => format!(
            " ssl crt {} alpn h2,http/1.1",
            ground.certificate_and_key().display()
        ),
    };
    let check = match scene.contender {
        Contender::HaproxyJwt => token_check(scene),
        _ => String::new(),
    };
    // With its usual ratios it would close kept connections to the upstream as soon as a quarter of
    // the sockets that it may have are in use.
    let text = format!(
        "global\n  nbthread {}\n  maxconn {}\n  tune.pool-low-fd-ratio 100\n  \
         tune.pool-high-fd-ratio 100\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  \
         backlog 4096\n  http-reuse always\n\
         frontend in\n  bind {}{mode}\n{check}  default_backend origin\n\
         backend origin\n  server origin {} pool-max-conn -1 pool-purge-delay 1h\n",
        scene.contender.workers(),
        scene.connections_max(),
        scene.listen,
        ground.upstream(),
    );
    let config = scene.write("haproxy.cfg", &text)?;
    let mut command = bound(haproxy);
    // In the foreground, as one process.
    command.arg("-db").arg("-f").arg(config);
    Ok(command)
}

/// As haproxy's documentation of `jwt_verify` has it, with its checks of time and issuer.
fn token_check(scene: &Scene<'_>) -> String {
    format!(
        "  http-request set-var(txn.bearer) http_auth_bearer\n  \
         http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')\n  \
         http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}\n  \
         http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{}\") -m int 1 }}\n  \
         http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')\n  \
         http-request set-var(txn.now) date()\n  \
         http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n  \
         http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {} }}\n",
        scene.ground.public_key().display(),
        scene.ground.issuer(),
    )
}
