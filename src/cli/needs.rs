//! What each command opens, so that the process can be kept from opening anything else.

use std::path::{Path, PathBuf};

use super::args::Command;
use super::input::is_stdin;
use crate::live::confine::Needs;

/// What a command that reads captures or tables needs; `None` for the others. Of `live`, the threads that read packets are
/// confined; its main thread records, and saves evidence where it is asked to.
pub(super) fn of(command: &Command) -> Option<Needs> {
    let reads = |files: &[PathBuf]| files.iter().filter(|f| !is_stdin(f)).cloned().collect();
    let writes = |output: Option<&PathBuf>| output.map(|path| folder(path)).into_iter().collect();
    Some(match command {
        Command::Analyze(a) => {
            if let Some(dir) = &a.out {
                let _ = std::fs::create_dir_all(dir); // what is wrong with it is said when tables are written
            }
            Needs { read: reads(&a.files), own: a.out.iter().cloned().collect(), ..Needs::default() }
        }
        Command::Info(i) => Needs { read: reads(&i.files), ..Needs::default() },
        Command::Annotate(a) => {
            Needs { read: vec![a.file.clone()], write: writes(Some(&a.output)), ..Needs::default() }
        }
        #[cfg(feature = "tables")]
        Command::Summarize(s) => Needs {
            read: vec![s.dir.clone()],
            #[cfg(feature = "charts")]
            write: writes(s.chart.as_ref()),
            ..Needs::default()
        },
        #[cfg(feature = "charts")]
        Command::Chart(c) => Needs {
            read: reads(std::slice::from_ref(&c.file)),
            write: writes(c.output.as_ref()),
            ..Needs::default()
        },
        #[cfg(feature = "charts")]
        Command::Report(r) => {
            Needs { read: reads(&r.files), write: writes(r.output.as_ref()), ..Needs::default() }
        }
        Command::Capture(_) | Command::Live(_) | Command::Explain(_) => return None,
    })
}

/// The folder that a file lies in.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
