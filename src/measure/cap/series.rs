//! The packets of one direction with what became of each: the input of all fits.

use crate::base::{Direction, Span, Timestamp};
use crate::flow::Connection;
use crate::flow::bulk::{NO_DELAY, Passing, Record};

/// A gap of more packets than this is no loss of the path but a hole in the capture.
const WIDEST_GAP: u32 = 256;

/// A segment that claims to be longer was put together by nobody: it is not cut.
const LONGEST: u32 = 1 << 18;

/// The most packets that a series has.
const MOST: usize = 1 << 17;

/// One packet on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Seconds since the direction's first packet.
    pub at: f64,
    /// Bytes of the IP packet.
    pub bytes: f32,
    /// Seconds until it was acknowledged, or that it took up to a constant (see [`Delays`]); NaN where unknown.
    pub delay: f32,
    /// Wireshark's `frame.number`; of a lost packet that was never seen, the packet that showed it.
    pub frame: u32,
    /// Whether it was lost on the side that [`Series::side`] says.
    pub lost: bool,
    /// Whether the receiver's window was full.
    pub window_full: bool,
    /// Whether nothing else was in flight.
    pub alone: bool,
}

/// Where the losses are, as seen from the point of capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Behind it: lost packets were seen and sent again.
    Behind,
    /// Before it: lost packets are gaps that are filled later.
    Before,
}

impl Side {
    /// The word that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Before => "before",
        }
    }
}

/// What the delays are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delays {
    /// Round trips from the point of capture to the receiver.
    RoundTrips,
    /// The way from the sender to the point of capture, by the sender's timestamps, less the shortest.
    OneWay,
}

/// The packets of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// When its first packet was captured.
    pub start: Timestamp,
    /// In the order of time.
    pub packets: Vec<Packet>,
    /// What their delays are.
    pub delays: Delays,
    /// Which of the losses are marked.
    pub side: Side,
    /// How many are marked.
    pub losses: usize,
    /// Losses on the other side, which passed or never reached this one.
    pub other_losses: usize,
    /// Gaps that were never filled: the capture's own losses.
    pub unseen: usize,
}

/// A packet or gap, on its way to be one of [`Series::packets`].
struct Piece {
    packet: Packet,
    start: i64,
    end: i64,
    gap: bool,
    /// Sent again at this time, or 0.
    again: bool,
    filled: bool,
    tsval: u32,
}

impl Series {
    /// Reads the series of one direction.
    pub fn new(c: &Connection, direction: Direction) -> Self {
        let half = &c.halves[direction];
        let mss = c.halves[direction.reversed()].syn.and_then(|o| o.mss).map_or(1460, u32::from).max(64);
        let rtt = half.rtt.shortest().or(c.halves[direction.reversed()].rtt.shortest());
        let rtt = rtt.map_or(0.0, Span::secs_f64);
        // what the MSS leaves for data is less by the options of every segment, which are 40 bytes at most
        let full = half.bulk.records().iter().map(|r| r.len).filter(|l| (mss - 40..=mss).contains(l)).max();
        let mut pieces = pieces(half.bulk.records(), full.unwrap_or(mss));
        // pieces count from the first record on
        let first = half.bulk.records().first().map_or(0, |r| r.seq);
        let mut needless: Vec<u32> = half.bulk.needless().iter().map(|seq| seq.wrapping_sub(first)).collect();
        needless.sort_unstable();
        mark(&mut pieces, rtt);
        forgive(&mut pieces, &needless);
        finish(half.bulk.records().first().map_or(c.started, |r| r.at), pieces)
    }
}

/// Cuts records into packets of at most `mss` bytes, with unwrapped offsets and times that never go back.
fn pieces(records: &[Record], mss: u32) -> Vec<Piece> {
    let Some(first) = records.first() else { return Vec::new() };
    let (mut now, mut reach, mut reach_seq) = (0.0f64, 0i64, first.seq);
    let mut pieces = Vec::with_capacity(records.len());
    for r in records {
        now = now.max(r.at.since(first.at).secs_f64());
        let mut start = reach + i64::from(r.seq.wrapping_sub(reach_seq).cast_signed());
        if start + i64::from(r.len) > reach {
            reach = start + i64::from(r.len);
            reach_seq = r.seq.wrapping_add(r.len);
        }
        let gap = r.kind == Passing::Gap;
        let mut left = if gap && r.len / mss > WIDEST_GAP { 0 } else { r.len };
        let most = if r.len > LONGEST { r.len } else { mss };
        while left > 0 && pieces.len() < MOST {
            let len = left.min(most);
            left -= len;
            let end = start + i64::from(len);
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            // microseconds over seconds
            let delay = if r.delay_us == NO_DELAY || left > 0 {
                f32::NAN
            } else {
                (f64::from(r.delay_us) / 1e6) as f32
            };
            let packet = Packet {
                at: now,
                #[allow(clippy::cast_precision_loss)] // packets are short
                bytes: (len + u32::from(r.headers)) as f32,
                lost: false,
                delay,
                frame: r.frame,
                window_full: r.window_full,
                alone: r.alone,
            };
            let (again, filled) = (r.kind == Passing::Again, r.kind == Passing::Late);
            pieces.push(Piece { packet, start, end, gap, again, filled, tsval: r.tsval });
            start = end;
        }
    }
    pieces
}

