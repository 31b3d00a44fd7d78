//! What the tests of the wire stand on: a client that sends any bytes, an upstream that answers
//! with any, certificates, and a gateway between them.

mod certificates;
mod raw;
mod site;
mod spellings;
mod upstream;

pub(crate) use certificates::{Authority, Identity, tls_client, tls_stream};
pub(crate) use raw::{Raw, Reply};
pub(crate) use site::{JOHN, Site, three_routes};
pub(crate) use spellings::spellings;
pub(crate) use upstream::RawUpstream;

/// Waits until a condition holds.
///
/// # Panics
/// If it does not within the patience.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(raw::PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"));
}
