//! `Date`, as of this second: RFC 9110 §6.6.1.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

thread_local! {
    static WRITTEN: RefCell<(u64, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
}

/// Writes the line. It is made once a second.
pub(super) fn put_date(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    let second = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs());
    WRITTEN.with_borrow_mut(|(written, line)| {
        if *written != second || line.is_empty() {
            line.clear();
            let _ = write!(line, "Date: {}\r\n", HttpDate::from(now));
            *written = second;
        }
        out.extend_from_slice(line);
    });
}
