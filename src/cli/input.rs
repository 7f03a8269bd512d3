//! The files that a command was given: opened, hashed, analysed one after the other.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::progress::Progress;
use crate::analysis::{self, Settings};
use crate::base::text::{Own, hex};
use crate::capture::{self, FileSource, Source};
use crate::report::Capture;

/// What became of the inputs.
pub(super) struct Inputs {
    /// Those that could be read.
    pub(super) captures: Vec<Capture>,
    /// Whether any could not be read at all.
    pub(super) failed: bool,
}

/// How to read them.
pub(super) struct Reading<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) merge: bool,
    pub(super) sha256: bool,
    pub(super) quiet: bool,
    pub(super) settings: Settings,
}

impl Reading<'_> {
    /// Analyses all files; an unreadable one is said on `err`, and the others go on.
    pub(super) fn run(&self, err: &mut dyn Write) -> Inputs {
        let mut done = Inputs { captures: Vec::new(), failed: false };
        let opened: Vec<(&PathBuf, FileSource)> = if self.merge {
            self.files.iter().filter_map(|p| Some((p, Self::open(p, &mut done, err)?))).collect()
        } else {
            Vec::new()
        };
        if self.merge {
            if !opened.is_empty() {
                let (paths, sources): (Vec<&PathBuf>, Vec<FileSource>) = opened.into_iter().unzip();
                let total = paths.iter().map(|p| length(p)).sum();
                let path = paths.iter().map(|p| shown(p)).collect::<Vec<_>>().join(" + ");
                let capture = self.analyze(path, None, total, &mut capture::merge(sources));
                done.captures.push(capture);
            }
            return done;
        }
        for path in self.files {
            let Some(mut source) = Self::open(path, &mut done, err) else { continue };
            let sha256 = if self.sha256 { Self::hash(path, &mut done, err) } else { None };
            let capture = self.analyze(shown(path), sha256, length(path), &mut source);
            done.captures.push(capture);
        }
        done
    }

    fn open(path: &Path, done: &mut Inputs, err: &mut dyn Write) -> Option<FileSource> {
        let opened = if is_stdin(path) {
            capture::open_reader(Box::new(io::stdin()))
        } else {
            capture::open_path(path)
        };
        match opened {
            Ok(source) => Some(source),
            Err(e) => {
                let _ = writeln!(err, "error: {}: {e}", Own(&path.to_string_lossy()));
                done.failed = true;
                None
            }
        }
    }

    fn analyze(
        &self,
        path: String,
        sha256: Option<String>,
        total: Option<u64>,
        source: &mut dyn Source,
    ) -> Capture {
        let mut progress = Progress::new(total, self.quiet);
        let analysis = analysis::analyze(source, self.settings.clone(), &mut |at| progress.at(at));
        progress.finish();
        Capture { path, sha256, analysis }
    }

    fn hash(path: &Path, done: &mut Inputs, err: &mut dyn Write) -> Option<String> {
        if is_stdin(path) {
            let _ = writeln!(err, "note: standard input can be read only once, so it has no SHA-256 here");
            return None;
        }
        match sha256(path) {
            Ok(hash) => Some(hash),
            Err(e) => {
                let _ = writeln!(err, "error: {}: no SHA-256: {e}", Own(&path.to_string_lossy()));
                done.failed = true;
                None
            }
        }
    }
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

pub(super) fn shown(path: &Path) -> String {
    if is_stdin(path) {
        return "standard input".to_owned();
    }
    path.to_string_lossy().into_owned()
}

/// The length of a regular file; a pipe has none.
fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}
