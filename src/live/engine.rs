//! The analysis of packets as they come: one thread reads them into an [`Analyzer`], and whoever asks is given a copy
//! that is finished as if the capture ended there.
//!
//! So everything that is said live is what `analyze` would say of the packets so far.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::changes::rests_on_rate;
use super::clock;
use super::confine::Needs;
use super::recent::Recent;
use crate::analysis::{Analysis, Analyzer, Settings};
use crate::base::Timestamp;
use crate::capture::{Facts, FileSource, Source};
use crate::detect::Finding;

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
            super::confine::confine(&Needs::default()); // the source is open
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
        self.copy().finish()
    }

    fn copy(&self) -> Copied {
        let s = self.wanted();
        Copied { analyzer: s.analyzer.clone(), files: s.files.clone() }
    }

    /// A copy of the packets that are still remembered.
    pub fn recent(&self) -> Recent {
        self.wanted().recent.clone()
    }
}

/// An analysis as it was at one moment.
struct Copied {
    analyzer: Analyzer,
    files: Vec<Facts>,
}

impl Copied {
    fn finish(self) -> Analysis {
        self.analyzer.finish(self.files)
    }

    fn finish_without_caps(self) -> Analysis {
        self.analyzer.without_caps().finish(self.files)
    }
}

/// Says that reading is over, even after a panic: nobody waits for ever.
struct Finished<'a>(&'a Shared);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}

/// When to look next. At most a tenth of the time goes into looks, and none is taken of nothing new.
///
/// Where looking takes long, which only the fits of caps do, whole looks are taken in a thread of their own, and quick ones
/// beside them: those have the caps that the last whole look found.
#[derive(Debug, Default)]
pub struct Pace {
    due: Option<std::time::Instant>,
    whole_due: Option<std::time::Instant>,
    frames: u64,
    /// How long the last whole look took.
    whole_took: Duration,
    whole: Option<Receiver<(Analysis, Duration)>>,
    caps: Vec<Cap>,
}

/// A finding about a cap, and the first frames of its connections, by which they are known again.
#[derive(Debug)]
struct Cap {
    finding: Finding,
    first_frames: Vec<u64>,
}

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(250);
/// A whole look that takes longer than this moves to a thread of its own.
const LONG: Duration = Duration::from_millis(80);

impl Pace {
    /// The first is due at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next look is due at once: nothing more will come.
    pub fn hurry(&mut self) {
        self.due = None;
    }

    /// Looks, if it is time.
    pub fn snapshot(&mut self, engine: &Engine) -> Option<Analysis> {
        let begun = clock::now();
        let came = self.take_whole();
        if self.due.is_some_and(|d| begun < d) && !came {
            return None;
        }
        let frames = engine.progress().frames;
        if frames == self.frames && !came {
            return None;
        }
        self.frames = frames;
        let analysis = if self.whole_took > LONG {
            self.look_apart(engine);
            let mut quick = engine.copy().finish_without_caps();
            self.add_caps(&mut quick);
            quick
        } else {
            let whole = engine.snapshot();
            self.whole_took = begun.elapsed();
            self.keep_caps(&whole);
            whole
        };
        self.due = Some(clock::now() + (begun.elapsed() * 9).max(SHORTEST));
        Some(analysis)
    }

    /// Starts a whole look in a thread of its own, if none is under way and it is time for one.
    fn look_apart(&mut self, engine: &Engine) {
        if self.whole.is_some() || self.whole_due.is_some_and(|d| clock::now() < d) {
            return;
        }
        let (to, from) = channel();
        let copy = engine.copy();
        let started = std::thread::Builder::new().name("whole look".into()).spawn(move || {
            super::rights::keep(super::rights::Keep::Nothing);
            super::confine::confine(&Needs::default());
            let begun = clock::now();
            let _ = to.send((copy.finish(), begun.elapsed())); // whoever asked may have ended
        });
        self.whole = started.is_ok().then_some(from);
    }

    /// Takes the whole look that was under way, if it has come.
    fn take_whole(&mut self) -> bool {
        match self.whole.as_ref().map(Receiver::try_recv) {
            Some(Ok((whole, took))) => {
                self.keep_caps(&whole);
                self.whole_took = took;
                self.whole_due = Some(clock::now() + took * 9);
                self.whole = None;
                true
            }
            Some(Err(TryRecvError::Disconnected)) => {
                self.whole = None;
                false
            }
            _ => false,
        }
    }

    fn keep_caps(&mut self, whole: &Analysis) {
        let first_frame = |c: &usize| whole.connections.get(*c).map(|c| c.first_frame);
        let caps = whole.findings.iter().filter(|f| rests_on_rate(f));
        let known = |f: &Finding| {
            let first_frames = f.connections.iter().map(first_frame).collect::<Option<_>>()?;
            Some(Cap { finding: f.clone(), first_frames })
        };
        self.caps = caps.filter_map(known).collect();
    }

    /// Adds the caps of the last whole look to a quick one.
    fn add_caps(&self, quick: &mut Analysis) {
        for cap in &self.caps {
            let place = |frame: &u64| quick.connections.binary_search_by_key(frame, |c| c.first_frame).ok();
            // where rows were dropped meanwhile, some are gone
            let Some(connections) = cap.first_frames.iter().map(place).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let is_there = |f: &Finding| f.code == cap.finding.code && f.connections == connections;
            if quick.findings.iter().any(is_there) {
                continue;
            }
            quick.findings.push(Finding { connections, ..cap.finding.clone() });
        }
        quick.findings.sort_by(|a, b| b.level.cmp(&a.level).then(b.confidence.total_cmp(&a.confidence)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::open_path;

    /// Where looking takes long, the same is said once a whole look has come.
    #[test]
    fn a_quick_look_has_the_caps_of_the_whole_one() {
        let engine = Engine::new(Settings::default(), ROWS);
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pakistan-2024/capture.pcapng");
        engine.read(open_path(&path).unwrap());
        let said = |a: &Analysis| {
            let mut all: Vec<_> = a
                .findings
                .iter()
                .map(|f| (f.code, f.level, f.connections.clone(), f.frames.clone()))
                .collect();
            all.sort();
            format!("{all:?}")
        };
        let whole = said(&engine.snapshot());
        let mut pace = Pace { whole_took: LONG * 2, ..Pace::new() };
        let first = said(&pace.snapshot(&engine).unwrap());
        assert!(!first.contains("CAP001") && first.contains("RST001"), "{first}");
        while !pace.take_whole() {
            clock::sleep(Duration::from_millis(5));
        }
        let mut quick = engine.copy().finish_without_caps();
        pace.add_caps(&mut quick);
        let second = said(&quick);
        assert_eq!(second, whole);
    }
}
