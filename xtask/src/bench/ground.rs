//! What all contenders stand on: a folder, files with an upstream that serves them, a provider with
//! its tokens, certificates, and the programs.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use keycloak_testkit::pki::{Authority, CertificateFiles};
use keycloak_testkit::{EmbeddedIdp, EmbeddedRealm, IdentityProvider as _, Realm};
use tempfile::TempDir;

use super::peers;
use super::process::{Server, bound};
use super::tokens::{Credentials, public_key_pem};
use super::tools::{Tool, Tools};
use crate::gateway::free_address;

/// Longer than any comparison: what is measured is not the provider.
const LIFESPAN: Duration = Duration::from_secs(24 * 3600);

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const SMALL: usize = 1024;
const LARGE: usize = 1024 * 1024;

/// The programs of this project.
pub(crate) struct Built {
    pub(crate) gateway: PathBuf,
    /// `gateway-bench`.
    pub(crate) parts: PathBuf,
}

/// What all contenders stand on. Processes end and files go with it.
pub(crate) struct Ground {
    upstream: Server,
    upstream_address: SocketAddr,
    /// It stops when it is dropped.
    _realm: EmbeddedRealm,
    issuer: String,
    key_id: String,
    pub(crate) credentials: Credentials,
    certificate: CertificateFiles,
    authority: Authority,
    built: Built,
    tools: Tools,
    folder: TempDir,
}

impl Ground {
    /// Puts everything in place.
    ///
    /// # Errors
    /// If the provider or the upstream does not start.
    pub(crate) async fn lay(built: Built, tools: Tools) -> Result<Self> {
        // Processes that give up root's rights read their configuration in it.
        let folder = tempfile::Builder::new()
            .prefix("gateway-bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?;
        let files = folder.path().join("files");
        fs::create_dir(&files)?;
        for (path, length) in [("small", SMALL), ("large", LARGE)] {
            fs::write(files.join(path), body(length))?;
        }
        let realm = EmbeddedIdp::start().await?.realm(
            &Realm::seed("bench")
                .access_token_lifespan(LIFESPAN)
                .sso_session_idle(LIFESPAN)
                .sso_session_max(LIFESPAN),
        );
        let key = public_key_pem(&realm.signing_key().public_jwk())?;
        fs::write(folder.path().join("issuer.pem"), key)?;
        let authority = Authority::new("Bench CA");
        let server = authority.server(&["localhost", "127.0.0.1"]);
        let certificate = server.write(folder.path(), "server")?;
        let both = format!("{}{}", server.certificate_pem(), server.key_pem());
        fs::write(folder.path().join("server-both.pem"), both)?;
        let upstream_address = free_address()?;
        let command = if let Some(nginx) = tools.path(Tool::Nginx) {
            peers::upstream(nginx, folder.path(), &files, upstream_address)?
        } else {
            let mut command = bound(&built.parts);
            command
                .args(["upstream", "--listen", &upstream_address.to_string()])
                .arg("--folder")
                .arg(&files);
            command
        };
        let log = folder.path().join("upstream.txt");
        let upstream =
            Server::start(command, upstream_address, log).context("the upstream does not start")?;
        Ok(Self {
            upstream,
            upstream_address,
            issuer: realm.issuer(),
            key_id: realm.signing_key().kid().to_owned(),
            credentials: Credentials::issue(&realm).await?,
            _realm: realm,
            certificate,
            authority,
            built,
            tools,
            folder,
        })
    }

    /// Where files are written.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn upstream(&self) -> SocketAddr {
        self.upstream_address
    }

    pub(crate) fn upstream_group(&self) -> u32 {
        self.upstream.group()
    }

    /// What the upstream is, as people read it.
    pub(crate) fn upstream_name(&self) -> &'static str {
        if self.tools.has(Tool::Nginx) {
            "nginx with one worker"
        } else {
            "`gateway-bench upstream` (there is no nginx)"
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The name of the issuer's key.
    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The issuer's key, in PEM.
    pub(crate) fn public_key(&self) -> PathBuf {
        self.folder().join("issuer.pem")
    }

    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate.certificate
    }

    pub(crate) fn key(&self) -> &Path {
        &self.certificate.key
    }

    /// Both in one file.
    pub(crate) fn certificate_and_key(&self) -> PathBuf {
        self.folder().join("server-both.pem")
    }

    /// The authority of the certificate.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn gateway(&self) -> &Path {
        &self.built.gateway
    }

    pub(crate) fn parts(&self) -> &Path {
        &self.built.parts
    }

    pub(crate) fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What the upstream answers to this path.
    ///
    /// # Errors
    /// If there is no such file.
    pub(crate) fn file(&self, path: &str) -> Result<Vec<u8>> {
        let file = self
            .folder()
            .join("files")
            .join(path.trim_start_matches('/'));
        fs::read(file).with_context(|| format!("no {path}"))
    }
}

/// Text in which a piece that is missing, doubled or moved shows. It may stand in quotes.
fn body(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    (0..length)
        .map(|_| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            LETTERS[usize::from(state.to_le_bytes()[3] % 64)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LARGE, body};

    #[test]
    fn bodies_do_not_repeat_themselves() {
        let body = body(LARGE);
        assert_ne!(body[..1024], body[1024..2048]);
        assert_ne!(body[..65_536], body[65_536..131_072]);
    }
}
