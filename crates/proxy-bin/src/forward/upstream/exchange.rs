//! One exchange with an upstream, by either version of HTTP: a request out, the head of its answer
//! back. RFC 9113 §8.3.1; the service's timeouts.

use std::sync::Arc;

use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Request, Uri, Version, header};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Answer, Upstream};
use crate::forward::body::{Body, Progress, RequestBody};
use crate::forward::error::ForwardError;
use crate::forward::http1::{Connection, Exchange, Failed, Patience, Received};
use crate::forward::lines::Lines;
use crate::forward::pool::{Http2, Place};
use crate::forward::upgrade::{Duplex, OnUpgrade};

impl Upstream {
    pub(super) async fn over_http1(
        &self,
        connection: Box<Connection>,
        parts: &Parts,
        lines: &Lines,
        body: RequestBody,
        shard: usize,
    ) -> Result<Answer, Failed> {
        let patience = Patience {
            read: self.read_timeout,
            write: self.write_timeout,
        };
        let place = Place {
            pool: Arc::clone(&self.pool),
            shard,
        };
        Ok(
            match Exchange::run(connection, parts, lines, body, patience).await? {
                Received::Whole(response, connection) => {
                    place.keep(connection);
                    Answer::Response(response.map(Body::whole))
                }
                Received::Begun(response, exchange) => Answer::Response(
                    response.map(|()| Body::of_exchange(exchange, place, self.read_timeout)),
                ),
                Received::Switched(response, stream) => {
                    let stream: Box<dyn Duplex> = stream;
                    let switch = OnUpgrade::new(std::future::ready(Some(stream)));
                    Answer::Switched(response.map(|()| Body::empty()), switch)
                }
            },
        )
    }

    pub(super) async fn over_http2(
        &self,
        mut connection: Http2,
        parts: &Parts,
        lines: &Lines,
        body: RequestBody,
    ) -> Result<Answer, Failed> {
        let mut sent = parts.clone();
        lines.add_to(&mut sent.headers);
        sent.version = Version::HTTP_2;
        // RFC 9113 §8.3.1: what `Host` says stands in `:authority`.
        let host = sent.headers.remove(header::HOST);
        let authority = host
            .and_then(|host| Authority::try_from(host.as_bytes()).ok())
            .unwrap_or_else(|| self.authority.clone());
        let path = parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        sent.uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(authority)
            .path_and_query(path)
            .build()
            .map_err(|_| ForwardError::Malformed)?;
        let progress = body.progress();
        let sent = connection.try_send_request(Request::from_parts(sent, body));
        match self.wait(sent, progress.as_deref()).await? {
            Ok(response) => Ok(Answer::Response(
                response.map(|body| Body::of_http2(body, self.read_timeout)),
            )),
            Err(mut failed) => {
                let unsent = failed.take_message();
                Err(Failed {
                    error: read_error(failed.error(), progress.as_deref()),
                    is_unsent: unsent.is_some(),
                    body: unsent.map(Request::into_body),
                })
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

impl From<ForwardError> for Failed {
    fn from(error: ForwardError) -> Self {
        Self {
            error,
            is_unsent: false,
            body: None,
        }
    }
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
