//! One direction of a connection: its sequence space, and what the sender's packets look like.
//!
//! Terms are those of RFC 9293 §3.3.1 and of Wireshark's TCP analysis. Offsets are relative to the initial
//! sequence number and unwrapped to 64 bits: the SYN lies at 0, the first payload byte at 1.

use crate::base::{SeqNum, Span, Timestamp};
use crate::wire::tcp::{Flags, Tcp, TcpOption, sack_blocks};

use super::bulk::Bulk;
use super::head::StreamHead;
use super::series::{Learning, SenderProfile};
use super::{Kind, Segment};

/// The most holes in a direction's sequence space that are remembered. When one more opens, the oldest is
/// forgotten: what fills it later counts as retransmitted.
pub const MAX_HOLES: usize = 32;

const SYN_OR_FIN: Flags = Flags::SYN.with(Flags::FIN);

/// How many of the last distinct ACK numbers a direction remembers: a reset in answer to a segment has that
/// segment's ACK number as its sequence number (RFC 9293 §3.5.2), and answers lag by what is in flight.
const ACKS_KEPT: u8 = 16;

/// What a SYN or SYN-ACK offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift, at most 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: bool,
    /// The kinds in wire order, the first twelve, 0-padded.
    pub kinds: [u8; 12],
}

impl SynOptions {
    fn read(tcp: &Tcp<'_>) -> Self {
        let mut options = Self::default();
        for (n, option) in tcp.options().enumerate() {
            let kind = match option {
                TcpOption::Mss(mss) => {
                    options.mss = Some(mss);
                    2
                }
                TcpOption::WindowScale(shift) => {
                    options.window_scale = Some(shift.min(14));
                    3
                }
                TcpOption::SackPermitted => {
                    options.sack_permitted = true;
                    4
                }
                TcpOption::Sack(_) => 5,
                TcpOption::Timestamps { .. } => {
                    options.timestamps = true;
                    8
                }
                TcpOption::Other { kind, .. } => kind,
            };
            if let Some(slot) = options.kinds.get_mut(n) {
                *slot = kind;
            }
        }
        options
    }
}

/// Round-trip times between the point of capture and one end, from that end's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// The answer to the handshake segment.
    pub handshake: Option<Span>,
    /// The shortest of all.
    pub min: Option<Span>,
    /// The latest.
    pub latest: Option<Span>,
    /// How many there are.
    pub samples: u32,
    /// The shortest by timestamp echo (RFC 7323 §4), which also sees through retransmissions.
    pub min_by_timestamps: Option<Span>,
}

impl Rtt {
    fn sample(&mut self, rtt: Span) {
        if rtt < Span::ZERO {
            return; // the capture's clock went back
        }
        self.min = Some(self.min.map_or(rtt, |m| m.min(rtt)));
        self.latest = Some(rtt);
        self.samples = self.samples.saturating_add(1);
    }

    /// The shortest to both ends and back, as far as it is known.
    pub fn through(&self, other: &Self) -> Option<Span> {
        match (self.shortest(), other.shortest()) {
            (Some(a), Some(b)) => Some(Span::from_ns(a.ns().saturating_add(b.ns()))),
            (a, b) => a.or(b),
        }
    }

    /// Whether there is any.
    pub const fn is_known(&self) -> bool {
        self.min.is_some() || self.min_by_timestamps.is_some()
    }

