//! The Internet checksum (RFC 1071) over a TCP segment and its pseudo-header.

use std::net::IpAddr;

use super::ip::{Ip, protocol};
use super::tcp::Tcp;

/// What the TCP checksum of a segment says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Good,
    /// It is wrong: damage, a careless forger, or a sender whose network card computes it later.
    Bad,
    /// Not all of the segment was captured, or nobody looked.
    #[default]
    Unknown,
}

/// Checks the TCP checksum of a whole captured segment. Cost: one pass over its bytes.
pub fn tcp(ip: &Ip, segment: &Tcp<'_>) -> Checksum {
    if segment.is_cut() {
        return Checksum::Unknown;
    }
    let mut sum = 0u64;
    match (ip.src, ip.dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            sum += words(&s.octets()) + words(&d.octets());
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            sum += words(&s.octets()) + words(&d.octets());
        }
        _ => return Checksum::Unknown, // no header has addresses of two families
    }
    sum += u64::from(protocol::TCP);
    sum += u64::from(segment.header_len()) + u64::from(segment.payload_len);
    // the header is a whole number of words, so the payload starts on an even byte
    sum += words(segment.header()) + words(segment.payload);
    if fold(sum) == 0xffff { Checksum::Good } else { Checksum::Bad }
}

fn words(bytes: &[u8]) -> u64 {
    let chunks = bytes.chunks_exact(2);
    let odd = chunks.remainder().first().map_or(0, |b| u64::from(*b) << 8);
    chunks.map(|c| u64::from(u16::from_be_bytes([c[0], c[1]]))).sum::<u64>() + odd
}

fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_etherparse_built_is_good_and_a_flipped_bit_is_bad() {
        let builder =
            etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 7], 57).tcp(443, 50_000, 7, 4229);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, b"odd").unwrap();
        let len = u32::try_from(bytes.len()).unwrap();
        let check = |bytes: &[u8]| {
            let (ip, payload) = Ip::parse(bytes, len).unwrap();
            tcp(&ip, &Tcp::parse(payload, ip.payload_len).unwrap())
        };
        assert_eq!(check(&bytes), Checksum::Good);
        assert_eq!(check(&bytes[..bytes.len() - 1]), Checksum::Unknown);
        bytes[25] ^= 1;
        assert_eq!(check(&bytes), Checksum::Bad);
    }
}
