//! One exchange with an upstream over one connection: a request out, the head of its answer back.
//! RFC 9112 §6.3 and RFC 9113 §8.3.1; the service's timeouts.

use std::sync::Arc;

use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, Uri, Version, header};
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Answer, Upstream};
use crate::forward::body::{Progress, RequestBody};
use crate::forward::error::ForwardError;
use crate::forward::pool::{Http1, Http2, Lease};

impl Upstream {
    pub(super) async fn over_http1(
        &self,
        mut connection: Http1,
        mut parts: Parts,
        body: RequestBody,
        shard: usize,
    ) -> Result<Answer, Failed> {
        // Without this, the client side of hyper takes a GET to have no body.
        if body.is_of_unknown_length() {
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        let progress = body.progress();
        let sent = connection.try_send_request(Request::from_parts(parts, body));
        match self.wait(sent, progress.as_deref()).await? {
            Ok(response) if is_ambiguous(response.headers()) => Err(ForwardError::Malformed.into()),
            Ok(response) => Ok(Answer {
                response,
                lease: Some(Lease {
                    connection,
                    pool: Arc::clone(&self.pool),
                    shard,
                    progress,
                }),
                patience: self.read_timeout,
            }),
            Err(failed) => Err(Failed::of(failed, progress.as_deref())),
        }
    }

    pub(super) async fn over_http2(
        &self,
        mut connection: Http2,
        mut parts: Parts,
        body: RequestBody,
    ) -> Result<Answer, Failed> {
        parts.version = Version::HTTP_2;
        // RFC 9113 §8.3.1: what `Host` says stands in `:authority`.
        let host = parts.headers.remove(header::HOST);
        let authority = host
            .as_ref()
            .and_then(|host| Authority::try_from(host.as_bytes()).ok())
            .unwrap_or_else(|| self.authority.clone());
        let path = parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        let target = parts.uri;
        parts.uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(authority)
            .path_and_query(path)
            .build()
            .map_err(|_| ForwardError::Malformed)?;
        let progress = body.progress();
        let sent = connection.try_send_request(Request::from_parts(parts, body));
        match self.wait(sent, progress.as_deref()).await? {
            Ok(response) => Ok(Answer {
                response,
                lease: None,
                patience: self.read_timeout,
            }),
            Err(failed) => {
                let mut failed = Failed::of(failed, progress.as_deref());
                // Another connection may be one of HTTP/1.1.
                if let Some((parts, _)) = &mut failed.unsent {
                    parts.version = Version::HTTP_11;
                    parts.uri = target;
                    parts
                        .headers
                        .insert(header::HOST, host.unwrap_or_else(|| self.host.clone()));
                }
                Err(failed)
            }
        }
    }

    /// Waits for the head of an answer: as long as the body flows, for each of its frames; then
    /// for the upstream.
    async fn wait<T>(
        &self,
        sent: impl Future<Output = T>,
        progress: Option<&Progress>,
    ) -> Result<T, ForwardError> {
        let Some(progress) = progress else {
            return timeout(self.read_timeout, sent)
                .await
                .map_err(|_| ForwardError::ReadTimeout);
        };
        tokio::pin!(sent);
        loop {
            let done = progress.is_done();
            let patience = if done {
                self.read_timeout
            } else {
                self.write_timeout
            };
            tokio::select! {
                biased;
                outcome = &mut sent => return Ok(outcome),
                // From now on it is the upstream's time that runs.
                () = progress.done(), if !done => {}
                () = sleep_until(progress.last() + patience) => {
                    // Frames may have been taken since the deadline was set.
                    if progress.last() + patience <= Instant::now() {
                        return Err(progress.late());
                    }
                }
            }
        }
    }
}

/// An exchange without an answer.
pub(super) struct Failed {
    pub(super) error: ForwardError,
    /// The request, if nothing of it was written.
    pub(super) unsent: Option<(Parts, RequestBody)>,
}

impl Failed {
    fn of(mut failed: TrySendError<Request<RequestBody>>, progress: Option<&Progress>) -> Self {
        let unsent = failed.take_message().map(Request::into_parts);
        Self {
            error: read_error(failed.error(), progress),
            unsent,
        }
    }
}

impl From<ForwardError> for Failed {
    fn from(error: ForwardError) -> Self {
        Self {
            error,
            unsent: None,
        }
    }
}

/// Whether a body's length is told in two ways, or in one that is not understood (RFC 9112 §6.3).
fn is_ambiguous(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return false;
    };
    headers.contains_key(header::CONTENT_LENGTH)
        || codings.next().is_some()
        || !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

/// What a failed exchange means; the client's own fault with its body goes before.
fn read_error(error: &hyper::Error, progress: Option<&Progress>) -> ForwardError {
    if let Some(fault) = progress.and_then(Progress::fault) {
        return fault;
    }
    tracing::debug!(%error, "the exchange with the upstream failed");
    if error.is_parse() {
        ForwardError::Malformed
    } else {
        ForwardError::Cut
    }
}
