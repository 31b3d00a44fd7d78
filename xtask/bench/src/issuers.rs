//! As many providers as are wanted: discovery (OpenID Connect Discovery §4) and keys (RFC 7517) of
//! any issuer below one address. What an issuer is stands in its name, and its keys follow from
//! that: whoever makes tokens needs no word with it.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An issuer: which one it is, and how many keys it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    pub(crate) number: u32,
    pub(crate) keys: u32,
}

/// A key of an issuer. What it signs is worth nothing anywhere else.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) pair: Ed25519KeyPair,
}

impl Issuer {
    /// Its URL below this address; always of the same length.
    pub(crate) fn url(self, base: SocketAddr) -> String {
        format!("http://{base}/i{:05}k{:03}", self.number, self.keys)
    }

    /// The one whose URL has this path before the rest of it.
    fn find(path: &str) -> Option<(Self, &str)> {
        let (name, rest) = path.strip_prefix("/i")?.split_once('/')?;
        let (number, keys) = name.split_once('k')?;
        let issuer = Self {
            number: number.parse().ok()?,
            keys: keys.parse().ok()?,
        };
        Some((issuer, rest))
    }

    /// One of its keys.
    ///
    /// # Errors
    /// If the library makes no key of 32 bytes.
    pub(crate) fn key(self, index: u32) -> Result<Key> {
        let of = |what: &str| {
            let name = format!("{what}/{}/{}/{index}", self.number, self.keys);
            digest(&SHA256, name.as_bytes())
        };
        let pair = Ed25519KeyPair::from_seed_unchecked(of("seed").as_ref());
        Ok(Key {
            id: URL_SAFE_NO_PAD.encode(of("id")),
            pair: pair.ok().context("no key")?,
        })
    }

    fn metadata(self, base: SocketAddr) -> Value {
        let url = self.url(base);
        json!({
            "issuer": url,
            "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/auth"),
            "token_endpoint": format!("{url}/token"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
        })
    }

    fn key_set(self) -> Result<Value> {
        let keys: Result<Vec<_>> = (0..self.keys)
            .map(|index| Ok(jwk(&self.key(index)?)))
            .collect();
        Ok(json!({ "keys": keys? }))
    }
}

/// RFC 8037 §2.
fn jwk(key: &Key) -> Value {
    json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "kid": key.id,
        "x": URL_SAFE_NO_PAD.encode(key.pair.public_key()),
    })
}

/// Serves until the process ends.
///
/// # Errors
/// If the address cannot be listened on.
pub(crate) async fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(listen, request.uri().path());
            async { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(base: SocketAddr, path: &str) -> Response<Full<Bytes>> {
    let document = match Issuer::find(path) {
        Some((issuer, ".well-known/openid-configuration")) => Some(issuer.metadata(base)),
        Some((issuer, "keys")) => issuer.key_set().ok(),
        _ => None,
    };
    let Some(document) = document else {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Nothing is fetched again while something is measured.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::StatusCode;

    use super::{Issuer, answer};

    #[test]
    fn an_issuer_is_found_by_its_own_url() {
        let base = SocketAddr::from(([127, 0, 0, 1], 9));
        let issuer = Issuer {
            number: 17,
            keys: 3,
        };
        assert_eq!(issuer.url(base), "http://127.0.0.1:9/i00017k003");
        assert_eq!(Issuer::find("/i00017k003/keys"), Some((issuer, "keys")));
        for (path, status) in [
            ("/i00017k003/keys", StatusCode::OK),
            (
                "/i00017k003/.well-known/openid-configuration",
                StatusCode::OK,
            ),
            ("/i00017k003/token", StatusCode::NOT_FOUND),
            ("/keys", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(answer(base, path).status(), status, "{path}");
        }
    }

    #[test]
    fn keys_follow_from_the_issuer_and_differ() {
        let issuer = |number| Issuer { number, keys: 2 };
        let set = issuer(1).key_set().unwrap();
        assert_eq!(set, issuer(1).key_set().unwrap());
        assert_ne!(set, issuer(2).key_set().unwrap());
        assert_ne!(set["keys"][0]["x"], set["keys"][1]["x"]);
        assert_ne!(set["keys"][0]["kid"], set["keys"][1]["kid"]);
    }
}
