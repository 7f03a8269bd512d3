//! A model of a Linux-like TCP: SACK, RACK, tail-loss probes, timestamps, delayed ACKs, CUBIC, Reno, BBR, pacing.
//!
//! What it models is what a capture shows of a sender: when it sends, what it sends again, and how fast. Sources: RFC 9293
//! (states), 7323 (timestamps, window scale), 2018 and 6675 (SACK), 2883 (D-SACK), 8985 (RACK-TLP), 6298 (time-out),
//! 5961 (which resets are obeyed). Of the stream that it receives it keeps the length alone.

mod receive;
mod recovery;

use std::collections::VecDeque;

use super::congestion::{Congestion, Control};
use super::stack::{Stack, State};
use crate::base::{Endpoint, Span, Timestamp};
use crate::testkit::packet::Segment;
use crate::wire::tcp::{Flags, Tcp as Header, TcpOption};

/// What can be chosen of an end.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Longest payload of a segment.
    pub mss: u32,
    /// Congestion control.
    pub control: Control,
    /// Receive buffer in bytes: the largest window that it offers.
    pub receive_buffer: u32,
    /// How fast its program reads, in bytes a second; `None` at once.
    pub reads: Option<f64>,
    /// Whether it uses timestamps.
    pub timestamps: bool,
    /// Whether it uses selective acknowledgments.
    pub sack: bool,
    /// Full segments for which one ACK is sent.
    pub ack_every: u32,
    /// How long an ACK may wait.
    pub ack_delay: Span,
}

const SCALE: u8 = 7;
const MIN_RTO: Span = Span::from_ms(200);
const MAX_RTO: Span = Span::from_secs(60);
const FIRST_RTO: Span = Span::from_secs(1);
/// Linux gives up a SYN after six retransmissions, data after fifteen; a scenario never lasts that long.
const MAX_BACKOFF: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    TimeWait,
}

/// A segment in flight.
#[derive(Clone, Copy, Debug)]
struct Flying {
    from: u64,
    to: u64,
    at: Timestamp,
    again: bool,
    sacked: bool,
    lost: bool,
    delivered: u64,
    delivered_at: Timestamp,
    limited: bool,
}

/// Proportional rate reduction (RFC 6937): while losses are mended, as much is sent as arrives.
#[derive(Clone, Copy, Debug, Default)]
struct Prr {
    /// In flight when the losses were found.
    from: u64,
    delivered: u64,
    sent: u64,
    /// What may be in flight now.
    window: u64,
}

/// One end of a connection.
pub struct Tcp {
    tuning: Tuning,
    local: Endpoint,
    remote: Endpoint,
    phase: Phase,
    aborted: bool,
    // sending; offsets count from the SYN, which is 0
    isn: u32,
    unsent: VecDeque<u8>,
    unacked: VecDeque<u8>,
    una: u64,
    next: u64,
    fin: Option<u64>,
    closing: bool,
    flight: VecDeque<Flying>,
    pipe: u64,
    peer_window: u64,
    peer_scale: u8,
    peer_sack: bool,
    peer_timestamps: bool,
    congestion: Congestion,
    recovery: Option<u64>,
    prr: Prr,
    srtt: Option<f64>,
    rttvar: f64,
    min_rtt: Option<Span>,
    backoff: u32,
    timer: Option<(Timestamp, bool)>,
    probed: bool,
    next_send: Timestamp,
    /// Whether only pacing keeps it from sending.
    held_back: bool,
    delivered: u64,
    delivered_at: Timestamp,
    newest: (Timestamp, u64),
    // receiving
    peer_isn: u32,
    received: u64,
    unread: f64,
    advertised: u64,
    probe_at: Option<Timestamp>,
    read_at: Timestamp,
    islands: Vec<(u64, u64)>,
    recent: Option<(u64, u64)>,
    duplicate: Option<(u64, u64)>,
    peer_fin: Option<u64>,
    ts_recent: u32,
    ack_now: bool,
    ack_waiting: u32,
    ack_at: Option<Timestamp>,
    quick: u32,
    replies: Vec<Vec<u8>>,
    challenged: Timestamp,
}

