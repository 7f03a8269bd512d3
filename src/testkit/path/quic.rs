//! QUIC at the ends: what an observer without keys can see of it.
//!
//! The Initials are real and sealed (version 1), so that boxes and the program read names in them; probe timeouts double
//! (RFC 9002 §6.2). What is encrypted with keys that no observer has is opaque to both, so behind short headers the ends
//! speak a protocol of their own, in order, acknowledged, and sent again from the first loss on, with one window: no
//! congestion control, which no detector looks at in QUIC.

use super::stack::{Stack, State};
use crate::base::{Endpoint, Span, Timestamp};
use crate::testkit::packet::udp;
use crate::testkit::{quic, tls};
use crate::wire::quic::{Kind, Version};

/// The server's connection ID; the client has none.
const SERVER_ID: &[u8] = b"\x5e\x7e\x7e\x7e";
/// The first probe timeout, before a round trip is known (RFC 9002 §6.2.2: three times 333 ms).
const FIRST_PROBE: Span = Span::from_ms(999);
/// And once one is known.
const PROBE: Span = Span::from_ms(300);
/// How often something is sent in vain before the connection is given up.
const MOST_PROBES: u32 = 6;
/// Bytes in flight, at most.
const WINDOW: u64 = 24_000;
/// Bytes of a datagram behind a short header.
const FULL: usize = 1200;
/// Bytes of the ends' own header: type, where the data begins, what is acknowledged, how much data follows.
const HEADER: usize = 11;

const DATA: u8 = 0;
const CLOSE: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent.
    Idle,
    /// The hello was sent, or answered.
    Greeted,
    Open,
    Over,
}

/// One end.
pub struct Quic {
    ends: (Endpoint, Endpoint),
    is_client: bool,
    phase: Phase,
    id: [u8; 5],
    hello: Vec<u8>,
    initials: u32,
    /// What is to be sent of the handshake, now.
    greet: bool,
    confirmed: bool,
    timer: Option<Timestamp>,
    probes: u32,
    sent: Vec<u8>,
    acked: u64,
    next: u64,
    received: u64,
    ack: bool,
    closing: bool,
    peer_closed: bool,
}

impl Quic {
    /// An end of a connection that asks for `name`.
    pub fn new(local: Endpoint, remote: Endpoint, name: &str, is_client: bool) -> Self {
        let port = if is_client { local.port } else { remote.port };
        let [a, b] = port.to_be_bytes();
        Self {
            ends: (local, remote),
            is_client,
            phase: Phase::Idle,
            id: [0x83, 0x94, a, b, 8],
            hello: tls::Hello::to(name).message(),
            initials: 0,
            greet: false,
            confirmed: false,
            timer: None,
            probes: 0,
            sent: Vec::new(),
            acked: 0,
            next: 0,
            received: 0,
            ack: false,
            closing: false,
            peer_closed: false,
        }
    }

    fn datagram(&self, payload: &[u8]) -> Vec<u8> {
        udp(self.ends.0, self.ends.1, 64, 0, payload)
    }

    fn number(&mut self) -> u32 {
        self.initials += 1;
        self.initials - 1
    }

    /// The packets of the handshake that are this end's.
    fn greeting(&mut self) -> Vec<u8> {
        let number = self.number();
        if !self.is_client {
            let frames = [quic::ack(0), quic::crypto(0, &tls::server_hello_13(0x1301, &[]))].concat();
            let initial = quic::Initial { number, ..quic::Initial::from_server(Version::V1, &self.id) };
            let handshake = quic::long(Kind::Handshake, Version::V1, &[], SERVER_ID, 700);
            return [initial.with(&frames, 0).seal(), handshake].concat();
        }
        let initial = quic::Initial { number, ..quic::Initial::from_client(Version::V1, &self.id) };
        if self.phase != Phase::Open {
            return initial.with(&quic::crypto(0, &self.hello), 1200).seal();
        }
        let reply = quic::Initial { dcid: SERVER_ID.to_vec(), ..initial };
        let finished = quic::long(Kind::Handshake, Version::V1, SERVER_ID, &[], 60);
        [reply.with(&quic::ack(0), 0).seal(), finished].concat()
    }

    /// A packet with a short header: data from `from` on, or none, with what is acknowledged.
    fn short(&self, kind: u8, from: u64, to: u64) -> Vec<u8> {
        let id: &[u8] = if self.is_client { SERVER_ID } else { &[] };
        let data = &self.sent[from as usize..to as usize];
        let mut packet = [
            &[0x41][..],
            id,
            &[kind],
            &(from as u32).to_be_bytes(),
            &(self.received as u32).to_be_bytes(),
            &(data.len() as u16).to_be_bytes(),
            data,
        ]
        .concat();
        // a header is sampled 20 bytes behind its connection ID
        packet.resize(packet.len().max(1 + id.len() + 24), 0);
        packet
    }