    /// The shortest that is known by any method.
    pub fn shortest(&self) -> Option<Span> {
        match (self.min, self.min_by_timestamps) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// What one sender sent, and how the other side answered.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// Segments, resets included.
    pub packets: u64,
    /// Payload bytes on the wire, retransmissions included.
    pub payload_bytes: u64,
    /// Payload bytes that were new when they came.
    pub new_bytes: u64,
    /// Where the first payload byte that was seen came, and the last.
    pub data_span: Option<(Timestamp, Timestamp)>,
    /// Segments (payload, SYN or FIN) that had been seen before, wholly or in part, or that filled a hole too late to
    /// be reordering.
    pub retransmitted: u32,
    /// Segments that filled a hole soon enough to be reordering.
    pub out_of_order: u32,
    /// Retransmissions that the receiver reported as needless (DSACK, RFC 2883).
    pub spurious: u32,
    /// Pure ACKs that repeat the last one while data is outstanding.
    pub duplicate_acks: u32,
    /// Segments that advertise a window of zero.
    pub zero_window: u32,
    /// Keep-alive probes (RFC 9293 §3.8.4).
    pub keep_alive: u32,
    /// Segments that a capture point saw twice within a millisecond; counted nowhere else.
    pub duplicates: u32,
    /// Segments whose checksum is wrong, of those that were checked.
    pub bad_checksums: u32,
    /// Payload bytes that the other side acknowledged and the capture does not have.
    pub missed_bytes: u64,
    /// The most bytes in flight at one time.
    pub max_in_flight: u64,
    /// The options of its SYN or SYN-ACK.
    pub syn: Option<SynOptions>,
    /// The last window that it advertised, scaled where the scale is known.
    pub window: u32,
    /// By how many bits its windows are shifted.
    scale: u8,
    /// The TTL of its first SYN or SYN-ACK.
    pub(super) handshake_ttl: Option<u8>,
    /// Answer times of this end.
    pub rtt: Rtt,
    /// IP header habits.
    habits: Learning,
    /// Its first FIN: frame and time.
    pub fin: Option<(u64, Timestamp)>,
    /// Resets in its name.
    pub resets: u32,
    /// Its last segment that is no reset.
    pub last: Option<Segment>,
    /// The first bytes of its stream.
    pub head: StreamHead,
    /// Its packets one by one.
    pub bulk: Bulk,
    /// Highest offset reached by what it sent.
    pub next: i64,
    /// Highest acknowledgment of the other side, as an offset here.
    pub acked: i64,
    /// The sequence number at offset 0.
    base: Option<SeqNum>,
    holes: Vec<Hole>,
    acks_sent: [SeqNum; ACKS_KEPT as usize],
    acks_len: u8,
    /// Where the last of them is, modulo [`ACKS_KEPT`].
    acks_at: u8,
    /// The segment whose acknowledgment will give an RTT sample: its end, and when it went by.
    timing: Option<(i64, Timestamp)>,
    /// The timestamp value whose echo will give an RTT sample.
    timing_by_value: Option<(u32, Timestamp)>,
}

/// Bytes that have not been seen while later ones have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    start: i64,
    end: i64,
    since: Timestamp,
}

/// What a segment's payload is to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It carries nothing in sequence space.
    Nothing,
    /// It continues the stream, perhaps beyond a hole.
    New,
    /// It fills a hole soon after it opened.
    OutOfOrder,
    /// All or part of it had been seen, or it fills a hole late.
    Retransmission,
}

/// Where a segment lies.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// What its payload is to the stream.
    pub arrival: Arrival,
    /// The offset of its sequence number.
    pub start: i64,
}

/// A hole that is filled within this time is reordering where no round trip is known; Wireshark's bound too. Where one
/// is known, what fills a hole sooner than a round trip after it opened cannot have been asked for again.
pub const REORDER_WITHIN: Span = Span::from_ms(3);

/// A second sighting of the same packet within this time is the capture's doing (a mirror port, `-i any`).
const DUPLICATE_WITHIN: Span = Span::from_ms(1);

impl Half {
    /// Whether `s` is the packet that this end sent last, captured once more.
    pub fn has_just_sent(&self, s: &Segment) -> bool {
        let Some(last) = &self.last else { return false };
        // identical resets are a burst, which is evidence; without an IP-ID that counts nothing tells a copy
        // from a second ACK
        s.seq == last.seq
            && s.ip_id == last.ip_id
            && s.ip_id.is_some_and(|id| id != 0)
            && !s.flags.has(Flags::RST)
            && (s.ack, s.flags, s.len, s.window, s.timestamps)
                == (last.ack, last.flags, last.len, last.window, last.timestamps)
            && s.at.since(last.at).abs() <= DUPLICATE_WITHIN
    }

    /// IP header habits, learnt from its segments that are no resets.
    pub fn profile(&self) -> SenderProfile {
        self.habits.profile()
    }

    /// The sequence number at offset 0, as Wireshark's `tcp.seq_raw` minus `tcp.seq`; `None` before anything is known.
    pub fn base(&self) -> Option<SeqNum> {
        self.base
    }

    /// Sets the sequence base, unless it is set.
    pub(super) fn set_base(&mut self, base: SeqNum) {
        self.base.get_or_insert(base);
    }

    /// The offset of `seq`; `None` before anything is known of this direction.
    #[inline]
    pub fn offset(&self, seq: SeqNum) -> Option<i64> {
        Some(self.base?.unwrapped(seq, self.next))
    }

