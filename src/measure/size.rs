//! Large packets that vanish where small ones of the same connection come through.
//!
//! A measure: which sizes came and which did not, in one direction. A path whose MTU is smaller than its ends believe, and that
//! tells nobody, does this; so does a box that lets small packets of a connection pass.

use crate::base::{Direction, SeqNum, Span, Timestamp};
use crate::flow::Connection;
use crate::flow::bulk::{NO_DELAY, Passing, Record};

/// How often a segment must have been sent in vain, and for how long a gap must have stayed: as a silence (`measure::stall`).
const TRIES: u32 = 3;
const FOR: Span = Span::from_secs(3);

/// A connection in which sizes were set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeSplit {
    /// Which way the packets went.
    pub direction: Direction,
    /// The largest payload that came through.
    pub passed: u32,
    /// The payload of the segment that was sent again and again in vain; `None` where only the gap that it left is seen.
    pub vain: Option<u32>,
    /// Bytes that never came, although later and smaller packets did.
    pub missing: u64,
    /// The frame that shows it: the last try, or the packet beyond the gap.
    pub frame: u64,
}

impl SizeSplit {
    /// A payload that certainly is as large as those that vanished.
    pub fn as_large(&self) -> u32 {
        self.vain.unwrap_or_else(|| {
            u32::try_from(self.missing).unwrap_or(u32::MAX).min(1_200).max(self.passed + 1)
        })
    }
}

/// The largest payload of a direction that the other end acknowledged; the smaller of it and the MSS, as a host that captures
/// itself joins packets.
pub fn largest(c: &Connection, d: Direction) -> u32 {
    let h = &c.halves[d];
    let came = h.bulk.records().iter().filter(|r| r.kind != Passing::Gap && is_acked(r, h.acked));
    capped(c, d, came.map(|r| r.len).max().unwrap_or(0))
}

/// What sizes were set apart in a connection, if they were.
pub fn split(c: &Connection) -> Option<SizeSplit> {
    [Direction::ToClient, Direction::ToServer].into_iter().find_map(|d| in_vain(c, d).or_else(|| gap(c, d)))
}

fn capped(c: &Connection, d: Direction, len: u32) -> u32 {
    let offered = c.halves[d.reversed()].syn.and_then(|o| o.mss);
    offered.map_or(len, |mss| len.min(u32::from(mss)))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // offsets modulo 2³² are meant
const fn low(offset: i64) -> SeqNum {
    SeqNum(offset as u32)
}

fn is_acked(r: &Record, acked: i64) -> bool {
    SeqNum(r.seq.wrapping_add(r.len)).distance(low(acked)) >= 0
}

/// As the sender's side sees it: the first segment that is not acknowledged is sent again and again, and a smaller one behind it is
/// known to have come (SACK, RFC 2018).
fn in_vain(c: &Connection, d: Direction) -> Option<SizeSplit> {
    let h = &c.halves[d];
    let first = low(h.acked);
    let tries = h.bulk.records().iter().filter(|r| r.kind != Passing::Gap && r.seq == first.0);
    let (mut count, mut begun, mut last) = (0u32, None, None);
    let mut len = u32::MAX;
    for r in tries {
        count += 1;
        len = len.min(r.len);
        begun = begun.or(Some(r.at));
        last = Some(r);
    }
    let (begun, last): (Timestamp, &Record) = (begun?, last?);
    let vain = capped(c, d, len);
    if count < TRIES || last.at.since(begun) < FOR {
        return None;
    }
    let behind = h.bulk.records().iter().filter(|r| {
        r.kind == Passing::New && r.delay_us != NO_DELAY && r.at >= begun && first.distance(SeqNum(r.seq)) > 0
    });
    let sacked = capped(c, d, behind.map(|r| r.len).max()?);
    let passed = sacked.max(largest(c, d));
    let missing = u64::try_from(h.next - h.acked).unwrap_or(0);
    (passed < vain).then_some(SizeSplit {
        direction: d,
        passed,
        vain: Some(vain),
        missing,
        frame: u64::from(last.frame),
    })
}

/// As the receiver's side sees it: a gap that stays, larger than any packet that came, and packets beyond it.
fn gap(c: &Connection, d: Direction) -> Option<SizeSplit> {
    let h = &c.halves[d];
    let first = low(h.acked);
    let records = h.bulk.records();
    let at = records.iter().position(|r| r.kind == Passing::Gap && r.seq == first.0)?;
    let (gap, beyond) = (records[at], records.get(at + 1)?);
    // packets within the gap that came late and were not acknowledged mean that it is another story
    let filled = records[at + 1..].iter().any(|r| {
        r.kind != Passing::Gap && (0..i64::from(gap.len)).contains(&i64::from(first.distance(SeqNum(r.seq))))
    });
    let all = records.iter().filter(|r| r.kind != Passing::Gap).map(|r| r.len).max()?;
    let passed = capped(c, d, all);
    let stayed = c.last.since(gap.at);
    (!filled && gap.len > passed && stayed >= FOR && h.missed_bytes == 0).then_some(SizeSplit {
        direction: d,
        passed,
        vain: None,
        missing: u64::from(gap.len),
        frame: u64::from(beyond.frame),
    })
}
