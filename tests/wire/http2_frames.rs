//! HTTP/2 by the frame: what a well-behaved client's library would not send, and what a gateway to
//! HTTP/1.1 must not let through. RFC 9113 §8.1.1, §8.2, §8.3 and §8.5.

use keycloak_testkit::EchoUpstream;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use crate::support::{RawUpstream, Site};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection of HTTP/2 whose frames a test writes.
struct Frames(TcpStream);

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A status, as it is indexed in HPACK or spelled out.
    Answered(String),
    /// The stream, or the connection, was ended.
    Refused,
}

impl Frames {
    async fn connect(site: &Site) -> Self {
        Self::with_settings(site, &[]).await
    }

    /// A client that takes so many bytes of each stream, until it says more.
    async fn with_window(site: &Site, window: u32) -> Self {
        // RFC 9113 §6.5.2: SETTINGS_INITIAL_WINDOW_SIZE.
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        Self::with_settings(site, &settings).await
    }

    async fn with_settings(site: &Site, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(site.gateway.address())
            .await
            .expect("a connection");
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .expect("written");
        let mut frames = Self(stream);
        frames.send(SETTINGS, 0, 0, settings).await;
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a frame");
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // A connection that was ended already is an outcome that is read.
        let _ = self.0.write_all(&frame).await;
    }

    async fn headers(&mut self, lines: &[(&str, &str)], flags: u8) {
        let mut block = Vec::new();
        for (name, value) in lines {
            // RFC 7541 §6.2.2: literal, not indexed, a new name; no Huffman.
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).expect("a short text"));
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, flags | END_HEADERS, 1, &block).await;
    }

    async fn outcome(&mut self) -> Outcome {
        loop {
            match self.next().await {
                None | Some((RST_STREAM | GOAWAY, ..)) => return Outcome::Refused,
                Some((HEADERS, _, payload)) => return Outcome::Answered(status(&payload)),
                Some(_) => {}
            }
        }
    }

    /// Kind, flags and payload of the next frame; `None` at the end. What a client that is there
    /// acknowledges is acknowledged.
    async fn next(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("a length")];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head[3], head[4], payload))
        };
        let (kind, flags, payload) = timeout(Duration::from_secs(30), reading)
            .await
            .expect("a frame, or the end")?;
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await,
            _ => {}
        }
        Some((kind, flags, payload))
    }

    /// Takes so much more of the stream.
    async fn take(&mut self, more: u32) {
        self.send(WINDOW_UPDATE, 0, 1, &more.to_be_bytes()).await;
    }
}

/// The first field of an answer: RFC 7541 §6.1 with appendix A, or a literal with an indexed name.
fn status(block: &[u8]) -> String {
    let at = block
        .iter()
        .position(|byte| byte & 0xe0 != 0x20)
        .expect("a field");
    match block[at] {
        0x88 => "200".to_owned(),
        0x89 => "204".to_owned(),
        0x8c => "400".to_owned(),
        0x8d => "404".to_owned(),
        0x8e => "500".to_owned(),
        _ => {
            let (huffman, length) = (block[at + 1] & 0x80 != 0, block[at + 1] & 0x7f);
            let text = &block[at + 2..at + 2 + usize::from(length)];
            if huffman {
                format!("{text:x?}")
            } else {
                String::from_utf8_lossy(text).into_owned()
            }
        }
    }
}

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/x"),
];

fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut lines = GET.to_vec();
    lines.extend_from_slice(more);
    lines
}

