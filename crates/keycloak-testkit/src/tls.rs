//! The https side of a provider, where clients show certificates (RFC 8705 §5).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::pki::Authority;
use crate::provider::path;
use crate::{Endpoint, Error};

/// Where a realm is reached by https, beside its address by http. The issuer is the same on both
/// sides; `mtls_endpoint_aliases` in the discovery document names this one.
///
/// The server's certificate is the [shared authority's](Authority::shared). A client may show one,
/// and that has to be of the same authority. The wire counts and breaks here as it does by http;
/// to a real server it shows the client's certificate again, which is why that has to be made by
/// [`pki`](crate::pki) in this process.
#[derive(Clone, Debug)]
pub struct TlsSide {
    base: String,
    realm: String,
    file: Arc<AuthorityFile>,
}

/// The authority's certificate, as long as somebody needs it.
#[derive(Debug)]
pub(crate) struct AuthorityFile {
    path: PathBuf,
    _directory: TempDir,
}

impl TlsSide {
    pub(crate) fn new(base: String, realm: &str, file: Arc<AuthorityFile>) -> Self {
        Self {
            base,
            realm: realm.to_owned(),
            file,
        }
    }

    /// Where the provider listens, such as `https://127.0.0.1:8443`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// The address of an endpoint.
    #[must_use]
    pub fn url(&self, endpoint: Endpoint) -> String {
        format!("{}/realms/{}{}", self.base, self.realm, path(endpoint))
    }

    /// The address of the token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        self.url(Endpoint::Token)
    }

    /// Who issued the provider's certificate, and issues those of clients.
    #[must_use]
    pub fn authority(&self) -> &'static Authority {
        Authority::shared()
    }

    /// The authority's certificate in a file, in PEM. It is removed with the realm.
    #[must_use]
    pub fn authority_file(&self) -> &Path {
        &self.file.path
    }
}

impl AuthorityFile {
    pub(crate) fn new() -> Result<Arc<Self>, Error> {
        let write = || {
            let directory = tempfile::tempdir()?;
            let path = Authority::shared().write(directory.path(), "authority")?;
            Ok(Self {
                path,
                _directory: directory,
            })
        };
        write()
            .map(Arc::new)
            .map_err(|error: std::io::Error| Error::Tool {
                doing: "writing the authority's certificate".to_owned(),
                reason: error.to_string(),
            })
    }
}
