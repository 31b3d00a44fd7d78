//! The requests in a client's stream, followed byte by byte on their way to the parser, and held
//! to more than it holds them to: RFC 9112 §2.2, §3, §5, §6.3 and §7.1, and the contract's limits.

use memchr::memchr;

use super::syntax::{self, Header};
use crate::framing::BadRequest;

/// How large a request's head may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of the request line.
    pub(super) line: usize,
    /// Bytes of the header section.
    pub(super) headers: usize,
    /// Lines of the header section.
    pub(super) count: usize,
}

/// Where a stream of requests is.
#[derive(Debug)]
pub(super) struct Messages {
    bounds: Bounds,
    part: Part,
    /// What has come of the line that is being read.
    line: Vec<u8>,
    head: Head,
    /// Heads that are complete.
    heads: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Between,
    RequestLine,
    HeaderLine,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
    /// Nothing after it is believed.
    Over,
}

/// What is known of the head that is being read, or was read last.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    size: usize,
    count: usize,
    old: bool,
    length: Option<u64>,
    chunked: bool,
}

/// What a client's time is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No request has begun.
    Between,
    /// A head has begun.
    Head,
    /// A body has begun.
    Body,
}

/// What becomes of bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// So many of them go to the parser; a message ends with the last.
    UpTo(usize),
    /// So many of them go to the parser, then nothing more of the client's: the head that is
    /// being read is refused, and these bytes complete it so that it can be answered.
    Refused {
        kept: usize,
        because: BadRequest,
        completion: Vec<u8>,
    },
    /// So many of them go to the parser; what follows is no body.
    Broken(usize),
}

/// A line that ends everything, and how much of it the parser gets all the same.
struct Fault {
    because: BadRequest,
    kept: usize,
}

impl Fault {
    /// Nothing of the line.
    const fn line(because: BadRequest) -> Self {
        Self { because, kept: 0 }
    }
}

/// The most bytes of a chunk's size and extensions; nobody needs extensions.
const CHUNK_LINE: usize = 1024;

