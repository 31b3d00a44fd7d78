//! Waiting for a condition, never for a time.

use std::time::Duration;

/// Asks until the answer is yes.
///
/// # Panics
/// If it is not within 30 seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(30), asking).await;
    assert!(asked.is_ok(), "waited in vain: {what}");
}