    fn take_short(&mut self, body: &[u8]) {
        let Some((header, rest)) = body.split_at_checked(HEADER) else { return };
        let long = |at: usize| {
            u64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
        };
        let (from, acked) = (long(1), long(5));
        if acked > self.acked {
            self.acked = acked;
            self.next = self.next.max(acked);
            self.probes = 0;
            self.timer = None;
        }
        self.confirmed = true;
        if header[0] == CLOSE {
            self.peer_closed = true;
            self.phase = Phase::Over;
            return;
        }
        let len = u64::from(u16::from_be_bytes([header[9], header[10]]));
        if len > 0 && len <= rest.len() as u64 {
            self.ack = true;
            if from == self.received {
                self.received += len;
            }
        }
    }

    fn probe_after(&self) -> Span {
        let first = if self.phase == Phase::Greeted && self.is_client { FIRST_PROBE } else { PROBE };
        Span::from_ns(first.ns() << self.probes.min(6))
    }
}

impl Stack for Quic {
    fn input(&mut self, _: Timestamp, packet: &[u8]) {
        let at = if packet[0] >> 4 == 4 { 28 } else { 48 };
        let Some(payload) = packet.get(at..).filter(|p| !p.is_empty()) else { return };
        let kind = payload[0] & 0x30;
        match (payload[0] & 0x80 != 0, self.is_client) {
            _ if self.phase == Phase::Over => {}
            (true, true) => {
                // the server's flight, perhaps once more
                if self.phase != Phase::Idle {
                    self.phase = Phase::Open;
                    self.greet = true;
                    self.probes = 0;
                    self.timer = None;
                }
            }
            (true, false) if kind == 0 && payload.len() >= 1200 => {
                if self.phase != Phase::Open {
                    self.phase = Phase::Greeted;
                    self.greet = true;
                }
            }
            (true, false) => {
                if self.phase == Phase::Greeted {
                    self.phase = Phase::Open;
                    self.probes = 0;
                    self.timer = None;
                }
                self.ack = true; // HANDSHAKE_DONE
            }
            (false, is_client) if self.phase == Phase::Open => {
                let id = if is_client { 0 } else { SERVER_ID.len() };
                let body = payload.get(1 + id..).unwrap_or_default();
                self.take_short(body);
            }
            (false, _) => {}
        }
    }

    fn output(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>) {
        if self.phase == Phase::Over {
            return;
        }
        if self.is_client && self.phase == Phase::Idle {
            (self.phase, self.greet) = (Phase::Greeted, true);
        }
        if self.timer.is_some_and(|t| t <= now) {
            self.timer = None;
            self.probes += 1;
            if self.probes > MOST_PROBES {
                self.phase = Phase::Over;
                return;
            }
            self.greet |= self.phase == Phase::Greeted || self.is_client && !self.confirmed;
            self.next = self.acked;
        }
        if self.greet {
            self.greet = false;
            let greeting = self.greeting();
            out.push(self.datagram(&greeting));
        }
        if self.phase == Phase::Open {
            while self.next < (self.sent.len() as u64).min(self.acked + WINDOW) {
                let to = (self.next + FULL as u64).min(self.sent.len() as u64);
                out.push(self.datagram(&self.short(DATA, self.next, to)));
                self.next = to;
                self.ack = false;
            }
            if self.ack {
                self.ack = false;
                out.push(self.datagram(&self.short(DATA, self.next, self.next)));
            }
            if self.closing && self.acked == self.sent.len() as u64 {
                out.push(self.datagram(&self.short(CLOSE, self.next, self.next)));
                self.phase = Phase::Over;
                return;
            }
        }
        let waits =
            self.phase == Phase::Greeted || self.is_client && !self.confirmed || self.acked < self.next;
        if waits && self.timer.is_none() {
            self.timer = Some(now + self.probe_after());
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.timer.filter(|_| self.phase != Phase::Over)
    }

    fn write(&mut self, data: &[u8]) {
        self.sent.extend(data);
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    fn close(&mut self) {
        self.closing = true;
    }

    fn abort(&mut self) {
        self.phase = Phase::Over;
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Idle | Phase::Greeted => State::Opening,
            Phase::Open => State::Open,
            Phase::Over => State::Over,
        }
    }
}
