//! The chunked transfer coding: RFC 9112 §7.1, read as strictly as it is written.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::lines::{put_fields, without_blanks};

/// Where a chunked body is.
#[derive(Debug)]
pub(crate) struct Chunks {
    part: Part,
    /// Bytes of the trailer section until now, and its lines.
    trailer_bytes: usize,
    trailers: HeaderMap,
    bounds: Bounds,
}

/// How large a trailer section may be, and how a reader has to take a size.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    bytes: usize,
    lines: usize,
    /// No blanks before extensions, which are bad whitespace.
    is_strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Ended,
}

/// What a chunked body goes on with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Data.
    Data(Bytes),
    /// The fields after the last chunk, of which there are some; the body ends with them.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// More has to be read.
    More,
}

/// What was read is no chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotChunked;

/// The longest line of a chunk's size with its extensions, which nobody needs.
const SIZE_LINE: usize = 1024;
/// The most bytes and lines of trailers.
const TRAILER_BYTES: usize = 64 * 1024;
const TRAILER_LINES: usize = 100;

impl Chunks {
    /// An answer's body that begins.
    pub(crate) fn new() -> Self {
        Self::within(Bounds {
            bytes: TRAILER_BYTES,
            lines: TRAILER_LINES,
            is_strict: false,
        })
    }

    /// A request's body that begins, with trailers of so many bytes and lines at most. It is for
    /// the gateway to refuse what another reader might read otherwise.
    pub(crate) fn of_request(bytes: usize, lines: usize) -> Self {
        Self::within(Bounds {
            bytes,
            lines,
            is_strict: true,
        })
    }

    fn within(bounds: Bounds) -> Self {
        Self {
            part: Part::Size,
            trailer_bytes: 0,
            trailers: HeaderMap::new(),
            bounds,
        }
    }

    /// Whether the body has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.part == Part::Ended
    }

    /// Takes the next piece out of what was read; data is not copied.
    ///
    /// # Errors
    /// If it is no chunked body.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Result<Piece, NotChunked> {
        loop {
            match self.part {
                Part::Ended => return Ok(Piece::End),
                Part::Data(left) => {
                    if read.is_empty() {
                        return Ok(Piece::More);
                    }
                    let taken = read.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - taken as u64;
                    self.part = if left == 0 {
                        Part::DataEnd
                    } else {
                        Part::Data(left)
                    };
                    return Ok(Piece::Data(read.split_to(taken).freeze()));
                }
                Part::DataEnd => match **read {
                    [b'\r', b'\n', ..] => {
                        read.advance(2);
                        self.part = Part::Size;
                    }
                    [] | [b'\r'] => return Ok(Piece::More),
                    _ => return Err(NotChunked),
                },
                Part::Size => {
                    let Some(line) = line(read, SIZE_LINE)? else {
                        return Ok(Piece::More);
                    };
                    let size = size(&read[..line], self.bounds.is_strict).ok_or(NotChunked)?;
                    read.advance(line + 2);
                    self.part = match size {
                        0 => Part::Trailers,
                        size => Part::Data(size),
                    };
                }
                Part::Trailers => {
                    let most = self.bounds.bytes - self.trailer_bytes;
                    let Some(line) = line(read, most)? else {
                        return Ok(Piece::More);
                    };
                    if line > 0 {
                        self.trailer(&read[..line])?;
                    }
                    read.advance(line + 2);
                    if line == 0 {
                        self.part = Part::Ended;
                        let trailers = std::mem::take(&mut self.trailers);
                        if !trailers.is_empty() {
                            return Ok(Piece::Trailers(trailers));
                        }
                    }
                }
            }
        }
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), NotChunked> {
        self.trailer_bytes += line.len() + 2;
        if self.trailer_bytes > self.bounds.bytes || self.trailers.len() >= self.bounds.lines {
            return Err(NotChunked);
        }
        let colon = memchr::memchr(b':', line).ok_or(NotChunked)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| NotChunked)?;
        let value = without_blanks(&line[colon + 1..]);
        let value = HeaderValue::from_bytes(value).map_err(|_| NotChunked)?;
        self.trailers.append(name, value);
        Ok(())
    }
}

/// The length of the first line, which ends with CR LF; `None` if it has no end yet.
fn line(read: &[u8], most: usize) -> Result<Option<usize>, NotChunked> {
    match memchr::memchr(b'\n', read) {
        Some(end) if end > most + 1 => Err(NotChunked),
        Some(0) => Err(NotChunked),
        Some(end) if read[end - 1] != b'\r' => Err(NotChunked),
        Some(end) => Ok(Some(end - 1)),
        None if read.len() > most + 1 => Err(NotChunked),
        None => Ok(None),
    }
}

