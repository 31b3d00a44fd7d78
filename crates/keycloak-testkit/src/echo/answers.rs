//! What the upstream answers, path by path.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};

use super::{EchoRequest, Shared};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Takes the request down, and answers.
pub(super) async fn answer(
    mut request: Request<Incoming>,
    head: Option<Vec<String>>,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<Response<Body>, Infallible> {
    let upgrade = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, mut body) = request.into_parts();
    let index = note(&parts, head, peer, shared);
    let whole = read(&mut body, index, shared).await;
    change(shared, index, |request| {
        request.ended = true;
        request.whole = whole;
    });
    let noted = shared
        .requests
        .read(|requests| requests.get(index).cloned());
    let echo = |noted: Option<EchoRequest>| {
        noted.map_or_else(|| status(StatusCode::OK), |noted| anything(&noted))
    };
    let path = parts.uri.path();
    let mut segments = path.split('/').skip(1);
    let (first, second) = (segments.next().unwrap_or_default(), segments.next());
    let number = second.and_then(|text| text.parse::<usize>().ok());
    Ok(match (first, number) {
        ("status", Some(code)) => {
            let code = u16::try_from(code).ok();
            let code = code.and_then(|code| StatusCode::from_u16(code).ok());
            status(code.unwrap_or(StatusCode::BAD_REQUEST))
        }
        ("bytes", Some(count)) => full(Bytes::from(vec![b'x'; count])),
        ("stream", Some(count)) => lines(noted, count),
        ("response-headers", _) => response_headers(parts.uri.query().unwrap_or_default()),
        ("sse", _) => events(shared),
        ("slow", _) => {
            shared.gate.pass().await;
            echo(noted)
        }
        ("trailers", _) => trailers(),
        ("upgrade", _) => upgraded(upgrade, &parts.headers),
        ("cut", _) => cut(),
        ("silent", _) => std::future::pending().await,
        _ => echo(noted),
    })
}

fn note(
    parts: &http::request::Parts,
    head: Option<Vec<String>>,
    peer: SocketAddr,
    shared: &Shared,
) -> usize {
    let parsed = || -> Vec<String> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter();
        headers
            .map(|(name, value)| format!("{name}: {}", text(value)))
            .collect()
    };
    let (target, lines) = match head {
        Some(mut lines) => {
            let first = if lines.is_empty() {
                String::new()
            } else {
                lines.remove(0)
            };
            let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
            (target, lines)
        }
        None => {
            let target = parts.uri.path_and_query().map(ToString::to_string);
            (target.unwrap_or_default(), parsed())
        }
    };
    let request = EchoRequest {
        method: parts.method.clone(),
        target,
        version: parts.version,
        lines,
        headers: parts.headers.clone(),
        body: BytesMut::new(),
        trailers: None,
        ended: false,
        whole: false,
        peer,
    };
    let mut index = 0;
    shared.requests.change(|requests| {
        index = requests.len();
        requests.push(request);
    });
    index
}

/// Changes a request that was noted; a test may have forgotten it in between.
fn change(shared: &Shared, index: usize, change: impl FnOnce(&mut EchoRequest)) {
    shared.requests.change(|requests| {
        if let Some(request) = requests.get_mut(index) {
            change(request);
        }
    });
}

/// Reads the body as it comes. False if it was cut.
async fn read(body: &mut Incoming, index: usize, shared: &Shared) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return false;
        };
        match frame.into_data() {
            Ok(data) => change(shared, index, |request| {
                request.body.extend_from_slice(&data)
            }),
            Err(frame) => {
                let trailers = frame.into_trailers().ok();
                change(shared, index, |request| request.trailers = trailers);
            }
        }
    }
    true
}

/// The request in httpbin's form.
fn anything(request: &EchoRequest) -> Response<Body> {
    let content_type = request.header("content-type").unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let text = std::str::from_utf8(&request.body).map_or_else(
        |_| {
            let encoded = STANDARD.encode(&request.body);
            format!("data:application/octet-stream;base64,{encoded}")
        },
        str::to_owned,
    );
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    let origin = request
        .header("x-forwarded-for")
        .map_or_else(|| request.peer.ip().to_string(), str::to_owned);
    let form = if is_form { text.as_str() } else { "" };
    let echo = json!({
        "args": pairs(query),
        "data": if is_form { "" } else { text.as_str() },
        "files": {},
        "form": pairs(form),
        "headers": headers(request),
        "json": serde_json::from_slice::<Value>(&request.body).unwrap_or_default(),
        "method": request.method.as_str(),
        "origin": origin,
        "url": url(request),
    });
    let mut response = full(format!("{echo:#}\n"));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A name given more than once has a list of values.
fn pairs(text: &str) -> Map<String, Value> {
    let mut members: Map<String, Value> = Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let value = json!(value);
        match members.get_mut(name.as_ref()) {
            None => {
                members.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = json!([first.clone(), value]),
        }
    }
    members
}

/// Names in title case; lines of one name are joined by commas.
fn headers(request: &EchoRequest) -> Map<String, Value> {
    let mut members: Map<String, Value> = Map::new();
    for (name, value) in request.lines.iter().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        let joined = match members.get(&title_case(name)).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.to_owned(),
        };
        members.insert(title_case(name), Value::String(joined));
    }
    members
}

