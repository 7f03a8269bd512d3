//! `pinchpoint capture`, and what it shares with `live`: an interface opened, rights given away, a store begun.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Exit;
use super::args::{Capture, Recording, targets};
use super::error::Error;
use crate::base::Span;
use crate::base::text::{Own, Sentence};
use crate::live::clock::Reading;
use crate::live::comment::{Head, what_is_kept};
use crate::live::interfaces::{self, Wanted};
use crate::live::record::{Ended, Live, Recorder, Until};
use crate::live::rights::{self, Keep};
use crate::live::signals::Signals;
use crate::live::store::{Plan, Store};
use crate::live::tap::Tap;
use crate::live::trim::Trim;
use crate::report::units::bytes;

pub(super) fn run(args: &Capture, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    if args.recording.list_interfaces {
        return list(out);
    }
    let path = args.write.clone().unwrap_or_default();
    let mut opened = Opened::new(&args.recording, &args.target, Some(&path))?;
    let signals = Signals::of_process()?;
    opened.announce(err);
    let live = Arc::new(Live::default());
    let store = opened.store.take();
    let recorder = Recorder {
        tap: &mut *opened.tap,
        store,
        feed: None,
        trim: trim(&args.recording, &args.target),
        until: until(&args.recording),
        signals,
        live: Arc::clone(&live),
        say: &mut |text| drop(writeln!(err, "{text}")), // whoever read it is gone
        clocks: &mut Reading::now,
        up: true,
    };
    let ended = recorder.run();
    let (written, recorded) = (bytes(Live::get(&live.written)), Live::get(&live.recorded));
    let _ = writeln!(err, "{}; {recorded} packets and {written} written", live.line());
    let dropped = Live::get(&live.dropped_kernel) + Live::get(&live.dropped_interface);
    Ok(match ended {
        Ended::Unwritable(_) => Exit::Partial,
        Ended::Done if dropped > 0 => Exit::Partial,
        Ended::Done => Exit::Done,
    })
}

/// Lists the interfaces.
pub(super) fn list(out: &mut dyn Write) -> Result<Exit, Error> {
    for interface in interfaces::list().map_err(Error::Interface)? {
        writeln!(out, "{interface}")?;
    }
    Ok(Exit::Done)
}

/// An interface that is open, and the file that its packets go to.
pub(super) struct Opened {
    pub(super) tap: Box<dyn Tap + Send>,
    pub(super) head: Head,
    pub(super) store: Option<Store>,
}

impl Opened {
    /// Opens the interface and begins the file; then gives away all other rights.
    pub(super) fn new(args: &Recording, target: &[String], path: Option<&Path>) -> Result<Self, Error> {
        let Some(interface) = args.interface.clone() else {
            return Err(Error::Usage(
                "an interface is missing: -i IF (pinchpoint capture -D lists them)".to_owned(),
            ));
        };
        if args.files.is_some() && args.file_size.is_none() && args.rotate.is_none() {
            return Err(Error::Usage("-W keeps the newest of several files: it needs -C or -G".to_owned()));
        }
        let filter = args.filter.join(" ");
        let wanted = Wanted {
            interface: interface.clone(),
            snaplen: args.snaplen,
            filter: filter.clone(),
            promiscuous: args.promiscuous && !args.not_promiscuous,
        };
        let tap = interfaces::open(wanted).map_err(Error::Interface)?;
        let (link_type, snaplen, all) = (tap.link_type(), args.snaplen, args.all);
        let head = Head { interface, link_type, snaplen, filter, all, targets: targets(target) };
        let store = path.map(|p| store(args, p, &head)).transpose()?;
        let ring_of_root = store.is_some() && (args.file_size.is_some() || args.rotate.is_some());
        rights::keep(if ring_of_root { Keep::InterfaceAndFolders } else { Keep::Interface });
        Ok(Self { tap, head, store })
    }

    /// Says what is about to happen.
    pub(super) fn announce(&self, err: &mut dyn Write) {
        let to = match &self.store {
            Some(s) if s.path() == Path::new("-") => " to standard output".to_owned(),
            Some(s) => format!(" to {}", Own(&s.path().to_string_lossy())),
            None => String::new(),
        };
        let filter = if self.head.filter.is_empty() {
            String::new()
        } else {
            format!(", filter {}", Sentence(&self.head.filter))
        };
        let kept = if self.head.all {
            "everything".to_owned()
        } else {
            format!("{} (--all records everything)", what_is_kept(&self.head.targets))
        };
        let (interface, link) = (Sentence(&self.head.interface), self.head.link_type);
        let _ =
            writeln!(err, "recording {interface}{to}: {link}, snaplen {}{filter}, {kept}", self.head.snaplen);
    }
}

fn store(args: &Recording, path: &Path, head: &Head) -> Result<Store, Error> {
    let plan = Plan {
        path: path.to_owned(),
        file_bytes: args.file_size,
        file_time: args.rotate.map(|d| Span::from_secs(i64::try_from(d.as_secs()).unwrap_or(i64::MAX))),
        files: args.files,
    };
    if plan.is_ring() && path == Path::new("-") {
        return Err(Error::Usage(
            "standard output cannot be a ring of files: leave out -C and -G".to_owned(),
        ));
    }
    let blocks = head.blocks();
    let least = Store::least_file(&blocks, args.snaplen);
    if args.file_size.is_some_and(|size| size < least) {
        return Err(Error::Usage(format!(
            "a file must hold one packet of {} bytes: -C {least}B at least, or a smaller snaplen (-s)",
            args.snaplen
        )));
    }
    Store::create(plan, blocks).map_err(|e| Error::Recording(PathBuf::from(path), e))
}

pub(super) fn trim(args: &Recording, target: &[String]) -> Option<Trim> {
    (!args.all).then(|| Trim::new(targets(target)))
}

pub(super) const fn until(args: &Recording) -> Until {
    Until { packets: args.count, duration: args.duration }
}
