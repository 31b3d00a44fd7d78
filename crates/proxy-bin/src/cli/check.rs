//! `oidc-proxy check`: everything that `serve` would find wrong, in one run, without listening.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::authenticate::{BrokerSettings, SIGNED_JWT_ALGORITHM};
use crate::config::{self, ClientAuthMethod, ClientKey, Gateway, OidcPlugin};
use crate::forward::{ClientTls, Upstream};
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
fn plugin_problems(
    plugin: &OidcPlugin,
    gateway: &Gateway,
    keys: &OwnKeys,
    tls: &mut ClientTls,
) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(error) = BrokerSettings::of(plugin, &gateway.settings).tls(tls) {
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
    let signed = plugin.signed_jwt.as_ref().map(|_| SIGNED_JWT_ALGORITHM);
    let managed = plugin
        .clients
        .iter()
        .filter_map(|client| match &client.auth {
            ClientAuthMethod::PrivateKeyJwt(ClientKey::Managed(algorithm)) => Some(*algorithm),
            _ => None,
        });
    for algorithm in signed.into_iter().chain(managed) {
        if let Err(error) = keys.check(algorithm) {
            problems.push(format!("gateway.state_dir: {error}"));
        }
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
    let mut tls = ClientTls::default();
    // Routes share what they refer to, and so does what is wrong with it.
    let mut services = HashSet::new();
    let mut plugins = HashSet::new();
    for route in &gateway.routes {
        if services.insert(Arc::as_ptr(&route.service))
            && let Err(error) = Upstream::new(&route.service, &mut tls)
        {
            problems.push(error.to_string());
        }
        if let Some(plugin) = &route.plugin
            && plugins.insert(Arc::as_ptr(plugin))
        {
            problems.extend(plugin_problems(plugin, gateway, &keys, &mut tls));
        }
    }
    problems.sort();
    problems.dedup();
    problems
}
