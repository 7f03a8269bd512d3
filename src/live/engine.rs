//! The analysis of packets as they come: one thread reads them into an [`Analyzer`], and whoever asks is given a copy
//! that is finished as if the capture ended there.
//!
//! So everything that is said live is what `analyze` would say of the packets so far.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock;
use super::recent::Recent;
use crate::analysis::{Analysis, Analyzer, Settings};
use crate::base::Timestamp;
use crate::capture::{Facts, FileSource, Source};

/// Rows of ended connections from which on old ones are dropped: some 200 MB.
pub const ROWS: usize = 1 << 17;
/// Frames between two looks at the number of rows and at what the source says of itself.
const LOOK_EVERY: u64 = 1 << 12;
/// How long whoever reads steps aside for whoever wants a copy.
const ASIDE: Duration = Duration::from_micros(50);

/// An analysis that goes on while it is looked at.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Somebody waits for the state: the reader lets go of it for a moment.
    wanted: AtomicBool,
    done: AtomicBool,
}

struct State {
    analyzer: Analyzer,
    recent: Recent,
    files: Vec<Facts>,
    frames: u64,
    last: Option<Timestamp>,
    forgotten: u64,
    rows: usize,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Frames read.
    pub frames: u64,
    /// The latest capture time.
    pub last: Option<Timestamp>,
    /// Rows dropped.
    pub forgotten: u64,
}

impl Engine {
    /// Nothing read yet; rows beyond `rows` are dropped, see [`Analyzer::forget`].
    pub fn new(settings: Settings, rows: usize) -> Self {
        let state = State {
            analyzer: Analyzer::new(settings),
            recent: Recent::default(),
            files: Vec::new(),
            frames: 0,
            last: None,
            forgotten: 0,
            rows,
        };
        let shared =
            Shared { state: Mutex::new(state), wanted: AtomicBool::new(false), done: AtomicBool::new(false) };
        Self { shared: Arc::new(shared) }
    }

    /// Reads a source to its end, in a thread of its own.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(&self, source: FileSource) -> io::Result<()> {
        let engine = self.clone();
        std::thread::Builder::new().name("analysis".into()).spawn(move || {
            super::rights::keep(super::rights::Keep::Nothing);
            engine.read(source);
        })?;
        Ok(())
    }

    /// Reads a source to its end.
    pub fn read(&self, mut source: FileSource) {
        let finished = Finished(&self.shared);
        let mut frames = 0u64;
        while let Some(frame) = source.next_frame() {
            while self.shared.wanted.load(Ordering::Acquire) {
                clock::sleep(ASIDE);
            }
            let mut s = self.state();
            s.analyzer.push(&frame);
            s.recent.push(&frame);
            s.frames += 1;
            s.last = Some(s.last.map_or(frame.at, |l| l.max(frame.at)));
            drop(s);
            frames += 1;
            if frames == 1 || frames.is_multiple_of(LOOK_EVERY) {
                let files = source.files().into_iter().cloned().collect();
                let mut s = self.state();
                s.files = files;
                let most = s.rows;
                s.forgotten += s.analyzer.forget(most);
            }
        }
        self.state().files = source.files().into_iter().cloned().collect();
        drop(finished);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a panic of the reader leaves counts that are off by one packet, and nothing else
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> MutexGuard<'_, State> {
        self.shared.wanted.store(true, Ordering::Release);
        let state = self.state();
        self.shared.wanted.store(false, Ordering::Release);
        state
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let s = self.wanted();
        Progress { frames: s.frames, last: s.last, forgotten: s.forgotten }
    }

    /// Whether the source has ended.
    pub fn is_done(&self) -> bool {
        self.shared.done.load(Ordering::Acquire)
    }

    /// What is to be said of everything so far, as if the capture ended here.
    pub fn snapshot(&self) -> Analysis {
        let (copy, files) = {
            let s = self.wanted();
            (s.analyzer.clone(), s.files.clone())
        };
        copy.finish(files)
    }

    /// A copy of the packets that are still remembered.
    pub fn recent(&self) -> Recent {
        self.wanted().recent.clone()
    }
}

/// Says that reading is over, even after a panic: nobody waits for ever.
struct Finished<'a>(&'a Shared);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}

/// When to take the next snapshot: at most a tenth of the time goes into them, and none is taken of nothing new.
#[derive(Debug)]
pub struct Pace {
    due: Option<std::time::Instant>,
    frames: u64,
}

/// The shortest time between two snapshots.
const SHORTEST: Duration = Duration::from_millis(250);

impl Pace {
    /// The first is due at once.
    pub const fn new() -> Self {
        Self { due: None, frames: 0 }
    }

    /// Takes a snapshot if one is due.
    pub fn snapshot(&mut self, engine: &Engine) -> Option<Analysis> {
        let begun = clock::now();
        if self.due.is_some_and(|d| begun < d) {
            return None;
        }
        let frames = engine.progress().frames;
        if frames == self.frames {
            return None;
        }
        self.frames = frames;
        let analysis = engine.snapshot();
        self.due = Some(clock::now() + (begun.elapsed() * 9).max(SHORTEST));
        Some(analysis)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}
