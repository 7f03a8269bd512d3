//! The innermost IP header of a frame (RFC 791, RFC 8200), read laxly.
//!
//! The common cases, IPv4 and an IPv6 header that names its transport at once, are read here. Extension and
//! authentication headers go through etherparse, which is also the oracle of this file's tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Stop;

/// Protocol numbers (IANA) that the decoder acts on.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 inside IP (RFC 2003).
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 inside IP (RFC 4213).
    pub const IPV6: u8 = 41;
    /// Generic routing encapsulation (RFC 2784).
    pub const GRE: u8 = 47;
    /// Authentication header (RFC 4302).
    pub const AH: u8 = 51;
    /// `ICMPv6`.
    pub const ICMPV6: u8 = 58;
}

/// What the detectors need of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// Protocol of the payload, after all extension headers.
    pub protocol: u8,
    /// Identification; `None` for IPv6, which has none outside fragments.
    pub id: Option<u16>,
    /// "Don't fragment"; always true for IPv6, whose routers never fragment.
    pub dont_fragment: bool,
    /// The fragment that this packet is, unless it is whole.
    pub fragment: Option<Fragment>,
    /// Length of the payload on the wire, as the header or (offload) the frame says it.
    pub payload_len: u32,
    /// Whether the header's own length field was 0 or shorter than itself: segmentation offload, or damage.
    pub length_guessed: bool,
}

/// Which part of a datagram a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification, shared by the fragments of one datagram.
    pub id: u32,
    /// Offset in bytes.
    pub offset: u32,
    /// Whether more fragments follow.
    pub more: bool,
}

impl Ip {
    /// Reads the IP header at the start of `bytes`, which were `wire_len` bytes on the wire; gives the captured
    /// part of its payload.
    ///
    /// # Errors
    /// [`Stop::IpCut`] or [`Stop::IpMalformed`].
    pub fn parse(bytes: &[u8], wire_len: u32) -> Result<(Self, &[u8]), Stop> {
        match bytes.first().map(|b| b >> 4) {
            None => Err(Stop::IpCut),
            Some(4) => parse_v4(bytes, wire_len),
            Some(6) => parse_v6(bytes, wire_len),
            Some(_) => Err(Stop::IpMalformed),
        }
    }
}

/// The same of IPv4; `bytes` begin with its version.
#[inline(always)]
pub(super) fn parse_v4(bytes: &[u8], wire_len: u32) -> Result<(Ip, &[u8]), Stop> {
    let Some((h, _)) = bytes.split_first_chunk::<20>() else { return Err(Stop::IpCut) };
    let header_len = usize::from(h[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(Stop::IpMalformed);
    }
    if bytes.len() < header_len {
        return Err(Stop::IpCut);
    }
    let header_len_wire = u32::from(h[0] & 0x0f) * 4;
    let total = u32::from(u16::from_be_bytes([h[2], h[3]]));
    let length_guessed = total < header_len_wire;
    let payload_len =
        if length_guessed { wire_len.saturating_sub(header_len_wire) } else { total - header_len_wire };
    let word = u16::from_be_bytes([h[6], h[7]]);
    let id = u16::from_be_bytes([h[4], h[5]]);
    let (offset, more) = (u32::from(word & 0x1fff) * 8, word & 0x2000 != 0);
    let ip = Ip {
        src: IpAddr::V4(Ipv4Addr::new(h[12], h[13], h[14], h[15])),
        dst: IpAddr::V4(Ipv4Addr::new(h[16], h[17], h[18], h[19])),
        ttl: h[8],
        protocol: h[9],
        id: Some(id),
        dont_fragment: word & 0x4000 != 0,
        fragment: (offset != 0 || more).then_some(Fragment { id: u32::from(id), offset, more }),
        payload_len,
        length_guessed,
    };
    if ip.protocol == protocol::AH && ip.fragment.is_none() {
        return with_extensions(ip, bytes, header_len);
    }
    Ok((ip, captured(&bytes[header_len..], payload_len)))
}

/// The same of IPv6.
#[inline(always)]
pub(super) fn parse_v6(bytes: &[u8], wire_len: u32) -> Result<(Ip, &[u8]), Stop> {
    let Some((h, rest)) = bytes.split_first_chunk::<40>() else { return Err(Stop::IpCut) };
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&h[at..at + 16]); // at + 16 <= 40
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let stated = u32::from(u16::from_be_bytes([h[4], h[5]]));
    let payload_len = if stated == 0 { wire_len.saturating_sub(40) } else { stated };
    let ip = Ip {
        src: address(8),
        dst: address(24),
        ttl: h[7],
        protocol: h[6],
        id: None,
        dont_fragment: true,
        fragment: None,
        payload_len,
        length_guessed: stated == 0,
    };
    match ip.protocol {
        protocol::TCP | protocol::UDP | protocol::ICMPV6 => Ok((ip, captured(rest, payload_len))),
        _ => with_extensions(ip, bytes, 40),
    }
}

