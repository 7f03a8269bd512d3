//! ICMP and ICMPv6 errors, and the segment that each quotes (RFC 792, RFC 4443).

use super::ip::{Ip, protocol};
use super::tcp::Tcp;
use crate::base::{Endpoint, SeqNum};

/// An error that quotes a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source of the quoted segment.
    pub src: Endpoint,
    /// Its destination.
    pub dst: Endpoint,
    /// Its sequence number.
    pub seq: SeqNum,
    /// Whether the whole fixed TCP header is quoted: only then Wireshark counts it as a segment of its connection.
    pub whole: bool,
    /// Whether it is ICMPv6.
    pub v6: bool,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
}

impl Quoted {
    /// Reads the error message `b` of ICMP or ICMPv6: it quotes the packet that it is about after eight bytes, at least as far as
    /// ports and sequence number.
    pub fn read(b: &[u8], v6: bool) -> Option<Self> {
        let errors: &[u8] = if v6 { &[1, 2, 3, 4] } else { &[3, 4, 5, 11, 12] };
        let (kind, code) = (*b.first()?, *b.get(1)?);
        let quote = b.get(8..).filter(|_| errors.contains(&kind))?;
        let (ip, payload) = Ip::parse(quote, u32::try_from(quote.len()).unwrap_or(u32::MAX)).ok()?;
        if ip.protocol != protocol::TCP || ip.fragment.is_some() {
            return None;
        }
        let word = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
        let seq = u32::from(word(4)?) << 16 | u32::from(word(6)?);
        Some(Self {
            src: Endpoint { addr: ip.src, port: word(0)? },
            dst: Endpoint { addr: ip.dst, port: word(2)? },
            seq: SeqNum(seq),
            whole: Tcp::parse(payload, ip.payload_len).is_ok(),
            v6,
            kind,
            code,
        })
    }

    /// Whether it says that the segment is larger than a link on its way takes.
    pub const fn is_too_big(&self) -> bool {
        if self.v6 { self.kind == 2 } else { self.kind == 3 && self.code == 4 }
    }

    /// Whether it says that the destination cannot, or must not, be reached.
    pub const fn is_unreachable(&self) -> bool {
        if self.v6 { self.kind == 1 } else { self.kind == 3 && self.code != 4 }
    }

    /// What an error that says "unreachable" gives as the reason, in words.
    pub const fn reason(&self) -> &'static str {
        match (self.v6, self.code) {
            (_, 0) => "no route to the network",
            (false, 1) | (true, 3) => "host unreachable",
            (false, 2) => "protocol unreachable",
            (false, 3) | (true, 4) => "port unreachable",
            (false, 9 | 10 | 13) | (true, 1 | 5 | 6) => "administratively prohibited",
            _ => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: u8, code: u8, kept: usize) -> Vec<u8> {
        let mut quote = Vec::new();
        etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 7], 57)
            .tcp(50_000, 443, 70_001, 4229)
            .write(&mut quote, b"hello")
            .unwrap();
        quote.truncate(kept);
        [&[kind, code, 0, 0, 0, 0, 0, 0][..], &quote].concat()
    }

    #[test]
    fn eight_bytes_of_the_segment_are_enough_to_know_it() {
        let q = Quoted::read(&error(3, 13, 28), false).unwrap();
        assert_eq!((q.src.port, q.dst.port, q.seq, q.whole), (50_000, 443, SeqNum(70_001), false));
        assert!(q.is_unreachable() && !q.is_too_big() && q.reason() == "administratively prohibited");
        assert!(Quoted::read(&error(3, 13, 45), false).unwrap().whole);
        assert_eq!(Quoted::read(&error(3, 13, 27), false), None);
    }

    #[test]
    fn kinds_are_told_apart() {
        let too_big = Quoted::read(&error(3, 4, 45), false).unwrap();
        assert!(too_big.is_too_big() && !too_big.is_unreachable());
        let expired = Quoted::read(&error(11, 0, 45), false).unwrap();
        assert!(!expired.is_too_big() && !expired.is_unreachable());
        assert_eq!(Quoted::read(&error(8, 0, 45), false), None, "an echo request quotes nothing");
    }
}
