//! The gateway's own key pairs, for `private_key_jwt` and for tokens of its own: made once, kept where only it can read them,
//! published as a JSON Web Key set. Serves the contract's section on configuration.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oidc_core::Secret;
use oidc_core::client::AssertionSigner;
use oidc_core::client::assertion::{AssertionClaims, SignError, SigningKey, client_assertion};
use oidc_core::jose::Algorithm;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Keys that cannot be kept or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The state directory or a file in it cannot be read or written.
    #[error("{path}: {source}; set gateway.state_dir to a directory that this user may write to")]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can be read by others than its owner.
    #[error("{0} can be read by others: chmod 600 it, and rotate the key if somebody may have")]
    Readable(PathBuf),
    /// A file holds no key for its algorithm.
    #[error("{path} holds no private key for {algorithm}: remove it, and a new one is made")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// A key cannot be made.
    #[error("a key for {algorithm} cannot be made: {source}")]
    Make {
        /// The algorithm.
        algorithm: Algorithm,
        /// Why.
        source: SignError,
    },
}

/// The gateway's own key pairs, one for each algorithm in use.
///
/// A rotation makes a new key, signs with it from then on, and goes on publishing the old one, so
/// that assertions in flight are still verified.
#[derive(Debug)]
pub(crate) struct OwnKeys {
    directory: PathBuf,
    pairs: Mutex<BTreeMap<&'static str, Arc<Pair>>>,
}

#[derive(Debug)]
struct Pair {
    algorithm: Algorithm,
    keys: ArcSwap<Keys>,
}

#[derive(Debug)]
struct Keys {
    current: Arc<SigningKey>,
    previous: Option<Arc<SigningKey>>,
}

impl OwnKeys {
    /// Keys in this directory, which is made if it is missing once a key is needed.
    #[must_use]
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            pairs: Mutex::new(BTreeMap::new()),
        }
    }

    /// The directory that the keys are kept in.
    #[must_use]
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A signer by this algorithm; its key is read, or made if there is none.
    ///
    /// # Errors
    /// If the key cannot be read, made or kept.
    pub(crate) fn signer(
        &self,
        algorithm: Algorithm,
    ) -> Result<Arc<dyn AssertionSigner>, KeysError> {
        let pair = self.pair(algorithm)?;
        Ok(pair)
    }

    /// A signer of tokens by this algorithm, with the same key.
    ///
    /// # Errors
    /// If the key cannot be read, made or kept.
    pub(crate) fn token_signer(&self, algorithm: Algorithm) -> Result<TokenSigner, KeysError> {
        self.pair(algorithm).map(TokenSigner)
    }

    fn pair(&self, algorithm: Algorithm) -> Result<Arc<Pair>, KeysError> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = pairs.get(algorithm.name()) {
            return Ok(Arc::clone(pair));
        }
        prepare_directory(&self.directory)?;
        let current = match self.read(algorithm, CURRENT)? {
            Some(key) => key,
            None => self.make(algorithm)?,
        };
        let keys = Keys {
            current: Arc::new(current),
            previous: self.read(algorithm, PREVIOUS)?.map(Arc::new),
        };
        let pair = Arc::new(Pair {
            algorithm,
            keys: ArcSwap::from_pointee(keys),
        });
        pairs.insert(algorithm.name(), Arc::clone(&pair));
        Ok(pair)
    }

    /// Finds out whether a key for this algorithm could be used, without making one.
    ///
    /// # Errors
    /// If there is one that cannot be read or used.
    pub(crate) fn check(&self, algorithm: Algorithm) -> Result<(), KeysError> {
        self.read(algorithm, CURRENT)?;
        self.read(algorithm, PREVIOUS)?;
        Ok(())
    }

    /// The public halves (RFC 7517 §5); `None` if no key is in use.
    #[must_use]
    pub(crate) fn published(&self) -> Option<Value> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Value> = pairs
            .values()
            .flat_map(|pair| {
                let keys = pair.keys.load();
                [Some(&keys.current), keys.previous.as_ref()]
                    .into_iter()
                    .flatten()
                    .filter_map(|key| key.public_jwk(pair.algorithm))
                    .collect::<Vec<_>>()
            })
            .collect();
        (!keys.is_empty()).then(|| json!({ "keys": keys }))
    }

    /// Makes new keys for all algorithms in use; the old ones stay published.
    ///
    /// # Errors
    /// If a key cannot be made or kept; what was there goes on being used.
    pub(crate) fn rotate(&self) -> Result<(), KeysError> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        for pair in pairs.values() {
            let old = Arc::clone(&pair.keys.load().current);
            let text = encode(&old, pair.algorithm)?;
            self.write(&self.path(pair.algorithm, PREVIOUS), &text, true)?;
            let new = SigningKey::generate(pair.algorithm).map_err(make(pair.algorithm))?;
            let text = encode(&new, pair.algorithm)?;
            self.write(&self.path(pair.algorithm, CURRENT), &text, true)?;
            pair.keys.store(Arc::new(Keys {
                current: Arc::new(new),
                previous: Some(old),
            }));
        }
        Ok(())
    }

    /// Makes a key and keeps it; if another process was faster, its key is taken.
    fn make(&self, algorithm: Algorithm) -> Result<SigningKey, KeysError> {
        let key = SigningKey::generate(algorithm).map_err(make(algorithm))?;
        let path = self.path(algorithm, CURRENT);
        if self.write(&path, &encode(&key, algorithm)?, false)? {
            return Ok(key);
        }
        self.read(algorithm, CURRENT)?
            .ok_or(KeysError::Malformed { path, algorithm })
    }

    fn path(&self, algorithm: Algorithm, which: &str) -> PathBuf {
        self.directory
            .join(format!("client-{}{which}.pem", algorithm.name()))
    }

    fn read(&self, algorithm: Algorithm, which: &str) -> Result<Option<SigningKey>, KeysError> {
        let path = self.path(algorithm, which);
        let failed = |source| KeysError::File {
            path: path.clone(),
            source,
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(KeysError::Readable(path));
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(failed)?;
        match decode(&text).map(|der| SigningKey::from_pkcs8(&der, algorithm)) {
            Some(Ok(key)) => Ok(Some(key)),
            _ => Err(KeysError::Malformed { path, algorithm }),
        }
    }

    /// Writes whole files or nothing; without `replace`, a file that is there stays, and `false`
    /// is the answer.
    fn write(&self, path: &Path, text: &str, replace: bool) -> Result<bool, KeysError> {
        let failed = |source| KeysError::File {
            path: path.to_owned(),
            source,
        };
        let draft = path.with_extension(format!("{}.tmp", std::process::id()));
        // Left over by a process of the same id that was killed half-way.
        let _ = std::fs::remove_file(&draft);
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            if replace {
                std::fs::rename(&draft, path)?;
                return Ok(true);
            }
            // A link, unlike a rename, does not replace what another process has put there.
            let linked = match std::fs::hard_link(&draft, path) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(error) => return Err(error),
            };
            std::fs::remove_file(&draft)?;
            Ok(linked)
        })();
        written.map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            failed(error)
        })
    }
}