/// Skips extension and authentication headers by etherparse's lax slices; `at` is where the fixed header ends.
#[inline(never)]
fn with_extensions(mut ip: Ip, bytes: &[u8], at: usize) -> Result<(Ip, &[u8]), Stop> {
    let Ok((slice, stop)) = etherparse::LaxIpSlice::from_slice(bytes) else { return Err(Stop::IpMalformed) };
    if let Some((error, _)) = stop {
        return Err(match error {
            etherparse::err::ipv6_exts::HeaderSliceError::Len(_) => Stop::IpCut,
            etherparse::err::ipv6_exts::HeaderSliceError::Content(_) => Stop::IpMalformed,
        });
    }
    let payload = slice.payload();
    let skipped =
        (payload.payload.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize).saturating_sub(at);
    ip.protocol = payload.ip_number.0;
    ip.payload_len = ip.payload_len.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX));
    if let etherparse::LaxIpSlice::Ipv6(v6) = &slice {
        for extension in v6.extensions().clone() {
            if let etherparse::Ipv6ExtensionSlice::Fragment(f) = extension {
                let fragment = Fragment {
                    id: f.identification(),
                    offset: u32::from(f.fragment_offset().value()) * 8,
                    more: f.more_fragments(),
                };
                // a lone "atomic" fragment (RFC 6946) is a whole packet
                ip.fragment = (fragment.offset != 0 || fragment.more).then_some(fragment);
            }
        }
    }
    let payload = &bytes[(at + skipped).min(bytes.len())..];
    Ok((ip, captured(payload, ip.payload_len)))
}

/// The part of `bytes` that belongs to a payload of `len` bytes; what follows is link-layer padding.
#[inline]
fn captured(bytes: &[u8], len: u32) -> &[u8] {
    &bytes[..bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v4(total: u16, word: u16) -> Vec<u8> {
        let mut b = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 57, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7];
        b[2..4].copy_from_slice(&total.to_be_bytes());
        b[6..8].copy_from_slice(&word.to_be_bytes());
        b
    }

    #[test]
    fn a_zero_total_length_is_offload_and_takes_the_frame_length() {
        let mut bytes = v4(0, 0x4000);
        bytes.extend([7; 1000]);
        let (ip, payload) = Ip::parse(&bytes, 3020).unwrap();
        assert_eq!((ip.payload_len, payload.len(), ip.length_guessed), (3000, 1000, true));
        assert_eq!((ip.ttl, ip.id, ip.dont_fragment), (57, Some(0x1234), true));
    }

    #[test]
    fn link_padding_is_no_payload() {
        let mut bytes = v4(21, 0);
        bytes.extend([1, 0, 0, 0, 0, 0]);
        assert_eq!(Ip::parse(&bytes, 26).unwrap().1, [1]);
    }

    #[test]
    fn fragments_say_where_they_lie() {
        let (ip, _) = Ip::parse(&v4(20, 0x2003), 20).unwrap();
        assert_eq!(ip.fragment, Some(Fragment { id: 0x1234, offset: 24, more: true }));
        let (ip, _) = Ip::parse(&v4(20, 0x0003), 20).unwrap();
        assert_eq!(ip.fragment.map(|f| f.more), Some(false));
    }

    #[test]
    fn extension_headers_are_skipped() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, 0, 64];
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([44, 0, 1, 4, 0, 0, 0, 0]); // hop-by-hop, then a fragment header
        bytes.extend([6, 0, 0x05, 0xa9, 0, 0, 0, 77]); // offset 181 * 8, more
        bytes.extend([9; 10]);
        bytes[5] = 26;
        let (ip, payload) = Ip::parse(&bytes, 66).unwrap();
        assert_eq!((ip.protocol, payload), (protocol::TCP, &[9; 10][..]));
        assert_eq!((ip.payload_len, ip.fragment), (10, Some(Fragment { id: 77, offset: 1448, more: true })));
        for n in 0..bytes.len() {
            assert!(Ip::parse(&bytes[..n], 66).is_err() || n >= 56, "cut at {n}");
        }
    }

    proptest! {
        /// Where etherparse reads an IP packet, both read the same header and payload.
        #[test]
        fn agrees_with_etherparse(mut bytes in prop::collection::vec(any::<u8>(), 20..120), v6: bool, next in prop::sample::select(vec![0u8, 6, 17, 43, 44, 51, 58, 60])) {
            bytes[0] = if v6 { 0x60 } else { 0x45 | bytes[0] & 1 };
            bytes[if v6 { 6 } else { 9 }] = next;
            let len = u32::try_from(bytes.len()).unwrap();
            let Ok((ours, payload)) = Ip::parse(&bytes, len) else { return Ok(()) };
            let (theirs, stop) = etherparse::LaxIpSlice::from_slice(&bytes).unwrap();
            // of a fragment, etherparse goes on into the authentication header that only the first one has
            prop_assert!(stop.is_none() || ours.fragment.is_some());
            prop_assert_eq!(ours.src, theirs.source_addr());
            prop_assert_eq!(ours.dst, theirs.destination_addr());
            prop_assert_eq!(ours.fragment.is_some(), theirs.payload().fragmented);
            if ours.fragment.is_none() {
                prop_assert_eq!(ours.protocol, theirs.payload().ip_number.0);
                prop_assert_eq!(payload, theirs.payload().payload);
            }
            if let etherparse::LaxIpSlice::Ipv4(v4) = theirs {
                prop_assert_eq!(ours.ttl, v4.header().ttl());
                prop_assert_eq!(ours.id, Some(v4.header().identification()));
                prop_assert_eq!(ours.dont_fragment, v4.header().dont_fragment());
            }
        }
    }
}
