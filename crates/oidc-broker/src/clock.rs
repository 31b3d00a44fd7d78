//! The one place that reads the system's clock and randomness; the machine is given both.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jwks_cache::Clock;
use oidc_core::UnixTime;

/// The system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}

/// Fresh randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