impl Messages {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            part: Part::Between,
            line: Vec::new(),
            head: Head::default(),
            heads: 0,
        }
    }

    /// How many heads were complete.
    pub(super) const fn heads(&self) -> u32 {
        self.heads
    }

    /// Where the stream is.
    pub(super) const fn stage(&self) -> Stage {
        match self.part {
            Part::Between => Stage::Between,
            Part::RequestLine | Part::HeaderLine => Stage::Head,
            _ => Stage::Body,
        }
    }

    /// Ends the head that is being read, which is refused.
    pub(super) fn refuse(&mut self) -> Vec<u8> {
        let completion = syntax::completion(
            matches!(self.part, Part::Between | Part::RequestLine),
            &self.line,
        );
        self.part = Part::Over;
        self.heads = self.heads.wrapping_add(1);
        completion
    }

    /// Follows bytes that have come, up to the end of a message.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Followed {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if let Part::Body(left) | Part::ChunkData(left) = self.part {
                let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                at += taken;
                if self.data(left - taken as u64) {
                    return Followed::UpTo(at);
                }
                continue;
            }
            if self.part == Part::Over {
                return Followed::Broken(at);
            }
            if self.part == Part::Between {
                self.part = Part::RequestLine;
                self.head = Head::default();
            }
            let Some(end) = memchr(b'\n', rest) else {
                if let Err(fault) = self.begun(rest) {
                    return self.fail(at, rest, &fault);
                }
                self.line.extend_from_slice(rest);
                break;
            };
            let ended = if self.line.is_empty() {
                self.ended(&rest[..end])
            } else {
                let mut line = std::mem::take(&mut self.line);
                let before = line.len();
                line.extend_from_slice(&rest[..end]);
                let ended = self.ended(&line).map_err(|fault| Fault {
                    kept: fault.kept.saturating_sub(before),
                    ..fault
                });
                // The room is used again; on a fault, what came before tells how to complete it.
                line.truncate(if ended.is_err() { before } else { 0 });
                self.line = line;
                ended
            };
            match ended {
                Ok(()) => at += end + 1,
                Err(fault) => return self.fail(at, rest, &fault),
            }
            if self.part == Part::Between {
                return Followed::UpTo(at);
            }
        }
        Followed::UpTo(bytes.len())
    }

    fn fail(&mut self, at: usize, rest: &[u8], fault: &Fault) -> Followed {
        if !matches!(self.part, Part::RequestLine | Part::HeaderLine) {
            self.part = Part::Over;
            return Followed::Broken(at);
        }
        let kept = fault.kept.min(rest.len());
        self.line.extend_from_slice(&rest[..kept]);
        Followed::Refused {
            kept: at + kept,
            because: fault.because,
            completion: self.refuse(),
        }
    }

    /// Data has come, of which so much is left. Tells whether a message has ended.
    const fn data(&mut self, left: u64) -> bool {
        self.part = match self.part {
            Part::Body(_) if left == 0 => Part::Between,
            Part::Body(_) => Part::Body(left),
            _ if left == 0 => Part::ChunkEnd,
            _ => Part::ChunkData(left),
        };
        matches!(self.part, Part::Between)
    }

    /// A line has begun that may have no end.
    fn begun(&self, rest: &[u8]) -> Result<(), Fault> {
        let length = self.line.len() + rest.len();
        let (most, because) = match self.part {
            // The end of the line may have begun.
            Part::RequestLine => (self.bounds.line + 1, BadRequest::RequestLine),
            Part::HeaderLine | Part::Trailer => (
                (self.bounds.headers + 1).saturating_sub(self.head.size),
                BadRequest::Headers,
            ),
            Part::ChunkEnd => (1, BadRequest::Malformed),
            _ => (CHUNK_LINE, BadRequest::Malformed),
        };
        if length <= most {
            return Ok(());
        }
        let kept = match self.part {
            Part::RequestLine => most.saturating_sub(self.line.len()),
            _ => 0,
        };
        Err(Fault { because, kept })
    }

    /// A line has ended.
    fn ended(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(line) = line.strip_suffix(b"\r") else {
            // RFC 9112 §2.2 lets a reader take LF alone for an end; then two readers may differ.
            return Err(Fault {
                because: BadRequest::LineEnding,
                kept: line.len(),
            });
        };
        match self.part {
            Part::RequestLine => self.request_line(line),
            Part::HeaderLine if line.is_empty() => {
                self.heads = self.heads.wrapping_add(1);
                self.part = match self.head {
                    Head { chunked: true, .. } => Part::ChunkSize,
                    Head {
                        length: Some(length @ 1..),
                        ..
                    } => Part::Body(length),
                    _ => Part::Between,
                };
                self.head.size = 0;
                self.head.count = 0;
                Ok(())
            }
            Part::Trailer if line.is_empty() => {
                self.part = Part::Between;
                Ok(())
            }
            Part::HeaderLine => self.header_line(line),
            Part::Trailer => self.field(line).map(|_| ()),
            Part::ChunkEnd if line.is_empty() => {
                self.part = Part::ChunkSize;
                Ok(())
            }
            Part::ChunkSize => match syntax::chunk_size(line) {
                Some(0) => {
                    self.part = Part::Trailer;
                    Ok(())
                }
                Some(size) => {
                    self.part = Part::ChunkData(size);
                    Ok(())
                }
                None => Err(Fault::line(BadRequest::Malformed)),
            },
            _ => Err(Fault::line(BadRequest::Malformed)),
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.head.size += line.len() + 2;
        if line.is_empty() && self.head.size <= self.bounds.line {
            return Ok(());
        }
        if line.len() > self.bounds.line || line.is_empty() {
            return Err(Fault {
                because: BadRequest::RequestLine,
                kept: self.bounds.line.min(line.len()),
            });
        }
        self.head.old =
            syntax::request_line(line).map_err(|(because, kept)| Fault { because, kept })?;
        self.head.size = 0;
        self.part = Part::HeaderLine;
        Ok(())
    }

    /// A line of a header or trailer section.
    fn field<'l>(&mut self, line: &'l [u8]) -> Result<Header<'l>, Fault> {
        self.head.size += line.len() + 2;
        self.head.count += 1;
        if self.head.size > self.bounds.headers || self.head.count > self.bounds.count {
            return Err(Fault::line(BadRequest::Headers));
        }
        Header::read(line).ok_or(Fault::line(BadRequest::Malformed))
    }

    /// RFC 9112 §6.3: one length, told in one way.
    fn header_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Header { name, value } = self.field(line)?;
        let ambiguous = Fault::line(BadRequest::Framing);
        let told = self.head.length.is_some() || self.head.chunked;
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = syntax::length(value).filter(|_| !told);
            self.head.length = Some(length.ok_or(ambiguous)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if told || self.head.old || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(ambiguous);
            }
            self.head.chunked = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