impl Tcp {
    /// An end that opens the connection when it is first asked for output, or one that waits for a SYN.
    pub fn new(tuning: Tuning, local: Endpoint, remote: Endpoint, isn: u32, opens: bool) -> Self {
        let zero = Timestamp::from_ns(0);
        Self {
            tuning,
            local,
            remote,
            phase: if opens { Phase::SynSent } else { Phase::Listen },
            aborted: false,
            isn,
            unsent: VecDeque::new(),
            unacked: VecDeque::new(),
            una: 0,
            next: 0,
            fin: None,
            closing: false,
            flight: VecDeque::new(),
            pipe: 0,
            peer_window: 65_535,
            peer_scale: 0,
            peer_sack: false,
            peer_timestamps: false,
            congestion: Congestion::new(tuning.control, tuning.mss),
            recovery: None,
            prr: Prr::default(),
            srtt: None,
            rttvar: 0.0,
            min_rtt: None,
            backoff: 0,
            timer: None,
            probed: false,
            next_send: zero,
            held_back: false,
            delivered: 0,
            delivered_at: zero,
            newest: (zero, 0),
            peer_isn: 0,
            received: 0,
            unread: 0.0,
            advertised: 0,
            probe_at: None,
            read_at: zero,
            islands: Vec::new(),
            recent: None,
            duplicate: None,
            peer_fin: None,
            ts_recent: 0,
            ack_now: false,
            ack_waiting: 0,
            ack_at: None,
            quick: 16,
            replies: Vec::new(),
            challenged: Timestamp::from_ns(i64::MIN / 2),
        }
    }

    fn wire_seq(&self, offset: u64) -> u32 {
        self.isn.wrapping_add((offset & 0xffff_ffff) as u32)
    }

    fn wire_ack(&self) -> u32 {
        let fin = self.peer_fin.is_some_and(|f| f <= self.received);
        self.peer_isn.wrapping_add(((self.received + 1 + u64::from(fin)) & 0xffff_ffff) as u32)
    }

    fn window(&mut self, now: Timestamp) -> u64 {
        if let Some(rate) = self.tuning.reads {
            let read = rate * now.since(self.read_at).secs_f64();
            self.unread = (self.unread - read).max(0.0);
            self.read_at = now;
        }
        u64::from(self.tuning.receive_buffer).saturating_sub(self.unread as u64)
    }

    fn rto(&self) -> Span {
        let base = self.srtt.map_or(FIRST_RTO, |s| {
            let ns = s + (4.0 * self.rttvar).max(MIN_RTO.ns() as f64);
            Span::from_ns(ns as i64)
        });
        let doubled = base.ns().saturating_mul(1 << self.backoff.min(MAX_BACKOFF));
        Span::from_ns(doubled.min(MAX_RTO.ns()))
    }