/// Hexadecimal digits, and nothing else but extensions.
fn size(line: &[u8], is_strict: bool) -> Option<u64> {
    let digits = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, extensions) = line.split_at(digits);
    // A blank before the extensions is bad whitespace that a reader has to take (RFC 9112 §7.1.1).
    let blanks = extensions
        .iter()
        .position(|byte| is_strict || !matches!(byte, b' ' | b'\t'));
    let extensions = &extensions[blanks.unwrap_or(extensions.len())..];
    let text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let plausible =
        extensions.is_empty() || (extensions.starts_with(b";") && extensions.iter().all(text));
    if !(1..=15).contains(&digits.len()) || !plausible {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Writes the line before a chunk's data; after the data, CR LF is due.
pub(crate) fn put_chunk(length: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut rest = length;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// Writes the end of a chunked body, with its trailers.
pub(crate) fn put_last_chunk(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        put_fields(trailers, out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The data and trailers of a whole body that comes in such pieces, and what is left.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, HeaderMap, bool, Vec<u8>), NotChunked> {
        let mut chunks = Chunks::new();
        let mut buffer = BytesMut::new();
        let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match chunks.take(&mut buffer)? {
                    Piece::Data(bytes) => data.extend_from_slice(&bytes),
                    Piece::Trailers(fields) => trailers = fields,
                    Piece::End | Piece::More => break,
                }
            }
        }
        Ok((data, trailers, chunks.is_ended(), buffer.to_vec()))
    }

    #[test]
    fn bodies_are_read_to_their_end_and_no_further() {
        for (body, data, left) in [
            (&b"0\r\n\r\nnext"[..], &b""[..], &b"next"[..]),
            (b"3\r\nabc\r\n0\r\n\r\n", b"abc", b""),
            (
                b"a;x=\"y\"\r\n0123456789\r\n000\r\n\r\nHTTP",
                b"0123456789",
                b"HTTP",
            ),
            (b"3 ;x\r\nabc\r\n0\r\nA: b\r\n\r\n", b"abc", b""),
        ] {
            let (got, _, ended, rest) = read(&[body]).expect("a body");
            assert_eq!((&got[..], ended, &rest[..]), (data, true, left));
        }
    }

    #[test]
    fn trailers_are_read() {
        let body = b"0\r\nX-Sum: 1 \r\nx-sum:2\r\n\r\n";
        let (_, trailers, ended, _) = read(&[body]).expect("a body");
        let values: Vec<_> = trailers.get_all("x-sum").iter().collect();
        assert!(ended);
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        for body in [
            &b"\r\n"[..],
            b"\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"0\r\nA: b\r\r\n\r\n",
            b"0\r\nA: \x0cb\r\n\r\n",
            b"+3\r\n",
            b"0x3\r\n",
            b"-1\r\n",
            b" 3\r\n",
            b"3\0\r\n",
            b"3;\x01\r\n",
            b"3 3\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\n: x\r\n\r\n",
            b"0\r\nA : x\r\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nA: x\ny\r\n\r\n",
            b"0\r\n\n",
        ] {
            assert_eq!(read(&[body]).unwrap_err(), NotChunked, "{body:?}");
        }
    }

    #[test]
    fn nothing_grows_without_bound() {
        let long = [&b"1;"[..], &vec![b'x'; SIZE_LINE]].concat();
        assert_eq!(read(&[&long]).unwrap_err(), NotChunked);
        let lines = [&b"0\r\n"[..], &b"a: b\r\n".repeat(TRAILER_LINES + 1)].concat();
        assert_eq!(read(&[&lines]).unwrap_err(), NotChunked);
        let line = [&b"0\r\na: "[..], &vec![b'x'; TRAILER_BYTES]].concat();
        assert_eq!(read(&[&line]).unwrap_err(), NotChunked);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_however_it_is_cut(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut wire = Vec::new();
            for part in &parts {
                put_chunk(part.len(), &mut wire);
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            put_last_chunk(None, &mut wire);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            at.extend([0, wire.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
            let (data, _, ended, left) = read(&pieces).expect("a body");
            prop_assert!(ended && left.is_empty());
            prop_assert_eq!(data, parts.concat());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }
    }
}
