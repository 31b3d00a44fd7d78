//! `oidc-proxy check`: everything that `serve` would find wrong, in one run, without listening.

use std::path::Path;
use std::process::ExitCode;

use crate::authenticate::{BrokerSettings, SIGNED_JWT_ALGORITHM};
use crate::config::{self, ClientAuthMethod, ClientKey, Gateway, OidcPlugin};
use crate::forward::Upstream;
use crate::keys::OwnKeys;
use crate::listen::server_tls;

pub(super) fn run(file: &Path) -> ExitCode {
    let gateway = match config::load(file, std::env::vars()) {
        Ok(gateway) => gateway,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    let problems = beyond_the_file(&gateway);
    if !problems.is_empty() {
        for problem in &problems {
            eprintln!("{}: {problem}", file.display());
        }
        let count = problems.len();
        eprintln!("{count} problem{} found", if count == 1 { "" } else { "s" });
        return ExitCode::FAILURE;
    }
    let protected = gateway.routes.iter().filter(|route| route.plugin.is_some());
    println!(
        "{}: no problem found (services: {}, routes: {}, of them with openid-connect: {})",
        file.display(),
        gateway.services,
        gateway.routes.len(),
        protected.count()
    );
    ExitCode::SUCCESS
}

/// The same of one plugin.
fn plugin_problems(plugin: &OidcPlugin, gateway: &Gateway, keys: &OwnKeys) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(error) = BrokerSettings::of(plugin, &gateway.settings).tls() {
        problems.push(format!("TLS towards the identity provider: {error}"));
    }
    if plugin.possession.has_bad_authorities() {
        problems.push(
            "the ca_certificates of proof_of_possession_mtls_from_header cannot be used".to_owned(),
        );
    }
    if plugin.client_dpop
        && let Err(error) = keys.check_dpop()
    {
        problems.push(format!("gateway.state_dir: {error}"));
    }
    problems
}

/// What the file names and does not hold itself: certificates, authorities, keys.
fn beyond_the_file(gateway: &Gateway) -> Vec<String> {
    let mut problems = Vec::new();
    for listener in &gateway.settings.listen {
        if let Some(Err(error)) = listener.tls.as_ref().map(server_tls) {
            problems.push(format!("gateway.listen: {}: {error}", listener.address));
        }
    }
    let keys = OwnKeys::in_directory(&gateway.settings.state_dir, gateway.settings.keys_overlap);
    for route in &gateway.routes {
        if let Err(error) = Upstream::new(&route.service) {
            problems.push(error.to_string());
        }
        if let Some(plugin) = &route.plugin
            && plugin.signed_jwt.is_some()
            && let Err(error) = keys.check(SIGNED_JWT_ALGORITHM)
        {
            problems.push(format!("gateway.state_dir: {error}"));
        }
        if let Some(plugin) = &route.plugin {
            problems.extend(plugin_problems(plugin, gateway, &keys));
        }
        let managed = route.plugin.iter().flat_map(|plugin| &plugin.clients);
        for client in managed {
            if let ClientAuthMethod::PrivateKeyJwt(ClientKey::Managed(algorithm)) = &client.auth
                && let Err(error) = keys.check(*algorithm)
            {
                problems.push(format!("gateway.state_dir: {error}"));
            }
        }
    }
    problems.sort();
    problems.dedup();
    problems
}
