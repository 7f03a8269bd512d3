//! `pinchpoint live`: threads that record and read, and the loop that says what they find.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Exit;
use super::analyze::found;
use super::args::{Live as Args, LiveFormat};
use super::capture::{Opened, list, trim, until};
use super::error::Error;
use super::input::{is_stdin, shown};
use super::style::style;
use crate::analysis::{self, Analysis, Settings};
use crate::base::text::Own;
use crate::capture::{FileSource, open_path, open_reader};
use crate::flow::table::Limits;
use crate::live::clock;
use crate::live::engine::{self, Engine, Pace};
use crate::live::feed::feed;
use crate::live::lines::{Lines, Style};
use crate::live::record::{Ended, Live, Recorder};
use crate::live::screen::{self, Screen};
use crate::live::signals::Signals;
use crate::report::json_live::Counters;
use crate::report::text::{self, Options};
use crate::report::{Capture, json};

/// How long the loop rests when nothing is due.
const REST: Duration = Duration::from_millis(40);
/// How often the counters are written.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How long a pipe may take to end after a signal: whoever fills it was signalled too.
const PIPE_ENDS: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    if args.recording.list_interfaces {
        return list(out);
    }
    if args.write.as_deref().is_some_and(is_stdin) {
        return Err(Error::Usage("standard output has the findings: record to a file (-w FILE)".to_owned()));
    }
    let signals = Signals::of_process()?;
    let format = args.format.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() { LiveFormat::Screen } else { LiveFormat::Ndjson }
    });
    let settings = Settings {
        limits: Limits { connections: args.max_connections as usize },
        names: args.named.names(),
        threads: 1, // the recorder and the screen have theirs
    };
    let engine = Engine::new(settings.clone(), engine::ROWS);
    let session = match &args.read {
        Some(path) => Session::read(path, &engine, signals)?,
        None => Session::record(args, &engine, signals, format, err)?,
    };
    let shown = match format {
        LiveFormat::Screen => session.show(args, out),
        LiveFormat::Text => {
            session.tell(Lines::new(Style::Text { addresses: args.show_addresses }), out, err)
        }
        LiveFormat::Ndjson => session.tell(Lines::new(Style::Ndjson), out, err),
    };
    if let Err(e) = shown {
        session.abandon();
        return Err(e);
    }
    session.finish(args, settings, format, out, err)
}

/// A capture under way: who records, who analyses, what was said.
struct Session<'a> {
    path: String,
    engine: &'a Engine,
    signals: Signals,
    /// The figures of the recorder and the thread it runs in, where packets come from an interface.
    recorder: Option<(Arc<Live>, JoinHandle<Ended>)>,
    notices: Receiver<String>,
    live: bool,
}

impl<'a> Session<'a> {
    /// Reads a file or a pipe.
    fn read(path: &Path, engine: &'a Engine, signals: Signals) -> Result<Self, Error> {
        let opened = if is_stdin(path) { open_reader(Box::new(std::io::stdin())) } else { open_path(path) };
        let source = opened.map_err(|e| Error::Input(path.to_owned(), e))?;
        engine.start(source)?;
        let (_, notices) = channel();
        Ok(Self { path: shown(path), engine, signals, recorder: None, notices, live: is_stdin(path) })
    }

    /// Opens an interface, and starts the threads that record and analyse.
    fn record(
        args: &Args,
        engine: &'a Engine,
        signals: Signals,
        format: LiveFormat,
        err: &mut dyn Write,
    ) -> Result<Self, Error> {
        let mut opened = Opened::new(&args.recording, &args.named.target, args.write.as_deref())?;
        if format != LiveFormat::Screen {
            opened.announce(err);
        }
        let path = args.write.as_deref().map_or_else(|| format!("live on {}", opened.head.interface), shown);
        let (to_analysis, from_recorder) = feed(opened.head.blocks());
        let live = Arc::new(Live::default());
        let (say, notices) = channel();
        let (trim, until, store) =
            (trim(&args.recording, &args.named.target), until(&args.recording), opened.store.take());
        let (figures, stop) = (Arc::clone(&live), signals.clone());
        let thread = std::thread::Builder::new().name("record".into()).spawn(move || {
            let recorder = Recorder {
                tap: &mut *opened.tap,
                store,
                feed: Some(to_analysis),
                trim,
                until,
                signals: stop,
                live: figures,
                say: &mut |text| drop(say.send(text.to_owned())), // nobody listens any more at the very end
                clocks: &mut clock::Reading::now,
                up: true,
            };
            recorder.run()
        })?;
        let source: FileSource =
            open_reader(Box::new(from_recorder)).map_err(|e| Error::Input("-".into(), e))?;
        engine.start(source)?;
        Ok(Self { path, engine, signals, recorder: Some((live, thread)), notices, live: true })
    }

    fn counters(&self) -> Counters {
        let p = self.engine.progress();
        let of = |f: fn(&Live) -> u64| self.recorder.as_ref().map(|(live, _)| f(live));
        Counters {
            seen_ns: p.last.map(crate::base::Timestamp::ns),
            packets: p.frames,
            captured: of(|l| Live::get(&l.captured)),
            received: of(|l| Live::get(&l.received)),
            dropped_kernel: of(|l| Live::get(&l.dropped_kernel)),
            dropped_interface: of(|l| Live::get(&l.dropped_interface)),
            not_analysed: of(|l| Live::get(&l.not_analysed)),
            rows_forgotten: p.forgotten,
        }
    }

