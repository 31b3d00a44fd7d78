//! Documents of the provider, its metadata and its keys, fetched through the transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::ACCEPT;
use jwks_cache::{Clock, Fetch, FetchError, FetchFuture, Fetched};
use oidc_core::Secret;
use oidc_core::provider::shown;
use url::Url;

use crate::transport::{Observer, Transport, TransportError};

/// Fetches by GET, within a deadline of its own: no caller's deadline ends a shared fetch.
pub(crate) struct Fetcher {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) headers: Vec<(http::HeaderName, HeaderValue)>,
    pub(crate) deadline: Duration,
    pub(crate) what: &'static str,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) clock: Clock,
}

impl Fetch for Fetcher {
    fn fetch(&self, url: Url) -> FetchFuture {
        let (transport, deadline) = (Arc::clone(&self.transport), self.deadline);
        let (observer, what) = (Arc::clone(&self.observer), self.what);
        let clock = Arc::clone(&self.clock);
        let mut request = http::Request::get(url.as_str());
        if let Some(headers) = request.headers_mut() {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            for (name, value) in &self.headers {
                headers.insert(name, value.clone());
            }
        }
        Box::pin(async move {
            let request = request
                .body(Secret::new(""))
                .map_err(|_| FetchError::Unreachable)?;
            let begun = Instant::now();
            let answer = tokio::time::timeout(deadline, transport.send(request)).await;
            let status = match &answer {
                Ok(Ok(response)) => Some(response.status.as_u16()),
                _ => None,
            };
            observer.called(what, begun.elapsed(), status);
            tracing::debug!(url = %shown(&url), what, status, "fetched");
            let response =
                answer
                    .map_err(|_| FetchError::Timeout)?
                    .map_err(|error| match error {
                        TransportError::Unreachable => FetchError::Unreachable,
                        TransportError::Cut => FetchError::Cut,
                        TransportError::TooLarge => FetchError::TooLarge,
                        TransportError::NotHttp => FetchError::NotHttp,
                    })?;
            match response.status.as_u16() {
                200 => {}
                300..=399 => return Err(FetchError::Redirected),
                code => {
                    let retry_after = response.retry_after(clock());
                    return Err(FetchError::Status { code, retry_after });
                }
            }
            let max_age = response
                .text(&http::header::CACHE_CONTROL)
                .and_then(max_age);
            Ok(Fetched {
                body: response.body,
                max_age,
            })
        })
    }
}

/// RFC 9111 §5.2.2.1.
fn max_age(cache_control: &str) -> Option<Duration> {
    cache_control
        .split(',')
        .find_map(|directive| {
            let (name, seconds) = directive.trim().split_once('=')?;
            name.eq_ignore_ascii_case("max-age")
                .then(|| seconds.trim_matches('"').parse().ok())?
        })
        .map(Duration::from_secs)
}