    /// Sends the segment again that is lost first, or a new one; says whether it sent.
    fn send_one(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>) -> bool {
        let window = match self.recovery {
            Some(_) if self.prr.from > 0 => self.prr.window,
            _ => self.congestion.window(),
        };
        if let Some(i) = self.flight.iter().position(|s| s.lost) {
            let s = self.flight[i];
            let forced = self.pipe == 0 || s.from == self.una && !s.again;
            if self.pipe + (s.to - s.from) > window && !forced {
                return false;
            }
            let packet = self.data_segment(now, s.from, s.to);
            out.push(packet);
            self.pipe += s.to - s.from;
            self.prr.sent += s.to - s.from;
            let (delivered, delivered_at) = (self.delivered, self.delivered_at);
            let s = &mut self.flight[i];
            (s.lost, s.again, s.at, s.delivered, s.delivered_at) =
                (false, true, now, delivered, delivered_at);
            return true;
        }
        let room = (self.una + self.peer_window).saturating_sub(self.next);
        let len = (self.unsent.len() as u64).min(u64::from(self.tuning.mss));
        let fin = self.closing && self.unsent.len() as u64 <= len && self.fin.is_none();
        if len == 0 && !fin
            || len > 0 && (self.pipe + len > window.max(u64::from(self.tuning.mss)) || len > room)
        {
            return false;
        }
        let (from, to) = (self.next, self.next + len + u64::from(fin));
        let moved: Vec<u8> = self.unsent.drain(..len as usize).collect();
        self.unacked.extend(moved);
        if fin {
            self.fin = Some(to - 1);
        }
        if self.flight.is_empty() {
            self.delivered_at = now;
        }
        self.flight.push_back(Flying {
            from,
            to,
            at: now,
            again: false,
            sacked: false,
            lost: false,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            limited: self.unsent.is_empty(),
        });
        self.next = to;
        self.pipe += to - from;
        self.prr.sent += to - from;
        let packet = self.data_segment(now, from, to);
        out.push(packet);
        if self.timer.is_none_or(|(_, probe)| probe) {
            self.arm(now);
        }
        true
    }

    fn data_segment(&mut self, now: Timestamp, from: u64, to: u64) -> Vec<u8> {
        if from == 0 {
            let flags = if self.phase == Phase::SynSent { Flags::SYN } else { Flags::SYN.with(Flags::ACK) };
            return self.segment(now, flags, 0, &[]);
        }
        let base = self.una.max(1);
        let fin = self.fin.is_some_and(|f| f < to);
        let len = (to - from - u64::from(fin)) as usize;
        let start = (from - base) as usize;
        let payload: Vec<u8> = self.unacked.range(start..start + len).copied().collect();
        let mut flags = Flags::ACK;
        if len > 0 && self.unsent.is_empty() {
            flags = flags.with(Flags::PSH);
        }
        if fin {
            flags = flags.with(Flags::FIN);
        }
        self.segment(now, flags, from, &payload)
    }

    fn segment(&mut self, now: Timestamp, flags: Flags, offset: u64, payload: &[u8]) -> Vec<u8> {
        let syn = flags.has(Flags::SYN);
        let window = self.window(now);
        self.advertised = window;
        let scaled = if syn { window.min(64_240) } else { (window >> SCALE).min(65_535) };
        let stamp = (now.ns() / 1_000_000) as u32;
        let mut options = Vec::new();
        if syn {
            let mss = self.tuning.mss + if self.tuning.timestamps { 12 } else { 0 };
            options.extend([2, 4, (mss >> 8) as u8, mss as u8]);
            if self.tuning.sack && (self.phase == Phase::SynSent || self.peer_sack) {
                options.extend([4, 2]);
            }
        }
        let stamps = self.tuning.timestamps && (self.phase == Phase::SynSent || self.peer_timestamps);
        if stamps && !flags.has(Flags::RST) {
            if options.len() % 4 != 2 {
                options.extend([1, 1]);
            }
            options.extend([8, 10]);
            options.extend(stamp.to_be_bytes());
            options.extend(self.ts_recent.to_be_bytes());
        }
        if syn {
            options.extend([1, 3, 3, SCALE]);
        } else if self.peer_sack && flags.has(Flags::ACK) && !flags.has(Flags::RST) {
            self.sack_option(&mut options);
        }
        while options.len() % 4 != 0 {
            options.push(1);
        }
        if flags.has(Flags::ACK) {
            self.ack_now = false;
            self.ack_waiting = 0;
            self.ack_at = None;
        }
        Segment {
            seq: self.wire_seq(offset),
            ack: if flags.has(Flags::ACK) { self.wire_ack() } else { 0 },
            flags,
            ttl: 64,
            ip_id: 0,
            df: true,
            window: scaled as u16,
            options,
            payload,
        }
        .ip(self.local, self.remote)
    }

