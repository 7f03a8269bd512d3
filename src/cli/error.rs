//! Errors that end a command, printed as what, why, and what to do.

use std::io::{self, Write};

use super::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Error {
    /// Writing the answer failed.
    Output(io::Error),
    /// The command line asks for something that is not there.
    Usage(String),
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Output(e)
    }
}

impl Error {
    /// Prints it; a closed pipe ends quietly.
    pub(super) fn report(&self, err: &mut dyn Write) -> Exit {
        match self {
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(e) => {
                let _ = writeln!(err, "error: the answer could not be written\ncaused by: {e}");
                Exit::Unreadable
            }
            Self::Usage(what) => {
                let _ = writeln!(err, "error: {what}");
                Exit::Usage
            }
        }
    }
}
