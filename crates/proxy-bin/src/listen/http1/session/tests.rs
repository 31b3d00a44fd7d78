//! Whole connections under a virtual clock, answered by what the test says.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, header};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::*;
use crate::forward::OnUpgrade;

const SETTINGS: Settings = Settings {
    bounds: Bounds {
        line: 100,
        headers: 1000,
        count: 10,
    },
    patience: Patience {
        idle: Duration::from_secs(60),
        head: Duration::from_secs(10),
    },
};

type Come = Result<Frame<Bytes>, String>;

/// What is done with a request, by its path.
#[derive(Default)]
struct Told {
    /// What came: method, target, and body, or why there is none.
    seen: Mutex<Vec<String>>,
    /// Lets `/slow` go on.
    gate: Notify,
    /// The frames of `/stream`.
    frames: Mutex<Option<mpsc::Receiver<Come>>>,
    /// Of `/held`, which is answered while its body is being sent.
    held: Mutex<Option<ClientBody>>,
    upgraded: Mutex<Option<OnUpgrade>>,
}

struct Made(BoxBody<Bytes, String>, bool);

impl HttpBody for Made {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

fn full(text: impl Into<Bytes>) -> BoxBody<Bytes, String> {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed()
}

impl Answerer for Arc<Told> {
    type Body = Made;

    async fn answer(
        &self,
        mut request: Request<ClientBody>,
        refused: Option<BadRequest>,
    ) -> Response<Made> {
        let line = format!("{} {}", request.method(), request.uri());
        if let Some(refused) = refused {
            self.seen
                .lock()
                .expect("a lock")
                .push(format!("{refused:?}"));
            let mut response = Response::new(Made(full(""), true));
            *response.status_mut() = refused.status();
            return response;
        }
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/slow" => self.gate.notified().await,
            "/early" => {
                let mut body = request.into_body();
                tokio::select! {
                    biased;
                    _ = body.frame() => {}
                    () = self.gate.notified() => {}
                }
                *self.held.lock().expect("a lock") = Some(body);
                return Response::new(Made(full("early"), false));
            }
            "/unread" => return Response::new(Made(full("unread"), true)),
            "/held" => {
                *self.held.lock().expect("a lock") = Some(request.into_body());
                return Response::new(Made(full("held"), false));
            }
            "/much" => return Response::new(Made(full(vec![b'x'; 1_000_000]), false)),
            "/upgrade" => {
                let switch = request.extensions_mut().remove::<OnUpgrade>();
                *self.upgraded.lock().expect("a lock") = switch;
                let mut response = Response::new(Made(full(""), false));
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                return response;
            }
            "/stream" => {
                let frames = self.frames.lock().expect("a lock").take();
                let frames = futures_util::stream::unfold(frames, |frames| async {
                    let mut frames = frames?;
                    Some((frames.recv().await?, Some(frames)))
                });
                let body = BoxBody::new(StreamBody::new(Box::pin(frames)));
                return Response::new(Made(body, false));
            }
            _ => {}
        }
        let body = match request.into_body().collect().await {
            Ok(body) => {
                let trailers = body.trailers().cloned();
                let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                match trailers {
                    Some(trailers) => format!("{text:?} and {} trailers", trailers.len()),
                    None => format!("{text:?}"),
                }
            }
            Err(_) => "cut".to_owned(),
        };
        let is_cut = body == "cut";
        self.seen
            .lock()
            .expect("a lock")
            .push(format!("{line} {body}"));
        let mut response = Response::new(Made(full("ok"), is_cut));
        if is_cut {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        let date = HeaderValue::from_static("today");
        response.headers_mut().insert(header::DATE, date);
        response
    }

    fn is_own(body: &Made) -> bool {
        body.1
    }

