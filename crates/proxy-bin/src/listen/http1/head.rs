//! The head of a request, read strictly, line by line: whatever another reader may take for
//! something else is refused. RFC 9112 §2.2, §3, §5 and §6.3, and the contract's limits.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use memchr::{memchr, memchr3};

use super::section_cache;
use crate::framing::BadRequest;
use crate::http1::{field_name, spare_fields, without_blanks};

/// How large a request's head may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::listen) struct Bounds {
    /// Bytes of the request line.
    pub(in crate::listen) line: usize,
    /// Bytes of the header section.
    pub(in crate::listen) headers: usize,
    /// Lines of the header section.
    pub(in crate::listen) count: usize,
}

/// A head that is whole and right.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    /// Whether it is of HTTP/1.0.
    pub(super) is_old: bool,
    pub(super) headers: HeaderMap,
    pub(super) told: Told,
}

/// What a head tells of the message that it begins, and of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) length: Option<u64>,
    pub(super) is_chunked: bool,
    /// `Connection: close`.
    pub(super) closes: bool,
    /// `Connection: keep-alive`, which HTTP/1.0 has to ask for.
    pub(super) stays: bool,
    /// `Expect: 100-continue`.
    pub(super) waits: bool,
    /// `Upgrade`.
    pub(super) switches: bool,
    /// `TE: trailers`.
    pub(super) takes_trailers: bool,
}

/// A head that is refused, with what was understood of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) because: BadRequest,
    pub(super) method: Method,
    pub(super) is_old: bool,
}

/// The longest method that is repeated in an answer to what was refused.
const METHOD: usize = 32;

impl Refused {
    /// The head that begins with these bytes is.
    #[cold]
    pub(super) fn new(because: BadRequest, bytes: &[u8]) -> Self {
        let line = bytes.split(|byte| *byte == b'\n').next();
        let line = line.unwrap_or_default();
        let word = line.split(|byte| *byte == b' ').next();
        let method = word
            .filter(|word| word.len() <= METHOD)
            .and_then(|word| Method::from_bytes(word.trim_ascii_end()).ok());
        Self {
            because,
            method: method.unwrap_or(Method::GET),
            // Of a line that is too long, the end is not waited for.
            is_old: because != BadRequest::RequestLine && line.ends_with(b" HTTP/1.0\r"),
        }
    }
}

/// Reads a head that is there to its end, in about so many lines; its parts share its bytes.
///
/// # Errors
/// If a part of it is wrong: the first one counts, as it does for a head that comes in parts.
pub(super) fn whole(bytes: &Bytes, lines: usize, bounds: &Bounds) -> Result<Head, Refused> {
    match read(bytes, lines, bounds, |part| bytes.slice_ref(part)) {
        Ok(Read::Whole(head)) => Ok(head),
        Ok(Read::Begun { .. }) => Err(Refused::new(BadRequest::Malformed, bytes)),
        Err(because) => Err(Refused::new(because, bytes)),
    }
}

/// Looks at a head that has begun, and gives how long it may become without a further line.
///
/// # Errors
/// If a part of it is wrong already.
pub(super) fn begun(bytes: &[u8], bounds: &Bounds) -> Result<usize, Refused> {
    match read(bytes, 0, bounds, Bytes::copy_from_slice) {
        Ok(Read::Begun { most }) => Ok(most),
        Ok(Read::Whole(_)) => Ok(bytes.len()),
        Err(because) => Err(Refused::new(because, bytes)),
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and goes on as it is"
)]
enum Read {
    Whole(Head),
    /// A line has no end yet; so long may all of it be.
    Begun {
        most: usize,
    },
}

fn read(
    bytes: &[u8],
    lines: usize,
    bounds: &Bounds,
    share: impl Fn(&[u8]) -> Bytes,
) -> Result<Read, BadRequest> {
    // The end of the line may have begun.
    let most = bounds.line.saturating_add(1);
    let Some(end) = line_end(bytes, most, BadRequest::RequestLine)? else {
        return Ok(Read::Begun { most });
    };
    let line = without_cr(&bytes[..end])?;
    if line.len() > bounds.line {
        return Err(BadRequest::RequestLine);
    }
    let RequestLine {
        method,
        target,
        is_old,
    } = RequestLine::read(line)?;
    let target = uri(target, &share)?;
    let rest = &bytes[end + 1..];
    let known = if lines > 0 && !is_old {
        section_cache::section(rest, lines, bounds)
    } else {
        None
    };
    let section = match known {
        Some(section) => section,
        None => match Section::read(rest, lines, is_old, bounds, share)? {
            SectionRead::Whole(section) => section,
            SectionRead::Begun { most } => {
                let most = most.saturating_add(end + 1);
                return Ok(Read::Begun { most });
            }
        },
    };
    Ok(Read::Whole(Head {
        method,
        target,
        is_old,
        headers: section.headers,
        told: section.told,
    }))
}

/// The lines after the first.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) headers: HeaderMap,
    pub(super) told: Told,
}

pub(super) enum SectionRead {
    Whole(Section),
    /// A line has no end yet; so long may all of it be.
    Begun {
        most: usize,
    },
}

/// How many fields a request is given on its way: a map that has room for them is made once.
const ADDED: usize = 12;