/// Marks what was lost: what is sent again and had not arrived, and gaps that are filled late.
fn mark(pieces: &mut [Piece], rtt: f64) {
    // the latest sending of each part of the stream, by its place in it
    let mut latest: Vec<usize> = Vec::with_capacity(pieces.len());
    for i in 0..pieces.len() {
        let (start, end) = (pieces[i].start, pieces[i].end);
        if !pieces[i].again && !pieces[i].filled {
            latest.push(i);
            continue;
        }
        let from = latest.partition_point(|l| pieces[*l].end <= start);
        for slot in &mut latest[from..] {
            let old = *slot;
            if pieces[old].start >= end {
                break;
            }
            let overtaken = pieces[i].filled;
            let now = pieces[i].packet.at;
            let old = &mut pieces[old];
            let arrived = old.packet.at + f64::from(old.packet.delay) <= now + rtt / 2.0; // false where the delay is unknown
            if !overtaken && !arrived {
                old.packet.lost = true;
                old.packet.delay = f32::NAN;
            }
            old.filled = true;
            if pieces[*slot].start == start && pieces[*slot].end == end {
                *slot = i;
            }
        }
    }
}

/// Takes back one loss for each time that the receiver said that a packet came twice: of a packet that was sent three
/// times, the last of the losses, as what is sent again while its predecessor is under way comes last.
fn forgive(pieces: &mut [Piece], needless: &[u32]) {
    if needless.is_empty() {
        return;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo 2³² is meant
    let mut lost: Vec<(u32, usize)> =
        (0..pieces.len()).filter(|i| pieces[*i].packet.lost).map(|i| (pieces[i].start as u32, i)).collect();
    lost.sort_unstable();
    for same in needless.chunk_by(|a, b| a == b) {
        let from = lost.partition_point(|(start, _)| *start < same[0]);
        let to = lost.partition_point(|(start, _)| *start <= same[0]);
        for (_, i) in lost[from..to].iter().rev().take(same.len()) {
            pieces[*i].packet.lost = false;
        }
    }
}

fn finish(start: Timestamp, mut pieces: Vec<Piece>) -> Series {
    let before = pieces.iter().filter(|p| p.gap && p.packet.lost).count();
    let behind = pieces.iter().filter(|p| !p.gap && p.packet.lost).count();
    let unseen = pieces.iter().filter(|p| p.gap && !p.filled).count();
    let side = if before > behind { Side::Before } else { Side::Behind };
    date_gaps(&mut pieces);
    pieces.sort_by(|a, b| a.packet.at.total_cmp(&b.packet.at));
    let one_way = one_way_delays(&pieces);
    let round_trips = pieces.iter().map(|p| p.packet.delay).collect::<Vec<_>>();
    // delays tell of a queue where the losses are: ways there are one-way before the point of capture, round trips behind
    // it; without losses, of the one on the side where they vary more
    let delays = match (before.max(behind) > 0, spread(&one_way), spread(&round_trips)) {
        (true, ..) if side == Side::Before => Delays::OneWay,
        (true, ..) => Delays::RoundTrips,
        (_, Some(o), Some(r)) if o < 2.0 * r + 0.01 => Delays::RoundTrips,
        (_, Some(_), _) => Delays::OneWay,
        _ => Delays::RoundTrips,
    };
    let mut chosen = if delays == Delays::OneWay { one_way } else { round_trips };
    chosen.resize(pieces.len(), f32::NAN);
    let packets = pieces
        .iter()
        .zip(chosen)
        .filter(|(p, _)| !p.gap || side == Side::Before && p.packet.lost)
        .map(|(p, delay)| {
            let lost = p.packet.lost && p.gap == (side == Side::Before);
            Packet { lost, delay: if lost { f32::NAN } else { delay }, ..p.packet }
        })
        .collect();
    let (losses, other_losses) = if side == Side::Before { (before, behind) } else { (behind, before) };
    Series { start, packets, delays, side, losses, other_losses, unseen }
}

/// How many of the last gaps between packets tell how fast they come.
const RECENT: usize = 8;

/// How many times the time that the missing packets take a pause has to be for them: some of it was there without them.
const ROOM: f64 = 4.0;

/// Gives gaps the time at which their packets would have come: after a packet that came behind the one before the gap, as far
/// apart as packets of a burst are (the first quartile of the last few), or evenly. A burst that empties a bucket loses its
/// end, and what is seen next is another burst, or begins with what is sent again: so the first pause that has room for
/// all that is missing is taken, and if there is none, the time behind the packet before the gap.
fn date_gaps(pieces: &mut [Piece]) {
    let (mut before, mut recent, mut n_recent) = (0.0, [0.0f64; RECENT], 0);
    // the packet with the highest offset so far
    let (mut reach, mut highest) = (i64::MIN, 0usize);
    let mut i = 0;
    while i < pieces.len() {
        if !pieces[i].gap {
            recent[n_recent % RECENT] = pieces[i].packet.at - before;
            n_recent += 1;
            before = pieces[i].packet.at;
            if pieces[i].end > reach {
                (reach, highest) = (pieces[i].end, i);
            }
            i += 1;
            continue;
        }
        let n = pieces[i..].iter().take_while(|p| p.gap).count();
        let shown = pieces.get(i + n).map_or(before, |p| p.packet.at);
        let mut gaps = recent[..n_recent.min(RECENT)].to_vec();
        gaps.sort_unstable_by(f64::total_cmp);
        let burst = gaps.get(gaps.len().saturating_sub(1) / 4).copied().unwrap_or_default();
        #[allow(clippy::cast_precision_loss)] // a few packets
        let takes = ROOM * burst * n as f64;
        // the time behind each packet since the one before the gap, and when the next one came
        let since = || pieces[highest.min(i)..i].iter().filter(|p| !p.gap).map(|p| p.packet.at);
        let mut pauses = since().zip(since().skip(1).chain([shown]));
        let has_room = |(from, until): &(f64, f64)| until - from > takes;
        let from = pauses.find(has_room).map_or_else(|| since().next().unwrap_or(before), |(from, _)| from);
        #[allow(clippy::cast_precision_loss)] // a few packets
        let apart = burst.min((shown - from) / (n + 1) as f64);
        for k in 0..n {
            #[allow(clippy::cast_precision_loss)] // a few packets
            let after = apart * (k + 1) as f64;
            pieces[i + k].packet.at = from + after;
        }
        i += n;
    }
}

/// From the first decile to the ninth of what is known.
fn spread(delays: &[f32]) -> Option<f64> {
    let mut known: Vec<f32> = delays.iter().copied().filter(|d| !d.is_nan()).collect();
    if known.len() < 10 {
        return None;
    }
    let (low, high) = (known.len() / 10, known.len() * 9 / 10);
    let (below, high, _) = known.select_nth_unstable_by(high, f32::total_cmp);
    let (_, low, _) = below.select_nth_unstable_by(low, f32::total_cmp);
    Some(f64::from(*high - *low))
}

/// Clock ticks that senders use for timestamps: 1000, 250 and 100 Hz, and microseconds.
const TICKS: [f64; 4] = [1e-3, 4e-3, 1e-2, 1e-6];

/// Delays from the sender's timestamps: arrival less sending, less the shortest (RFC 7323 §3.2); empty where there are
/// none to rely on.
fn one_way_delays(pieces: &[Piece]) -> Vec<f32> {
    let stamped = || pieces.iter().filter(|p| !p.gap && p.tsval != 0);
    let (Some(first), Some(last)) = (stamped().next(), stamped().next_back()) else { return Vec::new() };
    let ticks_to = |p: &Piece| f64::from(p.tsval.wrapping_sub(first.tsval).cast_signed());
    let took = last.packet.at - first.packet.at;
    if ticks_to(last) < 50.0 || took < 0.5 {
        return Vec::new();
    }
    let measured = took / ticks_to(last);
    let Some(tick) = TICKS.into_iter().find(|t| (measured / t - 1.0).abs() < 0.3) else { return Vec::new() };
    let raw = |p: &Piece| {
        if p.gap || p.tsval == 0 { f64::NAN } else { p.packet.at - ticks_to(p) * tick }
    };
    let drift = drift(pieces, raw);
    let fair = |p: &Piece| raw(p) - drift * p.packet.at;
    let least = pieces.iter().map(fair).fold(f64::NAN, f64::min);
    #[allow(clippy::cast_possible_truncation)] // seconds, to a microsecond
    pieces.iter().map(|p| (fair(p) - least) as f32).collect()
}

/// How fast two clocks may drift apart: quartz keeps 100 ppm; the double is allowed.
const DRIFT: f64 = 2e-4;

/// How fast the sender's clock drifts from the capture's: between the shortest delays of the first fifth and the last.
fn drift(pieces: &[Piece], delay: impl Fn(&Piece) -> f64) -> f64 {
    let end = pieces.last().map_or(0.0, |p| p.packet.at);
    if end < 20.0 {
        return 0.0; // too short to matter
    }
    let shortest = |from: f64, to: f64| {
        let within = pieces.iter().filter(|p| (from..=to).contains(&p.packet.at));
        within
            .map(|p| (delay(p), p.packet.at))
            .filter(|(d, _)| !d.is_nan())
            .min_by(|a, b| a.0.total_cmp(&b.0))
    };
    match (shortest(0.0, end * 0.2), shortest(end * 0.8, end)) {
        (Some((a, from)), Some((b, to))) if to > from => ((b - a) / (to - from)).clamp(-DRIFT, DRIFT),
        _ => 0.0,
    }
}
