//! What one direction carried, packet by packet: the series that a cap is read from.
//!
//! A record is 32 bytes, kept from the first payload on, so that the burst which a bucket lets pass is there. What
//! is bounded: the records of a direction ([`MAX_RECORDS`]) and of all open connections together (the table's
//! [`ROOM`]). Past either the series ends; the rest is counted. Which packets were lost is not decided here: it
//! shows only when they are sent again, and `measure::cap` reads it from the whole.

use crate::base::{SeqNum, Timestamp};

use super::Segment;
use super::half::Arrival;

/// The most records of one direction: 98 MB in full-size packets.
pub const MAX_RECORDS: usize = 1 << 16;

/// The most records of all open connections together: 64 MiB.
pub const ROOM: usize = 1 << 21;

/// Needless retransmissions that are remembered (DSACK, RFC 2883).
const MAX_NEEDLESS: usize = 1 << 12;

/// A delay that is not known.
pub const NO_DELAY: u32 = u32::MAX;

/// One packet with payload, or a gap where packets were expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was captured; of a gap, when it was noticed.
    pub at: Timestamp,
    /// Wireshark's `frame.number`, as far as 32 bits reach.
    pub frame: u32,
    /// The offset of its first byte, modulo 2³².
    pub seq: u32,
    /// Payload bytes; an offloaded segment is longer than a packet.
    pub len: u32,
    /// Microseconds until the other end acknowledged it, or [`NO_DELAY`].
    pub delay_us: u32,
    /// Its timestamp value, 0 where it has none.
    pub tsval: u32,
    /// Bytes of its IP and TCP headers.
    pub headers: u8,
    /// What it is.
    pub kind: Passing,
    /// Whether the receiver's window let no more than one segment follow.
    pub window_full: bool,
    /// Whether nothing was in flight when it was sent, as seen at the point of capture.
    pub alone: bool,
}

/// What a record is to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// Bytes that come for the first time.
    New,
    /// Bytes sent again, or that fill a gap late.
    Again,
    /// Bytes that fill a gap so soon that they were only overtaken.
    Late,
    /// No packet: bytes that were jumped over.
    Gap,
}

/// The series of one direction.
#[derive(Clone, Debug, Default)]
pub struct Bulk {
    records: Vec<Record>,
    /// The first record that no acknowledgment has reached.
    cursor: u32,
    /// Up to where acknowledgments are of no use as delays without SACK: what was in flight when something was sent again.
    recover: i64,
    /// Whether the other end sends SACK blocks.
    sacks: bool,
    /// Where DSACK reports what came twice, modulo 2³².
    #[allow(clippy::box_collection)] // most directions have none
    needless: Option<Box<Vec<u32>>>,
    /// Packets that were not kept.
    pub not_kept: u64,
}

/// What the flow room knows when a data segment comes.
pub(super) struct Sent {
    /// Offset of its first byte.
    pub start: i64,
    /// Highest offset before it.
    pub next: i64,
    /// What it is to the stream.
    pub arrival: Arrival,
    /// Bytes of its IP header.
    pub ip_header: u8,
    /// Highest acknowledgment.
    pub acked: i64,
    /// The receiver's window.
    pub window: u32,
}

impl Bulk {
    /// The records, in the order in which they were captured.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Offsets, modulo 2³², at which the receiver said that something came twice.
    pub fn needless(&self) -> &[u32] {
        self.needless.as_ref().map_or(&[], |n| n)
    }

    /// Takes a data segment; `room` is what is left for all connections.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // offsets modulo 2³² are meant
    pub(super) fn sent(&mut self, s: &Segment, what: &Sent, room: &mut usize) {
        let Sent { start, next, acked, .. } = *what;
        if self.records.len() >= MAX_RECORDS || *room < 2 {
            self.not_kept += 1;
            return;
        }
        let kind = match what.arrival {
            Arrival::Nothing => return,
            Arrival::New => Passing::New,
            Arrival::OutOfOrder => Passing::Late,
            Arrival::Retransmission => Passing::Again,
        };
        let in_flight = next.max(start + i64::from(s.len)) - acked;
        let record = Record {
            at: s.at,
            frame: u32::try_from(s.frame).unwrap_or(u32::MAX),
            seq: start as u32,
            len: s.len,
            delay_us: NO_DELAY,
            tsval: s.timestamps.map_or(0, |t| t.0),
            headers: s.header_len.saturating_add(what.ip_header),
            kind,
            window_full: what.window > 0 && in_flight + i64::from(s.len) >= i64::from(what.window),
            alone: next <= acked,
        };
        if kind == Passing::New && start > next && next > 0 {
            let len = u32::try_from(start - next).unwrap_or(u32::MAX);
            self.keep(Record { kind: Passing::Gap, seq: next as u32, len, ..record }, room);
        }
        if kind == Passing::Again {
            self.recover = self.recover.max(next);
        }
        self.keep(record, room);
    }