    fn capture(&self, analysis: Analysis) -> Capture {
        Capture { path: self.path.clone(), sha256: None, analysis }
    }

    /// Whether all has been read, or nothing more is to be waited for.
    fn is_over(&self, asked: &mut Option<std::time::Instant>) -> bool {
        if self.engine.is_done() {
            return true;
        }
        if !self.signals.stopped() || self.recorder.is_some() {
            return false;
        }
        let asked = asked.get_or_insert_with(clock::now);
        !self.live || asked.elapsed() > PIPE_ENDS
    }

    /// Says what happens in lines, until the end.
    fn tell(&self, mut lines: Lines, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Error> {
        let (mut pace, mut asked, mut counted) = (Pace::new(), None, clock::now());
        loop {
            let over = self.is_over(&mut asked);
            if over {
                pace.hurry();
            }
            self.say(&mut lines, &mut pace, &mut counted, out, err)?;
            if over {
                return Ok(());
            }
            clock::sleep(REST);
        }
    }

    fn say(
        &self,
        lines: &mut Lines,
        pace: &mut Pace,
        counted: &mut std::time::Instant,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), Error> {
        for text in self.notices.try_iter() {
            lines.notice(&text, out)?;
            let _ = writeln!(err, "{text}"); // whoever read it is gone
        }
        if let Some(analysis) = pace.snapshot(self.engine) {
            lines.look(&self.capture(analysis), out)?;
        }
        if counted.elapsed() >= COUNT_EVERY {
            *counted = clock::now();
            lines.count(self.counters(), out)?;
        }
        Ok(())
    }

    /// Shows what happens on a screen, until the end or until the user has seen enough.
    fn show(&self, args: &Args, out: &mut dyn Write) -> Result<(), Error> {
        out.flush()?;
        let (mut pace, mut asked) = (Pace::new(), None);
        let mut screen = Screen::new(screen::Settings {
            path: self.path.clone(),
            addresses: args.show_addresses,
            color: style(args.color).color,
        })?;
        loop {
            let over = self.is_over(&mut asked);
            if over {
                pace.hurry();
            }
            for text in self.notices.try_iter() {
                screen.notice(&text);
            }
            if let Some(analysis) = pace.snapshot(self.engine) {
                screen.look(self.capture(analysis));
            }
            screen.count(self.counters(), over);
            match screen.turn(REST, self.engine)? {
                screen::Turn::Quit => {
                    self.signals.stop();
                    return Ok(());
                }
                // a file is read in a moment: the screen stays until the user has seen it
                screen::Turn::On if over && (self.signals.stopped() || self.recorder.is_some()) => {
                    return Ok(());
                }
                screen::Turn::On => {}
            }
        }
    }

    /// Ends the recording without an answer: whoever wanted one is gone.
    fn abandon(self) {
        self.signals.stop();
        if let Some((_, thread)) = self.recorder {
            let _ = thread.join(); // the file is whole then, whatever it says
        }
    }

    /// Waits for the recorder, and prints what `analyze` prints of the file.
    fn finish(
        self,
        args: &Args,
        settings: Settings,
        format: LiveFormat,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Exit, Error> {
        let mut whole = true;
        if let Some((live, thread)) = self.recorder {
            let ended = thread.join();
            while !self.engine.is_done() {
                clock::sleep(REST);
            }
            whole = matches!(ended, Ok(Ended::Done));
            for text in self.notices.try_iter() {
                let _ = writeln!(err, "{text}");
            }
            let _ = writeln!(err, "{}", live.line());
            let missed = Live::get(&live.not_analysed) + self.engine.progress().forgotten;
            let one_file = args.write.as_deref().filter(|p| {
                whole && args.recording.file_size.is_none() && args.recording.rotate.is_none() && !is_stdin(p)
            });
            if missed > 0 {
                if let Some(path) = one_file {
                    let again = "not all of it is remembered: the recording is analysed once more";
                    let _ = writeln!(err, "{again}");
                    let mut source = open_path(path).map_err(|e| Error::Input(path.to_owned(), e))?;
                    let analysis = analysis::analyze(&mut source, settings, &mut |_| {});
                    let capture = Capture { path: self.path, sha256: None, analysis };
                    return print(args, format, capture, whole, out);
                }
                let _ = writeln!(
                    err,
                    "the answer leaves out what was not analysed, and the {} rows that were dropped",
                    self.engine.progress().forgotten
                );
            }
            if let Some(path) = args.write.as_deref() {
                let _ = writeln!(err, "recorded to {}", Own(&path.to_string_lossy()));
            }
        }
        let capture = Capture { path: self.path, sha256: None, analysis: self.engine.snapshot() };
        print(args, format, capture, whole, out)
    }
}

fn print(
    args: &Args,
    format: LiveFormat,
    capture: Capture,
    whole: bool,
    out: &mut dyn Write,
) -> Result<Exit, Error> {
    let captures = [capture];
    if format == LiveFormat::Ndjson {
        json::write_ndjson(&captures, 1, out)?;
    } else {
        let options =
            Options { style: style(args.color), addresses: args.show_addresses, verbose: args.verbose };
        text::write(&captures, options, out)?;
    }
    out.flush()?;
    let exit = Exit::of(&captures, false, found(args.fail_on, &captures));
    Ok(if exit == Exit::Done && !whole { Exit::Partial } else { exit })
}
