//! The time in the seconds that tokens count.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Waits until that second has begun.
pub(crate) async fn reached(second: u64) {
    while now() < second {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
