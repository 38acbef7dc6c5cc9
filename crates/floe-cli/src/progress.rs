//! A bar for what takes a while, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

/// Fewer bytes are done before a bar can be read.
const LEAST: u64 = 64 << 20;

/// A bar of bytes, which goes away when it is dropped. The standard error shows it, if that is a
/// terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes} of {total_bytes}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style).with_message(what))
    }

    /// Shows that `done` of `all` bytes are done.
    pub(crate) fn tell(&self, done: u64, all: u64) {
        if all >= LEAST {
            self.0.set_length(all);
            self.0.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
