//! What a connection carried, in bins of time: goodput, retransmissions and round trips of each direction.

use std::collections::BTreeMap;

use super::RoundTrip;
use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Span, Timestamp};

/// The most bins of a series; a connection that lasts longer has wider ones.
const MOST_BINS: i64 = 1 << 14;

/// From how many bins of 100 ms on bins are wider.
const FINE: i64 = 600;

/// What went one way within a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Payload bytes on the wire.
    pub bytes: u64,
    /// Payload bytes that came for the first time; of QUIC all bytes.
    pub new_bytes: u64,
    /// Data packets.
    pub data_packets: u64,
    /// Segments sent again; 0 for QUIC, where none can be told.
    pub retransmitted: u64,
    /// How many round trips between the point of capture and the sender of this direction ended in this bin.
    pub round_trips: u64,
    /// Their sum.
    sum_ns: i64,
    /// The shortest of them.
    pub rtt_min: Option<Span>,
    /// The longest of them.
    pub rtt_max: Option<Span>,
}

impl Counted {
    /// The mean of the round trips.
    pub fn rtt_mean(&self) -> Option<Span> {
        let n = i64::try_from(self.round_trips).ok().filter(|n| *n > 0)?;
        Some(Span::from_ns(self.sum_ns / n))
    }
}

/// A bin: it begins at `start` and is as wide as its series says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// When it begins.
    pub start: Timestamp,
    /// What went each way.
    pub of: PerDirection<Counted>,
}

impl Bin {
    /// The goodput of a direction in bit/s, in a bin of this width.
    #[allow(clippy::cast_precision_loss)] // a rate needs no more than 52 bits
    pub fn goodput_bps(&self, direction: Direction, width: Span) -> f64 {
        self.of[direction].new_bytes as f64 * 8.0 / width.secs_f64().max(1e-9)
    }
}

/// Bins of equal width in the order of time; those in which nothing was captured are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// When the first bin may begin.
    pub start: Timestamp,
    /// How wide they are: 100 ms for the first minute's length, up to 1 s beyond, and wider where a connection lasts hours.
    pub width: Span,
    /// The bins.
    pub bins: Vec<Bin>,
}

/// A series in the making.
#[derive(Debug)]
pub(super) struct Binning {
    start: Timestamp,
    width: Span,
    bins: BTreeMap<i64, PerDirection<Counted>>,
}

impl Binning {
    /// An empty series of a connection that lasts so long.
    pub(super) fn new(start: Timestamp, lasts: Span) -> Self {
        let lasts = lasts.ns().max(0);
        let width = (lasts / FINE).clamp(100_000_000, 1_000_000_000).max(lasts / MOST_BINS + 1);
        // a round number of tenths of a second, so that a reader can say it
        let width = (width + 99_999_999) / 100_000_000 * 100_000_000;
        Self { start, width: Span::from_ns(width), bins: BTreeMap::new() }
    }

    /// What went one way at a time.
    pub(super) fn at(&mut self, at: Timestamp, direction: Direction) -> &mut Counted {
        let n = at.since(self.start).ns().max(0) / self.width.ns();
        &mut self.bins.entry(n).or_default()[direction]
    }

    pub(super) fn round_trip(&mut self, r: &RoundTrip) {
        let bin = self.at(r.at, r.direction);
        bin.round_trips += 1;
        bin.sum_ns = bin.sum_ns.saturating_add(r.took.ns());
        bin.rtt_min = Some(bin.rtt_min.map_or(r.took, |m| m.min(r.took)));
        bin.rtt_max = Some(bin.rtt_max.map_or(r.took, |m| m.max(r.took)));
    }

    pub(super) fn finish(self) -> Series {
        let Self { start, width, bins } = self;
        let begins = |n: i64| start + Span::from_ns(n.saturating_mul(width.ns()));
        let bins = bins.into_iter().map(|(n, of)| Bin { start: begins(n), of }).collect();
        Series { start, width, bins }
    }
}
