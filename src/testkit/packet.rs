//! IP packets made and changed: TCP segments of any header, with right checksums.

use std::net::IpAddr;

use crate::base::Endpoint;
use crate::wire::tcp::Flags;

/// A TCP segment to be made.
#[derive(Clone, Debug, Default)]
pub struct Segment<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// All twelve bits.
    pub flags: Flags,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// IP-ID, which IPv6 has no place for.
    pub ip_id: u16,
    /// "Don't fragment".
    pub df: bool,
    /// Window field.
    pub window: u16,
    /// TCP options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// The IP packet.
    pub fn ip(&self, src: Endpoint, dst: Endpoint) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let mut tcp = Vec::with_capacity(header_len + self.payload.len());
        tcp.extend(src.port.to_be_bytes());
        tcp.extend(dst.port.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let offset = u16::try_from(header_len / 4).unwrap_or(5) << 12;
        tcp.extend((offset | self.flags.0).to_be_bytes());
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(self.payload);
        ip(src.addr, dst.addr, 6, self.ttl, self.ip_id, self.df, &tcp)
    }
}

/// A UDP datagram as an IP packet.
pub fn udp(src: Endpoint, dst: Endpoint, ttl: u8, ip_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp = Vec::with_capacity(8 + payload.len());
    udp.extend(src.port.to_be_bytes());
    udp.extend(dst.port.to_be_bytes());
    udp.extend(u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    udp.extend([0; 2]);
    udp.extend(payload);
    ip(src.addr, dst.addr, 17, ttl, ip_id, true, &udp)
}

/// An ICMP or ICMPv6 error that quotes the beginning of a packet, as an IP packet.
pub fn icmp_error(from: IpAddr, to: IpAddr, kind: u8, code: u8, quote: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(quote);
    let protocol = if from.is_ipv4() { 1 } else { 58 };
    ip(from, to, protocol, 64, 0, false, &message)
}

/// An IP packet around a transport header and its payload, both checksums set.
fn ip(src: IpAddr, dst: IpAddr, protocol: u8, ttl: u8, ip_id: u16, df: bool, transport: &[u8]) -> Vec<u8> {
    let len = u16::try_from(transport.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(40 + transport.len());
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            packet.extend([0x45, 0]);
            packet.extend((20 + len).to_be_bytes());
            packet.extend(ip_id.to_be_bytes());
            packet.extend([if df { 0x40 } else { 0 }, 0, ttl, protocol, 0, 0]);
            packet.extend(s.octets());
            packet.extend(d.octets());
        }
        (s, d) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(len.to_be_bytes());
            packet.extend([protocol, ttl]);
            packet.extend(octets(s));
            packet.extend(octets(d));
        }
    }
    packet.extend(transport);
    seal(&mut packet);
    packet
}

fn octets(a: IpAddr) -> [u8; 16] {
    match a {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    }
}

/// Sets both checksums anew, after a header or the payload was changed.
pub fn seal(packet: &mut [u8]) {
    let v4 = packet[0] >> 4 == 4;
    let header = if v4 { 20 } else { 40 };
    if v4 {
        seal_header(packet);
    }
    let protocol = if v4 { packet[9] } else { packet[6] };
    let field = header
        + match protocol {
            6 => 16,
            17 => 6,
            1 | 58 => 2,
            _ => return,
        };
    packet[field..field + 2].copy_from_slice(&[0; 2]);
    let len = u32::try_from(packet.len() - header).unwrap_or(0).to_be_bytes();
    let addresses = if v4 { &packet[12..20] } else { &packet[8..40] };
    let sum = match protocol {
        1 => checksum(&[&packet[header..]]), // ICMP has no pseudo-header
        _ => checksum(&[addresses, &[0, 0, 0, protocol], &len, &packet[header..]]),
    };
    packet[field..field + 2].copy_from_slice(&sum);
}

/// Sets the header checksum of an IPv4 packet anew, after a field of its header was changed.
pub fn seal_header(packet: &mut [u8]) {
    packet[10..12].copy_from_slice(&[0; 2]);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum);
}

/// The Ethernet frame of an IP packet, between two stations that are always the same.
pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + packet.len());
    frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame.extend(if packet[0] >> 4 == 4 { [0x08, 0] } else { [0x86, 0xdd] });
    frame.extend(packet);
    frame
}

/// The Internet checksum (RFC 1071); every part but the last is of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum: u64 = 0;
    for part in parts {
        let mut words = part.chunks_exact(4);
        for w in &mut words {
            sum += u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
        }
        for pair in words.remainder().chunks(2) {
            let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
            sum += u64::from(word);
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap_or(0)).to_be_bytes()
}