    fn sack_option(&mut self, options: &mut Vec<u8>) {
        let mut blocks: Vec<(u64, u64)> = self.duplicate.take().into_iter().collect();
        blocks.extend(self.recent.filter(|r| self.islands.contains(r)));
        for island in self.islands.iter().rev() {
            if !blocks.contains(island) {
                blocks.push(*island);
            }
        }
        blocks.truncate(3);
        if blocks.is_empty() {
            return;
        }
        options.extend([1, 1, 5, (2 + 8 * blocks.len()) as u8]);
        for (from, to) in blocks {
            for edge in [from, to] {
                options.extend(self.peer_isn.wrapping_add(1).wrapping_add(edge as u32).to_be_bytes());
            }
        }
    }

    fn reset_for(&mut self, h: &Header<'_>) {
        if h.flags().has(Flags::RST) {
            return;
        }
        let len = h.payload_len + u32::from(h.flags().has(Flags::SYN)) + u32::from(h.flags().has(Flags::FIN));
        let (seq, ack, flags) = if h.flags().has(Flags::ACK) {
            (h.ack().0, 0, Flags::RST)
        } else {
            (0, h.seq().0.wrapping_add(len), Flags::RST.with(Flags::ACK))
        };
        let reset = Segment { seq, ack, flags, ttl: 64, df: true, ..Segment::default() };
        self.replies.push(reset.ip(self.local, self.remote));
    }

    fn over(&mut self) {
        self.phase = Phase::Closed;
        self.timer = None;
        self.ack_at = None;
        self.flight.clear();
        self.unsent.clear();
        self.unacked.clear();
        self.unread = 0.0;
        self.probe_at = None;
    }
}

impl Stack for Tcp {
    fn input(&mut self, now: Timestamp, packet: &[u8]) {
        let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let transport = &packet[header..];
        let Ok(h) = Header::parse(transport, transport.len() as u32) else { return };
        let flags = h.flags();
        match self.phase {
            Phase::Closed => return self.reset_for(&h),
            Phase::TimeWait => {
                if flags.has(Flags::RST) {
                    self.over();
                } else {
                    self.ack_now = h.payload_len > 0 || flags.has(Flags::FIN);
                }
                return;
            }
            Phase::Listen => {
                if flags.has(Flags::SYN) && !flags.any(Flags(Flags::ACK.0 | Flags::RST.0)) {
                    self.take_syn(&h);
                    self.phase = Phase::SynReceived;
                } else {
                    self.reset_for(&h);
                }
                return;
            }
            _ => {}
        }
        if flags.has(Flags::RST) {
            if self.is_obeyed(now, &h) {
                self.over();
            }
            return;
        }
        if self.phase == Phase::SynSent {
            if flags.has(Flags::SYN.with(Flags::ACK)) {
                if h.ack().0 != self.wire_seq(1) {
                    return self.reset_for(&h);
                }
                self.take_syn(&h);
                self.phase = Phase::Established;
                self.acknowledged(now, &h);
                self.peer_window = u64::from(h.window());
                self.ack_now = true;
                self.delivered_at = now;
            }
            return;
        }
        if flags.has(Flags::SYN) {
            if self.phase == Phase::Established {
                self.ack_now = true; // a challenge, or the SYN-ACK once more
            }
            return;
        }
        if let Some(val) = h.options().find_map(|o| match o {
            TcpOption::Timestamps { val, .. } => Some(val),
            _ => None,
        }) && h.seq().0.wrapping_sub(self.wire_ack()) as i32 <= 0
        {
            self.ts_recent = val;
        }
        if flags.has(Flags::ACK) {
            self.acknowledged(now, &h);
            if self.phase == Phase::SynReceived && self.una >= 1 {
                self.phase = Phase::Established;
                self.delivered_at = now;
            }
        }
        let closed_first = self.fin.is_some_and(|f| self.una > f) && self.peer_fin.is_none();
        self.take_data(now, &h);
        let all_read = self.peer_fin.is_some_and(|f| f <= self.received);
        if all_read && self.fin.is_some_and(|f| self.una > f) {
            let ack_now = self.ack_now;
            self.over();
            if closed_first || ack_now {
                self.phase = Phase::TimeWait;
                self.ack_now = true;
            }
        }
    }

