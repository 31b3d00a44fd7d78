//! The request that is asked about, made of the command line as curl makes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use super::Question;
use crate::framing;

/// The request that is asked about.
pub(super) fn request(question: &Question) -> Result<AskedFor, String> {
    let uri: Uri = question
        .url
        .parse()
        .map_err(|_| format!("--url {:?} is not a URL", question.url))?;
    let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let authority = uri
        .authority()
        .ok_or_else(|| format!("--url {:?} has no host", question.url))?
        .as_str()
        .to_owned();
    let method = Method::from_bytes(question.method.as_bytes())
        .map_err(|_| format!("--method {:?} is not a method", question.method))?;
    let mut request = Request::builder().method(method).uri(uri);
    let mut lines = Vec::new();
    for line in &question.headers {
        match line.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("--header @{file}: {error}"))?;
                lines.extend(
                    text.lines()
                        .map(str::to_owned)
                        .filter(|line| !line.is_empty()),
                );
            }
            None => lines.push(line.clone()),
        }
    }
    for line in &lines {
        // The line itself may hold a secret: only its number of characters is told.
        let malformed = || "a --header is not of the form \"Name: value\"".to_owned();
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| malformed())?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| malformed())?;
        request = request.header(name, value);
    }
    if let Some(user) = &question.user {
        let basic = format!("Basic {}", STANDARD.encode(user));
        request = request.header(header::AUTHORIZATION, basic);
    }
    let body = question.data.clone().unwrap_or_default().into_bytes();
    let has = |request: &http::request::Builder, name| {
        request
            .headers_ref()
            .is_some_and(|headers| headers.contains_key(name))
    };
    if !has(&request, header::HOST) {
        request = request.header(header::HOST, authority);
    }
    if question.data.is_some() && !has(&request, header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let (mut parts, ()) = request
        .body(())
        .map_err(|_| "the request is malformed".to_owned())?
        .into_parts();
    // What the gateway is sent names a path alone.
    parts.uri = framing::with_path(parts.uri.path(), parts.uri.query())
        .ok_or_else(|| "the --url is too long".to_owned())?;
    Ok(AskedFor { parts, body, https })
}

/// A request as a client would send it.
pub(super) struct AskedFor {
    pub(super) parts: Parts,
    pub(super) body: Vec<u8>,
    pub(super) https: bool,
}