    /// Whether this end recently sent `ack` as its acknowledgment number.
    pub fn sent_ack(&self, ack: SeqNum) -> bool {
        let first = usize::from(self.acks_len < ACKS_KEPT); // place 0 is filled last
        self.acks_sent[first..first + usize::from(self.acks_len)].contains(&ack)
    }

    /// Holes that are still open.
    pub fn open_holes(&self) -> usize {
        self.holes.len()
    }

    /// Takes a segment that is no reset; says where it lies in the stream, and what it is to it.
    pub fn sent(&mut self, s: &Segment, tcp: &Tcp<'_>, rtt: impl FnOnce(&Self) -> Option<Span>) -> Placed {
        self.set_base(if s.flags.has(Flags::SYN) { s.seq } else { s.seq.plus(u32::MAX) });
        self.habits.push(s);
        self.window = u32::from(s.window) << self.scale;
        if s.flags.any(SYN_OR_FIN) {
            self.opens_or_closes(s, tcp);
        } else if s.window == 0 {
            self.zero_window = self.zero_window.saturating_add(1);
        }
        let start = self.offset(s.seq).unwrap_or_default(); // the base is set
        let arrival = self.place(s, start, rtt);
        if let Some((value, _)) = s.timestamps
            && self.timing_by_value.is_none()
        {
            self.timing_by_value = Some((value, s.at));
        }
        self.last = Some(*s);
        Placed { arrival, start }
    }

    /// Takes note of a SYN, or of a FIN.
    #[inline(never)]
    fn opens_or_closes(&mut self, s: &Segment, tcp: &Tcp<'_>) {
        if s.flags.has(Flags::SYN) {
            let syn = SynOptions::read(tcp);
            self.window = u32::from(s.window); // never scaled (RFC 7323 §2.2)
            self.scale = syn.window_scale.unwrap_or(0);
            self.handshake_ttl.get_or_insert(s.ttl);
            self.syn = Some(syn);
        }
        if s.flags.has(Flags::FIN) && self.fin.is_none() {
            self.fin = Some((s.frame, s.at));
        }
    }

    /// Places a segment, which begins at `start`, in the sequence space.
    #[inline]
    fn place(&mut self, s: &Segment, start: i64, rtt: impl FnOnce(&Self) -> Option<Span>) -> Arrival {
        if s.len <= 1 && !s.flags.any(SYN_OR_FIN) {
            if start == self.next - 1 && start >= 1 {
                self.keep_alive = self.keep_alive.saturating_add(1); // its byte, if any, is one that was sent before
                return Arrival::Nothing;
            }
            if s.len == 0 {
                return Arrival::Nothing;
            }
        }
        let seq_len = i64::from(s.seq_len());
        let end = start + seq_len;
        if s.len > 0 {
            self.payload_bytes += u64::from(s.len);
            match &mut self.data_span {
                Some((_, last)) => *last = s.at,
                None => self.data_span = Some((s.at, s.at)),
            }
        }
        if start >= self.next {
            if start > self.next && self.next > 0 {
                if self.holes.len() == MAX_HOLES {
                    self.holes.remove(0);
                }
                self.holes.push(Hole { start: self.next, end: start, since: s.at });
            }
            self.next = end;
            self.new_bytes += u64::from(s.len);
            let in_flight = u64::try_from(self.next - self.acked).unwrap_or(0);
            self.max_in_flight = self.max_in_flight.max(in_flight);
            if self.timing.is_none() {
                self.timing = Some((end, s.at));
            }
            return Arrival::New;
        }
        let rtt = rtt(self);
        let (filled, soon) = self.fill(start, end.min(self.next), s.at, rtt);
        let beyond = (end - self.next).max(0);
        if beyond > 0 {
            self.next = end;
        }
        self.new_bytes += u64::try_from(filled + beyond).unwrap_or(0).min(u64::from(s.len));
        // Karn: an acknowledgment of what was sent twice tells no round trip
        if self.timing.is_some_and(|(timed, _)| timed > start) {
            self.timing = None;
        }
        if filled == seq_len && soon {
            self.out_of_order = self.out_of_order.saturating_add(1);
            Arrival::OutOfOrder
        } else {
            self.retransmitted = self.retransmitted.saturating_add(1);
            Arrival::Retransmission
        }
    }

