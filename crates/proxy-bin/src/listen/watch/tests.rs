//! The watched stream under a virtual clock.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const PATIENCE: Patience = Patience {
    idle: Duration::from_secs(60),
    head: Duration::from_secs(10),
};
const BOUNDS: Bounds = Bounds {
    line: 100,
    headers: 1000,
    count: 10,
};

fn watched() -> (Watched<DuplexStream>, DuplexStream, Arc<Phase>) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let phase = Arc::new(Phase::default());
    let stream = Watched::new(ours, Arc::clone(&phase), PATIENCE, BOUNDS);
    (stream, theirs, phase)
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

async fn read(stream: &mut Watched<DuplexStream>, count: usize) -> String {
    let mut read = vec![0; count];
    stream.read_exact(&mut read).await.expect("so much");
    String::from_utf8(read).expect("text")
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_completed_and_refused_when_its_time_is_up() {
    let (mut stream, mut client, phase) = watched();
    client.write_all(b"GET / HT").await.expect("written");
    let begun = Instant::now();
    assert_eq!(read(&mut stream, HEAD.len()).await.as_bytes(), HEAD);
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(phase.refused(), Some(BadRequest::HeadTimeout));
    phase.answer();
    assert!(stream.read_u8().await.is_err(), "ended");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_without_a_word_and_a_busy_one_does_not_end() {
    let (mut stream, mut client, phase) = watched();
    client.write_all(HEAD).await.expect("written");
    read(&mut stream, HEAD.len()).await;
    let busy = tokio::time::timeout(Duration::from_secs(3600), stream.read_u8()).await;
    assert!(busy.is_err(), "a request takes as long as it takes");
    phase.answer();
    let begun = Instant::now();
    assert!(stream.read_u8().await.is_err(), "ended");
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(phase.refused(), None);
}

#[tokio::test(start_paused = true)]
async fn the_next_request_waits_for_its_turn() {
    let (mut stream, mut client, phase) = watched();
    client.write_all(&HEAD.repeat(2)).await.expect("written");
    assert_eq!(read(&mut stream, HEAD.len()).await.as_bytes(), HEAD);
    let early = tokio::time::timeout(Duration::from_secs(3600), stream.read_u8()).await;
    assert!(early.is_err(), "not before the answer");
    let waiting = tokio::spawn(async move { (read(&mut stream, HEAD.len()).await, stream) });
    tokio::task::yield_now().await;
    phase.answer();
    let (second, mut stream) = waiting.await.expect("the second request");
    assert_eq!(second.as_bytes(), HEAD);
    drop(client);
    assert!(
        stream.read_u8().await.is_err(),
        "a client that is gone is noticed"
    );
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_upgrade_is_not_looked_at() {
    let (mut stream, mut client, phase) = watched();
    client.write_all(HEAD).await.expect("written");
    client.write_all(b"\n#\n early").await.expect("written");
    read(&mut stream, HEAD.len()).await;
    phase.answer();
    phase.upgrade();
    assert_eq!(read(&mut stream, 9).await, "\n#\n early");
    client.write_all(b"\n#\n late").await.expect("written");
    assert_eq!(read(&mut stream, 8).await, "\n#\n late");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (mut stream, client, _) = watched();
    let begun = Instant::now();
    let error = stream.write_all(&[0; 4096]).await.expect_err("given up");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 60);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_still_sends_is_taken_for_a_while() {
    let (mut stream, mut client, phase) = watched();
    let head = "PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n";
    client.write_all(head.as_bytes()).await.expect("written");
    read(&mut stream, head.len()).await;
    stream.write_all(b"no").await.expect("an answer");
    phase.answer();
    let ended = tokio::spawn(async move { stream.shutdown().await });
    client
        .write_all(&[0; 50_000])
        .await
        .expect("taken and dropped");
    let mut answer = String::new();
    client
        .read_to_string(&mut answer)
        .await
        .expect("the answer");
    assert_eq!(answer, "no");
    ended.await.expect("a task").expect("ended");
}
