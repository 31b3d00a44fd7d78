//! Nonces that a server gives out and keeps no record of: RFC 9449 §8 and §9.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::UnixTime;
use crate::jose::decode;

/// How far apart the clocks of those who share a key may be.
const SKEW_MAX: Duration = Duration::from_secs(5);

const TIME: usize = 8;
const RANDOM: usize = 8;
/// Half of HMAC-SHA-256: forging one takes 2^128 attempts, and each is a request.
const TAG: usize = 16;

/// The key that nonces are made and recognised with.
///
/// A nonce is the time of its making, some randomness and their HMAC-SHA-256, and so it needs no
/// memory; it may be used more than once while it lasts, as the RFC has it. Gateways that stand
/// in for one another have to share the key; else a client is asked for another nonce at each.
#[derive(Clone)]
pub struct NonceKey(hmac::Key);

/// A nonce that is not taken. The client is given another to try again with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NonceError {
    /// It was not made with this key.
    #[error("the nonce was not given out here")]
    Unknown,
    /// It was, too long ago, or by a clock that has been set back since.
    #[error("the nonce is too old")]
    Expired,
}

impl NonceKey {
    /// A key from 32 bytes of randomness.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }

    /// A nonce. The randomness keeps two clients of one moment from meeting the same one, so that
    /// nothing can be told of one from the other's.
    #[must_use]
    pub fn issue(&self, now: UnixTime, random: [u8; RANDOM]) -> String {
        let mut nonce = [0; TIME + RANDOM + TAG];
        nonce[..TIME].copy_from_slice(&now.as_millis().to_be_bytes());
        nonce[TIME..][..RANDOM].copy_from_slice(&random);
        let tag = self.tag(&nonce[..TIME + RANDOM]);
        nonce[TIME + RANDOM..].copy_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(nonce)
    }

    /// When this nonce was made, if it was made with this key and no longer ago than this.
    ///
    /// # Errors
    /// If it was not.
    pub fn check(
        &self,
        nonce: &str,
        now: UnixTime,
        lifetime: Duration,
    ) -> Result<UnixTime, NonceError> {
        let nonce = decode(nonce).ok_or(NonceError::Unknown)?;
        let (said, tag) = nonce
            .split_at_checked(TIME + RANDOM)
            .ok_or(NonceError::Unknown)?;
        constant_time::verify_slices_are_equal(&self.tag(said), tag)
            .map_err(|_| NonceError::Unknown)?;
        let (&time, _) = said.split_first_chunk().ok_or(NonceError::Unknown)?;
        let issued = UnixTime::from_millis(u64::from_be_bytes(time));
        if now > issued.plus(lifetime) || issued > now.plus(SKEW_MAX) {
            return Err(NonceError::Expired);
        }
        Ok(issued)
    }

    fn tag(&self, said: &[u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&hmac::sign(&self.0, said).as_ref()[..TAG]);
        tag
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);
    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn key() -> NonceKey {
        NonceKey::new(&[7; 32])
    }

    #[test]
    fn a_nonce_lasts_as_long_as_it_may_and_no_longer() {
        let nonce = key().issue(NOW, [1; 8]);
        let at = |now| key().check(&nonce, now, LIFETIME);
        assert_eq!(at(NOW), Ok(NOW));
        let end = NOW.plus(LIFETIME);
        assert_eq!(at(end), Ok(NOW));
        let moment = Duration::from_millis(1);
        assert_eq!(at(end.plus(moment)), Err(NonceError::Expired));
        assert_eq!(at(NOW.minus(SKEW_MAX)), Ok(NOW));
        assert_eq!(
            at(NOW.minus(SKEW_MAX).minus(moment)),
            Err(NonceError::Expired)
        );
    }

    #[test]
    fn a_nonce_is_of_one_key_and_one_moment() {
        let nonce = key().issue(NOW, [1; 8]);
        assert_ne!(nonce, key().issue(NOW, [2; 8]));
        let stranger = NonceKey::new(&[8; 32]);
        assert_eq!(
            stranger.check(&nonce, NOW, LIFETIME),
            Err(NonceError::Unknown)
        );
        assert!(!format!("{stranger:?}").contains('8'));
        for other in ["", "!", &nonce[1..], &format!("{nonce}A"), &nonce[..20]] {
            let checked = key().check(other, NOW, LIFETIME);
            assert_eq!(checked, Err(NonceError::Unknown), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_a_nonce_can_be_changed(at in 0..TIME + RANDOM + TAG, flip in 1..=255_u8, random: [u8; 8]) {
            let nonce = key().issue(NOW, random);
            let mut bytes = decode(&nonce).expect("base64url");
            bytes[at] ^= flip;
            let other = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(key().check(&other, NOW, LIFETIME), Err(NonceError::Unknown));
            prop_assert_eq!(key().check(&nonce, NOW, LIFETIME), Ok(NOW));
        }
    }
}
