//! What holds for any bytes that a client sends: called by the fuzz target, and by the test below
//! with random bytes of the same shapes.

use bytes::BytesMut;

use super::head::{Bounds, Head, Refused};
use super::heads::Heads;
use crate::http1::put_fields;

const BOUNDS: Bounds = Bounds {
    line: 200,
    headers: 1000,
    count: 20,
};

/// What was left out may be written.
const WIDER: Bounds = Bounds {
    line: 400,
    headers: 2000,
    count: 20,
};

/// Heads are read, or refused, in the same way however their bytes come; and what was read of one
/// is all that is in it: written out, it is read again as the same.
///
/// # Panics
/// If that does not hold.
pub fn http1_head(bytes: &[u8]) {
    let all = taken(bytes, bytes.len(), BOUNDS);
    assert_eq!(
        shown(&all),
        shown(&taken(bytes, 1, BOUNDS)),
        "a cut makes a difference"
    );
    for head in &all.0 {
        let written = written(head);
        let (again, refused) = taken(&written, written.len(), WIDER);
        assert_eq!(refused, None);
        assert_eq!(format!("{again:?}"), format!("[{head:?}]"));
    }
}

type Taken = (Vec<Head>, Option<Refused>);

fn taken(bytes: &[u8], piece: usize, bounds: Bounds) -> Taken {
    let (mut heads, mut read) = (Heads::new(bounds), BytesMut::new());
    let mut all = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        read.extend_from_slice(piece);
        loop {
            match heads.take(&mut read) {
                Ok(Some(head)) => all.push(head),
                Ok(None) => break,
                Err(refused) => return (all, Some(refused)),
            }
        }
    }
    (all, None)
}

fn shown(taken: &Taken) -> String {
    format!("{taken:?}")
}

fn written(head: &Head) -> Vec<u8> {
    let version = if head.is_old { "1.0" } else { "1.1" };
    let mut written = format!("{} {} HTTP/{version}\r\n", head.method, head.target).into_bytes();
    put_fields(&head.headers, &mut written);
    written.extend_from_slice(b"\r\n");
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What fuzzing began with, and found: it holds for each of them.
    #[test]
    fn the_corpus_of_the_fuzz_target_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/http1_head");
        let mut count = 0;
        for file in std::fs::read_dir(corpus).expect("a corpus") {
            http1_head(&std::fs::read(file.expect("a file").path()).expect("readable"));
            count += 1;
        }
        assert!(count > 0);
    }

    proptest! {
        #[test]
        fn heads(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "GET", "PUT /a?b", " ", "/", "http://a.test", "*", "HTTP/1.1", "HTTP/1.0",
                    "\r\n", "\r", "\n", ":", "#", "\0", "\t", "\u{e9}", "%2f", "\r\n\r\n",
                    "Host: a\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n",
                    "GET / HTTP/1.1\r\n", "GET /x HTTP/1.0\r\n", "Connection: close\r\n", "A:\r\n",
                ]),
                0..30,
            ),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut all = parts.concat().into_bytes();
            http1_head(&all);
            all.extend_from_slice(&bytes);
            http1_head(&all);
        }
    }
}
