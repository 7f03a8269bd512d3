//! The files that a command was given: opened, hashed, analysed one after the other.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::error::Error;
use super::progress::Progress;
use crate::analysis::{self, Settings};
use crate::base::parallel::in_parallel;
use crate::base::text::{Own, hex};
use crate::capture::{self, FileSource, Source};
use crate::report::Capture;
use crate::trace::{Trace, trace};

/// What became of the inputs.
#[derive(Default)]
pub(super) struct Inputs {
    /// Those that could be read.
    pub(super) captures: Vec<Capture>,
    /// The files of each.
    paths: Vec<Vec<PathBuf>>,
    /// Of each, the SHA-256 of its content where that was asked for: of several files merged, that of their hashes.
    #[cfg_attr(not(feature = "tables"), allow(dead_code))]
    pub(super) contents: Vec<Option<String>>,
    /// Those that could not be read at all, each with the reason.
    #[cfg_attr(not(feature = "charts"), allow(dead_code))]
    pub(super) unread: Vec<(String, String)>,
    /// Whether there is any of them, or of one the hash could not be computed.
    pub(super) failed: bool,
}

impl Inputs {
    /// The packets of some connections of the nth capture, and of others only what they carried, from a second reading.
    /// There are none of standard input, which is read only once.
    pub(super) fn traces(&self, n: usize, drawn: &[usize], counted: &[usize]) -> Result<Vec<Trace>, Error> {
        let (Some(capture), Some(paths)) = (self.captures.get(n), self.paths.get(n)) else {
            return Ok(Vec::new());
        };
        if drawn.is_empty() && counted.is_empty() || paths.iter().any(|p| is_stdin(p)) {
            return Ok(Vec::new());
        }
        let mut source = self.again(n).map_err(|e| Error::Input(PathBuf::from(&capture.path), e))?;
        Ok(trace(&mut *source, &capture.analysis, drawn, counted))
    }

