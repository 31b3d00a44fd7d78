//! That a contender does what it is measured for: whole answers to good requests, and refusals of
//! bad credentials by whoever checks them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::Request;

use super::client::{Client, field, no_body};
use super::contender::Contender;
use super::ground::Ground;
use super::plan::Transport;

/// What each contender answered to what it has to refuse.
pub(crate) type Refusals = BTreeMap<(Contender, &'static str), u16>;

/// Asks a contender what it has to answer, and what it has to refuse.
///
/// # Errors
/// If it does otherwise, with what it did.
pub(crate) async fn check(
    ground: &Ground,
    contender: Contender,
    transport: Transport,
    address: SocketAddr,
    path: &str,
    refusals: &mut Refusals,
) -> Result<()> {
    // Each request on a connection of its own: what one leaves behind does not help another.
    let client = Client::new(ground, transport, 0)?;
    let url = format!("{}://{address}{path}", client.scheme());
    let credential = contender.credential();
    let good = ground.credentials.good(credential);
    let (status, body) = ask(&client, &url, Some(&good))
        .await
        .with_context(|| format!("{}: a good request", contender.name()))?;
    ensure!(
        status == 200,
        "{} answered {status} to a good request",
        contender.name()
    );
    let file = ground.file(path)?;
    if body != file {
        let at = body.iter().zip(&file).position(|(a, b)| a != b);
        bail!(
            "{} answered {} bytes, the file has {}; they differ from byte {}",
            contender.name(),
            body.len(),
            file.len(),
            at.unwrap_or_else(|| body.len().min(file.len()))
        );
    }
    for bad in ground.credentials.bad(credential)? {
        let (status, body) = ask(&client, &url, bad.header.as_deref())
            .await
            .with_context(|| format!("{}: {}", contender.name(), bad.what))?;
        ensure!(
            matches!(status, 401 | 403),
            "{} answered {status} to {}, which has to be refused",
            contender.name(),
            bad.what
        );
        ensure!(
            body != file,
            "{} answered {status} to {}, and the body all the same",
            contender.name(),
            bad.what
        );
        refusals.insert((contender, bad.what), status);
    }
    Ok(())
}

/// The status and the body.
async fn ask(client: &Client, url: &str, header: Option<&str>) -> Result<(u16, Bytes)> {
    let mut request = Request::get(url).body(no_body())?;
    if let Some(header) = header {
        request.headers_mut().extend([field(header)?]);
    }
    client.send(request).await
}
