//! The packets of chosen connections, read from the file a second time: an analysis keeps none.
//!
//! A packet belongs to a row of the analysis if its ends and its transport match and its frame lies between the row's
//! first and last. Frames outside all of those spans are not decoded, and reading stops behind the last of them.
//! Facts only: what a packet is to the stream is said by the same [`crate::flow::Half`] that the analysis used. Memory is bounded
//! ([`ROOM`]); of a connection with more packets than its share, ordinary ones are left out and counted, and those that
//! stand out stay.

mod echo;
mod follow;
mod matter;
mod points;
mod series;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::analysis::Analysis;
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::capture::Source;
use crate::flow::defrag::Defragmenter;
use crate::flow::half::Arrival;
use crate::wire::tcp::Flags;
use crate::wire::{Packet, Payload, decode};

pub use matter::{MOST, that_matter};
pub use series::{Bin, Counted, Series};
pub use wanted::{Found, Wanted};

use follow::Follower;

/// The most points of all traces together: some 50 MB.
pub const ROOM: usize = 1 << 19;

/// The most points of one trace.
pub const MOST_POINTS: usize = 1 << 17;

/// One packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Wireshark's `frame.number`.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// The offset of its first byte, as Wireshark's relative `tcp.seq`. Of QUIC, whose numbers are encrypted, the bytes
    /// that went this way before it.
    pub seq: i64,
    /// Payload bytes on the wire.
    pub len: u32,
    /// What it acknowledges, as an offset of the other direction; `None` without ACK, and for QUIC.
    pub ack: Option<i64>,
    /// The receive window that it advertises, in bytes; `None` where the scale is not known, and for QUIC.
    pub window: Option<u32>,
    /// The first SACK block, as offsets of the other direction.
    pub sack: Option<(i64, i64)>,
    /// All flag bits; none for QUIC.
    pub flags: Flags,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// What its payload is to the stream.
    pub arrival: Arrival,
    /// Bytes that were jumped over just before it: they were lost before the point of capture, or come late.
    pub gap: u32,
}

/// A round trip between the point of capture and one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// The frame that brought the answer.
    pub frame: u64,
    /// When that was captured.
    pub at: Timestamp,
    /// The way that the answer went: its sender is the end that is measured.
    pub direction: Direction,
    /// How long it took.
    pub took: Span,
}

/// The packets of one connection.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The place of its row in the capture's list, those of QUIC behind those of TCP.
    pub place: usize,
    /// Whether it is of TCP; else it is of QUIC.
    pub is_tcp: bool,
    /// Its packets in the order of the file; none where only bins of time were asked for. Copies that a capture point saw
    /// twice are left out, as in the analysis.
    pub points: Vec<Point>,
    /// Ordinary packets that were left out, as there were too many.
    pub thinned: u64,
    /// Round trips, in the order of the file.
    pub round_trips: Vec<RoundTrip>,
    /// Round trips that were left out; of those left out none was the shortest or longest of its neighbours.
    pub round_trips_thinned: u64,
    /// What it carried, in bins of time; exact, whatever was left out above.
    pub series: Series,
    /// Whether the source ended before the row's last frame: it is not the file that was analysed.
    pub incomplete: bool,
}

/// Reads the packets of the connections at the places `drawn` out of a source that gives what was analysed once more; of
/// those at the places `counted` only what they carried, in bins of time.
///
/// The traces come in the order of the places, `drawn` first; places that are not there have none.
pub fn trace(source: &mut dyn Source, a: &Analysis, drawn: &[usize], counted: &[usize]) -> Vec<Trace> {
    let index = Wanted::new(a, &[drawn, counted].concat());
    let drawn: BTreeSet<usize> = drawn.iter().copied().collect();
    let share = (ROOM / drawn.len().max(1)).clamp(64, MOST_POINTS);
    let telling = telling(a, &index);
    let room = |place: usize| drawn.contains(&place).then_some(share);
    let mut followers: Vec<Follower> =
        index.places().map(|place| Follower::new(a, place, room(place), Arc::clone(&telling))).collect();
    let mut defrag = Defragmenter::default();
    let mut reached = 0;
    while reached < index.last_frame() {
        let Some(frame) = source.next_frame() else { break };
        reached = frame.number;
        if !index.may_have(frame.number) {
            continue;
        }
        let packet = decode::frame(&frame);
        if let (Payload::Fragment(data), Some(ip)) = (packet.payload, packet.ip) {
            let whole = ip.fragment.and_then(|f| defrag.push(frame.at, &ip, f, data));
            if let Some((ip, payload)) = whole {
                take(&index, &mut followers, frame.number, frame.at, &decode::reassembled(ip, &payload));
            }
            continue;
        }
        take(&index, &mut followers, frame.number, frame.at, &packet);
    }
    followers.into_iter().map(|f| f.finish(reached)).collect()
}

fn take(index: &Wanted, followers: &mut [Follower], frame: u64, at: Timestamp, packet: &Packet<'_>) {
    let Some(ip) = &packet.ip else { return };
    let ends = |src_port, dst_port| {
        (Endpoint { addr: ip.src, port: src_port }, Endpoint { addr: ip.dst, port: dst_port })
    };
    match packet.payload {
        Payload::Tcp(tcp) => {
            let (src, dst) = ends(tcp.src_port(), tcp.dst_port());
            if let Some(found) = index.find(true, src, dst, frame) {
                followers[found.nth].tcp(frame, at, found.direction, ip, &tcp);
            }
        }
        Payload::Udp(udp) => {
            let (src, dst) = ends(udp.src_port(), udp.dst_port());
            if let Some(found) = index.find(false, src, dst, frame) {
                followers[found.nth].datagram(frame, at, found.direction, ip, udp.payload_len);
            }
        }
        _ => {}
    }
}

/// The frames that findings about these connections name, in order.
fn telling(a: &Analysis, wanted: &Wanted) -> Arc<[u64]> {
    let places: BTreeSet<usize> = wanted.places().collect();
    let about = a.findings.iter().filter(|f| f.connections.iter().any(|c| places.contains(c)));
    let mut frames: Vec<u64> = about
        .flat_map(|f| f.frames.iter().chain(f.evidence.iter().flat_map(|e| &e.frames)))
        .copied()
        .collect();
    frames.sort_unstable();
    frames.dedup();
    frames.into()
}