    fn keep(&mut self, record: Record, room: &mut usize) {
        self.records.push(record);
        *room = room.saturating_sub(1);
    }

    /// Takes an acknowledgment, at offset `ack`, with its first SACK block, if it has one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // offsets modulo 2³² are meant
    pub(super) fn acknowledged(&mut self, at: Timestamp, ack: i64, block: Option<(i64, i64)>) {
        let mut reach = ack;
        let mut from = ack;
        if let Some((left, right)) = block {
            self.sacks = true;
            if right <= ack {
                let needless = self.needless.get_or_insert_default();
                if needless.len() < MAX_NEEDLESS {
                    needless.push(left as u32);
                }
            } else if left < right {
                (reach, from) = (right, left);
            }
        }
        let tells = self.sacks || ack > self.recover;
        while let Some(r) = self.records.get_mut(self.cursor as usize) {
            if r.kind == Passing::New {
                let end = SeqNum(r.seq.wrapping_add(r.len));
                if end.distance(SeqNum(reach as u32)) < 0 {
                    return;
                }
                let sacked = SeqNum(from as u32).distance(SeqNum(r.seq)) >= 0;
                if tells && (sacked || end.distance(SeqNum(ack as u32)) >= 0) {
                    let us = at.since(r.at).ns().max(0) / 1000;
                    r.delay_us = u32::try_from(us).unwrap_or(NO_DELAY);
                }
            }
            self.cursor += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::SEGMENT;
    use super::*;

    fn sent(bulk: &mut Bulk, ms: i64, start: i64, next: i64, arrival: Arrival) {
        let s = Segment { at: Timestamp::from_ns(ms * 1_000_000), len: 1000, ..SEGMENT };
        let what = Sent { start, next, arrival, ip_header: 20, acked: 1, window: 60_000 };
        bulk.sent(&s, &what, &mut 100);
    }

    fn delays(bulk: &Bulk) -> Vec<Option<u32>> {
        bulk.records().iter().map(|r| (r.delay_us != NO_DELAY).then_some(r.delay_us / 1000)).collect()
    }

    #[test]
    fn an_acknowledgment_dates_what_it_reaches_first() {
        let mut bulk = Bulk::default();
        for i in 0..3 {
            sent(&mut bulk, i, 1 + i * 1000, 1 + i * 1000, Arrival::New);
        }
        bulk.acknowledged(Timestamp::from_ns(50_000_000), 2001, None);
        assert_eq!(delays(&bulk), [Some(50), Some(49), None]);
    }

    #[test]
    fn sack_dates_what_came_and_not_what_is_missing() {
        let mut bulk = Bulk::default();
        for i in 0..3 {
            sent(&mut bulk, i, 1 + i * 1000, 1 + i * 1000, Arrival::New);
        }
        bulk.acknowledged(Timestamp::from_ns(50_000_000), 1, Some((1001, 3001)));
        bulk.acknowledged(Timestamp::from_ns(90_000_000), 3001, None);
        assert_eq!(delays(&bulk), [None, Some(49), Some(48)], "the first came by a retransmission");
        bulk.acknowledged(Timestamp::from_ns(95_000_000), 3001, Some((1, 1001)));
        assert_eq!(bulk.needless(), [1]);
    }

    #[test]
    fn a_jump_leaves_a_gap_and_the_room_is_kept() {
        let mut bulk = Bulk::default();
        sent(&mut bulk, 0, 1, 1, Arrival::New);
        sent(&mut bulk, 1, 3001, 1001, Arrival::New);
        let kinds: Vec<Passing> = bulk.records().iter().map(|r| r.kind).collect();
        assert_eq!(kinds, [Passing::New, Passing::Gap, Passing::New]);
        assert_eq!((bulk.records()[1].seq, bulk.records()[1].len), (1001, 2000));
        let mut none = 1;
        let s = Segment { len: 1000, ..SEGMENT };
        let what =
            Sent { start: 4001, next: 4001, arrival: Arrival::New, ip_header: 20, acked: 1, window: 0 };
        bulk.sent(&s, &what, &mut none);
        assert_eq!((bulk.records().len(), bulk.not_kept), (3, 1));
    }
}
