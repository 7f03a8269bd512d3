//! The loop that records: packets from a tap into a store, and to whoever analyses them.
//!
//! Recording goes first. What analysis cannot take in time is not kept for it, only its number is, so that frame
//! numbers stay those of the file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::{self, Reading, Watch};
use super::comment;
use super::feed::Feed;
use super::signals::Signals;
use super::store::Store;
use super::tap::{Counters, Next, Tap};
use super::trim::Trim;
use crate::base::Timestamp;
use crate::capture::write::PcapngWriter;
use crate::capture::{ByteOrder, Frame};
use crate::report::units::bytes;

/// How long analysis waits for a block at most.
const FEED_EVERY: Duration = Duration::from_millis(100);
/// How long what was taken may be kept from the file.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// How often counters and clocks are looked at, and the disk is asked to make sure.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to sleep when no packet is there. The kernel's buffer holds far more than comes meanwhile.
const REST: Duration = Duration::from_millis(5);
/// Packets between two looks at the clock while packets come without a pause.
const BATCH: u32 = 64;
/// How long the kernel may hold back packets that it has, see [`super::tap::Tap`].
const HELD_BACK: Duration = Duration::from_millis(150);
/// How long the kernel's buffer is emptied after the end was asked for.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// When to end by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// After so many packets.
    pub packets: Option<u64>,
    /// After so long.
    pub duration: Option<Duration>,
}

/// What has been recorded so far, for others to look at.
#[derive(Debug, Default)]
pub struct Live {
    /// Packets taken.
    pub captured: AtomicU64,
    /// Packets left out as no IP.
    pub left_out: AtomicU64,
    /// Bytes left out of packets that were recorded.
    pub cut: AtomicU64,
    /// See [`Counters`].
    pub received: AtomicU64,
    /// See [`Counters`].
    pub dropped_kernel: AtomicU64,
    /// See [`Counters`].
    pub dropped_interface: AtomicU64,
    /// Bytes written.
    pub written: AtomicU64,
    /// Packets written.
    pub recorded: AtomicU64,
    /// Packets that analysis was not given, as it had fallen behind.
    pub not_analysed: AtomicU64,
}

impl Live {
    fn set(counter: &AtomicU64, n: u64) {
        counter.store(n, Ordering::Relaxed);
    }

    fn note_written(&self, store: &Store) {
        Self::set(&self.written, store.total);
        Self::set(&self.recorded, store.packets);
    }

    /// A figure.
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// The figures in one line.
    pub fn line(&self) -> String {
        let [captured, received, kernel, interface, not_analysed, left_out, cut] = [
            &self.captured,
            &self.received,
            &self.dropped_kernel,
            &self.dropped_interface,
            &self.not_analysed,
            &self.left_out,
            &self.cut,
        ]
        .map(Self::get);
        let mut line = format!(
            "{captured} packets captured, {received} received by the filter, {kernel} dropped by the kernel, {interface} by the interface"
        );
        for (n, what) in [
            (left_out, format!("{left_out} left out as no IP (--all records them)")),
            (cut, format!("{} of payload left out (--all records it)", bytes(cut))),
            (not_analysed, format!("{not_analysed} not analysed, as analysis fell behind")),
        ] {
            if n > 0 {
                line = format!("{line}, {what}");
            }
        }
        line
    }
}

/// A recording in progress.
pub struct Recorder<'a> {
    /// Where packets come from.
    pub tap: &'a mut dyn Tap,
    /// Where they go; `None` where they are only analysed.
    pub store: Option<Store>,
    /// Who analyses them.
    pub feed: Option<Feed>,
    /// What of them is recorded; `None` for all.
    pub trim: Option<Trim>,
    /// When to end.
    pub until: Until,
    /// Signals that end it.
    pub signals: Signals,
    /// The figures.
    pub live: Arc<Live>,
    /// Who is told what happens, one sentence at a time.
    pub say: &'a mut dyn FnMut(&str),
    /// The clocks, which are watched for sleep and for being set.
    pub clocks: &'a mut dyn FnMut() -> Reading,
    /// Whether the interface was up when it was looked at last.
    pub up: bool,
}