    /// Takes `start..end` out of the holes; says how many bytes that filled, and whether all holes were young.
    fn fill(&mut self, start: i64, end: i64, at: Timestamp, rtt: Option<Span>) -> (i64, bool) {
        // a retransmission takes the receiver's word to the sender and back: nine tenths of the shortest such time seen
        let within = rtt.map_or(REORDER_WITHIN, |r| Span::from_ns(r.ns() / 10 * 9));
        let (mut filled, mut soon) = (0, true);
        let mut i = 0;
        while i < self.holes.len() {
            let hole = self.holes[i];
            let (from, to) = (hole.start.max(start), hole.end.min(end));
            if from >= to {
                i += 1;
                continue;
            }
            filled += to - from;
            soon &= at.since(hole.since) <= within;
            match (hole.start < from, to < hole.end) {
                (false, false) => {
                    self.holes.remove(i);
                    continue;
                }
                (true, false) => self.holes[i].end = from,
                (false, true) => self.holes[i].start = to,
                (true, true) => {
                    self.holes[i].end = from;
                    if self.holes.len() < MAX_HOLES {
                        self.holes.insert(i + 1, Hole { start: to, ..hole });
                    }
                }
            }
            i += 1;
        }
        (filled, soon)
    }

    /// The first SACK block of a segment that acknowledges this direction, as offsets.
    fn first_sack(&self, tcp: &Tcp<'_>) -> Option<(i64, i64)> {
        // without room for more than timestamps there is none, and most segments end here
        if tcp.header_len() < 32 || tcp.has_timestamps_alone() || self.bulk.records().is_empty() {
            return None;
        }
        let bytes = tcp.options().find_map(|o| match o {
            TcpOption::Sack(bytes) => Some(bytes),
            _ => None,
        })?;
        let (left, right) = sack_blocks(bytes).next()?;
        Some((self.offset(left)?, self.offset(right)?))
    }

    /// Takes an acknowledgment number that the other end sent for this direction.
    #[inline(always)]
    pub fn acknowledged(&mut self, by: &Segment, tcp: &Tcp<'_>, rtt_of_other: &mut Rtt) {
        self.set_base(by.ack.plus(u32::MAX));
        let Some(ack) = self.offset(by.ack) else { return };
        let block = self.first_sack(tcp);
        self.bulk.acknowledged(by.at, ack, block);
        if ack > self.acked {
            if ack > self.next {
                // acknowledged and never seen: the capture lost it, unless nothing of this direction was seen at all
                if self.packets > 0 {
                    self.missed_bytes += u64::try_from(ack - self.next).unwrap_or(0);
                }
                self.next = ack;
            }
            self.acked = ack;
            // what was acknowledged will not come again as anything but a needless retransmission
            if !self.holes.is_empty() {
                let missed = self.fill(0, ack, by.at, None).0;
                if self.packets > 0 {
                    self.missed_bytes += u64::try_from(missed).unwrap_or(0);
                }
            }
            if let Some((timed, at)) = self.timing
                && ack >= timed
            {
                let rtt = by.at.since(at);
                if timed == 1 && rtt_of_other.handshake.is_none() && rtt >= Span::ZERO {
                    rtt_of_other.handshake = Some(rtt);
                }
                rtt_of_other.sample(rtt);
                self.timing = None;
            }
        } else if by.kind() == Kind::Ack && ack == self.acked && self.next > self.acked {
            self.count_dsack(by.ack, tcp);
        }
        if let (Some((value, at)), Some((_, echo))) = (self.timing_by_value, by.timestamps)
            && echo == value
        {
            let rtt = by.at.since(at);
            if rtt >= Span::ZERO {
                let min = rtt_of_other.min_by_timestamps.map_or(rtt, |m| m.min(rtt));
                rtt_of_other.min_by_timestamps = Some(min);
            }
            self.timing_by_value = None;
        } else if self.timing_by_value.is_some_and(|(_, at)| by.at.since(at) > Span::from_secs(10)) {
            self.timing_by_value = None; // its echo was lost
        }
    }

    /// A first SACK block below the cumulative ACK reports a duplicate (RFC 2883 §4).
    #[inline(never)]
    fn count_dsack(&mut self, ack: SeqNum, tcp: &Tcp<'_>) {
        for option in tcp.options() {
            let TcpOption::Sack(blocks) = option else { continue };
            let mut blocks = sack_blocks(blocks);
            let Some((left, right)) = blocks.next() else { continue };
            let below = right.distance(ack) >= 0;
            let inside = blocks.next().is_some_and(|(l, r)| l.distance(left) >= 0 && right.distance(r) >= 0);
            self.spurious = self.spurious.saturating_add(u32::from(below || inside));
        }
    }

