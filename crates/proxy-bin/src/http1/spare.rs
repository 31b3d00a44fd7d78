//! Field maps that were used and are used again: making one, and room in it for what a message
//! brings, costs as much as reading the message's head.

use std::cell::RefCell;

use http::HeaderMap;

/// How many of them a thread keeps, and the largest.
const KEPT: usize = 4;
const LARGEST: usize = 96;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map with room for so many fields; `None` if there can be no such map.
pub(crate) fn spare_fields(room: usize) -> Option<HeaderMap> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    match spare {
        Some(spare) if spare.capacity() >= room => Some(spare),
        _ => HeaderMap::try_with_capacity(room).ok(),
    }
}

/// Keeps a map that is not needed any more, and nothing of what is in it.
pub(crate) fn keep_fields(mut fields: HeaderMap) {
    if fields.capacity() == 0 || fields.capacity() > LARGEST {
        return;
    }
    fields.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < KEPT {
            spare.push(fields);
        }
    });
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn a_map_that_is_used_again_holds_nothing_and_what_there_is_room_for() {
        let mut fields = spare_fields(10).expect("a map");
        fields.insert(header::HOST, HeaderValue::from_static("a"));
        let room = fields.capacity();
        keep_fields(fields);
        let again = spare_fields(10).expect("a map");
        assert!(again.is_empty());
        assert_eq!(again.capacity(), room);
        keep_fields(again);
        assert!(spare_fields(50).expect("a map").capacity() >= 50);
        assert!(spare_fields(usize::MAX).is_none());
    }
}
