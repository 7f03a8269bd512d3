//! One direction of one connection, measured: what stays of its packets for judging and for shared buckets.

use std::net::IpAddr;

use crate::base::parallel::in_parallel;
use crate::base::{Direction, Span, Timestamp};
use crate::flow::Connection;

use super::policer::{self, PolicerFit};
use super::queue::{self, QueueFit, Waiting};
use super::series::{Delays, Packet, Series, Side};

/// New payload bytes from which a direction is a transfer: some twenty packets, and the least that a policer's burst
/// is worth (Flach et al. 2016: 90% of policed segments sustain 30 kB).
pub const LEAST_BYTES: u64 = 30_000;

/// What all models say of the same packets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fits {
    /// Delays.
    pub waiting: Option<Waiting>,
    /// Token bucket that drops.
    pub policer: Option<PolicerFit>,
    /// Token bucket that delays.
    pub queue: Option<QueueFit>,
    /// How much better than chance a queue that drops early foretells the losses, in natural logarithms.
    pub early: f64,
    /// Packets on the wire.
    pub packets: usize,
    /// Packets lost.
    pub losses: usize,
    /// Share of the packets that filled the receiver's window.
    pub window_full: f64,
    /// Share of the packets that were sent with nothing in flight.
    pub alone: f64,
    /// Share of the packets that came in less than seven tenths of the time that the fitted rate takes for one; 1 where they
    /// were captured before anything could space them.
    pub faster: f64,
    /// Seconds from the first packet to the last.
    pub seconds: f64,
}

/// See [`Fits::faster`].
const FASTER: f64 = 0.7;

impl Fits {
    /// Fits all models.
    #[allow(clippy::cast_precision_loss)] // counts of packets
    pub fn new(series: &Series) -> Self {
        let packets = &series.packets;
        let share = |of: fn(&Packet) -> bool| {
            packets.iter().filter(|p| of(p)).count() as f64 / packets.len().max(1) as f64
        };
        let policer = policer::fit(packets);
        let waiting = queue::waiting(series, policer.as_ref().map(|p| p.bucket.depth / p.bucket.rate));
        let faster = match &policer {
            Some(p) if series.side == Side::Before => {
                let passed: Vec<&Packet> = packets.iter().filter(|p| !p.lost).collect();
                let soon =
                    |w: &&[&Packet]| w[1].at - w[0].at < FASTER * f64::from(w[1].bytes) / p.bucket.rate;
                passed.windows(2).filter(soon).count() as f64 / passed.len().max(1) as f64
            }
            _ => 1.0,
        };
        Self {
            faster,
            early: if series.losses > 0 { queue::drops_early(packets) } else { 0.0 },
            queue: waiting.as_ref().and_then(|w| queue::fit(series, w)),
            waiting,
            policer,
            packets: packets.len(),
            losses: series.losses,
            window_full: share(|p| p.window_full),
            alone: share(|p| p.alone),
            seconds: packets.last().map_or(0.0, |p| p.at),
        }
    }
}

/// One direction of one connection.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The place of its connection in the capture's list.
    pub connection: usize,
    /// Which way it went.
    pub direction: Direction,
    /// The host that sent.
    pub sender: IpAddr,
    /// The host that received.
    pub receiver: IpAddr,
    /// When its first packet was captured.
    pub start: Timestamp,
    /// When its last packet was captured.
    pub end: Timestamp,
    /// Where losses lie.
    pub side: Side,
    /// What the models say of it alone.
    pub fits: Fits,
    /// Its packets, for groups of transfers; empty where too many are kept already.
    pub series: Series,
}

/// A direction that carried enough to be measured.
#[derive(Clone, Debug)]
struct Candidate {
    connection: usize,
    direction: Direction,
    sender: IpAddr,
    receiver: IpAddr,
    series: Series,
}

impl Candidate {
    /// `None` where it carried too little.
    fn new(c: &Connection, direction: Direction, connection: usize) -> Option<Self> {
        let half = &c.halves[direction];
        if half.new_bytes < LEAST_BYTES || half.bulk.records().is_empty() {
            return None;
        }
        Some(Self {
            connection,
            direction,
            sender: c.sender(direction).addr,
            receiver: c.sender(direction.reversed()).addr,
            series: Series::new(c, direction),
        })
    }

    /// `None` where nothing held it.
    fn measure(self) -> Option<Transfer> {
        let Self { connection, direction, sender, receiver, series } = self;
        let fits = Fits::new(&series);
        if fits.losses == 0 && fits.queue.is_none() {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)] // seconds of a capture
        let lasted = Span::from_ns((fits.seconds * 1e9) as i64);
        Some(Transfer {
            connection,
            direction,
            sender,
            receiver,
            start: series.start,
            end: series.start + lasted,
            side: series.side,
            fits,
            series,
        })
    }
}

/// Packets of ended transfers that are kept for groups of them: 24 MiB.
const ROOM: usize = 1 << 20;

/// The transfers of a capture that something may have held.
#[derive(Clone, Debug)]
pub struct Transfers {
    /// In the order in which their connections ended.
    pub list: Vec<Transfer>,
    /// Transfers that cannot be tried in groups, as too many packets were kept already.
    pub not_grouped: u64,
    room: usize,
    /// Threads that measure.
    threads: usize,
    /// Whether candidates wait until there is enough to do for all threads.
    waits: bool,
    waiting: Vec<Candidate>,
    waiting_packets: usize,
    /// Whether nothing is measured: fits cost most where a look has to be quick.
    off: bool,
}