/// How a recording ended.
#[derive(Debug)]
pub enum Ended {
    /// As it was asked to.
    Done,
    /// The file could not be written any more; it holds what was written before.
    Unwritable(io::Error),
}

impl Recorder<'_> {
    /// Records until the end.
    pub fn run(mut self) -> Ended {
        let begun = clock::now();
        let mut watch = Watch::new((self.clocks)());
        let (mut fed, mut flushed, mut looked) = (begun, begun, begun);
        let mut stopping: Option<std::time::Instant> = None;
        let mut block = PcapngWriter::within(ByteOrder::Little);
        let mut bytes = Vec::new();
        let mut batch = 0;
        let mut unwritable = None;
        loop {
            let packets = self.until.packets.is_some_and(|n| Live::get(&self.live.captured) >= n);
            if packets || stopping.is_some_and(|s| s.elapsed() > LAST_WORDS) {
                break;
            }
            let rest = match self.take(&mut block) {
                Ok(Got::Packet(at)) => {
                    bytes.clear();
                    let _ = block.drain(&mut bytes); // memory takes all
                    if let Some(at) = at {
                        unwritable = unwritable.or(self.put(&bytes, Some(at)).err());
                    }
                    batch += 1;
                    batch < BATCH && unwritable.is_none()
                }
                Ok(Got::Nothing) if stopping.is_some_and(|s| s.elapsed() > HELD_BACK) => break,
                Ok(Got::Nothing) => {
                    clock::sleep(REST);
                    false
                }
                Ok(Got::Over) => break,
                Err(_) if stopping.is_some() || self.signals.stopped() => break,
                Err(why) => {
                    unwritable = unwritable.or(self.wait_for_interface(&why).err());
                    false
                }
            };
            if rest {
                continue;
            }
            batch = 0;
            let now = clock::now();
            if now - fed >= FEED_EVERY {
                fed = now;
                self.give();
            }
            if now - flushed >= FLUSH_EVERY {
                flushed = now;
                if let Some(store) = &mut self.store {
                    unwritable = unwritable.or(store.flush().err());
                }
            }
            if now - looked >= LOOK_EVERY {
                looked = now;
                unwritable = unwritable.or(self.look(&mut watch).err());
            }
            if self.signals.take_counters() {
                self.count();
                (self.say)(&self.live.line());
            }
            let over = self.until.duration.is_some_and(|d| now - begun >= d);
            if stopping.is_none() && (over || self.signals.stopped()) {
                stopping = Some(now);
            }
            if let Some(e) = &unwritable
                && let Some(store) = self.store.take()
            {
                self.live.note_written(&store);
                let n = store.packets;
                (self.say)(&format!(
                    "the recording cannot be written any more: {e}; its {n} packets are whole"
                ));
                if self.feed.is_none() {
                    break;
                }
            }
        }
        self.end(unwritable)
    }

    /// Takes one packet into `block`.
    fn take(&mut self, block: &mut PcapngWriter) -> Result<Got, String> {
        let link_type = self.tap.link_type();
        let packet = match self.tap.next() {
            Next::Packet(p) => p,
            Next::Nothing => return Ok(Got::Nothing),
            Next::Over => return Ok(Got::Over),
            Next::Failed(why) => return Err(why),
        };
        let (at, data, wire_len) = (packet.at, packet.data, packet.wire_len);
        let frame =
            Frame { number: 0, at, link_type, file: 0, interface: 0, data, wire_len, dropped_before: 0 };
        let keep = self.trim.as_mut().map_or(Some(data.len()), |t| t.keep(&frame));
        if let Some(trim) = &self.trim {
            Live::set(&self.live.left_out, trim.left_out);
            Live::set(&self.live.cut, trim.cut);
        }
        let Some(keep) = keep else { return Ok(Got::Packet(None)) };
        let data = data.get(..keep).unwrap_or(data);
        block.packet(0, u64::try_from(at.ns()).unwrap_or(0), data, wire_len, &[]);
        self.live.captured.fetch_add(1, Ordering::Relaxed);
        Ok(Got::Packet(Some(at)))
    }

    fn put(&mut self, block: &[u8], at: Option<Timestamp>) -> io::Result<()> {
        if let Some(feed) = &mut self.feed {
            feed.append(block, at.is_some());
        }
        self.store.as_mut().map_or(Ok(()), |s| s.append(block, at))
    }

    fn give(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.give();
            Live::set(&self.live.not_analysed, feed.not_given());
        }
    }

    /// Asks for the counters.
    fn count(&mut self) -> Counters {
        let c = self.tap.counters();
        Live::set(&self.live.received, c.received);
        Live::set(&self.live.dropped_kernel, c.dropped_kernel);
        Live::set(&self.live.dropped_interface, c.dropped_interface);
        if let Some(store) = &mut self.store {
            store.count(c);
            self.live.note_written(store);
        }
        c
    }

    /// What is done once a second.
    fn look(&mut self, watch: &mut Watch) -> io::Result<()> {
        self.count();
        if let Some(store) = &self.store {
            store.sync();
        }
        let mut done = Ok(());
        for step in watch.see((self.clocks)()) {
            done = done.and(self.note(&step.to_string()));
        }
        if let Some(up) = self.tap.is_up()
            && std::mem::replace(&mut self.up, up) != up
        {
            let text = if up {
                "the interface is up again"
            } else {
                "the interface is down: nothing comes until it is up again"
            };
            done = done.and(self.note(text));
        }
        done
    }

    /// Says what happened, and writes it into the recording.
    fn note(&mut self, text: &str) -> io::Result<()> {
        (self.say)(text);
        let mut block = PcapngWriter::within(ByteOrder::Little);
        comment::note(&mut block, (self.clocks)().wall, text);
        self.put(&block.finish(), None)
    }

    /// Waits until a failed interface is there again, or the end is asked for.
    fn wait_for_interface(&mut self, why: &str) -> io::Result<()> {
        let lost = clock::now();
        let mut done = self.note(&format!("the interface fails ({why}); waiting for it to come back"));
        self.give();
        if let Some(store) = &mut self.store {
            done = done.and(store.flush());
        }
        while !self.signals.stopped() {
            clock::sleep(LOOK_EVERY / 4);
            match self.tap.reopen() {
                Ok(()) => {
                    let away = lost.elapsed().as_secs_f64();
                    return done.and(self.note(&format!("the interface is back after {away:.1} s")));
                }
                Err(_) if self.until.duration.is_some_and(|d| lost.elapsed() > d) => self.signals.stop(),
                Err(_) => {}
            }
        }
        done
    }

    fn end(mut self, unwritable: Option<io::Error>) -> Ended {
        let counted = self.count();
        let mut ended = unwritable;
        if let Some(text) = self.trim.as_ref().and_then(Trim::what_is_missing) {
            let mut block = PcapngWriter::within(ByteOrder::Little);
            comment::note(&mut block, (self.clocks)().wall, &text);
            let block = block.finish();
            // another file of a ring for this alone would push out packets
            if self.store.as_ref().is_none_or(|s| s.fits(&block)) {
                ended = ended.or(self.put(&block, None).err());
            }
        }
        if let Some(store) = &mut self.store {
            ended = ended.or(store.end().err());
            self.live.note_written(store);
        }
        if let Some(mut feed) = self.feed.take() {
            feed.append(&comment::counters(counted, Timestamp::default(), Timestamp::default()), false);
            // before it waits for room: what reads may look at the figure first
            Live::set(&self.live.not_analysed, feed.not_given());
            feed.finish();
        }
        ended.map_or(Ended::Done, Ended::Unwritable)
    }
}