    fn output(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>) {
        out.append(&mut self.replies);
        if self.aborted {
            self.aborted = false;
            if matches!(self.phase, Phase::Established | Phase::SynReceived) {
                let reset = self.segment(now, Flags::RST.with(Flags::ACK), self.next, &[]);
                out.push(reset);
            }
            self.over();
        }
        self.held_back = false;
        match self.phase {
            Phase::Closed | Phase::Listen => return,
            Phase::SynSent | Phase::SynReceived if self.next == 0 => {
                self.next = 1;
                self.pipe += 1;
                self.flight.push_back(Flying {
                    from: 0,
                    to: 1,
                    at: now,
                    again: false,
                    sacked: false,
                    lost: false,
                    delivered: 0,
                    delivered_at: now,
                    limited: true,
                });
                let packet = self.data_segment(now, 0, 1);
                out.push(packet);
                self.timer = Some((now + self.rto(), false));
                return;
            }
            _ => {}
        }
        if let Some((at, probe)) = self.timer.filter(|(at, _)| *at <= now) {
            debug_assert!(at <= now);
            self.timed_out(now, probe);
        }
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack_now = true;
        }
        if self.tuning.reads.is_some() && self.phase == Phase::Established {
            // the window is offered again when it is worth a segment or two
            let worth = 2 * u64::from(self.tuning.mss);
            self.ack_now |= self.window(now) >= self.advertised + worth && self.advertised < worth;
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            let probe = self.segment(now, Flags::ACK, self.next - 1, &[]);
            out.push(probe);
            self.backoff = (self.backoff + 1).min(5);
            self.probe_at = None;
        }
        let open = self.phase == Phase::Established;
        while self.phase != Phase::Closed && (open || self.flight.front().is_some_and(|s| s.lost)) {
            if self.congestion.pacing().is_some() && self.next_send > now {
                self.held_back = true;
                break;
            }
            let before = out.len();
            if !self.send_one(now, out) {
                break;
            }
            if let Some(rate) = self.congestion.pacing() {
                let bytes: usize = out[before..].iter().map(Vec::len).sum();
                let gap = Span::from_ns((bytes as f64 / rate * 1e9) as i64);
                self.next_send = self.next_send.max(now) + gap;
            }
        }
        // a closed window is probed (RFC 9293 §3.8.6.1)
        let shut = open && self.flight.is_empty() && !self.unsent.is_empty();
        self.probe_at = if shut { self.probe_at.or(Some(now + self.rto())) } else { None };
        if self.ack_now && self.phase != Phase::Closed && self.phase != Phase::SynReceived {
            let ack = self.segment(now, Flags::ACK, self.next, &[]);
            out.push(ack);
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let paced = self.held_back.then_some(self.next_send);
        let reopens =
            (self.tuning.reads.is_some() && self.unread > 0.0).then(|| self.read_at + Span::from_ms(20));
        [self.timer.map(|(at, _)| at), self.ack_at, paced, reopens, self.probe_at].into_iter().flatten().min()
    }

    fn write(&mut self, data: &[u8]) {
        self.unsent.extend(data);
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn peer_closed(&self) -> bool {
        self.peer_fin.is_some_and(|f| f <= self.received)
    }

    fn close(&mut self) {
        self.closing = true;
    }

    fn abort(&mut self) {
        self.aborted = true;
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Closed | Phase::TimeWait => State::Over,
            Phase::Established => State::Open,
            _ => State::Opening,
        }
    }
}
