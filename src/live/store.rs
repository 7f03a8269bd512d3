//! Where a recording goes: one file, a ring of files, or standard output. Only whole blocks are written.
//!
//! Each file is a capture of its own: head, packets, counters. A file never grows beyond the limit given, and no more
//! files exist than were asked for. Blocks gather in a buffer that is written out at least every half second; where
//! the disk is full, the file is cut back to its last whole block.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::comment;
use super::rights::{self, Keep};
use super::tap::Counters;
use crate::base::{Span, Timestamp};
use crate::capture::ByteOrder;

/// Bytes that gather before they are written. Small enough that little is lost, large enough for few writes.
const BUFFER: usize = 256 << 10;

/// Type of the blocks that hold packets.
const ENHANCED_PACKET: u32 = 6;

/// Where to write, and when to begin another file.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The file, `-` for standard output; in a ring, numbers go before its extension.
    pub path: PathBuf,
    /// The most bytes of one file.
    pub file_bytes: Option<u64>,
    /// The longest time that one file covers.
    pub file_time: Option<Span>,
    /// The most files that are kept.
    pub files: Option<u32>,
}

impl Plan {
    /// Whether there may be several files.
    pub const fn is_ring(&self) -> bool {
        self.file_bytes.is_some() || self.file_time.is_some()
    }

    /// The path of the nth file, from 1 on.
    fn path_of(&self, n: u64) -> PathBuf {
        if !self.is_ring() {
            return self.path.clone();
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = self.path.extension().map_or(String::new(), |e| format!(".{}", e.to_string_lossy()));
        self.path.with_file_name(format!("{stem}_{n:05}{extension}"))
    }
}

/// A recording that is being written.
pub struct Store {
    plan: Plan,
    head: Vec<u8>,
    /// Blocks that belong to the file and are not written yet.
    buffer: Vec<u8>,
    out: Out,
    path: PathBuf,
    /// Bytes of the file that are written: whole blocks only.
    written: u64,
    /// When the first packet of this file was taken, and the last.
    times: Option<(Timestamp, Timestamp)>,
    /// What had been counted when it was begun, and what has been by now.
    before: Counters,
    counters: Counters,
    number: u64,
    kept: VecDeque<PathBuf>,
    sync: SyncSender<File>,
    /// Packets in the buffer.
    waiting: u64,
    /// Bytes written, of files that are gone too.
    pub total: u64,
    /// Packets written, of files that are gone too.
    pub packets: u64,
    /// Files begun.
    pub begun: u64,
}

enum Out {
    File(File),
    Stdout,
    /// Ended, or given up after an error.
    Closed,
}

impl Store {
    /// Begins the first file.
    ///
    /// # Errors
    /// Where it cannot be created, or is there already.
    pub fn create(plan: Plan, head: Vec<u8>) -> io::Result<Self> {
        let (sync, to_sync) = sync_channel::<File>(1);
        // A disk may take seconds to say that all is safe; recording does not wait for it.
        std::thread::Builder::new().name("sync".into()).spawn(move || {
            rights::keep(Keep::Nothing);
            while let Ok(file) = to_sync.recv() {
                let _ = file.sync_data(); // what it would tell, the next write tells too
            }
        })?;
        let mut store = Self {
            plan,
            head,
            buffer: Vec::with_capacity(BUFFER * 2),
            out: Out::Closed,
            path: PathBuf::new(),
            written: 0,
            times: None,
            before: Counters::default(),
            counters: Counters::default(),
            number: 0,
            kept: VecDeque::new(),
            sync,
            waiting: 0,
            total: 0,
            packets: 0,
            begun: 0,
        };
        store.begin()?;
        store.flush()?;
        Ok(store)
    }

    /// The least that a file must be allowed to hold: its head, one packet of the snaplen, the counters.
    pub fn least_file(head: &[u8], snaplen: u32) -> u64 {
        let packet = u64::from(snaplen).next_multiple_of(4) + 32;
        head.len() as u64 + packet + trailer_len()
    }

    /// The file that is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files that exist, oldest first.
    pub const fn kept(&self) -> &VecDeque<PathBuf> {
        &self.kept
    }