impl Default for Transfers {
    fn default() -> Self {
        Self::new(1)
    }
}

/// Packets that wait to be measured by several threads: 8 MiB.
const WAITING: usize = 1 << 18;

impl Transfers {
    /// No transfers yet; so many threads may measure what comes.
    pub fn new(threads: usize) -> Self {
        let (list, waiting, waits) = (Vec::new(), Vec::new(), threads > 1);
        Self { list, not_grouped: 0, room: ROOM, threads, waits, waiting, waiting_packets: 0, off: false }
    }

    /// No transfers yet, of one of several threads: what comes waits for [`Transfers::measure_all`], as far as there is room.
    pub fn of_share() -> Self {
        Self { waits: true, ..Self::new(1) }
    }

    /// Measures what waits in several, with so many threads; each keeps it in the order in which it came.
    pub fn measure_all(several: &mut [&mut Self], threads: usize) {
        let mut waiting = Vec::new();
        for (n, transfers) in several.iter_mut().enumerate() {
            transfers.waiting_packets = 0;
            waiting.extend(std::mem::take(&mut transfers.waiting).into_iter().map(|c| (n, c)));
        }
        for (n, measured) in in_parallel(waiting, threads, |(n, candidate)| (n, candidate.measure())) {
            several[n].keep(measured);
        }
    }

    /// Takes over those of another, whose connections lie `behind` so many.
    pub fn join(&mut self, mut other: Self, behind: usize) {
        other.measure_waiting();
        for mut t in other.list {
            t.connection += behind;
            self.keep(Some(t));
        }
        self.not_grouped += other.not_grouped;
    }

    /// Packets of transfers that were kept for groups.
    pub fn kept(&self) -> usize {
        ROOM - self.room
    }

    /// Whether those of several fit into one.
    pub fn fit_one(several: &[&Self]) -> bool {
        several.iter().map(|t| t.kept()).sum::<usize>() <= ROOM && several.iter().all(|t| t.not_grouped == 0)
    }

    /// The transfers, and how many of them cannot be tried in groups.
    pub fn finish(mut self) -> (Vec<Transfer>, u64) {
        self.measure_waiting();
        (self.list, self.not_grouped)
    }

    /// Drops the transfers of connections that have no new place, and tells the others theirs.
    pub fn retain(&mut self, new_place: impl Fn(usize) -> Option<usize>) {
        self.measure_waiting();
        self.list.retain_mut(|t| {
            let Some(place) = new_place(t.connection) else {
                self.room += t.series.packets.len();
                return false;
            };
            t.connection = place;
            true
        });
    }

    /// No transfers, and none are measured.
    pub fn off() -> Self {
        Self { off: true, ..Self::default() }
    }

    /// Measures both directions of a connection that is over.
    pub fn take(&mut self, c: &Connection, connection: usize) {
        if self.off {
            return;
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            let Some(candidate) = Candidate::new(c, direction, connection) else { continue };
            if !self.waits {
                self.keep(candidate.measure());
                continue;
            }
            self.waiting_packets += candidate.series.packets.len();
            self.waiting.push(candidate);
            if self.waiting_packets >= WAITING {
                self.measure_waiting();
            }
        }
    }

    /// Measures what waits.
    fn measure_waiting(&mut self) {
        let threads = self.threads;
        Self::measure_all(&mut [self], threads);
    }

    fn keep(&mut self, measured: Option<Transfer>) {
        let Some(mut t) = measured else { return };
        let packets = t.series.packets.len();
        if self.room >= packets {
            self.room -= packets;
        } else {
            t.series.packets = Vec::new();
            self.not_grouped += 1;
        }
        self.list.push(t);
    }
}

/// Seconds that pass between transfers that came in turn: enough to fill most buckets, and no more than the search for a
/// rate can bear.
const BETWEEN: f64 = 5.0;

/// The packets of several transfers as one series.
pub fn together(transfers: &[&Transfer]) -> Option<Series> {
    let start = transfers.iter().map(|t| t.start).min()?;
    let mut packets: Vec<Packet> = Vec::new();
    let mut until: Option<Timestamp> = None;
    // time without any of them, beyond what fills a bucket
    let mut idle = 0.0;
    for t in transfers {
        let gap = until.map_or(0.0, |u| t.start.since(u).secs_f64());
        idle += (gap - BETWEEN).max(0.0);
        until = until.max(Some(t.end));
        let offset = t.start.since(start).secs_f64() - idle;
        let base = t.fits.waiting.as_ref().map_or(0.0, |w| w.base);
        #[allow(clippy::cast_possible_truncation)] // seconds, to a microsecond
        packets.extend(t.series.packets.iter().map(|p| Packet {
            at: p.at + offset,
            delay: p.delay - base as f32,
            ..*p
        }));
    }
    packets.sort_by(|a, b| a.at.total_cmp(&b.at));
    let all = |of: fn(&Series) -> usize| transfers.iter().map(|t| of(&t.series)).sum();
    let one_way = transfers.iter().all(|t| t.series.delays == Delays::OneWay);
    Some(Series {
        start,
        packets,
        delays: if one_way { Delays::OneWay } else { Delays::RoundTrips },
        side: transfers[0].side,
        losses: all(|s| s.losses),
        other_losses: all(|s| s.other_losses),
        unseen: all(|s| s.unseen),
    })
}