enum Got {
    /// A packet; without a time where it is left out.
    Packet(Option<Timestamp>),
    Nothing,
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{LinkType, Source, open_path, open_reader};
    use crate::live::comment::Head;
    use crate::live::feed::with_room;
    use crate::live::store::Plan;
    use crate::live::tap::Taken;

    /// Gives so many packets, as fast as they are taken; fails once before the packet that `fails_at` names.
    struct Numbers {
        next: u32,
        count: u32,
        fails_at: Option<u32>,
        data: [u8; 64],
    }

    impl Tap for Numbers {
        fn next(&mut self) -> Next<'_> {
            if self.fails_at == Some(self.next) {
                return Next::Failed("it went away".to_owned());
            }
            if self.next == self.count {
                return Next::Over;
            }
            self.next += 1;
            self.data[..4].copy_from_slice(&self.next.to_be_bytes());
            let at = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::from(self.next) * 1000);
            Next::Packet(Taken { at, data: &self.data, wire_len: 64 })
        }

        fn reopen(&mut self) -> Result<(), String> {
            self.fails_at = None;
            Ok(())
        }

        fn counters(&mut self) -> Counters {
            Counters { received: u64::from(self.next), ..Counters::default() }
        }

        fn is_up(&mut self) -> Option<bool> {
            None
        }

        fn link_type(&self) -> LinkType {
            LinkType::ETHERNET
        }
    }

    fn head() -> Vec<u8> {
        let (interface, filter) = ("test".to_owned(), String::new());
        Head { interface, link_type: LinkType::ETHERNET, snaplen: 0, filter, all: true, targets: Vec::new() }
            .blocks()
    }

    fn numbers(source: &mut dyn Source) -> Vec<u64> {
        let mut found = Vec::new();
        while let Some(f) = source.next_frame() {
            let said = u64::from(u32::from_be_bytes(f.data[..4].try_into().unwrap()));
            assert_eq!(said, f.number, "frame numbers are those of the file");
            found.push(said);
        }
        found
    }

    fn record(
        count: u32,
        fails_at: Option<u32>,
        feed: Option<Feed>,
        path: &std::path::Path,
        live: &Arc<Live>,
    ) -> Vec<String> {
        let mut said = Vec::new();
        let plan = Plan { path: path.to_owned(), ..Plan::default() };
        let mut tap = Numbers { next: 0, count, fails_at, data: [0; 64] };
        let recorder = Recorder {
            tap: &mut tap,
            store: Some(Store::create(plan, head()).unwrap()),
            feed,
            trim: None,
            until: Until::default(),
            signals: Signals::default(),
            live: Arc::clone(live),
            say: &mut |text| said.push(text.to_owned()),
            clocks: &mut Reading::now,
            up: true,
        };
        assert!(matches!(recorder.run(), Ended::Done));
        said
    }

    #[test]
    fn analysis_that_falls_behind_costs_no_packet_of_the_recording() {
        const COUNT: u32 = 60_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcapng");
        let (to, from) = with_room(head(), 4);
        let live = Arc::new(Live::default());
        let figures = Arc::clone(&live);
        let reader = std::thread::spawn(move || {
            while Live::get(&figures.not_analysed) == 0 {
                clock::sleep(Duration::from_millis(1)); // it has better things to do until it is too late
            }
            numbers(&mut open_reader(Box::new(from)).unwrap())
        });
        record(COUNT, None, Some(to), &path, &live);
        let analysed = reader.join().unwrap().len() as u64;
        let not_analysed = Live::get(&live.not_analysed);
        assert!(not_analysed > 0, "the queue holds less than all");
        assert_eq!(analysed + not_analysed, u64::from(COUNT), "what is not analysed is counted");
        let recorded = numbers(&mut open_path(&path).unwrap());
        assert_eq!(recorded, (1..=u64::from(COUNT)).collect::<Vec<_>>(), "and all is recorded");
    }

    #[test]
    fn an_interface_that_fails_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcapng");
        let live = Arc::new(Live::default());
        let said = record(100, Some(40), None, &path, &live);
        let mut source = open_path(&path).unwrap();
        assert_eq!((numbers(&mut source).len(), Live::get(&live.recorded)), (100, 100));
        assert!(said[0].contains("it went away") && said[1].contains("is back"), "{said:?}");
        let comments: Vec<_> = source.facts().comments.iter().map(|c| &c.text).collect();
        assert!(comments.len() == 2 && comments[1].contains("is back"), "{comments:?}");
    }
}
