//! Both ends of a request, in lockstep: whoever is counted is at rest before the next byte comes.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest head of a request or an answer.
const HEAD_MAX: usize = 16 * 1024;

/// What a browser's script sends, with one line more.
pub(crate) fn request(path: &str, line: &str) -> String {
    format!(
        "GET {path}/orders?page=2&size=50 HTTP/1.1\r\n\
         Host: api.example.com\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n\
         Accept: application/json, text/plain, */*\r\n\
         Accept-Language: en-US,en;q=0.9\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Origin: https://app.example.com\r\n\
         Referer: https://app.example.com/\r\n\
         Sec-Fetch-Site: same-site\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\n\
         {line}\r\n\r\n"
    )
}

/// What an API answers: 1 KiB.
fn answer() -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\n\
        Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
        Server: upstream\r\n\
        Content-Type: application/json\r\n\
        Content-Length: 1024\r\n\
        Cache-Control: private, max-age=0\r\n\
        ETag: \"7f9c24e8-400\"\r\n\
        Vary: Accept-Encoding\r\n\r\n"
        .to_vec();
    answer.resize(answer.len() + 1024, b'x');
    answer
}

/// An upstream that answers every request with 1 KiB, for as long as this process lives.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn upstream() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut connection = Connection::new(stream).ok()?;
                let answer = answer();
                while connection.message().ok()? {
                    connection.stream.write_all(&answer).ok()?;
                }
                Some(())
            });
        }
    });
    Ok(address)
}

/// Where a number stands that is another in each request.
pub(crate) const NUMBER: &str = "<number>";

/// Sends so many requests on each of so many connections, one after another; every answer is read
/// to its end before the next request goes.
///
/// # Errors
/// If an answer is not the upstream's.
pub(crate) fn send(
    target: SocketAddr,
    request: &str,
    count: u64,
    connections: usize,
) -> Result<()> {
    let ready = Barrier::new(connections);
    thread::scope(|scope| {
        let each = || -> Result<()> {
            let stream = TcpStream::connect(target);
            ready.wait();
            let mut connection = Connection::new(stream?)?;
            for number in 0..count {
                // With ten digits, each is as long as the others.
                let request = request.replace(NUMBER, &format!("{number:010}"));
                connection.stream.write_all(request.as_bytes())?;
                ensure!(connection.message()?, "the connection was closed");
                ensure!(
                    connection.head().starts_with(b"HTTP/1.1 200 "),
                    "answered {}",
                    String::from_utf8_lossy(connection.head())
                        .lines()
                        .next()
                        .unwrap_or_default()
                );
            }
            Ok(())
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(each)).collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(())
    })
}

/// A connection on which messages come one at a time.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            head: 0,
        })
    }

    fn head(&self) -> &[u8] {
        &self.buffer[..self.head]
    }

    /// Reads one message to its end; `false` if there is none any more.
    fn message(&mut self) -> Result<bool> {
        self.buffer.clear();
        let mut whole = None;
        let mut part = [0; 4096];
        while whole.is_none_or(|whole| self.buffer.len() < whole) {
            let read = self.stream.read(&mut part)?;
            if read == 0 {
                ensure!(self.buffer.is_empty(), "a message was cut");
                return Ok(false);
            }
            self.buffer.extend_from_slice(&part[..read]);
            if whole.is_none() {
                whole = end_of_message(&self.buffer)?.map(|(head, whole)| {
                    self.head = head;
                    whole
                });
            }
        }
        Ok(true)
    }
}

/// Where the head ends and where the message ends, once the head is there.
fn end_of_message(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        ensure!(bytes.len() <= HEAD_MAX, "a head without end");
        return Ok(None);
    };
    let head = at + 4;
    let text = std::str::from_utf8(&bytes[..head])?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    let body: usize = length.unwrap_or("0").parse().context("no length")?;
    Ok(Some((head, head + body)))
}

#[cfg(test)]
mod tests {
    use super::{answer, end_of_message, request, send, upstream};

    #[test]
    fn a_message_ends_where_its_length_says() {
        for (bytes, end) in [
            ("", None),
            ("GET / HTTP/1.1\r\nA: b\r\n", None),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", Some((24, 24))),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",
                Some((38, 41)),
            ),
        ] {
            let found = end_of_message(bytes.as_bytes()).expect("well formed");
            assert_eq!(found, end, "{bytes}");
        }
        assert!(end_of_message(b"A\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(end_of_message(&[b'a'; 20_000]).is_err());
    }

    #[test]
    fn the_upstream_answers_each_request_with_1_kib() {
        let (head, whole) = end_of_message(&answer())
            .expect("well formed")
            .expect("whole");
        assert_eq!((whole - head, whole), (1024, answer().len()));
        let address = upstream().expect("an upstream");
        send(address, &request("/plain", "A: b"), 3, 2).expect("answers");
    }
}
