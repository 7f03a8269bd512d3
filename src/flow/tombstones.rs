//! What is remembered of connections that are over: their stream number, for packets that come very late.
//!
//! Wireshark never forgets a conversation, so a packet after hours of silence still has the old `tcp.stream`.
//! Here two generations of at most [`GENERATION`] entries are kept, 40 bytes each; older ones are forgotten and
//! counted.

use std::collections::HashMap;

use crate::base::SeqNum;

/// Entries of one generation.
const GENERATION: usize = 1 << 19;

/// What is left of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tombstone {
    /// Wireshark's `tcp.stream`.
    pub(super) stream: u64,
    /// Whether the connection itself was seen, rather than a quote of it.
    pub(super) seen: bool,
    /// Base sequence number of the lower endpoint of its key.
    pub(super) low: Option<SeqNum>,
    /// Base sequence number of the higher endpoint.
    pub(super) high: Option<SeqNum>,
}

impl Tombstone {
    pub(super) fn base(&self, from_low: bool) -> Option<SeqNum> {
        if from_low { self.low } else { self.high }
    }
}

/// Ended connections by the keyed hash of their ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Tombstones {
    new: HashMap<u64, Tombstone, foldhash::fast::RandomState>,
    old: HashMap<u64, Tombstone, foldhash::fast::RandomState>,
    pub(super) forgotten: u64,
    /// How many were ever put in.
    pub(super) put_in: u64,
}

impl Tombstones {
    /// As long as no more were put in, none was forgotten.
    pub(super) const ROOM: u64 = GENERATION as u64;

    pub(super) fn put(&mut self, hash: u64, tombstone: Tombstone) {
        self.put_in += 1;
        if self.new.len() >= GENERATION {
            self.forgotten += self.old.len() as u64;
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(hash, tombstone);
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        self.new.contains_key(&hash) || self.old.contains_key(&hash)
    }

    pub(super) fn take(&mut self, hash: u64) -> Option<Tombstone> {
        // an entry in the new generation is the later one
        let (new, old) = (self.new.remove(&hash), self.old.remove(&hash));
        new.or(old)
    }
}
