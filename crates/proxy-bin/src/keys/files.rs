//! The files that the gateway's own keys are kept in: read only where nobody else can have written
//! or seen them, written whole or not at all. PEM of RFC 7468.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oidc_core::client::assertion::SigningKey;
use oidc_core::jose::Algorithm;
use zeroize::Zeroizing;

use super::{KeysError, make};

/// A directory of keys.
#[derive(Debug)]
pub(super) struct KeyFiles {
    directory: PathBuf,
    /// What the names of the files begin with.
    purpose: &'static str,
    /// Whose files are believed, beside root's.
    user: u32,
}

/// Which of an algorithm's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    Next,
    Previous,
}

impl Which {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Current => "",
            Self::Next => ".next",
            Self::Previous => ".previous",
        }
    }
}

/// A key as it was found.
pub(super) struct Kept {
    pub(super) key: SigningKey,
    /// How long ago it was written.
    pub(super) age: Duration,
}

impl KeyFiles {
    pub(super) fn in_directory(directory: &Path, purpose: &'static str) -> Self {
        Self {
            directory: directory.to_owned(),
            purpose,
            user: rustix::process::geteuid().as_raw(),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory if it is missing.
    pub(super) fn prepare(&self) -> Result<(), KeysError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(failed(&self.directory))
    }

    pub(super) fn path(&self, algorithm: Algorithm, which: Which) -> PathBuf {
        let name = format!(
            "{}-{}{}.pem",
            self.purpose,
            algorithm.name(),
            which.suffix()
        );
        self.directory.join(name)
    }

    /// A key, if there is one.
    pub(super) fn read(
        &self,
        algorithm: Algorithm,
        which: Which,
    ) -> Result<Option<Kept>, KeysError> {
        let path = self.path(algorithm, which);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path)(error)),
        };
        let known = file.metadata().map_err(failed(&path))?;
        if ![0, self.user].contains(&known.uid()) {
            return Err(KeysError::Foreign(path));
        }
        if known.mode() & 0o077 != 0 {
            return Err(KeysError::Readable(path));
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(failed(&path))?;
        let written = known.modified().map_err(failed(&path))?;
        match decode(&text).map(|der| SigningKey::from_pkcs8(&der, algorithm)) {
            Some(Ok(key)) => Ok(Some(Kept {
                key,
                // A clock that was set back since makes it younger than it is, which does no harm.
                age: SystemTime::now()
                    .duration_since(written)
                    .unwrap_or_default(),
            })),
            _ => Err(KeysError::Malformed { path, algorithm }),
        }
    }

    /// Keeps a key, if there is none: whether this one is kept now.
    pub(super) fn add(
        &self,
        algorithm: Algorithm,
        which: Which,
        key: &SigningKey,
    ) -> Result<bool, KeysError> {
        let path = self.path(algorithm, which);
        let draft = self.draft(algorithm, which, key)?;
        // A link, unlike a rename, does not replace what another process has put there.
        let linked = match std::fs::hard_link(&draft, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(&path)(error)),
        };
        let _ = std::fs::remove_file(&draft);
        linked
    }

    /// Keeps a key in place of the one that there is.
    pub(super) fn replace(
        &self,
        algorithm: Algorithm,
        which: Which,
        key: &SigningKey,
    ) -> Result<(), KeysError> {
        let path = self.path(algorithm, which);
        let draft = self.draft(algorithm, which, key)?;
        std::fs::rename(&draft, &path).map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            failed(&path)(error)
        })
    }

    /// The next key becomes the current one, unless another process has seen to it.
    pub(super) fn promote(&self, algorithm: Algorithm) -> Result<(), KeysError> {
        let path = self.path(algorithm, Which::Current);
        match std::fs::rename(self.path(algorithm, Which::Next), &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    /// A whole file beside the one that is meant.
    fn draft(
        &self,
        algorithm: Algorithm,
        which: Which,
        key: &SigningKey,
    ) -> Result<PathBuf, KeysError> {
        let text = encode(key, algorithm)?;
        let path = self.path(algorithm, which);
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
            file.sync_all()
        })();
        written.map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            failed(&path)(error)
        })?;
        Ok(draft)
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> KeysError {
    move |source| KeysError::File {
        path: path.to_owned(),
        source,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_user_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = KeyFiles::in_directory(directory.path(), "client");
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        assert!(
            files
                .add(Algorithm::Es256, Which::Current, &key)
                .expect("kept")
        );
        let read = |files: &KeyFiles| files.read(Algorithm::Es256, Which::Current).map(|_| ());
        read(&files).expect("one's own");
        if files.user == 0 {
            let path = files.path(Algorithm::Es256, Which::Current);
            std::os::unix::fs::chown(path, Some(12_345), None).expect("given away");
        } else {
            files.user += 1;
        }
        let error = read(&files).expect_err("refused");
        assert!(matches!(error, KeysError::Foreign(_)), "{error}");
    }
}