    /// What has been counted by now; each file states what was counted while it was written.
    pub const fn count(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Appends a whole block; `at` is the time of its packet. Begins another file where this one is full or over.
    ///
    /// # Errors
    /// What writing gives; the file has then been cut back to whole blocks, and is ended.
    pub fn append(&mut self, block: &[u8], at: Option<Timestamp>) -> io::Result<()> {
        if matches!(self.out, Out::Closed) {
            return Ok(());
        }
        let is_full = !self.fits(block);
        let is_over = match (self.plan.file_time, self.times, at) {
            (Some(limit), Some((first, _)), Some(at)) => at.since(first) >= limit,
            _ => false,
        };
        if is_full || is_over {
            self.end()?;
            self.begin()?;
            if !self.fits(block) {
                return Ok(()); // a note too long for the shortest file; no packet is, see `least_file`
            }
        }
        self.buffer.extend_from_slice(block);
        if let Some(at) = at {
            self.waiting += 1;
            self.times = Some(self.times.map_or((at, at), |(first, _)| (first, at)));
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Whether a block has room in the file that is being written.
    pub fn fits(&self, block: &[u8]) -> bool {
        let size = self.written + self.buffer.len() as u64 + block.len() as u64 + trailer_len();
        self.plan.file_bytes.is_none_or(|limit| size <= limit)
    }

    /// Writes out all blocks that have gathered.
    ///
    /// # Errors
    /// As for [`Store::append`].
    pub fn flush(&mut self) -> io::Result<()> {
        let (written, result) = match &mut self.out {
            Out::File(file) => write(file, &self.buffer),
            Out::Stdout => {
                let mut out = io::stdout().lock();
                let (written, result) = write(&mut out, &self.buffer);
                (written, result.and_then(|()| out.flush()))
            }
            Out::Closed => return Ok(()),
        };
        if let Err(e) = result {
            self.give_up(written);
            return Err(e);
        }
        self.written += self.buffer.len() as u64;
        self.total += self.buffer.len() as u64;
        self.packets += std::mem::take(&mut self.waiting);
        self.buffer.clear();
        Ok(())
    }

    /// Has the disk make sure of what is written, unless it is still busy with that.
    pub fn sync(&self) {
        if let Out::File(file) = &self.out
            && let Ok(file) = file.try_clone()
        {
            let _ = self.sync.try_send(file);
        }
    }

    /// Ends the file with its counters.
    ///
    /// # Errors
    /// As for [`Store::append`].
    pub fn end(&mut self) -> io::Result<()> {
        if matches!(self.out, Out::Closed) {
            return Ok(());
        }
        self.buffer.extend(self.trailer());
        self.flush()?;
        self.sync();
        self.out = Out::Closed;
        Ok(())
    }

    fn trailer(&self) -> Vec<u8> {
        let (from, to) = self.times.unwrap_or_default();
        comment::counters(self.counters.since(self.before), from, to)
    }

    /// After an error that came when so much of the buffer was written: cuts the file back to whole blocks, with room for
    /// the counters, and ends it with them if the disk takes them.
    fn give_up(&mut self, written: usize) {
        let trailer = self.trailer();
        let (whole, packets) = whole_blocks(&self.buffer, written.saturating_sub(trailer.len()));
        self.written += whole;
        self.total += whole;
        self.packets += packets;
        if let Out::File(file) = &mut self.out {
            let cut = |f: &mut File| f.set_len(self.written).and_then(|()| f.seek(io::SeekFrom::End(0)));
            if cut(file).is_ok() && file.write_all(&trailer).is_err() {
                let _ = cut(file);
            }
        }
        self.buffer.clear();
        self.waiting = 0;
        self.out = Out::Closed;
    }

    fn begin(&mut self) -> io::Result<()> {
        self.number += 1;
        if let Some(most) = self.plan.files {
            while self.kept.len() >= most.max(1) as usize {
                match self.kept.pop_front().map(std::fs::remove_file) {
                    Some(Err(e)) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
        }
        self.path = self.plan.path_of(self.number);
        if self.plan.path == Path::new("-") {
            self.out = Out::Stdout;
        } else {
            self.out = Out::File(create(&self.path)?);
            self.kept.push_back(self.path.clone());
        }
        self.begun += 1;
        self.written = 0;
        self.times = None;
        self.before = self.counters;
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.head);
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.end(); // whoever wants to know calls it
    }
}

/// Writes as much as can be; gives how much that was.
fn write(out: &mut dyn Write, mut bytes: &[u8]) -> (usize, io::Result<()>) {
    let all = bytes.len();
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return (all - bytes.len(), Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (all - bytes.len(), Err(e)),
        }
    }
    (all, Ok(()))
}

/// How many bytes of a buffer are whole blocks that lie within its first `limit`, and how many of them are packets.
fn whole_blocks(buffer: &[u8], limit: usize) -> (u64, u64) {
    let (mut at, mut packets) = (0, 0);
    while let Some(head) = buffer.get(at..at + 8) {
        let [kind, length] = [ByteOrder::Little.u32(head, 0), ByteOrder::Little.u32(head, 4)];
        let end = at + (length as usize).max(12);
        if end > limit {
            break;
        }
        (at, packets) = (end, packets + u64::from(kind == ENHANCED_PACKET));
    }
    (at as u64, packets)
}

/// Length of the block that ends a file.
fn trailer_len() -> u64 {
    comment::counters(Counters::default(), Timestamp::default(), Timestamp::default()).len() as u64
}

/// Creates a file that only its owner reads. What is there is never written over, unless it is a pipe or a device.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return options.open(path);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.create_new(true).open(path)?;
    #[cfg(unix)]
    give_to_caller(&file);
    Ok(file)
}

/// Under sudo, the file belongs to whoever called: analysing it needs no root.
#[cfg(unix)]
fn give_to_caller(file: &File) {
    let id = |name| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        let _ = std::os::unix::fs::fchown(file, Some(uid), Some(gid)); // only root may; then it stays as it is
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::write::PcapngWriter;
    use crate::capture::{End, LinkType, Source, open_path};

    fn head() -> Vec<u8> {
        let filter = "tcp".to_owned();
        let (interface, link_type) = ("eth0".to_owned(), LinkType::ETHERNET);
        comment::Head { interface, link_type, snaplen: 200, filter, all: true, targets: Vec::new() }.blocks()
    }

    fn packet(n: u64, len: usize) -> (Vec<u8>, Timestamp) {
        let at = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::try_from(n).unwrap() * 100_000_000);
        let mut w = PcapngWriter::within(ByteOrder::Little);
        w.packet(0, at.ns().unsigned_abs(), &vec![u8::try_from(n % 251).unwrap(); len], 1500, &[]);
        (w.finish(), at)
    }

    /// Frames of a file, which must be complete.
    fn frames(path: &Path) -> Vec<u8> {
        let mut source = open_path(path).unwrap();
        let mut found = Vec::new();
        while let Some(f) = source.next_frame() {
            found.push(f.data[0]);
        }
        assert_eq!(source.facts().ended, End::Complete, "{}", path.display());
        found
    }

    #[test]
    fn a_ring_is_honoured_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let limit = Store::least_file(&head(), 200) + 500;
        let plan = Plan {
            path: folder.path().join("a.b.pcapng"),
            file_bytes: Some(limit),
            files: Some(3),
            file_time: None,
        };
        let mut store = Store::create(plan, head()).unwrap();
        let mut longest = 0;
        for n in 0..240u64 {
            let (block, at) = packet(n, 1 + usize::try_from(n * 37 % 200).unwrap());
            store.append(&block, Some(at)).unwrap();
            store.count(Counters { received: n + 1, ..Counters::default() });
            let files: Vec<_> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|e| e.unwrap().metadata().unwrap().len())
                .collect();
            assert!(files.len() <= 3 && files.iter().all(|len| *len <= limit), "{files:?}");
            longest = longest.max(*files.iter().max().unwrap());
        }
        assert!(longest + 233 > limit, "files are filled as far as packets fit: {longest} of {limit}");
        store.end().unwrap();
        assert!(store.begun > 3 && store.kept().len() == 3);
        let kept: Vec<u8> = store.kept().iter().flat_map(|p| frames(p)).collect();
        let last: Vec<u8> = (0..240u64).map(|n| u8::try_from(n % 251).unwrap()).collect();
        assert_eq!(kept[..], last[240 - kept.len()..], "the newest packets, none twice, none missing");
        let received: u64 = store
            .kept()
            .iter()
            .map(|p| {
                let mut s = open_path(p).unwrap();
                while s.next_frame().is_some() {}
                s.facts().received.unwrap()
            })
            .sum();
        assert_eq!(received, kept.len() as u64, "each file counts what came while it was written");
        assert!(store.path().to_string_lossy().ends_with(&format!("a.b_{:05}.pcapng", store.begun)));
    }

    #[test]
    fn a_file_covers_so_much_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.pcapng");
        let plan = Plan { path, file_time: Some(Span::from_secs(2)), ..Plan::default() };
        let mut store = Store::create(plan, head()).unwrap();
        for n in 0..50 {
            let (block, at) = packet(n, 10);
            store.append(&block, Some(at)).unwrap();
        }
        store.end().unwrap();
        let counts: Vec<usize> = store.kept().iter().map(|p| frames(p).len()).collect();
        assert_eq!(counts, [20, 20, 10]);
    }

    #[test]
    fn evidence_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcapng");
        std::fs::write(&path, b"evidence").unwrap();
        let error = Store::create(Plan { path: path.clone(), ..Plan::default() }, head()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(path).unwrap(), b"evidence");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcapng");
        let store = Store::create(Plan { path: path.clone(), ..Plan::default() }, head()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(store);
        assert!(frames(&path).is_empty());
    }
}
