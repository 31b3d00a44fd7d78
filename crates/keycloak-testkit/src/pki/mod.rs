//! Certificates for tests: authorities, what they issue, and certificates signed by themselves
//! (RFC 5280, RFC 8705 §2).
//!
//! ```
//! use keycloak_testkit::pki::{Authority, Identity};
//!
//! let authority = Authority::new("Test CA");
//! let server = authority.server(&["localhost", "127.0.0.1"]);
//! let client = authority.client("CN=client-tls-auth, OU=IT");
//! let loner = Identity::self_signed("CN=loner");
//!
//! let directory = tempfile::tempdir()?;
//! let files = client.write(directory.path(), "client")?;
//! assert!(std::fs::read_to_string(&files.key)?.contains("PRIVATE KEY"));
//! assert_eq!(client.thumbprint().len(), 43);
//! assert_ne!(server.thumbprint(), loner.thumbprint());
//! # Ok::<(), std::io::Error>(())
//! ```

mod authority;
mod identity;
mod subject;

pub use authority::Authority;
pub use identity::{CertificateFiles, Identity};

pub(crate) use identity::thumbprint;
pub(crate) use subject::{Parties, Subject};
