//! The way from the thread that records to the one that analyses: a stream of pcapng in a bounded queue.
//!
//! Whoever reads is given what the file gets. Where the queue is full, blocks are not kept for it: in their place come
//! blocks without content, one for each packet, so that frame numbers stay those of the file.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::capture::ByteOrder;
use crate::capture::write::PcapngWriter;

/// Bytes that go into the queue at once.
const CHUNK: usize = 64 << 10;
/// Pieces that may wait: 32 MiB.
const WAITING: usize = 512;

/// Packets that are stood for at once; the rest follows with the next chunks.
const AT_ONCE: u64 = CHUNK as u64 / 16;

/// A custom block that is not to be copied (draft-ietf-opsawg-pcapng §4.7); Wireshark numbers it as a frame.
const CUSTOM_BLOCK: u32 = 0x4000_0bad;

/// The writing end.
#[derive(Debug)]
pub struct Feed {
    to: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    /// Packets in the chunk.
    packets: u64,
    /// Packets since the last chunk that was taken.
    missing: u64,
    not_given: u64,
}

/// The reading end.
#[derive(Debug)]
pub struct Fed {
    from: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

/// A queue that begins with the head of a capture.
pub fn feed(head: Vec<u8>) -> (Feed, Fed) {
    with_room(head, WAITING)
}

/// The same, with room for so many pieces.
pub(super) fn with_room(head: Vec<u8>, waiting: usize) -> (Feed, Fed) {
    let (to, from) = sync_channel(waiting);
    let feed = Feed { to, chunk: Vec::new(), packets: 0, missing: 0, not_given: 0 };
    (feed, Fed { from, chunk: head, at: 0 })
}

impl Feed {
    /// Appends a whole block.
    pub fn append(&mut self, block: &[u8], is_packet: bool) {
        self.chunk.extend_from_slice(block);
        self.packets += u64::from(is_packet);
        if self.chunk.len() >= CHUNK {
            self.give();
        }
    }

    /// Hands over what has gathered, if there is room.
    pub fn give(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let chunk = std::mem::take(&mut self.chunk);
        let now = self.missing.min(AT_ONCE);
        if now < self.missing {
            // these packets have to wait for the numbers before them, so they are given up too
            self.give_up();
            self.try_give(placeholders(now), now);
        } else {
            self.try_give([placeholders(now), chunk].concat(), now);
        }
    }

    /// Sends a chunk that stands for `numbers` missing packets besides its own.
    fn try_give(&mut self, chunk: Vec<u8>, numbers: u64) {
        match self.to.try_send(chunk) {
            Ok(()) => {
                self.missing -= numbers;
                self.packets = 0;
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.missing += self.packets;
        self.not_given += self.packets;
        self.packets = 0;
    }

    /// Packets that were not handed over.
    pub const fn not_given(&self) -> u64 {
        self.not_given
    }

    /// Hands over the rest, and waits for room: nothing is recorded any more.
    pub fn finish(&mut self) {
        while self.missing > 0 {
            let now = self.missing.min(AT_ONCE);
            self.missing -= now;
            let _ = self.to.send(placeholders(now)); // a reader that is gone wants no more
        }
        let chunk = std::mem::take(&mut self.chunk);
        let _ = self.to.send(chunk);
    }
}

/// Blocks that stand for so many packets.
fn placeholders(n: u64) -> Vec<u8> {
    let mut w = PcapngWriter::within(ByteOrder::Little);
    for _ in 0..n {
        w.other(CUSTOM_BLOCK, &[0; 4]);
    }
    w.finish()
}

impl Read for Fed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            match self.from.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk, 0),
                Err(_) => return Ok(0), // the writing end is gone: the end
            }
        }
        let n = buf.len().min(self.chunk.len() - self.at);
        buf[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::capture::{LinkType, Source, open_reader};
    use crate::live::comment::Head;

    #[test]
    fn what_is_not_taken_keeps_its_numbers() {
        let (interface, filter) = ("eth0".to_owned(), String::new());
        let head = Head {
            interface,
            link_type: LinkType::ETHERNET,
            snaplen: 0,
            filter,
            all: true,
            targets: Vec::new(),
        }
        .blocks();
        let (mut feed, fed) = with_room(head, 4);
        let send = |feed: &mut Feed, n: u64| {
            let mut w = PcapngWriter::within(ByteOrder::Little);
            w.packet(0, n, &n.to_le_bytes(), 8, &[]);
            feed.append(&w.finish(), true);
            feed.give();
        };
        for n in 1..=10_000u64 {
            send(&mut feed, n); // nobody reads: four are taken
        }
        assert_eq!(feed.not_given(), 9_996);
        let reader = std::thread::spawn(move || {
            let mut source = open_reader(Box::new(fed)).unwrap();
            let mut seen = Vec::new();
            while let Some(f) = source.next_frame() {
                assert_eq!(f.at, Timestamp::from_ns(i64::try_from(f.number).unwrap()));
                seen.push(f.number);
            }
            seen
        });
        for n in 10_001..=10_020u64 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            send(&mut feed, n);
        }
        feed.finish();
        drop(feed);
        let seen = reader.join().unwrap();
        assert_eq!(seen[..4], [1, 2, 3, 4]);
        assert_eq!(seen.last(), Some(&10_020), "{seen:?}");
    }
}
