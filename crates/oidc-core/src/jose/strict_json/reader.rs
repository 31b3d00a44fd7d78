//! One reading of a text from its first byte to its last, by the grammar of RFC 8259, that keeps
//! nothing but where members stand. What is rare, an escape or a number that is no plain integer,
//! is judged by serde_json, which makes the values later.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::StrictJsonError;

/// How deep arrays and objects may nest.
const DEPTH_MAX: u8 = 32;

/// A member: its name as it is read, and its value as it is written.
type Member<'t> = (Cow<'t, str>, &'t str);

/// The bytes within a string that are not simply themselves.
const ENDS_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// A text, and how far it was read.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

type Read<T> = Result<T, StrictJsonError>;

impl<'t> Reader<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The members of an object that is all of the text.
    pub(super) fn whole_object(mut self) -> Read<Vec<Member<'t>>> {
        self.blanks();
        if self.peek() != Some(b'{') {
            return Err(
                match serde_json::from_str::<serde::de::IgnoredAny>(self.text) {
                    Ok(_) => StrictJsonError::NotAnObject,
                    Err(_) => StrictJsonError::NotJson,
                },
            );
        }
        // A token has some twenty claims.
        let mut members = Vec::with_capacity(32);
        self.object(DEPTH_MAX, |name, value| members.push((name, value)))?;
        self.blanks();
        if self.peek().is_some() {
            return Err(StrictJsonError::NotJson);
        }
        members.sort_unstable_by(|(a, _), (b, _)| in_order(a, b));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(StrictJsonError::DuplicateMember);
        }
        Ok(members)
    }

    /// Reads an object, of whose members none is compared with the others.
    fn object(&mut self, depth: u8, mut member: impl FnMut(Cow<'t, str>, &'t str)) -> Read<()> {
        self.at += 1;
        self.blanks();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(StrictJsonError::NotJson);
            }
            let name = self.name()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            let start = self.at;
            self.value(depth - 1)?;
            member(name, self.since(start));
            self.blanks();
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
            self.blanks();
        }
    }

    /// Reads a value that may nest so deep.
    fn value(&mut self, depth: u8) -> Read<()> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{' | b'[') if depth == 0 => Err(StrictJsonError::TooDeep),
            Some(b'{') => {
                let mut names = Vec::new();
                self.object(depth, |name, _| names.push(name))?;
                names.sort_unstable_by(|a, b| in_order(a, b));
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(StrictJsonError::DuplicateMember);
                }
                Ok(())
            }
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(StrictJsonError::NotJson),
        }
    }

    fn array(&mut self, depth: u8) -> Read<()> {
        self.at += 1;
        self.blanks();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth - 1)?;
            self.blanks();
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',')?;
            self.blanks();
        }
    }

    /// Reads a name, which is copied only if it was written with escapes.
    fn name(&mut self) -> Read<Cow<'t, str>> {
        let start = self.at;
        let escapes = self.string()?;
        let written = self.since(start);
        if escapes {
            let name = serde_json::from_str(written).map_err(|_| StrictJsonError::NotJson)?;
            return Ok(Cow::Owned(name));
        }
        Ok(Cow::Borrowed(&written[1..written.len() - 1]))
    }

    /// Reads a string; whether it has escapes.
    fn string(&mut self) -> Read<bool> {
        let start = self.at;
        self.at += 1;
        let mut escapes = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| ENDS_PLAIN[usize::from(*byte)]);
            // RFC 8259 §7: what is left are control characters, which must be escaped.
            let plain = plain.ok_or(StrictJsonError::NotJson)?;
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    self.at += 2;
                }
                _ => return Err(StrictJsonError::NotJson),
            }
        }
        self.at += 1;
        if escapes {
            // Whether each is one, and whether surrogates come in pairs.
            let read = serde_json::from_str::<Cow<'_, str>>(self.since(start));
            read.map_err(|_| StrictJsonError::NotJson)?;
        }
        Ok(escapes)
    }

    fn number(&mut self) -> Read<()> {
        let start = self.at;
        let is_part = |byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|byte| !is_part(*byte));
        self.at += length.unwrap_or(rest.len());
        let written = self.since(start);
        let is_plain = matches!(written.as_bytes(), [b'1'..=b'9', rest @ ..]
            if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit));
        if !is_plain {
            // Its grammar, and whether a float can hold it.
            let read = serde_json::from_str::<serde_json::Number>(written);
            read.map_err(|_| StrictJsonError::NotJson)?;
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(StrictJsonError::NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(StrictJsonError::NotJson)
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What was read from there on: it begins and ends beside ASCII.
    fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }
}

/// The order of names, by length first: most are told apart by it.
pub(in super::super) fn in_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
