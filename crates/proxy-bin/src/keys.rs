//! The gateway's own key pairs, for `private_key_jwt`, for tokens of its own and for DPoP: made once,
//! kept where only it can read them. All but that for DPoP are published as a JSON Web Key set. Serves the contract's section on configuration.

mod files;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_core::Secret;
use oidc_core::client::AssertionSigner;
use oidc_core::client::assertion::{AssertionClaims, SignError, SigningKey, client_assertion};
use oidc_core::grant::DpopClient;
use oidc_core::jose::Algorithm;
use oidc_core::possession::DpopSigner;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::files::{Kept, KeyFiles, Which};

/// Known to every server of DPoP, and made and used fastest.
const DPOP_ALGORITHM: Algorithm = Algorithm::Es256;

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
    /// A file belongs to somebody else.
    #[error(
        "{0} belongs to another user: chown it to the one that the gateway runs as, and rotate the \
         key if somebody else may have it"
    )]
    Foreign(PathBuf),
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
/// Providers keep a client's keys for a while. A rotation therefore publishes a new key at once and
/// signs with it only when the overlap is over; the old one stays published, so that assertions in
/// flight are still verified.
#[derive(Debug)]
pub(crate) struct OwnKeys {
    files: KeyFiles,
    /// The key that tokens are bound to is another: who has the one has not the other.
    dpop_files: KeyFiles,
    dpop: Mutex<Option<Arc<DpopClient>>>,
    overlap: Duration,
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
    next: Option<Next>,
    previous: Option<Arc<SigningKey>>,
}

/// A key that is published already.
#[derive(Debug)]
struct Next {
    key: Arc<SigningKey>,
    /// When it begins to sign.
    from: Instant,
}

impl Keys {
    /// The key that signs now.
    fn signing(&self) -> &Arc<SigningKey> {
        match &self.next {
            Some(next) if next.from <= Instant::now() => &next.key,
            _ => &self.current,
        }
    }

    /// All that a provider may meet, the newest first.
    fn published(&self) -> impl Iterator<Item = &SigningKey> {
        let next = self.next.as_ref().map(|next| &next.key);
        [next, Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .map(|key| &**key)
    }
}

impl OwnKeys {
    /// Keys in this directory, which is made if it is missing once a key is needed. A new key is
    /// published for as long as `overlap` before it signs.
    #[must_use]
    pub(crate) fn in_directory(directory: &Path, overlap: Duration) -> Self {
        Self {
            files: KeyFiles::in_directory(directory, "client"),
            dpop_files: KeyFiles::in_directory(directory, "dpop"),
            dpop: Mutex::new(None),
            overlap,
            pairs: Mutex::new(BTreeMap::new()),
        }
    }

    /// The directory that the keys are kept in.
    #[must_use]
    pub(crate) fn directory(&self) -> &Path {
        self.files.directory()
    }

    /// How long a new key is published before it signs.
    #[must_use]
    pub(crate) const fn overlap(&self) -> Duration {
        self.overlap
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

    /// The key whose possession is proven to providers. It is one for all of them and for good:
    /// refresh tokens of public clients are bound to it.
    ///
    /// # Errors
    /// If the key cannot be read, made or kept.
    pub(crate) fn dpop_client(&self) -> Result<Arc<DpopClient>, KeysError> {
        let mut dpop = self.dpop.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*dpop {
            return Ok(Arc::clone(client));
        }
        self.dpop_files.prepare()?;
        let key = match self.dpop_files.read(DPOP_ALGORITHM, Which::Current)? {
            Some(kept) => kept.key,
            None => {
                self.make(&self.dpop_files, DPOP_ALGORITHM, Which::Current)?
                    .key
            }
        };
        let signer = DpopSigner::new(key, DPOP_ALGORITHM).map_err(make(DPOP_ALGORITHM))?;
        let client = Arc::new(DpopClient::new(signer));
        *dpop = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Finds out whether the key for DPoP could be used, without making one.
    ///
    /// # Errors
    /// If there is one that cannot be read or used.
    pub(crate) fn check_dpop(&self) -> Result<(), KeysError> {
        self.dpop_files.read(DPOP_ALGORITHM, Which::Current)?;
        Ok(())
    }

    fn pair(&self, algorithm: Algorithm) -> Result<Arc<Pair>, KeysError> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = pairs.get(algorithm.name()) {
            return Ok(Arc::clone(pair));
        }
        let pair = Arc::new(Pair {
            algorithm,
            keys: ArcSwap::from_pointee(self.load(algorithm)?),
        });
        pairs.insert(algorithm.name(), Arc::clone(&pair));
        Ok(pair)
    }

    /// Finds out whether a key for this algorithm could be used, without making one.
    ///
    /// # Errors
    /// If there is one that cannot be read or used.
    pub(crate) fn check(&self, algorithm: Algorithm) -> Result<(), KeysError> {
        for which in [Which::Current, Which::Next, Which::Previous] {
            self.files.read(algorithm, which)?;
        }
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
                keys.published()
                    .filter_map(|key| key.public_jwk(pair.algorithm))
                    .collect::<Vec<_>>()
            })
            .collect();
        (!keys.is_empty()).then(|| json!({ "keys": keys }))
    }