    fn gives_way(&self) -> bool {
        false
    }
}

/// A connection, its client, and whoever answers.
struct Scene {
    client: DuplexStream,
    told: Arc<Told>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

fn scene() -> Scene {
    scene_with_room_for(4096)
}

fn scene_with_room_for(bytes: usize) -> Scene {
    let (ours, client) = tokio::io::duplex(bytes);
    let (told, stop) = (Arc::new(Told::default()), CancellationToken::new());
    let served = tokio::spawn({
        let (told, stop) = (Arc::clone(&told), stop.clone());
        async move { serve(ours, SETTINGS, stop, &told).await }
    });
    Scene {
        client,
        told,
        stop,
        served,
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 2\r\n\r\nok";

impl Scene {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.expect("taken");
    }

    async fn read(&mut self, count: usize) -> String {
        let mut read = vec![0; count];
        self.client.read_exact(&mut read).await.expect("so much");
        String::from_utf8(read).expect("text")
    }

    async fn ok(&mut self) {
        assert_eq!(self.read(OK.len()).await, OK);
    }

    /// A head, to its end.
    async fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&self.read(1).await);
        }
        head
    }

    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.client.read_to_string(&mut rest).await.expect("an end");
        rest
    }

    fn seen(&self) -> Vec<String> {
        self.told.seen.lock().expect("a lock").clone()
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_refused_when_its_time_is_up() {
    let mut scene = scene();
    scene.send("GET / HT").await;
    let begun = Instant::now();
    assert!(scene.head().await.starts_with("HTTP/1.1 408 "));
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(scene.rest().await, "");
    assert_eq!(scene.seen(), ["HeadTimeout"]);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_wins_no_time() {
    let mut scene = scene();
    let begun = Instant::now();
    scene.send("GET / HTTP/1.1\r\n").await;
    for _ in 0..9 {
        sleep(Duration::from_secs(1)).await;
        scene.send("A: b\r\n").await;
    }
    assert!(scene.head().await.starts_with("HTTP/1.1 408 "));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_without_a_word_and_a_busy_one_does_not_end() {
    let mut scene = scene();
    scene.send("GET /slow HTTP/1.1\r\n\r\n").await;
    let busy = tokio::time::timeout(Duration::from_secs(3600), scene.read(1)).await;
    assert!(busy.is_err(), "a request takes as long as it takes");
    scene.told.gate.notify_one();
    scene.ok().await;
    for _ in 0..3 {
        sleep(Duration::from_secs(50)).await;
        scene.send("GET / HTTP/1.1\r\n\r\n").await;
        scene.ok().await;
    }
    let begun = Instant::now();
    assert_eq!(scene.rest().await, "");
    assert_eq!(begun.elapsed().as_secs(), 60);
    scene.served.await.expect("ended");
}

#[tokio::test(start_paused = true)]
async fn the_next_request_waits_for_its_turn() {
    let mut scene = scene();
    let next = "GET /2 HTTP/1.1\r\n\r\n";
    scene
        .send(format!("GET /slow HTTP/1.1\r\n\r\n{next}"))
        .await;
    let early = tokio::time::timeout(Duration::from_secs(3600), scene.read(1)).await;
    assert!(early.is_err(), "not before the answer");
    assert!(scene.seen().is_empty());
    scene.told.gate.notify_one();
    scene.ok().await;
    scene.ok().await;
    assert_eq!(scene.seen(), ["GET /slow \"\"", "GET /2 \"\""]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_its_request_along() {
    let mut scene = scene();
    scene.send("GET /slow HTTP/1.1\r\n\r\nGET / HT").await;
    tokio::task::yield_now().await;
    drop(scene.client);
    scene.served.await.expect("ended");
    assert!(scene.told.seen.lock().expect("a lock").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_upgrade_is_not_looked_at() {
    let mut scene = scene();
    let request = "GET /upgrade HTTP/1.1\r\nUpgrade: x\r\n\r\n";
    scene.send(format!("{request}\n#\n early")).await;
    assert!(scene.head().await.starts_with("HTTP/1.1 101 "));
    let switch = scene.told.upgraded.lock().expect("a lock").take();
    let mut stream = switch.expect("an offer").await.expect("a switch");
    scene.send("\n#\n late").await;
    let mut read = [0; 17];
    stream.read_exact(&mut read).await.expect("so much");
    assert_eq!(&read, b"\n#\n early\n#\n late");
    stream.write_all(b"theirs").await.expect("written");
    assert_eq!(scene.read(6).await, "theirs");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_upgrade_is_told_so() {
    let mut scene = scene();
    for line in ["", "Upgrade: x\r\n"] {
        scene.send(format!("GET / HTTP/1.1\r\n{line}\r\n")).await;
        scene.ok().await;
    }
    let (ours, theirs) = switch();
    drop(ours);
    assert!(theirs.await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let mut scene = scene();
    let begun = Instant::now();
    scene.send("GET /much HTTP/1.1\r\n\r\n").await;
    // As long as it takes something, it has its time.
    for _ in 0..10 {
        sleep(Duration::from_secs(50)).await;
        scene.read(1000).await;
    }
    scene.served.await.expect("given up");
    assert_eq!(begun.elapsed().as_secs(), 560);
    let mut rest = Vec::new();
    let _ = scene.client.read_to_end(&mut rest).await;
    assert!(rest.len() < 10_000);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_still_sends_is_taken_for_a_while() {
    let mut scene = scene();
    scene
        .send("PUT /unread HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
        .await;
    scene.send([0; 50_000]).await;
    let answer = scene.rest().await;
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nunread"));
    let begun = Instant::now();
    scene.served.await.expect("ended");
    assert!(begun.elapsed() <= LINGER);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_and_that_is_there_does_no_harm() {
    for body in [
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n",
    ] {
        let mut scene = scene();
        scene.send(format!("PUT /unread HTTP/1.1\r\n{body}")).await;
        assert!(!scene.head().await.contains("Connection"));
        assert_eq!(scene.read(6).await, "unread");
        scene.send("GET / HTTP/1.1\r\n\r\n").await;
        scene.ok().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_go_on_after_its_answer() {
    let mut scene = scene();
    scene
        .send("PUT /held HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    assert!(!scene.head().await.contains("Connection"));
    assert_eq!(scene.read(4).await, "held");
    let body = scene.told.held.lock().expect("a lock").take();
    let reading = tokio::spawn(body.expect("a body").collect());
    sleep(Duration::from_secs(50)).await;
    scene.send("d").await;
    sleep(Duration::from_secs(50)).await;
    scene.send("efGET / HTTP/1.1\r\n\r\n").await;
    let body = reading.await.expect("a task").expect("a body");
    assert_eq!(&body.to_bytes()[..], b"abcdef");
    scene.ok().await;

    // Nobody waits for the rest of one that was left, nor for ever.
    for is_left in [true, false] {
        let mut scene = self::scene();
        let begun = Instant::now();
        scene
            .send("PUT /held HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
            .await;
        scene.head().await;
        let held = scene.told.held.lock().expect("a lock").take();
        let held = (!is_left).then_some(held);
        assert_eq!(scene.rest().await, "held");
        assert_eq!(begun.elapsed().as_secs(), if is_left { 0 } else { 60 });
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_asked_for_when_it_is_wanted() {
    let request = |path: &str, version: &str| {
        format!("PUT {path} HTTP/1.{version}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    };
    let mut scene = scene();
    scene.send(request("/", "1")).await;
    assert_eq!(scene.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    scene.send("abc").await;
    scene.ok().await;
    scene.send(request("/unread", "1")).await;
    let answer = scene.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    // HTTP/1.0 knows no interim answers.
    let mut scene = self::scene();
    scene.send(request("/", "0")).await;
    scene.send("abc").await;
    assert!(scene.rest().await.starts_with("HTTP/1.0 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_word_to_go_on_is_finished_before_the_answer_and_who_never_got_it_is_let_go() {
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    let wants = "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    // The client takes ten bytes of the word, and the upstream answers.
    let mut scene = scene_with_room_for(OK.len() + 10);
    scene.send("GET / HTTP/1.1\r\n\r\n").await;
    let request = format!("PUT /early HTTP/1.1\r\n{wants}");
    for piece in request.as_bytes().chunks(20) {
        scene.send(piece).await;
    }
    sleep(Duration::from_secs(1)).await;
    scene.told.gate.notify_one();
    sleep(Duration::from_secs(1)).await;
    scene.told.held.lock().expect("a lock").take();
    let rest = scene.rest().await;
    let rest = rest.strip_prefix(OK).expect("the first answer");
    let answer = rest.strip_prefix(CONTINUE).expect("all of the word");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nearly"), "{answer}");
    // An answer without the word: no body may come, and what comes next would be read as one.
    let mut scene = self::scene();
    scene.send(format!("PUT /held HTTP/1.1\r\n{wants}")).await;
    let head = scene.head().await;
    assert!(head.contains("Connection: close\r\n"), "{head}");
}

/// A stream that never gets rid of its last word, as TLS to a client that takes nothing more.
struct Endless(DuplexStream);

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_though_its_client_takes_no_goodbye() {
    let (ours, mut client) = tokio::io::duplex(4096);
    let told = Arc::new(Told::default());
    let served = tokio::spawn(async move {
        serve(Endless(ours), SETTINGS, CancellationToken::new(), &told).await;
    });
    let request = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.expect("taken");
    let ended = tokio::time::timeout(Duration::from_secs(30), served).await;
    ended.expect("it ends").expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_written_as_it_comes_and_cut_where_it_is() {
    for is_cut in [false, true] {
        let mut scene = scene();
        let (frames, come) = mpsc::channel(8);
        *scene.told.frames.lock().expect("a lock") = Some(come);
        scene.send("GET /stream HTTP/1.1\r\n\r\n").await;
        let head = scene.head().await;
        assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
        for text in ["first", "second"] {
            let data = Bytes::from_static(text.as_bytes());
            frames.send(Ok(Frame::data(data))).await.expect("taken");
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            assert_eq!(scene.read(chunk.len()).await, chunk);
        }
        if is_cut {
            frames.send(Err("cut".to_owned())).await.expect("taken");
            assert_eq!(scene.rest().await, "");
        } else {
            let large = Bytes::from(vec![b'x'; 100_000]);
            frames.send(Ok(Frame::data(large))).await.expect("taken");
            drop(frames);
            let rest = format!("186a0\r\n{}\r\n0\r\n\r\n", "x".repeat(100_000));
            assert!(scene.read(rest.len()).await == rest);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_the_work_on_its_answer() {
    let mut scene = scene();
    let (frames, come) = mpsc::channel(8);
    *scene.told.frames.lock().expect("a lock") = Some(come);
    scene.send("GET /stream HTTP/1.1\r\n\r\n").await;
    scene.head().await;
    drop(scene.client);
    frames.closed().await;
    scene.served.await.expect("ended");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_finishes_what_is_under_way() {
    let mut idle = scene();
    idle.send("GET / HTTP/1.1\r\n\r\n").await;
    idle.ok().await;
    let fresh = scene();
    let mut busy = scene();
    busy.send("GET /slow HTTP/1.1\r\n\r\n").await;
    let mut begun = scene();
    begun.send("GET / HTTP/1.1\r\n").await;
    tokio::task::yield_now().await;
    let at = Instant::now();
    for scene in [&idle, &fresh, &busy, &begun] {
        scene.stop.cancel();
    }
    assert_eq!(idle.rest().await, "");
    idle.served.await.expect("ended");
    fresh.served.await.expect("ended");
    begun.send("\r\n").await;
    assert!(begun.rest().await.contains("Connection: close\r\n"));
    busy.told.gate.notify_one();
    let answer = busy.rest().await;
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    assert_eq!(at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_as_its_client_asks() {
    for (version, line, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        (
            "1.0",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
    ] {
        let mut scene = scene();
        let request = format!("GET / HTTP/{version}\r\n{line}\r\n");
        scene.send(request.repeat(2)).await;
        let both = scene.rest().await;
        let answers = both.matches("\r\n\r\nok").count();
        assert_eq!(answers, if stays { 2 } else { 1 }, "{version} {line}");
        assert_eq!(both.contains("close"), !stays && version == "1.1");
    }
}

#[test]
fn a_chunked_body_ends_where_it_says_or_is_cut() {
    for (body, whole) in [
        ("0\r\n\r\n", Some("\"\"")),
        ("3\r\nabc\r\n0\r\n\r\n", Some("\"abc\"")),
        (
            "A;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
            Some("\"0123456789\" and 1 trailers"),
        ),
        ("3\nabc\r\n0\r\n\r\n", None),
        ("3\r\nabc\n0\r\n\r\n", None),
        ("3\r\nabcd\r\n0\r\n\r\n", None),
        ("3;a\nb\r\nabc\r\n0\r\n\r\n", None),
        ("3;a\rb\r\nabc\r\n0\r\n\r\n", None),
        ("3\r;a\r\nabc\r\n0\r\n\r\n", None),
        ("0x3\r\nabc\r\n0\r\n\r\n", None),
        (" 3\r\nabc\r\n0\r\n\r\n", None),
        ("3 \r\nabc\r\n0\r\n\r\n", None),
        ("3 ;x\r\nabc\r\n0\r\n\r\n", None),
        ("-3\r\nabc\r\n0\r\n\r\n", None),
        ("FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", None),
        ("\r\n0\r\n\r\n", None),
        ("0\r\n X: y\r\n\r\n", None),
        ("0\r\nX : y\r\n\r\n", None),
        ("0\r\nX: y\r\n\n", None),
    ] {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let stream = format!("{head}{body}GET /next HTTP/1.1\r\n\r\n");
        for size in 1..stream.len() {
            let seen = answered(stream.as_bytes(), size).0;
            match whole {
                Some(whole) => {
                    let expected = [format!("POST / {whole}"), "GET /next \"\"".to_owned()];
                    assert_eq!(seen, expected, "{body:?} by {size}");
                }
                None => assert_eq!(seen, ["POST / cut"], "{body:?} by {size}"),
            }
        }
    }
}

/// What comes of a stream that comes in pieces, and what is answered.
fn answered(stream: &[u8], size: usize) -> (Vec<String>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let scene = scene();
        let (mut reading, mut writing) = tokio::io::split(scene.client);
        let sending = async {
            for piece in stream.chunks(size.max(1)) {
                if writing.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            // Time is up for whatever has no end.
            sleep(Duration::from_secs(3600)).await;
        };
        let mut answers = Vec::new();
        tokio::select! {
            _ = reading.read_to_end(&mut answers) => {}
            () = sending => {}
        }
        let seen = scene.told.seen.lock().expect("a lock").clone();
        (seen, String::from_utf8_lossy(&answers).into_owned())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_added_lost_or_moved_in_what_is_right(
        bodies in proptest::collection::vec((any::<bool>(), 0..300usize), 1..4),
        size in 1..400usize,
    ) {
        let (mut stream, mut expected) = (String::new(), Vec::new());
        for (chunked, length) in bodies {
            let body = "b".repeat(length);
            let message = if chunked {
                let chunk = if length == 0 { String::new() } else { format!("{length:x}\r\n{body}\r\n") };
                format!("\r\nPUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
            } else {
                format!("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
            };
            stream.push_str(&message);
            expected.push(format!("PUT /a {body:?}"));
        }
        let (seen, answers) = answered(stream.as_bytes(), size);
        prop_assert_eq!(answers, OK.repeat(seen.len()));
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn any_cut_of_a_stream_gives_the_same_requests(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "GET / HTTP/1.1\r\n", "PUT /b HTTP/1.1\r\n", "\r\n", "Content-Length: 3\r\n",
                "Transfer-Encoding: chunked\r\n", "abc", "3\r\nabc\r\n", "0\r\n\r\n", "\n", " ",
                "X: y\r\n", "0\r\n", "Expect: 100-continue\r\n",
            ]),
            0..16,
        ),
        size in 1..50usize,
    ) {
        let stream = parts.concat().into_bytes();
        prop_assert_eq!(answered(&stream, size).0, answered(&stream, 1).0);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1..50usize) {
        answered(&bytes, size);
    }
}