    /// Notes the acknowledgment number that this end sent; says whether it repeats the last.
    #[inline]
    pub fn note_ack(&mut self, ack: SeqNum) -> bool {
        let place = |at: u8| usize::from(at % ACKS_KEPT);
        if self.acks_sent[place(self.acks_at)] == ack && self.acks_len > 0 {
            return true;
        }
        self.acks_at = self.acks_at.wrapping_add(1);
        self.acks_sent[place(self.acks_at)] = ack;
        if self.acks_len < ACKS_KEPT {
            self.acks_len += 1;
        }
        false
    }

    /// Goodput: new payload bits over the time between the first payload and the last; `None` where that is
    /// shorter than a millisecond.
    #[allow(clippy::cast_precision_loss)] // a rate needs no more than 52 bits
    pub fn goodput_bps(&self) -> Option<f64> {
        let (from, to) = self.data_span?;
        let span = to.since(from);
        (span >= Span::from_ms(1)).then(|| self.new_bytes as f64 * 8.0 / span.secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SEGMENT, tcp_bytes};
    use super::*;

    /// Sends data segments given as (milliseconds, offset, length) and gives what each was taken for.
    fn play(segments: &[(i64, u32, u32)]) -> (Half, Vec<Arrival>) {
        let mut half = Half::default();
        half.set_base(SeqNum(0xffff_ff00));
        half.next = 1;
        half.packets = 1;
        let arrivals = segments.iter().map(|&(ms, offset, len)| {
            let s = Segment {
                at: Timestamp::from_ns(ms * 1_000_000),
                seq: SeqNum(0xffff_ff00).plus(offset),
                len,
                ..SEGMENT
            };
            let bytes = tcp_bytes(&s);
            half.sent(&s, &Tcp::parse(&bytes, 20 + len).unwrap(), |_| Some(Span::from_ms(50))).arrival
        });
        let arrivals = arrivals.collect();
        (half, arrivals)
    }

    #[test]
    fn a_hole_filled_at_once_is_reordering_and_filled_late_is_a_retransmission() {
        use Arrival::{New, OutOfOrder, Retransmission};
        let (half, arrivals) =
            play(&[(0, 1, 1000), (1, 2001, 1000), (2, 1001, 1000), (3, 4001, 500), (60, 3001, 1000)]);
        assert_eq!(arrivals, [New, New, OutOfOrder, New, Retransmission]);
        assert_eq!((half.out_of_order, half.retransmitted, half.open_holes()), (1, 1, 0));
        assert_eq!((half.new_bytes, half.payload_bytes), (4500, 4500));
    }

    #[test]
    fn bytes_seen_before_are_retransmitted_whatever_the_time() {
        let (half, arrivals) = play(&[(0, 1, 1000), (1, 1, 1000), (2, 501, 1000)]);
        assert_eq!(arrivals[1..], [Arrival::Retransmission, Arrival::Retransmission]);
        assert_eq!((half.new_bytes, half.payload_bytes), (1500, 3000));
    }

    #[test]
    fn keep_alives_are_no_data() {
        let (half, arrivals) = play(&[(0, 1, 1000), (45_000, 1000, 0), (90_000, 1000, 1)]);
        assert_eq!(arrivals[1..], [Arrival::Nothing, Arrival::Nothing]);
        assert_eq!((half.keep_alive, half.retransmitted), (2, 0));
    }

    #[test]
    fn holes_are_bounded() {
        let many: Vec<_> = (0..10_000).map(|i| (i64::from(i), 1 + i * 20, 10)).collect();
        let (half, _) = play(&many);
        assert_eq!(half.open_holes(), MAX_HOLES);
    }

    #[test]
    fn an_ack_of_unseen_bytes_is_capture_loss_and_gives_no_reordering_later() {
        let (mut half, _) = play(&[(0, 1, 1000), (1, 2001, 1000)]);
        let ack =
            Segment { at: Timestamp::from_ns(9_000_000), ack: SeqNum(0xffff_ff00).plus(5001), ..SEGMENT };
        let bytes = tcp_bytes(&ack);
        half.acknowledged(&ack, &Tcp::parse(&bytes, 20).unwrap(), &mut Rtt::default());
        assert_eq!((half.missed_bytes, half.open_holes(), half.acked), (3000, 0, 5001));
    }
}