    /// Publishes a new key for each algorithm in use, which signs when the overlap is over. Where
    /// one is published and does not sign yet, it is left at that: nobody has used it.
    ///
    /// # Errors
    /// If a key cannot be read, made or kept; what was there goes on being used.
    pub(crate) fn rotate(&self) -> Result<(), KeysError> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        for pair in pairs.values() {
            // What another process with the same directory has done counts as well.
            let mut keys = self.load(pair.algorithm)?;
            let known = pair.keys.load();
            let removed = keys
                .published()
                .all(|key| known.published().all(|before| before.kid() != key.kid()));
            if keys.next.is_none() && !removed {
                keys.next = Some(self.next(pair.algorithm)?);
            }
            pair.keys.store(Arc::new(keys));
        }
        Ok(())
    }

    /// Reads an algorithm's keys, and makes one if there is none. A next key whose time has come is
    /// the current one from then on.
    fn load(&self, algorithm: Algorithm) -> Result<Keys, KeysError> {
        self.files.prepare()?;
        let read = |which| self.files.read(algorithm, which);
        if let Some(next) = read(Which::Next)? {
            let old = read(Which::Current)?;
            if old.is_none() || next.age >= self.overlap {
                // In this order, a process that is killed in between leaves what can be read.
                if let Some(old) = old.filter(|old| old.key.kid() != next.key.kid()) {
                    self.files.replace(algorithm, Which::Previous, &old.key)?;
                }
                self.files.promote(algorithm)?;
            }
        }
        let current = match read(Which::Current)? {
            Some(kept) => kept.key,
            None => self.make(&self.files, algorithm, Which::Current)?.key,
        };
        let next = read(Which::Next)?.map(|kept| self.waiting(kept));
        let previous = read(Which::Previous)?
            .map(|kept| Arc::new(kept.key))
            .filter(|key| key.kid() != current.kid());
        Ok(Keys {
            current: Arc::new(current),
            next,
            previous,
        })
    }

    fn next(&self, algorithm: Algorithm) -> Result<Next, KeysError> {
        self.make(&self.files, algorithm, Which::Next)
            .map(|kept| self.waiting(kept))
    }

    fn waiting(&self, kept: Kept) -> Next {
        Next {
            key: Arc::new(kept.key),
            from: Instant::now() + self.overlap.saturating_sub(kept.age),
        }
    }

    /// Makes a key and keeps it; if another process was faster, its key is taken.
    fn make(
        &self,
        files: &KeyFiles,
        algorithm: Algorithm,
        which: Which,
    ) -> Result<Kept, KeysError> {
        let key = SigningKey::generate(algorithm).map_err(make(algorithm))?;
        if files.add(algorithm, which, &key)? {
            return Ok(Kept {
                key,
                age: Duration::ZERO,
            });
        }
        files
            .read(algorithm, which)?
            .ok_or_else(|| KeysError::Malformed {
                path: files.path(algorithm, which),
                algorithm,
            })
    }
}

fn make(algorithm: Algorithm) -> impl Fn(SignError) -> KeysError {
    move |source| KeysError::Make { algorithm, source }
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
        let key = Arc::clone(self.0.keys.load().signing());
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
        client_assertion(claims, self.keys.load().signing(), self.algorithm)
    }

    fn method(&self) -> &'static str {
        "private_key_jwt"
    }
}

#[cfg(test)]
mod tests;
