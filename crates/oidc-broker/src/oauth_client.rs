//! The transport as the HTTP client of the crates `oauth2` and `openidconnect`, so that their
//! requests keep this one's bounds: no redirect, a bounded body, one attempt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use oidc_core::Secret;

use crate::transport::{Transport, TransportError};

/// A [`Transport`] behind [`oauth2::AsyncHttpClient`].
#[derive(Clone)]
pub struct OAuthHttpClient(Arc<dyn Transport>);

impl OAuthHttpClient {
    /// Sends by this transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }
}

impl<'c> AsyncHttpClient<'c> for OAuthHttpClient {
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TransportError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            // The bodies of these requests are forms: text.
            let request = request.map(|body| Secret::new(String::from_utf8_lossy(&body)));
            let response = self.0.send(request).await?;
            let mut answer = http::Response::new(response.body);
            *answer.status_mut() = response.status;
            *answer.headers_mut() = response.headers;
            Ok(answer)
        })
    }
}
