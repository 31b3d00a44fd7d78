//! What is behind the wire of a real server: requests are forwarded as they are, by http or https as
//! they came.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use serde_json::Value;

use crate::Endpoint;
use crate::http_client::HttpClient;
use crate::pki::Identity;
use crate::wire::{AnswerFuture, Gone, Peer, Responder};

/// Forwards requests to the server, with the `Host` that the client sent.
pub(super) struct Relay {
    pub(super) server: String,
    pub(super) tls_server: Option<String>,
    pub(super) http: HttpClient,
    /// The wire's own addresses, by http and by https.
    pub(super) bases: OnceLock<(String, String)>,
}

impl Responder for Relay {
    fn answer(&self, request: Request<Bytes>) -> AnswerFuture<'_> {
        Box::pin(async move {
            let peer = request.extensions().get::<Peer>().cloned();
            let endpoint = Endpoint::of(request.uri().path());
            let mut response = match peer {
                None => self.forward(request, &self.server, &self.http).await?,
                Some(peer) => {
                    let server = self.tls_server.as_deref().ok_or(Gone)?;
                    let client = showing(&peer).ok_or(Gone)?;
                    self.forward(request, server, &client).await?
                }
            };
            without_connection_headers(response.headers_mut());
            if endpoint == Endpoint::Discovery
                && let Some((base, tls_base)) = self.bases.get()
            {
                response = with_aliases(response, base, tls_base);
            }
            Ok(response)
        })
    }
}

impl Relay {
    async fn forward(
        &self,
        request: Request<Bytes>,
        server: &str,
        client: &HttpClient,
    ) -> Result<Response<Bytes>, Gone> {
        let (mut parts, body) = request.into_parts();
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let uri: Uri = format!("{server}{target}").parse().map_err(|_| Gone)?;
        if let Some(authority) = parts.uri.authority()
            && !parts.headers.contains_key(header::HOST)
        {
            // HTTP/2 names the host there.
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Gone)?;
            parts.headers.insert(header::HOST, host);
        }
        parts.uri = uri;
        parts.version = http::Version::HTTP_11;
        without_connection_headers(&mut parts.headers);
        let request = Request::from_parts(parts, body);
        client.send(request).await.map_err(|_| Gone)
    }
}

/// A client that shows the certificate that was shown to the wire.
fn showing(peer: &Peer) -> Option<HttpClient> {
    match &peer.certificate {
        None => Some(HttpClient::new()),
        Some(certificate) => {
            let identity = Identity::of(certificate)?;
            Some(HttpClient::showing(Some(&identity)))
        }
    }
}

/// The discovery document, with the wire's address by https among the aliases.
fn with_aliases(response: Response<Bytes>, base: &str, tls_base: &str) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let Ok(mut document) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, body);
    };
    let aliases = document["mtls_endpoint_aliases"].as_object_mut();
    for alias in aliases.into_iter().flat_map(|aliases| aliases.values_mut()) {
        let below = alias.as_str().and_then(|url| url.strip_prefix(base));
        if let Some(below) = below {
            *alias = Value::String(format!("{tls_base}{below}"));
        }
    }
    Response::from_parts(parts, Bytes::from(document.to_string()))
}

/// What concerns one connection only (RFC 9110 §7.6.1); lengths are set anew.
fn without_connection_headers(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::TE,
        header::UPGRADE,
        header::EXPECT,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
