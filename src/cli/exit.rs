//! Exit codes, as the manual has them.

use std::io::Write;

use crate::report::Capture;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, whatever was found.
    Done,
    /// 1: there are findings at or above the level that `--fail-on` names.
    Findings,
    /// 2: the command line is wrong.
    Usage,
    /// 3: an input could not be read at all.
    Unreadable,
    /// 4: an input is cut, damaged or lost packets; what is there was analysed.
    Partial,
    /// 5: the system does not permit it.
    Permission,
}

impl Exit {
    /// The exit of a command that read captures: what could not be read at all weighs most.
    pub(super) fn of(captures: &[Capture], failed: bool, found: bool) -> Self {
        let partial =
            captures.iter().any(|c| c.analysis.is_partial() || c.kernel_dropped().is_some_and(|n| n > 0));
        match (failed, found, partial) {
            (true, ..) => Self::Unreadable,
            (_, true, _) => Self::Findings,
            (_, _, true) => Self::Partial,
            _ => Self::Done,
        }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Unreadable => 3,
            Self::Partial => 4,
            Self::Permission => 5,
        }
    }
}

/// Prints what the argument parser has to say: help and version are data, the rest are errors.
pub(super) fn clap(e: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let text = e.render();
    // a reader that is gone wants no more
    if e.use_stderr() {
        let _ = write!(err, "{text}");
        Exit::Usage
    } else {
        let _ = write!(out, "{text}");
        Exit::Done
    }
}
