//! A progress bar on standard error, for work that takes over half a second.
//!
//! The only place outside `capture` that looks at a clock: it decides when a bar is drawn, nothing else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that takes less than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Progress through one input.
pub(super) struct Progress {
    bar: ProgressBar,
    wanted: bool,
    drawn: bool,
}

impl Progress {
    /// Progress through `total` bytes; a count of bytes where the total is not known.
    pub(super) fn new(total: Option<u64>, quiet: bool) -> Self {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_draw_target(ProgressDrawTarget::hidden());
        Self { bar, wanted: !quiet && std::io::stderr().is_terminal(), drawn: false }
    }

    /// So many bytes are done.
    pub(super) fn at(&mut self, position: u64) {
        if !self.wanted {
            return;
        }
        if !self.drawn && self.bar.elapsed() > PATIENCE {
            let template = if self.bar.length().is_some() {
                "{bar:30} {percent:>3}% {bytes_per_sec}, {eta} left"
            } else {
                "{spinner} {bytes} read, {bytes_per_sec}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.drawn = true;
        }
        self.bar.set_position(position);
    }

    /// Done: the bar goes.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
