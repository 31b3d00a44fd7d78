//! What runs now, how much of it is done, and how long the rest takes.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// A line on the terminal that changes; elsewhere, a line a turn.
pub(crate) struct Progress {
    total: usize,
    done: usize,
    start: Instant,
    on_terminal: bool,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            start: Instant::now(),
            on_terminal: stderr().is_terminal(),
        }
    }

    /// Says what begins.
    pub(crate) fn next(&mut self, what: &str) {
        let left = remaining(self.start.elapsed(), self.done, self.total);
        self.done += 1;
        let line = format!("[{}/{}] {what}{left}", self.done, self.total);
        if self.on_terminal {
            // The rest of a longer line before it goes.
            eprint!("\r{line}\x1b[K");
            let _ = stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            eprintln!();
        }
    }
}

/// As long as the turns before took; nothing before the first.
fn remaining(elapsed: Duration, done: usize, total: usize) -> String {
    let (Ok(done), Ok(left)) = (
        u32::try_from(done),
        u32::try_from(total.saturating_sub(done)),
    ) else {
        return String::new();
    };
    if done == 0 {
        return String::new();
    }
    let seconds = (elapsed / done * left).as_secs();
    format!(" ({}:{:02} left)", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::remaining;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let minute = Duration::from_secs(60);
        assert_eq!(remaining(minute, 0, 10), "");
        assert_eq!(remaining(minute, 6, 10), " (0:40 left)");
        assert_eq!(remaining(10 * minute, 1, 2), " (10:00 left)");
        assert_eq!(remaining(minute, 10, 10), " (0:00 left)");
    }
}