fn title_case(name: &str) -> String {
    let parts: Vec<String> = name
        .split('-')
        .map(|part| {
            let mut letters = part.chars();
            letters.next().map_or_else(String::new, |first| {
                let rest = letters.as_str().to_ascii_lowercase();
                format!("{}{rest}", first.to_ascii_uppercase())
            })
        })
        .collect();
    parts.join("-")
}

fn url(request: &EchoRequest) -> String {
    if request.target.starts_with("http") {
        return request.target.clone();
    }
    let host = request.header("host").unwrap_or_default();
    format!("http://{host}{}", request.target)
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(never).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn full(bytes: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(bytes.into()).map_err(never).boxed_unsync())
}

fn streamed(
    frames: impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + 'static,
) -> Response<Body> {
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn response_headers(query: &str) -> Response<Body> {
    let mut response = status(StatusCode::OK);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn lines(noted: Option<EchoRequest>, count: usize) -> Response<Body> {
    let url = noted.as_ref().map(url).unwrap_or_default();
    streamed(stream::iter((0..count).map(move |id| {
        let line = format!("{}\n", json!({"id": id, "url": url}));
        Ok(Frame::data(Bytes::from(line)))
    })))
}

fn events(shared: &Shared) -> Response<Body> {
    let gate = shared.gate.clone();
    let frames = stream::unfold(0, move |sent| {
        let gate = gate.clone();
        async move {
            let event: &[u8] = match sent {
                0 => b"data: first\n\n",
                1 => {
                    gate.pass().await;
                    b"data: second\n\n"
                }
                _ => return None,
            };
            Some((Ok(Frame::data(Bytes::from_static(event))), sent + 1))
        }
    });
    let mut response = streamed(frames);
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, fixed("no-cache"));
    response
}

fn trailers() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("4711"));
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"with trailers\n"))),
        Ok(Frame::trailers(trailers)),
    ];
    let mut response = streamed(stream::iter(frames));
    let announced = HeaderValue::from_static("x-checksum");
    response.headers_mut().insert(header::TRAILER, announced);
    response
}

/// Half of what is announced, then the end of the connection.
fn cut() -> Response<Body> {
    let frames = stream::unfold(0, |sent| async move {
        match sent {
            0 => Some((Ok(Frame::data(Bytes::from(vec![b'x'; 500]))), 1)),
            1 => {
                // The pause lets the half reach the client before the connection ends.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), 2))
            }
            _ => None,
        }
    });
    let mut response = streamed(frames);
    let announced = HeaderValue::from_static("1000");
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, announced);
    response
}

fn upgraded(upgrade: Option<OnUpgrade>, headers: &HeaderMap) -> Response<Body> {
    let (Some(upgrade), Some(protocol)) = (upgrade, headers.get(header::UPGRADE)) else {
        return status(StatusCode::UPGRADE_REQUIRED);
    };
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(connection));
            // The client ends it, in whatever way.
            let _ = tokio::io::copy(&mut from, &mut to).await;
        }
    });
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    *response.version_mut() = Version::HTTP_11;
    let answer = response.headers_mut();
    answer.insert(header::UPGRADE, protocol.clone());
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY)
        && let Ok(accept) = HeaderValue::from_str(&websocket_accept(key.as_bytes()))
    {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// RFC 6455 §4.2.2.
fn websocket_accept(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(context.finish())
}

fn never(never: Infallible) -> io::Error {
    match never {}
}

#[cfg(test)]
mod tests {
    use super::{title_case, websocket_accept};

    #[test]
    fn names_are_written_as_httpbin_writes_them() {
        assert_eq!(title_case("refresh-token"), "Refresh-Token");
        assert_eq!(title_case("X-FORWARDED-FOR"), "X-Forwarded-For");
    }

    #[test]
    fn accepts_a_websocket_as_in_the_rfc() {
        assert_eq!(
            websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
