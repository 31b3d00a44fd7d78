//! Apache with mod_auth_openidc as a resource server: it checks signed tokens by the provider's key,
//! which it is given as a file; a key set it would fetch by https alone.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Scene;
use crate::bench::plan::Transport;
use crate::bench::process::bound;
use crate::bench::tools::{APACHE_MODULES, Tool};
use crate::workspace::is_root;

/// What it needs beyond what Debian builds in.
const MODULES: &[(&str, &str)] = &[
    ("mpm_event_module", "mod_mpm_event.so"),
    ("authn_core_module", "mod_authn_core.so"),
    ("authz_core_module", "mod_authz_core.so"),
    ("authz_user_module", "mod_authz_user.so"),
    ("auth_openidc_module", "mod_auth_openidc.so"),
    ("proxy_module", "mod_proxy.so"),
    ("proxy_http_module", "mod_proxy_http.so"),
    ("http2_module", "mod_http2.so"),
];

/// Threads of its one process beyond one for each connection: where it has no thread to spare, it
/// closes connections that are kept. It is the only contender whose one worker may run on several
/// processors: a thread of it waits for the upstream, so that one alone would be no proxy.
const SPARE_THREADS: u32 = 32;

pub(super) fn command(scene: &Scene<'_>) -> Result<Command> {
    let ground = scene.ground;
    let apache = ground
        .tools()
        .path(Tool::Apache)
        .context("there is no apache2")?;
    let modules: String = MODULES
        .iter()
        .map(|(name, file)| {
            let path = Path::new(APACHE_MODULES).join(file);
            format!("LoadModule {name} {}\n", path.display())
        })
        .collect();
    // Its children may not be root's.
    let user = if is_root() {
        "User www-data\nGroup www-data\n"
    } else {
        ""
    };
    let protocols = match scene.transport {
        Transport::Http2 => "Protocols h2c http/1.1\nH2Direct on\n",
        _ => "",
    };
    let text = format!(
        "{modules}{user}{protocols}ServerName localhost\nServerRoot {folder}\n\
         DefaultRuntimeDir {folder}\nPidFile {pid}\nErrorLog {error}\nLogLevel warn\n\
         Listen {listen}\nListenBacklog 4096\n\
         StartServers 1\nServerLimit 1\nThreadLimit {threads}\nThreadsPerChild {threads}\n\
         MaxRequestWorkers {threads}\nMinSpareThreads 1\nMaxSpareThreads {threads}\n\
         MaxConnectionsPerChild 0\n\
         KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\n\
         OIDCOAuthVerifyCertFiles {kid}#{key}\n\
         ProxyRequests Off\nProxyPass / http://{upstream}/ keepalive=On ttl=3600\n\
         <Location />\n  AuthType oauth20\n  Require claim iss:{issuer}\n</Location>\n",
        threads = scene.connections + SPARE_THREADS,
        folder = ground.folder().display(),
        pid = scene.file("pid").display(),
        error = scene.file("error.txt").display(),
        listen = scene.listen,
        kid = ground.key_id(),
        key = ground.public_key().display(),
        upstream = ground.upstream(),
        issuer = ground.issuer(),
    );
    let config = scene.write("apache.conf", &text)?;
    let mut command = bound(apache);
    command.arg("-DFOREGROUND").arg("-f").arg(config);
    Ok(command)
}