/// The same request, one of its pseudo-header fields changed, or without it.
fn changed(name: &str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    GET.iter()
        .filter_map(|(have, before)| match value {
            _ if *have != name => Some((*have, *before)),
            Some(value) => Some((*have, value)),
            None => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http_1_would_read_otherwise_is_refused() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    let mut late_pseudo = with(&[("x", "y")]);
    late_pseudo.push((":path", "/y"));
    for (name, lines) in [
        ("a coding", with(&[("transfer-encoding", "chunked")])),
        ("a connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("proxy-connection", with(&[("proxy-connection", "close")])),
        ("an upgrade", with(&[("upgrade", "websocket")])),
        ("te", with(&[("te", "gzip")])),
        ("an upper case name", with(&[("X-Upper", "y")])),
        ("a name with a colon", with(&[("x:y", "z")])),
        ("a name with a space", with(&[("x y", "z")])),
        ("a name with CRLF", with(&[("x: y\r\nz", "z")])),
        ("an empty name", with(&[("", "z")])),
        ("a value with CRLF", with(&[("x", "y\r\nhost: z")])),
        ("a value with LF", with(&[("x", "y\nz")])),
        ("a value with NUL", with(&[("x", "y\0z")])),
        ("an unknown pseudo-header", with(&[(":unknown", "x")])),
        ("a status", with(&[(":status", "200")])),
        ("two paths", with(&[(":path", "/y")])),
        ("a late pseudo-header", late_pseudo),
        (
            "two lengths",
            with(&[("content-length", "0"), ("content-length", "1")]),
        ),
        (
            "one length twice",
            with(&[("content-length", "0"), ("content-length", "0")]),
        ),
        ("two hosts", with(&[("host", "a"), ("host", "b")])),
        ("another host", with(&[("host", "b")])),
        ("no method", changed(":method", None)),
        ("no path", changed(":path", None)),
        ("an empty path", changed(":path", Some(""))),
        ("a relative path", changed(":path", Some("x"))),
        ("a path with a space", changed(":path", Some("/x HTTP/1.1"))),
        (
            "a path with CRLF",
            changed(":path", Some("/x HTTP/1.1\r\nhost: y")),
        ),
        ("a path with a backslash", changed(":path", Some("/x\\y"))),
        ("a method with a space", changed(":method", Some("GET /y"))),
        (
            "a method with CRLF",
            changed(":method", Some("GET / HTTP/1.1\r\nx:")),
        ),
        (
            "an authority with a path",
            changed(":authority", Some("a/b")),
        ),
        (
            "an authority with a user",
            changed(":authority", Some("b@a")),
        ),
        (
            "an authority with CRLF",
            changed(":authority", Some("a\r\nx: y")),
        ),
        ("no authority", changed(":authority", None)),
        (
            "CONNECT",
            vec![(":method", "CONNECT"), (":authority", "a:80")],
        ),
        (
            "extended CONNECT",
            vec![
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "a"),
                (":path", "/upgrade"),
            ],
        ),
    ] {
        let mut frames = Frames::connect(&site).await;
        frames.headers(&lines, END_STREAM).await;
        let outcome = frames.outcome().await;
        let refused = match &outcome {
            Outcome::Refused => true,
            Outcome::Answered(status) => status != "200",
        };
        assert!(refused, "{name}: {outcome:?}");
        assert_eq!(upstream.count(), 0, "{name}");
    }
    for lines in [
        with(&[]),
        with(&[("te", "trailers"), ("host", "a"), ("x", "y z")]),
    ] {
        let mut frames = Frames::connect(&site).await;
        frames.headers(&lines, END_STREAM).await;
        assert_eq!(frames.outcome().await, Outcome::Answered("200".to_owned()));
    }
    assert_eq!(upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_length_is_whole_for_nobody() {
    let upstream = EchoUpstream::start().await.expect("an upstream");
    let site = Site::before(upstream.address()).await;
    for (declared, sent, good) in [("3", "abc", true), ("5", "abc", false), ("1", "abc", false)] {
        upstream.forget_requests();
        let mut lines = changed(":method", Some("POST"));
        lines.push(("content-length", declared));
        let mut frames = Frames::connect(&site).await;
        frames.headers(&lines, 0).await;
        frames.send(DATA, END_STREAM, 1, sent.as_bytes()).await;
        let outcome = frames.outcome().await;
        assert_eq!(
            outcome == Outcome::Answered("200".to_owned()),
            good,
            "{declared}: {outcome:?}"
        );
        assert!(
            upstream
                .requests()
                .iter()
                .all(|request| request.whole == good),
            "{declared}"
        );
    }
}

/// An upstream whose answer is so long, and that tells when the gateway has ended a connection.
async fn answering(length: usize) -> (RawUpstream, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel(1);
    let upstream = RawUpstream::start(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            peer.head().await;
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
            peer.send(vec![b'x'; length]).await;
            peer.ended().await;
            let _ = tell.send(()).await;
        }
    })
    .await;
    (upstream, told)
}

async fn impatient(upstream: &RawUpstream, idle: &'static str) -> Site {
    Site::with(upstream.address(), |config| {
        config.gateway("timeouts", json!({"idle": idle}));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_takes_nothing_is_reset() {
    // Nothing at all, or only the beginning.
    for window in [0, 100, 20_000] {
        let (upstream, mut ended) = answering(1_000_000).await;
        let site = impatient(&upstream, "300ms").await;
        let mut frames = Frames::with_window(&site, window).await;
        frames.headers(&GET, END_STREAM).await;
        assert_eq!(frames.outcome().await, Outcome::Answered("200".to_owned()));
        let mut taken = 0;
        loop {
            match frames.next().await.expect("the connection goes on") {
                (DATA, flags, data) => {
                    assert_eq!(flags & END_STREAM, 0);
                    taken += data.len();
                }
                (RST_STREAM, ..) => break,
                (kind, ..) => assert_ne!(kind, GOAWAY, "the stream alone is ended"),
            }
        }
        assert_eq!(taken, usize::try_from(window).expect("a window"));
        timeout(Duration::from_secs(30), ended.recv())
            .await
            .expect("the upstream is free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_that_takes_something_is_served_to_the_end() {
    let (upstream, _ended) = answering(5000).await;
    let site = impatient(&upstream, "1s").await;
    let mut frames = Frames::with_window(&site, 0).await;
    frames.headers(&GET, END_STREAM).await;
    assert_eq!(frames.outcome().await, Outcome::Answered("200".to_owned()));
    // Longer than the bound as a whole; how fast it takes is what this is about.
    let mut taken = 0;
    while taken < 5000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        frames.take(250).await;
        let granted = taken + 250;
        while taken < granted {
            match frames.next().await.expect("the connection goes on") {
                (DATA, flags, data) => {
                    taken += data.len();
                    assert_eq!(flags & END_STREAM != 0, taken == 5000);
                }
                (kind, ..) => assert!(![RST_STREAM, GOAWAY].contains(&kind), "{taken}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_client_never_takes_the_last_bytes_is_ended() {
    let (upstream, _ended) = answering(3).await;
    let site = impatient(&upstream, "200ms").await;
    let mut frames = Frames::with_window(&site, 1).await;
    frames.headers(&GET, END_STREAM).await;
    assert_eq!(frames.outcome().await, Outcome::Answered("200".to_owned()));
    let mut goodbye = false;
    while let Some((kind, ..)) = frames.next().await {
        goodbye |= kind == GOAWAY;
    }
    assert!(goodbye);
    site.wait_for_metric("oidc_proxy_connections", 0.0).await;
}
