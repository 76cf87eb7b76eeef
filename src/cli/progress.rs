//! A bar for long work, on a terminal only.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

const CELLS: u64 = 30;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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

/// Does `work`, which makes the file at `path` grow to about `bytes`, and shows how far it is.
pub fn while_growing<T: Send>(
    what: &'static str,
    path: &Path,
    bytes: u64,
    work: impl FnOnce() -> T + Send,
) -> T {
    let mut bar = Bar::new(what);
    if bar.drawn.is_none() {
        return work();
    }
    std::thread::scope(|scope| {
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            while waiting.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
                bar.show(std::fs::metadata(path).map_or(0, |meta| meta.len()), bytes);
            }
        });
        let result = work();
        drop(done);
        result
    })
}
