//! One TCP segment as the flow room keeps it: header facts, no payload.

use crate::base::{SeqNum, Timestamp};
use crate::wire::checksum::{self, Checksum};
use crate::wire::ip::Ip;
use crate::wire::tcp::{Flags, Tcp};

/// The header facts of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Wireshark's `frame.number`.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// Sequence number.
    pub seq: SeqNum,
    /// Acknowledgment number, whether or not ACK is set.
    pub ack: SeqNum,
    /// All twelve flag and reserved bits.
    pub flags: Flags,
    /// Window field, unscaled.
    pub window: u16,
    /// Payload length on the wire.
    pub len: u32,
    /// TCP header length in bytes.
    pub header_len: u8,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// IPv4 "don't fragment".
    pub dont_fragment: bool,
    /// `TSval` and `TSecr`, where the segment carries timestamps.
    pub timestamps: Option<(u32, u32)>,
    /// What its checksum says, where it was looked at: on control segments.
    pub checksum: Checksum,
}

const CONTROL: Flags = Flags::SYN.with(Flags::FIN).with(Flags::RST);

impl Segment {
    /// The facts of a decoded segment.
    #[inline(always)]
    pub fn new(frame: u64, at: Timestamp, ip: &Ip, tcp: &Tcp<'_>) -> Self {
        let flags = tcp.flags();
        Self {
            frame,
            at,
            seq: tcp.seq(),
            ack: tcp.ack(),
            flags,
            window: tcp.window(),
            len: tcp.payload_len,
            header_len: tcp.header_len(),
            ttl: ip.ttl,
            ip_id: ip.id,
            dont_fragment: ip.dont_fragment,
            timestamps: tcp.timestamps(),
            checksum: if flags.any(CONTROL) { checksum::tcp(ip, tcp) } else { Checksum::Unknown },
        }
    }

    /// Whether it opens, closes or resets.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.flags.any(CONTROL)
    }

    /// How far the segment moves the sequence: payload, and one each for SYN and FIN.
    pub fn seq_len(&self) -> u32 {
        if self.is_control() {
            self.len + u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN))
        } else {
            self.len
        }
    }

    /// What kind of segment this is at first sight.
    #[inline]
    pub fn kind(&self) -> Kind {
        let f = self.flags;
        if !self.is_control() {
            if self.len > 0 { Kind::Data } else { Kind::Ack }
        } else if f.has(Flags::RST) {
            Kind::Rst
        } else if f.has(Flags::SYN) {
            if f.has(Flags::ACK) { Kind::SynAck } else { Kind::Syn }
        } else {
            Kind::Fin
        }
    }
}

/// The kind of a segment, as a person would say what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// No payload and none of SYN, FIN, RST.
    Ack,
    /// The segment that completes a ClientHello.
    ClientHello,
    /// The segment that carries an HTTP/1 request head.
    HttpRequest,
    /// Any other payload.
    Data,
    /// FIN, with or without payload.
    Fin,
    /// RST.
    Rst,
}

impl Kind {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "syn_ack",
            Self::Ack => "ack",
            Self::ClientHello => "client_hello",
            Self::HttpRequest => "http_request",
            Self::Data => "data",
            Self::Fin => "fin",
            Self::Rst => "rst",
        }
    }

    /// In words, with an article.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Syn => "a SYN",
            Self::SynAck => "a SYN-ACK",
            Self::Ack => "an ACK",
            Self::ClientHello => "a ClientHello",
            Self::HttpRequest => "an HTTP request",
            Self::Data => "data",
            Self::Fin => "a FIN",
            Self::Rst => "a RST",
        }
    }
}
