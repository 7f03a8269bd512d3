//! Errors that end a command, printed as what, why, and what to do.

use std::io::{self, Write};
use std::path::Path;

use super::Exit;
use crate::base::text::Own;

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Error {
    /// Writing the answer failed.
    Output(io::Error),
    /// A capture that was read once cannot be read again.
    Input(String),
    /// A file cannot be written.
    File(String),
    /// The command line asks for something that is not there.
    Usage(String),
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Output(e)
    }
}

impl Error {
    /// A capture cannot be read again.
    pub(super) fn input(path: &Path, e: &crate::capture::Error) -> Self {
        Self::Input(format!("{}: {e}", Own(&path.to_string_lossy())))
    }

    /// A file cannot be written.
    #[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
    pub(super) fn file(path: &Path, e: io::Error) -> Self {
        Self::File(format!("{} could not be written\ncaused by: {e}", Own(&path.to_string_lossy())))
    }

    /// Prints it; a closed pipe ends quietly.
    pub(super) fn report(&self, err: &mut dyn Write) -> Exit {
        match self {
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(e) => {
                let _ = writeln!(err, "error: the answer could not be written\ncaused by: {e}");
                Exit::Unreadable
            }
            Self::Input(what) | Self::File(what) => {
                let _ = writeln!(err, "error: {what}");
                Exit::Unreadable
            }
            Self::Usage(what) => {
                let _ = writeln!(err, "error: {what}");
                Exit::Usage
            }
        }
    }
}
