//! A packet on the simulated path, with its truth.

use std::net::IpAddr;

use crate::base::{Direction, Endpoint};
use crate::testkit::packet::{seal, seal_header};
use crate::wire::Quoted;
use crate::wire::tcp::Flags;

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An end of its connection.
    End,
    /// A box of the path, by its place, that sent it in the name of an end.
    Forged(usize),
    /// An end, and a box changed it.
    Rewritten(usize),
}

/// A packet.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The IP packet.
    pub bytes: Vec<u8>,
    /// Its number: copies keep it.
    pub number: u64,
    /// Where it comes from.
    pub origin: Origin,
}

impl Packet {
    /// Length of the IP header.
    pub fn ip_header(&self) -> usize {
        if self.is_v4() { 20 } else { 40 }
    }

    fn is_v4(&self) -> bool {
        self.bytes[0] >> 4 == 4
    }

    /// Whether it is TCP.
    pub fn is_tcp(&self) -> bool {
        self.bytes[if self.is_v4() { 9 } else { 6 }] == 6
    }

    /// Whether it is an ICMP error.
    pub fn is_icmp(&self) -> bool {
        matches!(self.bytes[if self.is_v4() { 9 } else { 6 }], 1 | 58)
    }

    fn word(&self, at: usize) -> u16 {
        let at = self.ip_header() + at;
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    fn long(&self, at: usize) -> u32 {
        u32::from(self.word(at)) << 16 | u32::from(self.word(at + 2))
    }

    /// Sequence number.
    pub fn seq(&self) -> u32 {
        self.long(4)
    }

    /// Acknowledgment number.
    pub fn ack(&self) -> u32 {
        self.long(8)
    }

    /// All twelve bits; none of what is not TCP.
    pub fn flags(&self) -> Flags {
        if self.is_tcp() { Flags(self.word(12) & 0x0fff) } else { Flags(0) }
    }

    /// Window field.
    pub fn window(&self) -> u16 {
        self.word(14)
    }

    /// Where the payload of TCP or UDP begins.
    pub fn payload_at(&self) -> usize {
        if !self.is_tcp() {
            return self.ip_header() + 8;
        }
        self.ip_header() + usize::from(self.word(12) >> 12) * 4
    }

    /// The payload of TCP or UDP.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at()..]
    }

    /// How far it moves the sequence.
    pub fn seq_len(&self) -> u32 {
        let f = self.flags();
        self.payload().len() as u32 + u32::from(f.has(Flags::SYN)) + u32::from(f.has(Flags::FIN))
    }

    /// The source; of an ICMP error, the end that the segment which it quotes goes to.
    pub fn source(&self) -> Endpoint {
        match self.quoted() {
            Some(q) => q.dst,
            None => Endpoint { addr: self.address(false), port: self.word(0) },
        }
    }

    /// The destination; of an ICMP error, the end that the segment which it quotes comes from.
    pub fn destination(&self) -> Endpoint {
        match self.quoted() {
            Some(q) => q.src,
            None => Endpoint { addr: self.address(true), port: self.word(2) },
        }
    }

    fn quoted(&self) -> Option<Quoted> {
        let message = &self.bytes[self.ip_header()..];
        if self.is_icmp() { Quoted::read(message, !self.is_v4()) } else { None }
    }

    fn address(&self, second: bool) -> IpAddr {
        if self.is_v4() {
            let at = if second { 16 } else { 12 };
            IpAddr::from([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
        } else {
            let at = if second { 24 } else { 8 };
            let mut a = [0; 16];
            a.copy_from_slice(&self.bytes[at..at + 16]);
            IpAddr::from(a)
        }
    }

    /// Client and server of its connection, when it goes this way.
    pub fn ends(&self, direction: Direction) -> (Endpoint, Endpoint) {
        match direction {
            Direction::ToServer => (self.source(), self.destination()),
            Direction::ToClient => (self.destination(), self.source()),
        }
    }

    /// TTL, or hop limit.
    pub fn ttl(&self) -> u8 {
        self.bytes[if self.is_v4() { 8 } else { 7 }]
    }

    /// Sets the TTL.
    pub fn set_ttl(&mut self, ttl: u8) {
        if self.is_v4() {
            self.bytes[8] = ttl;
            seal_header(&mut self.bytes);
        } else {
            self.bytes[7] = ttl;
        }
    }

    /// IP-ID; 0 where there is none.
    pub fn ip_id(&self) -> u16 {
        if self.is_v4() { u16::from_be_bytes([self.bytes[4], self.bytes[5]]) } else { 0 }
    }

    /// Sets IP-ID and DF.
    pub fn set_id(&mut self, id: u16, df: bool) {
        if self.is_v4() {
            self.bytes[4..6].copy_from_slice(&id.to_be_bytes());
            self.bytes[6] = if df { 0x40 } else { 0 };
            seal_header(&mut self.bytes);
        }
    }

    /// Makes it a reset without payload or options, as a box does that rewrites: all else stays.
    pub fn turn_to_reset(&mut self, by: usize) {
        let ip = self.ip_header();
        self.bytes.truncate(ip + 20);
        let offset_and_flags = (5u16 << 12) | Flags::RST.with(Flags::ACK).0;
        self.bytes[ip + 12..ip + 14].copy_from_slice(&offset_and_flags.to_be_bytes());
        if self.is_v4() {
            self.bytes[2..4].copy_from_slice(&40u16.to_be_bytes());
        } else {
            self.bytes[4..6].copy_from_slice(&20u16.to_be_bytes());
        }
        seal(&mut self.bytes);
        self.origin = Origin::Rewritten(by);
    }
}