impl Section {
    /// Reads about so many lines, of HTTP/1.0 or not.
    pub(super) fn read(
        bytes: &[u8],
        lines: usize,
        is_old: bool,
        bounds: &Bounds,
        share: impl Fn(&[u8]) -> Bytes,
    ) -> Result<SectionRead, BadRequest> {
        let room = lines.min(bounds.count).saturating_add(ADDED);
        let mut section = Self {
            headers: spare_fields(room).ok_or(BadRequest::Headers)?,
            told: Told::default(),
        };
        let (mut at, mut size, mut count) = (0, 0, 0);
        loop {
            let most = bounds.headers.saturating_add(1).saturating_sub(size);
            let Some(end) = line_end(&bytes[at..], most, BadRequest::Headers)? else {
                let most = most.saturating_add(at);
                return Ok(SectionRead::Begun { most });
            };
            let line = without_cr(&bytes[at..at + end])?;
            if line.is_empty() {
                return Ok(SectionRead::Whole(section));
            }
            at += end + 1;
            size += line.len() + 2;
            count += 1;
            if size > bounds.headers || count > bounds.count {
                return Err(BadRequest::Headers);
            }
            section.field(line, is_old, &share)?;
        }
    }

    /// RFC 9112 §5.1 and §5.2: nothing stands between the name and the colon, and no line goes on
    /// on the next. What a name and a value may hold, their types check.
    fn field(
        &mut self,
        line: &[u8],
        is_old: bool,
        share: impl Fn(&[u8]) -> Bytes,
    ) -> Result<(), BadRequest> {
        let malformed = BadRequest::Malformed;
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(malformed)?;
        let name = field_name(&line[..colon]).map_err(|_| malformed)?;
        let value = share(without_blanks(&line[colon + 1..]));
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| malformed)?;
        self.tell(&name, &value, is_old)?;
        let appended = self.headers.try_append(name, value);
        appended.map(|_| ()).map_err(|_| BadRequest::Headers)
    }

    /// RFC 9112 §6.3: one length, told in one way.
    fn tell(
        &mut self,
        name: &HeaderName,
        value: &HeaderValue,
        is_old: bool,
    ) -> Result<(), BadRequest> {
        let told = &mut self.told;
        match *name {
            header::CONTENT_LENGTH => {
                if told.length.is_some() || told.is_chunked {
                    return Err(BadRequest::Framing);
                }
                told.length = Some(length(value.as_bytes()).ok_or(BadRequest::Framing)?);
            }
            header::TRANSFER_ENCODING => {
                let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                if told.length.is_some() || told.is_chunked || is_old || !is_chunked {
                    return Err(BadRequest::Framing);
                }
                told.is_chunked = true;
            }
            header::CONNECTION => {
                told.closes |= has(value, b"close");
                told.stays |= has(value, b"keep-alive");
            }
            header::EXPECT => told.waits = value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            header::UPGRADE => told.switches = true,
            header::TE => told.takes_trailers |= has(value, b"trailers"),
            _ => {}
        }
        Ok(())
    }
}

/// Where a line ends; `None` if it goes on, and may.
fn line_end(bytes: &[u8], most: usize, because: BadRequest) -> Result<Option<usize>, BadRequest> {
    let end = memchr(b'\n', bytes);
    if end.unwrap_or(bytes.len()) > most {
        return Err(because);
    }
    Ok(end)
}

/// RFC 9112 §2.2 lets a reader take LF alone for an end; then two readers may differ.
fn without_cr(line: &[u8]) -> Result<&[u8], BadRequest> {
    line.strip_suffix(b"\r").ok_or(BadRequest::LineEnding)
}

struct RequestLine<'l> {
    method: Method,
    target: &'l [u8],
    is_old: bool,
}

impl<'l> RequestLine<'l> {
    fn read(line: &'l [u8]) -> Result<Self, BadRequest> {
        let space = line.iter().position(|byte| *byte == b' ');
        let (method, rest) = line.split_at(space.ok_or(BadRequest::Malformed)?);
        let rest = &rest[1..];
        // What else a target may not hold, the type of targets refuses.
        let end = match memchr3(b' ', b'#', 0x7f, rest) {
            Some(end) if rest[end] == b'#' => return Err(BadRequest::Fragment),
            Some(end) if rest[end] == b' ' => end,
            _ => return Err(BadRequest::Malformed),
        };
        let (target, version) = (&rest[..end], &rest[end + 1..]);
        let is_known_form = match target {
            [b'/', ..] | b"*" => true,
            _ => method == b"CONNECT" || target.windows(3).any(|part| part == b"://"),
        };
        let method = Method::from_bytes(method).map_err(|_| BadRequest::Malformed)?;
        let is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() && is_known_form =>
            {
                return Err(BadRequest::Version);
            }
            _ => return Err(BadRequest::Malformed),
        };
        if target.is_empty() || !is_known_form {
            return Err(BadRequest::Malformed);
        }
        Ok(Self {
            method,
            target,
            is_old,
        })
    }
}

/// The longest target that there can be.
const TARGET: usize = u16::MAX as usize - 1;

fn uri(target: &[u8], share: impl Fn(&[u8]) -> Bytes) -> Result<Uri, BadRequest> {
    if target.len() > TARGET {
        return Err(BadRequest::RequestLine);
    }
    Uri::from_maybe_shared(share(target)).map_err(|_| BadRequest::Malformed)
}

/// A length in decimal digits and nothing else, small enough to be counted in.
fn length(value: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether a list holds this.
pub(super) fn has(list: &HeaderValue, token: &[u8]) -> bool {
    list.as_bytes()
        .split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests;
