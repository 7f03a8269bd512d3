//! Errors that end a command, printed as what, why, and what to do.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Exit;
use crate::base::text::Own;
use crate::capture;
use crate::live::interfaces::Failure;

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Error {
    /// Writing the answer failed.
    Output(io::Error),
    /// A file cannot be written, or a folder of tables not be read.
    File(String),
    /// The command line asks for something that is not there.
    Usage(String),
    /// A capture cannot be opened.
    Input(PathBuf, capture::Error),
    /// The interface cannot be recorded from.
    Interface(Failure),
    /// The recording cannot be written.
    Recording(PathBuf, io::Error),
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Output(e)
    }
}

impl Error {
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
            Self::File(what) => {
                let _ = writeln!(err, "error: {what}");
                Exit::Unreadable
            }
            Self::Usage(what) => {
                let _ = writeln!(err, "error: {what}");
                Exit::Usage
            }
            Self::Input(path, e) => {
                let _ = writeln!(err, "error: {}: {e}", Own(&path.to_string_lossy()));
                Exit::Unreadable
            }
            Self::Interface(failure) => {
                let _ = writeln!(err, "error: {failure}");
                match failure {
                    Failure::Permission(_) => Exit::Permission,
                    Failure::Other(_) | Failure::Down(_) => Exit::Unreadable,
                    Failure::NoLibpcap | Failure::NoSuch(_) | Failure::Filter(_) => Exit::Usage,
                }
            }
            Self::Recording(path, e) => {
                let _ = writeln!(err, "error: {} cannot be written: {e}", Own(&path.to_string_lossy()));
                match e.kind() {
                    io::ErrorKind::AlreadyExists => {
                        let _ = writeln!(err, "help: a recording never replaces a file; choose another name");
                        Exit::Usage
                    }
                    io::ErrorKind::PermissionDenied => Exit::Permission,
                    _ => Exit::Unreadable,
                }
            }
        }
    }
}
