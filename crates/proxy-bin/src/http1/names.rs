//! Field names as they came, with what they were read as: a few of them stand in all messages, and
//! to find one here costs less than to read it again.

use std::cell::RefCell;

use http::HeaderName;
use http::header::InvalidHeaderName;

/// How many a thread keeps, and the longest.
const KEPT: usize = 64;
const LONGEST: usize = 32;

struct Kept {
    length: usize,
    came: [u8; LONGEST],
    name: HeaderName,
}

thread_local! {
    static NAMES: RefCell<[Option<Kept>; KEPT]> = const { RefCell::new([const { None }; KEPT]) };
}

/// Reads a name.
///
/// # Errors
/// If it is none.
pub(crate) fn field_name(came: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    // What is no name may have NULs at its end: the length tells it from one that is filled up.
    let mut padded = [0; LONGEST];
    match padded.get_mut(..came.len()) {
        Some(begin) => begin.copy_from_slice(came),
        None => return HeaderName::from_bytes(came),
    }
    NAMES.with_borrow_mut(|names| match &mut names[place(&padded)] {
        Some(kept) if kept.length == came.len() && kept.came == padded => Ok(kept.name.clone()),
        place => {
            let name = HeaderName::from_bytes(came)?;
            *place = Some(Kept {
                length: came.len(),
                came: padded,
                name: name.clone(),
            });
            Ok(name)
        }
    })
}

/// Where a name is kept, if it is.
fn place(padded: &[u8; LONGEST]) -> usize {
    let (words, _) = padded.as_chunks::<8>();
    let mixed = words.iter().fold(0_u64, |mixed, word| {
        (mixed.rotate_left(19) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    (mixed >> 32) as usize % KEPT
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_read_as_if_none_had_been_kept(
            names in prop::collection::vec("[a-cA-C:\\x00-]{0,3}|[ -~]{0,40}|\\PC{0,9}", 1..40),
        ) {
            for name in names.iter().chain(&names) {
                let read = field_name(name.as_bytes()).ok();
                prop_assert_eq!(read, HeaderName::from_bytes(name.as_bytes()).ok(), "{:?}", name);
            }
        }
    }
}