    /// The nth capture once more, from its beginning.
    fn again(&self, n: usize) -> Result<Box<dyn Source>, capture::Error> {
        let paths = self.paths.get(n).map_or(&[][..], Vec::as_slice);
        let mut sources =
            paths.iter().map(|p| capture::open_path(p)).collect::<Result<Vec<FileSource>, _>>()?;
        Ok(match sources.pop() {
            Some(one) if sources.is_empty() => Box::new(one),
            last => {
                sources.extend(last);
                Box::new(capture::merge(sources))
            }
        })
    }
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
        let mut done = Inputs::default();
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
                let hashing: Vec<_> = paths.iter().map(|p| self.hashing(p)).collect();
                let capture = self.analyze(path, total, &mut capture::merge(sources));
                let hashes: Vec<_> =
                    paths.iter().zip(hashing).map(|(p, h)| Self::hash(p, h, &mut done.failed, err)).collect();
                let all: Option<String> = hashes.into_iter().collect();
                done.contents.push(all.map(|all| hex(&Sha256::digest(all))));
                done.paths.push(paths.into_iter().cloned().collect());
                done.captures.push(capture);
            }
            return done;
        }
        let total = self.files.iter().map(|p| length(p)).sum();
        let progress = Mutex::new((Progress::new(total, self.quiet), 0));
        // many files are many pieces of work; few leave threads for each
        let mut settings = self.settings.clone();
        settings.threads = (settings.threads / self.files.len().max(1)).max(1);
        if self.sha256 {
            settings.threads = (settings.threads - 1).max(1); // the hash has one of them
        }
        let each = in_parallel(self.files.iter().collect(), self.settings.threads, |path: &PathBuf| {
            self.one(path, settings.clone(), &progress)
        });
        if let Ok((bar, _)) = progress.into_inner() {
            bar.finish();
        }
        for (path, one) in self.files.iter().zip(each) {
            for note in one.notes {
                let _ = writeln!(err, "{note}");
            }
            done.failed |= one.failed;
            done.unread.extend(one.unread.map(|why| (shown(path), why)));
            if let Some(capture) = one.capture {
                done.contents.push(capture.sha256.clone());
                done.paths.push(vec![path.clone()]);
                done.captures.push(capture);
            }
        }
        done
    }

    /// Analyses one file.
    fn one(&self, path: &Path, settings: Settings, progress: &Mutex<(Progress, u64)>) -> One {
        let mut one = One::default();
        let mut notes = Vec::new();
        if self.sha256 && is_stdin(path) {
            let _ = writeln!(notes, "note: standard input can be read only once, so it has no SHA-256 here");
        }
        let hashing = self.hashing(path);
        let mut before = 0;
        let mut progress = |at: u64| {
            if let Ok(mut shared) = progress.lock() {
                shared.1 += at.saturating_sub(before);
                let sum = shared.1;
                shared.0.at(sum);
            }
            before = at;
        };
        let analysis = match length(path) {
            Some(length) if !is_stdin(path) => {
                analysis::analyze_file(&|| capture::open_path(path), length, settings, &mut progress)
            }
            _ => opened(path).map(|mut source| analysis::analyze(&mut source, settings, &mut progress)),
        };
        match analysis {
            Ok(analysis) => {
                let sha256 = Self::hash(path, hashing, &mut one.failed, &mut notes);
                one.capture = Some(Capture { path: shown(path), sha256, analysis });
            }
            Err(e) => {
                let _ = writeln!(notes, "error: {}: {e}", Own(&path.to_string_lossy()));
                one.failed = true;
                one.unread = Some(e.to_string());
            }
        }
        one.notes = String::from_utf8_lossy(&notes).lines().map(str::to_owned).collect();
        one
    }

    fn open(path: &Path, done: &mut Inputs, err: &mut dyn Write) -> Option<FileSource> {
        match opened(path) {
            Ok(source) => Some(source),
            Err(e) => {
                let _ = writeln!(err, "error: {}: {e}", Own(&path.to_string_lossy()));
                done.failed = true;
                done.unread.push((shown(path), e.to_string()));
                None
            }
        }
    }

    fn analyze(&self, path: String, total: Option<u64>, source: &mut dyn Source) -> Capture {
        let mut progress = Progress::new(total, self.quiet);
        let analysis = analysis::analyze(source, self.settings.clone(), &mut |at| progress.at(at));
        progress.finish();
        Capture { path, sha256: None, analysis }
    }

    /// Begins to hash a file, where hashes are asked for, beside the analysis: both wait for the same bytes.
    fn hashing(&self, path: &Path) -> Hashing {
        if !self.sha256 || is_stdin(path) {
            return None;
        }
        let path = path.to_path_buf();
        Some(std::thread::spawn(move || sha256(&path)))
    }

    /// The hash that was begun.
    fn hash(path: &Path, hashing: Hashing, failed: &mut bool, err: &mut dyn Write) -> Option<String> {
        let hashed = hashing?.join().unwrap_or_else(|_| Err(io::Error::other("the hashing thread broke")));
        match hashed {
            Ok(hash) => Some(hash),
            Err(e) => {
                let _ = writeln!(err, "error: {}: no SHA-256: {e}", Own(&path.to_string_lossy()));
                *failed = true;
                None
            }
        }
    }
}

fn opened(path: &Path) -> Result<FileSource, capture::Error> {
    if is_stdin(path) { capture::open_reader(Box::new(io::stdin())) } else { capture::open_path(path) }
}

/// What became of one file.
#[derive(Default)]
struct One {
    capture: Option<Capture>,
    /// What is to be said of it, a line each.
    notes: Vec<String>,
    failed: bool,
    /// Why it could not be read at all.
    unread: Option<String>,
}

/// A hash in the making.
type Hashing = Option<std::thread::JoinHandle<io::Result<String>>>;

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
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}
