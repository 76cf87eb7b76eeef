//! A bar for long work, on a terminal only.

use std::io::{IsTerminal, Write};

const CELLS: u64 = 30;

/// Drawn over itself on standard error; gone when it is dropped.
pub struct Bar {
    what: &'static str,
    /// `None` where nobody looks.
    drawn: Option<u64>,
}

impl Bar {
    pub fn new(what: &'static str) -> Bar {
        Bar { what, drawn: std::io::stderr().is_terminal().then_some(u64::MAX) }
    }

    /// `done` of `all`, in any unit. Draws when the percentage has changed.
    pub fn show(&mut self, done: u64, all: u64) {
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100).min(100);
        if self.drawn.is_none_or(|drawn| drawn == percent) {
            return;
        }
        self.drawn = Some(percent);
        let full = percent * CELLS / 100;
        let cells: String = (0..CELLS).map(|cell| if cell < full { '#' } else { '.' }).collect();
        let _ = write!(std::io::stderr(), "\r{} [{cells}] {percent:3} %", self.what);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.is_some_and(|drawn| drawn != u64::MAX) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
