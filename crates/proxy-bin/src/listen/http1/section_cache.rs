//! Header sections that came before, byte for byte: a client repeats itself with each request, and
//! what was read of it once need not be read again. What HTTP/2 has its tables for (RFC 7541).

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;

use super::head::{Bounds, Section, SectionRead};

/// How many a thread keeps, and the longest.
const KEPT: usize = 128;
const LONGEST: usize = 4 * 1024;

/// One that came twice in a row to its place is kept there.
#[derive(Default)]
struct Place {
    came: u64,
    kept: Option<Kept>,
}

struct Kept {
    mark: u64,
    bytes: Bytes,
    section: Section,
}

/// What nobody outside knows, so that nobody chooses where a section is kept.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

thread_local! {
    static PLACES: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// The section that these bytes are, of HTTP/1.1 and in so many lines; `None` if they have to be
/// read.
pub(super) fn section(bytes: &[u8], lines: usize, bounds: &Bounds) -> Option<Section> {
    if bytes.len() > LONGEST || bytes.len() > bounds.headers {
        return None;
    }
    let mark = mark(bytes);
    PLACES.with_borrow_mut(|places| {
        if places.is_empty() {
            places.resize_with(KEPT, Place::default);
        }
        let place = &mut places[(mark >> 32) as usize % KEPT];
        // Whoever does not know the mark learns nothing from how long the bytes are compared.
        if let Some(kept) = &place.kept
            && kept.mark == mark
            && kept.bytes[..] == *bytes
        {
            // Bounds may be narrower than they were.
            let fits = kept.section.headers.len() <= bounds.count;
            return fits.then(|| kept.section.clone());
        }
        if std::mem::replace(&mut place.came, mark) != mark {
            return None;
        }
        // A copy of its own, that no connection's room is kept with it.
        let copy = Bytes::copy_from_slice(bytes);
        let share = |part: &[u8]| copy.slice_ref(part);
        match Section::read(&copy, lines, false, bounds, share) {
            Ok(SectionRead::Whole(section)) => {
                place.kept = Some(Kept {
                    mark,
                    bytes: copy.clone(),
                    section: section.clone(),
                });
                Some(section)
            }
            _ => None,
        }
    })
}

/// A number that differs, most likely, where the bytes do. Two sections that share it are in each
/// other's way, and are not taken for each other.
fn mark(bytes: &[u8]) -> u64 {
    const WORDS: usize = 4;
    let mut lanes = [*SEED ^ bytes.len() as u64; WORDS];
    let mut mix = |block: &[u8; WORDS * 8]| {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            let mixed = lane.rotate_left(23) ^ u64::from_le_bytes(*word);
            *lane = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    };
    let (blocks, rest) = bytes.as_chunks();
    for block in blocks {
        mix(block);
    }
    let mut last = [0; WORDS * 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(&last);
    let mixed = lanes
        .iter()
        .fold(0_u64, |mixed, lane| mixed.rotate_left(17) ^ lane);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        line: 100,
        headers: 200,
        count: 3,
    };

    #[test]
    fn a_section_is_known_from_its_second_time_on_and_no_other_is() {
        let bytes = b"Host: a\r\nX-Known: yes\r\n\r\n";
        let other = b"Host: a\r\nX-Known: yet\r\n\r\n";
        let known = |bytes: &[u8], bounds: &Bounds| section(bytes, 3, bounds).is_some();
        assert!(!known(bytes, &BOUNDS));
        assert!(known(bytes, &BOUNDS));
        assert!(!known(other, &BOUNDS));
        assert!(known(bytes, &BOUNDS));
        assert_eq!(
            section(bytes, 3, &BOUNDS).expect("known").headers["x-known"],
            "yes"
        );
        // It is read again where it may be too much.
        assert!(!known(bytes, &Bounds { count: 1, ..BOUNDS }));
        assert!(!known(
            bytes,
            &Bounds {
                headers: 20,
                ..BOUNDS
            }
        ));
    }

    #[test]
    fn what_is_wrong_or_long_is_never_known() {
        let long = format!("Host: a\r\nX: {}\r\n\r\n", "x".repeat(LONGEST));
        let wide = Bounds {
            headers: 2 * LONGEST,
            ..BOUNDS
        };
        for bytes in [
            "Host: a\r\nB c\r\n\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            &long,
        ] {
            for _ in 0..3 {
                assert!(section(bytes.as_bytes(), 3, &wide).is_none());
            }
        }
    }
}
