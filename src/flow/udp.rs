//! UDP between two ends: which packets belong together, which end is the client, and QUIC where it is spoken.
//!
//! Followed are flows that speak QUIC on any port, and all flows of the ports 80 and 443: whether anything over UDP
//! comes through there is what tells a blocked protocol from a blocked name. Everything else costs a look at its ports
//! and its first bytes.

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::wire::ip::Ip;
use crate::wire::quic::{Packet, packets, speaks_quic};
use crate::wire::tcp::Tcp;
use crate::wire::udp::Udp;

use super::Segment;
use super::connection::{Ended, Roles};
use super::key::Key;
use super::quic::{Quic, Sender};
use super::slots::{Slots, Timed};
use super::volume::Volume;

/// How long a flow may be silent: the five minutes that RFC 4787 REQ-5 recommends to every NAT.
pub const IDLE: Span = Span::from_secs(300);

/// Bytes of a UDP header (RFC 768).
const UDP_HEADER: u32 = 8;

/// Ports of which every flow is followed.
const WATCHED: [u16; 2] = [80, 443];

/// One datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Wireshark's `frame.number`.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// Who sent it.
    pub src: Endpoint,
    /// To whom.
    pub dst: Endpoint,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// How long the payload was on the wire.
    pub len: u32,
    /// Whether it came out of a tunnel.
    pub tunnelled: bool,
}

impl<'a> Datagram<'a> {
    /// The facts of a decoded datagram.
    pub fn new(frame: u64, at: Timestamp, ip: &Ip, udp: &Udp<'a>, tunnelled: bool) -> Self {
        Self {
            frame,
            at,
            src: Endpoint { addr: ip.src, port: udp.src_port() },
            dst: Endpoint { addr: ip.dst, port: udp.dst_port() },
            ttl: ip.ttl,
            ip_id: ip.id,
            payload: udp.payload,
            len: udp.payload_len,
            tunnelled,
        }
    }

    /// The payload of a TCP segment as if it were one: for DNS, whose messages TCP carries too.
    pub fn of_tcp(s: &Segment, src: Endpoint, dst: Endpoint, tcp: &Tcp<'a>) -> Self {
        let Segment { frame, at, ttl, ip_id, len, .. } = *s;
        Self { frame, at, src, dst, ttl, ip_id, payload: tcp.payload, len, tunnelled: false }
    }
}

/// What one end sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Datagrams.
    pub packets: u64,
    /// Payload bytes on the wire.
    pub bytes: u64,
    /// When the first was captured.
    pub first: Option<Timestamp>,
    /// When the last was captured.
    pub last: Option<Timestamp>,
    /// Datagrams since the last of the other end: unanswered, if the flow ends here.
    pub unanswered: u32,
    /// When the first of those was captured.
    pub unanswered_since: Option<Timestamp>,
    /// TTL of the first.
    pub ttl: Option<u8>,
}

/// The datagrams between two ends.
#[derive(Clone, Debug)]
pub struct UdpFlow {
    /// The end that opened it.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// How it is known which is which.
    pub roles: Roles,
    /// Its first datagram.
    pub first_frame: u64,
    /// Its last datagram so far.
    pub last_frame: u64,
    /// When the first was captured.
    pub started: Timestamp,
    /// When the last was captured.
    pub last: Timestamp,
    /// What each end sent.
    pub sides: PerDirection<Side>,
    /// QUIC, where it is spoken.
    pub quic: Option<Box<Quic>>,
    /// Bytes of each end over time, headers of IP and UDP included, since QUIC is spoken.
    pub volume: PerDirection<Volume>,
    /// Whether it came out of a tunnel.
    pub tunnelled: bool,
    /// Why it is no longer followed.
    pub ended: Ended,
}

impl UdpFlow {
    fn new(d: &Datagram<'_>) -> Self {
        // an answer is rarely the first that is captured; the lower port is the server's
        let (client, server) = if d.src.port >= d.dst.port { (d.src, d.dst) } else { (d.dst, d.src) };
        Self {
            client,
            server,
            roles: Roles::Guessed,
            first_frame: d.frame,
            last_frame: d.frame,
            started: d.at,
            last: d.at,
            sides: PerDirection::default(),
            quic: None,
            volume: PerDirection::default(),
            tunnelled: d.tunnelled,
            ended: Ended::CaptureEnd,
        }
    }

