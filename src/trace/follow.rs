//! One connection, followed a second time.

use std::sync::Arc;

use super::echo::Echo;
use super::points::{Points, RoundTrips};
use super::series::Binning;
use super::{Point, RoundTrip, Trace};
use crate::analysis::Analysis;
use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Span, Timestamp};
use crate::flow::half::Arrival;
use crate::flow::{Half, Segment};
use crate::wire::ip::Ip;
use crate::wire::tcp::{Flags, Tcp, TcpOption, sack_blocks};

/// A trace in the making.
pub(super) struct Follower {
    place: usize,
    is_tcp: bool,
    last_frame: u64,
    halves: PerDirection<Half>,
    echoes: PerDirection<Echo>,
    /// Bytes that went each way so far: what QUIC has for sequence numbers.
    carried: PerDirection<i64>,
    /// What is kept of single packets, where it is asked for.
    kept: Option<(Points, RoundTrips)>,
    series: Binning,
}

impl Follower {
    /// Follows the connection at a place; with `room`, so many of its points are kept at most.
    pub(super) fn new(a: &Analysis, place: usize, room: Option<usize>, telling: Arc<[u64]>) -> Self {
        let tcp = a.connections.get(place);
        let quic = a.udp.quic.get(place.wrapping_sub(a.connections.len()));
        let (start, lasts) = match (tcp, quic) {
            (Some(c), _) => (c.started, c.duration),
            (_, Some(q)) => (q.started, q.duration),
            _ => Default::default(),
        };
        let ttl = |d: Direction| match (tcp, quic) {
            (Some(c), _) => c.flows[d].ttl,
            (_, Some(q)) => q.sides[d].ttl,
            _ => None,
        };
        let usual = PerDirection { to_server: ttl(Direction::ToServer), to_client: ttl(Direction::ToClient) };
        Self {
            place,
            is_tcp: tcp.is_some(),
            last_frame: a.frames(place).map_or(0, |(_, last)| last),
            halves: PerDirection::default(),
            echoes: PerDirection::default(),
            carried: PerDirection::default(),
            kept: room.map(|most| (Points::new(most, usual, telling), RoundTrips::new(most / 2))),
            series: Binning::new(start, lasts),
        }
    }

    /// Takes a segment that goes in direction `d`.
    pub(super) fn tcp(&mut self, frame: u64, at: Timestamp, d: Direction, ip: &Ip, tcp: &Tcp<'_>) {
        let s = Segment::new(frame, at, ip, tcp);
        let (sender, receiver) = match d {
            Direction::ToServer => (&mut self.halves.to_server, &mut self.halves.to_client),
            Direction::ToClient => (&mut self.halves.to_client, &mut self.halves.to_server),
        };
        if sender.has_just_sent(&s) {
            return;
        }
        sender.packets += 1;
        let is_reset = s.flags.has(Flags::RST);
        let (next, new_bytes, samples) = (sender.next, sender.new_bytes, sender.rtt.samples);
        let mut arrival = Arrival::Nothing;
        if !is_reset {
            if s.flags.has(Flags::ACK) {
                receiver.acknowledged(&s, tcp, &mut sender.rtt);
            }
            arrival = sender.sent(&s, tcp, |sender| sender.rtt.through(&receiver.rtt)).arrival;
        }
        let seq = sender.offset(s.seq).unwrap_or(0);
        let acks = s.flags.has(Flags::ACK).then(|| receiver.offset(s.ack)).flatten();
        let gap = if arrival == Arrival::New && next > 0 { (seq - next).max(0) } else { 0 };
        let point = Point {
            frame,
            at,
            direction: d,
            seq,
            len: s.len,
            ack: acks,
            window: if is_reset { None } else { window(&s, sender, receiver) },
            sack: sack(tcp, receiver),
            flags: s.flags,
            ttl: s.ttl,
            arrival,
            gap: u32::try_from(gap).unwrap_or(u32::MAX),
        };
        let counted = self.series.at(at, d);
        counted.packets += 1;
        counted.bytes += u64::from(s.len);
        counted.new_bytes += sender.new_bytes - new_bytes;
        counted.data_packets += u64::from(s.len > 0);
        counted.retransmitted += u64::from(arrival == Arrival::Retransmission);
        let by_ack = if sender.rtt.samples > samples { sender.rtt.latest } else { None };
        if let Some((points, _)) = &mut self.kept {
            points.push(point);
        }
        if !is_reset {
            self.round_trip(&s, d, by_ack);
        }
    }

    /// Notes the round trip that a segment ends: by its timestamps where it has them, else by what it acknowledges.
    fn round_trip(&mut self, s: &Segment, d: Direction, by_ack: Option<Span>) {
        let took = if let Some((value, echo)) = s.timestamps {
            self.echoes[d].sent(value, s.at, s.seq_len() > 0);
            let echoes = s.flags.has(Flags::ACK) && echo != 0;
            let by_echo = if echoes { self.echoes[d.reversed()].echoed(echo, s.at) } else { None };
            by_echo.or_else(|| by_ack.filter(|_| echo == 0))
        } else {
            by_ack
        };
        if let Some(took) = took {
            let trip = RoundTrip { frame: s.frame, at: s.at, direction: d, took };
            self.series.round_trip(&trip);
            if let Some((_, round_trips)) = &mut self.kept {
                round_trips.push(trip);
            }
        }
    }

    /// Takes a datagram that goes in direction `d`.
    pub(super) fn datagram(&mut self, frame: u64, at: Timestamp, d: Direction, ip: &Ip, len: u32) {
        let seq = self.carried[d];
        self.carried[d] = seq.saturating_add(i64::from(len));
        let counted = self.series.at(at, d);
        counted.packets += 1;
        counted.data_packets += 1;
        counted.bytes += u64::from(len);
        counted.new_bytes += u64::from(len);
        let Some((points, _)) = &mut self.kept else { return };
        points.push(Point {
            frame,
            at,
            direction: d,
            seq,
            len,
            ack: None,
            window: None,
            sack: None,
            flags: Flags(0),
            ttl: ip.ttl,
            arrival: Arrival::New,
            gap: 0,
        });
    }

    /// The trace, of a source that reached so far.
    pub(super) fn finish(self, reached: u64) -> Trace {
        let ((points, thinned), (round_trips, round_trips_thinned)) =
            self.kept.map_or_else(Default::default, |(points, trips)| (points.finish(), trips.finish()));
        Trace {
            place: self.place,
            is_tcp: self.is_tcp,
            points,
            thinned,
            round_trips,
            round_trips_thinned,
            series: self.series.finish(),
            incomplete: reached < self.last_frame,
        }
    }
}

/// The window in bytes: scaled only where both ends offered to scale (RFC 7323 §2.2), and unknown where the handshake
/// was not seen.
fn window(s: &Segment, sender: &Half, receiver: &Half) -> Option<u32> {
    if s.flags.has(Flags::SYN) {
        return Some(u32::from(s.window));
    }
    let (ours, theirs) = (sender.syn?, receiver.syn?);
    let shift = ours.window_scale.filter(|_| theirs.window_scale.is_some()).unwrap_or(0);
    Some(u32::from(s.window) << shift)
}

/// The first SACK block, as offsets of what it is about.
fn sack(tcp: &Tcp<'_>, of: &Half) -> Option<(i64, i64)> {
    if tcp.header_len() < 32 {
        return None;
    }
    let bytes = tcp.options().find_map(|o| match o {
        TcpOption::Sack(bytes) => Some(bytes),
        _ => None,
    })?;
    let (left, right) = sack_blocks(bytes).next()?;
    Some((of.offset(left)?, of.offset(right)?))
}