const CURRENT: &str = "";
const PREVIOUS: &str = ".previous";

fn make(algorithm: Algorithm) -> impl Fn(SignError) -> KeysError {
    move |source| KeysError::Make { algorithm, source }
}

fn prepare_directory(path: &Path) -> Result<(), KeysError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| KeysError::File {
            path: path.to_owned(),
            source,
        })
}

/// PEM (RFC 7468).
fn encode(key: &SigningKey, algorithm: Algorithm) -> Result<Zeroizing<String>, KeysError> {
    let der = key.to_pkcs8().map_err(make(algorithm))?;
    let base64 = Zeroizing::new(STANDARD.encode(&*der));
    let mut text = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
    for (place, digit) in base64.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(digit);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    Ok(text)
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = text
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")?
        .strip_suffix("-----END PRIVATE KEY-----")?;
    let digits: Zeroizing<String> = Zeroizing::new(inner.split_whitespace().collect());
    STANDARD.decode(&*digits).ok().map(Zeroizing::new)
}

/// Signs tokens of the gateway's own.
#[derive(Clone, Debug)]
pub(crate) struct TokenSigner(Arc<Pair>);

impl TokenSigner {
    /// A token with these claims (RFC 7515 §3.1).
    ///
    /// # Errors
    /// If the key does not sign.
    pub(crate) fn sign(&self, claims: &Value) -> Result<Secret, SignError> {
        let key = Arc::clone(&self.0.keys.load().current);
        let algorithm = self.0.algorithm;
        let header = json!({"alg": algorithm.name(), "kid": key.kid(), "typ": "JWT"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(&header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(algorithm, input.as_bytes())?);
        Ok(Secret::new(format!("{input}.{signature}")))
    }
}

impl AssertionSigner for Pair {
    fn sign(&self, claims: &AssertionClaims<'_>) -> Result<Secret, SignError> {
        client_assertion(claims, &self.keys.load().current, self.algorithm)
    }

    fn method(&self) -> &'static str {
        "private_key_jwt"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kids(keys: &OwnKeys) -> Vec<String> {
        let set = keys.published().expect("a key");
        let keys = set["keys"].as_array().expect("a list").clone();
        keys.iter()
            .map(|key| key["kid"].as_str().expect("a kid").to_owned())
            .collect()
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state");
        let first = OwnKeys::in_directory(&state);
        assert!(first.published().is_none(), "nothing is in use yet");
        first.signer(Algorithm::Es256).expect("a signer");
        let second = OwnKeys::in_directory(&state);
        second.signer(Algorithm::Es256).expect("a signer");
        assert_eq!(kids(&first), kids(&second));
        let mode =
            |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("client-ES256.pem")), 0o600);
    }

    #[test]
    fn no_private_member_is_published() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = OwnKeys::in_directory(directory.path());
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            keys.signer(algorithm).expect("a signer");
        }
        let set = keys.published().expect("keys");
        for key in set["keys"].as_array().expect("a list") {
            for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(member).is_none(), "{member} of {key}");
            }
        }
    }

    #[test]
    fn a_rotation_keeps_the_old_key_published_and_survives_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = OwnKeys::in_directory(directory.path());
        keys.signer(Algorithm::EdDsa).expect("a signer");
        let before = kids(&keys);
        keys.rotate().expect("rotated");
        let after = kids(&keys);
        assert_eq!(after.len(), 2);
        assert_ne!(after[0], before[0]);
        assert_eq!(after[1], before[0]);
        let again = OwnKeys::in_directory(directory.path());
        again.signer(Algorithm::EdDsa).expect("a signer");
        assert_eq!(kids(&again), after);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("client-ES256.pem");
        OwnKeys::in_directory(directory.path())
            .signer(Algorithm::Es256)
            .expect("a signer");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("changed");
        let error = OwnKeys::in_directory(directory.path())
            .signer(Algorithm::Es256)
            .map(|_| ())
            .expect_err("refused");
        assert!(matches!(error, KeysError::Readable(_)), "{error}");
    }
}