    /// Takes one datagram.
    fn push(&mut self, d: &Datagram<'_>) {
        self.last = self.last.max(d.at);
        self.last_frame = d.frame;
        if self.quic.is_some() || speaks_quic(d.payload) || self.is_negotiation(d) {
            let quic = self.quic.get_or_insert_default();
            let from = if d.src == self.client { Direction::ToServer } else { Direction::ToClient };
            if quic.push(from, d) == Sender::Client {
                self.roles = Roles::Handshake;
                if from == Direction::ToClient {
                    self.flip();
                }
            }
        }
        let from = if d.src == self.client { Direction::ToServer } else { Direction::ToClient };
        if self.quic.is_some() {
            let headers = u32::from(d.src.ip_header()) + UDP_HEADER;
            self.volume[from].push(d.at, d.len.saturating_add(headers));
        }
        let other = &mut self.sides[from.reversed()];
        (other.unanswered, other.unanswered_since) = (0, None);
        let side = &mut self.sides[from];
        side.packets += 1;
        side.bytes += u64::from(d.len);
        side.first = side.first.or(Some(d.at));
        side.last = side.last.max(Some(d.at));
        side.unanswered = side.unanswered.saturating_add(1);
        side.unanswered_since = side.unanswered_since.or(Some(d.at));
        side.ttl = side.ttl.or(Some(d.ttl));
    }

    /// Whether a server answers with Version Negotiation to something that could not be read.
    fn is_negotiation(&self, d: &Datagram<'_>) -> bool {
        d.src == self.server && matches!(packets(d.payload).next(), Some(Packet::Negotiation(_)))
    }

    /// Turns client and server round.
    fn flip(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        std::mem::swap(&mut self.sides.to_server, &mut self.sides.to_client);
        std::mem::swap(&mut self.volume.to_server, &mut self.volume.to_client);
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.last) > IDLE
    }
}

impl Timed for UdpFlow {
    fn last(&self) -> Timestamp {
        self.last
    }
}

/// The UDP flows that are open.
#[derive(Clone, Debug)]
pub struct UdpTable {
    flows: Slots<Key, UdpFlow>,
    /// One bit a port: those on which flows are looked for.
    ports: Box<[u64; 1024]>,
    now: Timestamp,
}

impl UdpTable {
    /// An empty table of at most `limit` flows.
    pub fn new(limit: usize) -> Self {
        let mut ports = Box::new([0; 1024]);
        for port in WATCHED {
            watch(&mut ports, port);
        }
        Self { flows: Slots::new(limit), ports, now: Timestamp::FIRST }
    }

    /// Takes a datagram; `ended` gets every flow that is over by now.
    pub fn push(&mut self, d: &Datagram<'_>, ended: &mut impl FnMut(UdpFlow)) {
        self.now = self.now.max(d.at);
        if !self.watches(d.src.port) && !self.watches(d.dst.port) && !speaks_quic(d.payload) {
            return;
        }
        let (key, _) = Key::new(d.src, d.dst);
        if let Some(flow) = self.flows.find(&key) {
            let from_client = d.src == flow.client;
            let anew = from_client && flow.quic.as_mut().is_some_and(|q| q.begins_anew(d));
            if !anew && !flow.is_over(d.at) {
                flow.push(d);
                self.sweep(ended);
                return;
            }
            let why = if anew { Ended::Reused } else { Ended::Idle };
            if let Some(flow) = self.flows.take(&key) {
                ended(finished(flow, why));
            }
        }
        let mut flow = UdpFlow::new(d);
        flow.push(d);
        watch(&mut self.ports, flow.server.port);
        if let Some(flow) = self.flows.insert(key, flow) {
            ended(finished(flow, Ended::Limit));
        }
        self.sweep(ended);
    }

    /// Ends all flows that are left, in the order in which they began.
    pub fn finish(&mut self, ended: &mut impl FnMut(UdpFlow)) {
        let mut left = self.flows.drain();
        left.sort_unstable_by_key(|f| f.first_frame);
        for flow in left {
            let why = if flow.is_over(self.now) { Ended::Idle } else { Ended::CaptureEnd };
            ended(finished(flow, why));
        }
    }

    /// Flows given up because too many were open.
    pub fn evicted(&self) -> u64 {
        self.flows.evicted
    }

    fn watches(&self, port: u16) -> bool {
        self.ports[usize::from(port >> 6)] & 1 << (port & 63) != 0
    }

    fn sweep(&mut self, ended: &mut impl FnMut(UdpFlow)) {
        let now = self.now;
        self.flows.sweep(|f| f.is_over(now), &mut |f| ended(finished(f, Ended::Idle)));
    }
}

fn watch(ports: &mut [u64; 1024], port: u16) {
    ports[usize::from(port >> 6)] |= 1 << (port & 63);
}

fn finished(mut flow: UdpFlow, why: Ended) -> UdpFlow {
    flow.ended = why;
    if let Some(quic) = &mut flow.quic {
        quic.finish(flow.last);
    }
    flow
}
