//! What must never be printed, and the only thing that may stand for it in a cache.
//! Serves the contract's section on secrets.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

/// A token, password, client secret or assertion.
///
/// It has no `Display`, its `Debug` prints nothing of it, and it compares in constant time. Clones
/// share one place in memory, which is cleared when the last of them is dropped.
/// [`Secret::expose`] is the one way to read it, so that every reader can be found by that name.
///
/// ```
/// let secret = oidc_core::Secret::new("s3cr3t");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// assert_eq!(secret.expose(), "s3cr3t");
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text itself, for the place that has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// The keyed hash (HMAC-SHA-256) of a secret in its context; the only thing that keys a cache.
///
/// Without the [`FingerprintKey`] it tells nothing about the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The hash as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four bytes tell entries apart in a log and identify nothing.
        write!(
            f,
            "Fingerprint({:02x}{:02x}{:02x}{:02x}…)",
            self.0[0], self.0[1], self.0[2], self.0[3]
        )
    }
}

/// The key under which [`Fingerprint`]s are made: random per process unless a deployment shares one.
#[derive(Clone)]
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    /// A key from 32 bytes of randomness.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }

    /// The fingerprint of a sequence of parts.
    ///
    /// Each part is hashed with its length, so that no two different sequences meet.
    #[must_use]
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut hash = self.begin();
        for part in parts {
            hash.part(part);
        }
        hash.finish()
    }

    /// Begins a fingerprint whose parts are given one by one.
    pub(crate) fn begin(&self) -> Fingerprinting {
        Fingerprinting(hmac::Context::with_key(&self.0))
    }
}

/// A fingerprint in the making.
pub(crate) struct Fingerprinting(hmac::Context);

impl Fingerprinting {
    /// Adds a part, with its length before it.
    pub(crate) fn part(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// Adds parts, with their number before them.
    pub(crate) fn list<'p>(&mut self, parts: impl ExactSizeIterator<Item = &'p [u8]>) -> &mut Self {
        self.0.update(&(parts.len() as u64).to_be_bytes());
        for part in parts {
            self.part(part);
        }
        self
    }

    pub(crate) fn finish(self) -> Fingerprint {
        let tag = self.0.sign();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Fingerprint(bytes)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_nothing_of_the_secret() {
        let secret = Secret::new("canary");
        assert!(!format!("{secret:?} {secret:#?}").contains("canary"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = FingerprintKey::new(&[7; 32]);
        assert_ne!(
            key.fingerprint(&[b"ab", b"c"]),
            key.fingerprint(&[b"a", b"bc"])
        );
        assert_ne!(key.fingerprint(&[b"ab"]), key.fingerprint(&[b"ab", b""]));
        assert_eq!(
            key.fingerprint(&[b"ab", b"c"]),
            key.fingerprint(&[b"ab", b"c"])
        );
    }

    #[test]
    fn another_key_gives_another_fingerprint() {
        let parts: &[&[u8]] = &[b"token"];
        assert_ne!(
            FingerprintKey::new(&[1; 32]).fingerprint(parts),
            FingerprintKey::new(&[2; 32]).fingerprint(parts)
        );
    }
}
