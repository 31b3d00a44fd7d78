//! nginx: as the upstream, and as a proxy before it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Scene;
use crate::bench::plan::Transport;
use crate::bench::process::bound;
use crate::bench::tools::Tool;
use crate::workspace::is_root;

/// An nginx that serves the files of a folder, the small one out of its configuration: the less the
/// upstream takes of the processors that it shares with the contender, the more is the contender's
/// what is measured.
///
/// # Errors
/// If there is no small file, or its configuration cannot be written.
pub(crate) fn upstream(
    nginx: &Path,
    folder: &Path,
    files: &Path,
    listen: SocketAddr,
) -> Result<Command> {
    let small = std::fs::read_to_string(files.join("small"))?;
    let server = format!(
        "  sendfile on;\n  tcp_nopush on;\n  open_file_cache max=16 inactive=1h;\n  \
         open_file_cache_valid 1h;\n  server {{\n    listen {listen} backlog=4096;\n    \
         root {};\n    location = /small {{\n      return 200 \"{small}\";\n    }}\n  }}\n",
        files.display()
    );
    run(nginx, folder, "upstream", 1, &server)
}

/// An nginx that forwards.
pub(super) fn proxy(scene: &Scene<'_>) -> Result<Command> {
    let ground = scene.ground;
    let nginx = ground
        .tools()
        .path(Tool::Nginx)
        .context("there is no nginx")?;
    let (mode, tls) = match scene.transport {
        Transport::Http1 => ("", String::new()),
        Transport::Http2 => (" http2", String::new()),
        Transport::Tls => (
            " ssl",
            format!(
                "    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_certificate {};\n    \
                 ssl_certificate_key {};\n",
                ground.certificate().display(),
                ground.key().display()
            ),
        ),
    };
    // A body that the client is slow to take waits in memory, and not on a disk.
    let server = format!(
        "  proxy_max_temp_file_size 0;\n  upstream origin {{\n    server {};\n    \
         keepalive 1024;\n    keepalive_requests 1000000000;\n    keepalive_timeout 1h;\n  }}\n  \
         server {{\n    listen {}{mode} backlog=4096;\n{tls}    location / {{\n      \
         proxy_pass http://origin;\n      proxy_http_version 1.1;\n      \
         proxy_set_header Connection \"\";\n    }}\n  }}\n",
        ground.upstream(),
        scene.listen,
    );
    let name = scene.contender.id();
    run(
        nginx,
        ground.folder(),
        name,
        scene.contender.workers(),
        &server,
    )
}

/// The configuration around a server, and the command that runs it.
fn run(nginx: &Path, folder: &Path, name: &str, workers: u32, server: &str) -> Result<Command> {
    let user = if is_root() { "user root;\n" } else { "" };
    let at = |file: &str| folder.join(format!("{name}-{file}")).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {};\n", at(kind)))
        .collect();
    let text = format!(
        "{user}daemon off;\nworker_processes {workers};\npid {};\nerror_log {} warn;\n\
         events {{\n  worker_connections 8192;\n}}\nhttp {{\n  access_log off;\n  \
         keepalive_requests 1000000000;\n  keepalive_timeout 1h;\n{temporary}{server}}}\n",
        at("pid"),
        at("error.txt"),
    );
    let config = folder.join(format!("{name}.conf"));
    std::fs::write(&config, text)?;
    let mut command = bound(nginx);
    command.arg("-e").arg(at("error.txt"));
    command.arg("-p").arg(folder).arg("-c").arg(config);
    Ok(command)
}
