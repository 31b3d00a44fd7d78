//! The gateway: one service for everything, with the plugin that the contender stands for.

use std::process::Command;

use anyhow::Result;
use keycloak_testkit::seed::SERVICE_SECRET;

use super::Scene;
use crate::bench::contender::Contender;
use crate::bench::plan::Transport;
use crate::bench::process::bound;
use crate::gateway::free_address;

pub(super) fn command(scene: &Scene<'_>) -> Result<Command> {
    let ground = scene.ground;
    let listen = match scene.transport {
        Transport::Http1 | Transport::Http2 => format!("\"{}\"", scene.listen),
        Transport::Tls => format!(
            "{{address: \"{}\", tls: {{certificate: {}, key: {}}}}}",
            scene.listen,
            ground.certificate().display(),
            ground.key().display()
        ),
    };
    let text = format!(
        "gateway:\n  listen: [{listen}]\n  admin_listen: \"{}\"\n  state_dir: {}\n  \
         log: {{level: warn}}\n  workers: {}\n\
         services:\n  - name: upstream\n    url: http://{}\n    \
         routes: [{{name: all, paths: [/]}}]\n{}",
        free_address()?,
        scene.file("state").display(),
        scene.contender.workers(),
        ground.upstream(),
        plugin(scene.contender, ground.issuer()),
    );
    let config = scene.write("gateway.yaml", &text)?;
    let mut command = bound(ground.gateway());
    command
        .args(["serve", "--log-format", "text", "--config"])
        .arg(config);
    Ok(command)
}

fn plugin(contender: Contender, issuer: &str) -> String {
    let (method, more) = match contender {
        Contender::Refresh => ("refresh_token", ""),
        Contender::Password => ("password", ""),
        Contender::Verified => ("bearer", "          cache_tokens: false\n"),
        Contender::Bearer | Contender::BearerTwo | Contender::Flooded => ("bearer", ""),
        _ => return String::new(),
    };
    format!(
        "    plugins:\n      - name: openid-connect\n        config:\n          issuer: {issuer}\n          \
         client_id: [service]\n          client_secret: [{SERVICE_SECRET}]\n          \
         client_auth: [client_secret_basic]\n          auth_methods: [{method}]\n          \
         refresh_token_param_type: [header]\n          refresh_token_param_name: refresh_token\n{more}"
    )
}
