//! A frame's way to its transport header: link layers, tunnels, IP, then TCP or UDP.
//!
//! The decode is lax: whatever is there is given, and [`Stop`] says why nothing deeper is. It judges nothing and
//! allocates nothing.

use super::ip::{self, Ip, protocol};
use super::link;
use super::next::{Header, Next};
use super::{Quoted, Stop, tcp::Tcp, udp::Udp};
use crate::capture::{Frame, LinkType};

/// The most headers that are walked in one frame: Ethernet, two VLANs, four labels and two tunnels are eleven.
pub const MAX_LAYERS: usize = 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The innermost IP header.
    pub ip: Option<Ip>,
    /// What the IP header carries.
    pub payload: Payload<'a>,
    /// Whether the innermost IP header came out of a tunnel.
    pub tunnelled: bool,
}

/// What the innermost header that could be read carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A TCP segment.
    Tcp(Tcp<'a>),
    /// A UDP datagram.
    Udp(Udp<'a>),
    /// An ICMP or ICMPv6 error that quotes a TCP segment.
    Quoted(Quoted),
    /// Part of a fragmented datagram: the captured bytes after the IP header.
    Fragment(&'a [u8]),
    /// Something that carries no TCP or UDP, by its common name.
    Other(&'static str),
    /// Nothing deeper could be read.
    Stopped(Stop),
}

/// Decodes a frame.
pub fn frame<'a>(frame: &Frame<'a>) -> Packet<'a> {
    let mut walk =
        Walk { bytes: frame.data, wire_len: frame.wire_len, layers: 0, ip: None, tunnelled: false };
    let payload = match walk.link(link::outermost(frame.link_type, frame.data)) {
        Ok(()) => walk.network(),
        Err(End::Stop(stop)) => Payload::Stopped(stop),
        Err(End::Other(name)) => Payload::Other(name),
    };
    Packet { ip: walk.ip, payload, tunnelled: walk.tunnelled }
}

/// What most frames hold, read straight: a whole segment of TCP in IPv4 in Ethernet, with nothing between. What is anything
/// else, or not sound, is for [`frame`].
#[inline(always)]
pub fn tcp_in_ipv4<'a>(frame: &Frame<'a>) -> Option<(Ip, Tcp<'a>)> {
    let bytes = in_ethernet(frame, [0x08, 0x00])?;
    if bytes.first()? >> 4 != 4 || *bytes.get(9)? != protocol::TCP {
        return None;
    }
    let (ip, payload) = ip::parse_v4(bytes, frame.wire_len.saturating_sub(14)).ok()?;
    if ip.fragment.is_some() { None } else { Some((ip, Tcp::parse(payload, ip.payload_len).ok()?)) }
}

/// The same in IPv6.
#[inline(always)]
pub fn tcp_in_ipv6<'a>(frame: &Frame<'a>) -> Option<(Ip, Tcp<'a>)> {
    let bytes = in_ethernet(frame, [0x86, 0xdd])?;
    if bytes.first()? >> 4 != 6 || *bytes.get(6)? != protocol::TCP {
        return None;
    }
    let (ip, payload) = ip::parse_v6(bytes, frame.wire_len.saturating_sub(14)).ok()?;
    Some((ip, Tcp::parse(payload, ip.payload_len).ok()?))
}

/// What an Ethernet frame of this type carries.
#[inline(always)]
fn in_ethernet<'a>(frame: &Frame<'a>, ethertype: [u8; 2]) -> Option<&'a [u8]> {
    let (header, rest) = frame.data.split_first_chunk::<14>()?;
    (frame.link_type == LinkType::ETHERNET && header[12..] == ethertype).then_some(rest)
}

/// Decodes the payload of a datagram that was put together from its fragments.
pub fn reassembled(ip: Ip, payload: &[u8]) -> Packet<'_> {
    let wire_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut walk = Walk { bytes: payload, wire_len, layers: 0, ip: None, tunnelled: false };
    let payload = walk.transport(Ip { fragment: None, payload_len: wire_len, ..ip });
    Packet { ip: walk.ip, payload, tunnelled: walk.tunnelled }
}

enum End {
    Stop(Stop),
    Other(&'static str),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

struct Walk<'a> {
    /// What is left of the captured bytes.
    bytes: &'a [u8],
    /// How long that was on the wire; at least `bytes.len()` in a capture that is sound.
    wire_len: u32,
    layers: usize,
    ip: Option<Ip>,
    tunnelled: bool,
}

impl<'a> Walk<'a> {
    fn skip(&mut self, n: usize) -> Result<(), Stop> {
        self.bytes = self.bytes.get(n..).ok_or(Stop::LinkCut)?;
        self.wire_len = self.wire_len.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
        self.layers += 1;
        if self.layers > MAX_LAYERS { Err(Stop::TooDeep) } else { Ok(()) }
    }

    /// Walks link headers from `first` to an IP header.
    fn link(&mut self, first: Header) -> Result<(), End> {
        let (mut len, mut next) = first?;
        loop {
            self.skip(len)?;
            match next {
                Next::Ip => return Ok(()),
                Next::Other(name) => return Err(End::Other(name)),
                _ => (len, next) = link::inner(next, self.bytes)?,
            }
        }
    }

    /// Walks IP headers and tunnels to a transport header.
    fn network(&mut self) -> Payload<'a> {
        let (ip, payload) = match Ip::parse(self.bytes, self.wire_len) {
            Ok(parsed) => parsed,
            Err(stop) => return Payload::Stopped(stop),
        };
        self.bytes = payload;
        self.wire_len = ip.payload_len;
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            return Payload::Stopped(Stop::TooDeep);
        }
        self.transport(ip)
    }

    fn transport(&mut self, ip: Ip) -> Payload<'a> {
        self.tunnelled |= self.ip.is_some();
        self.ip = Some(ip);
        if ip.fragment.is_some() {
            return Payload::Fragment(self.bytes);
        }
        match ip.protocol {
            protocol::TCP => match Tcp::parse(self.bytes, ip.payload_len) {
                Ok(tcp) => Payload::Tcp(tcp),
                Err(stop) => Payload::Stopped(stop),
            },
            protocol::UDP => self.udp(),
            protocol::IPIP | protocol::IPV6 => self.network(),
            protocol::GRE => self.tunnel(gre(self.bytes)),
            protocol::ICMP => quoted(self.bytes, false, "icmp"),
            protocol::ICMPV6 => quoted(self.bytes, true, "icmpv6"),
            50 => Payload::Other("esp"),
            132 => Payload::Other("sctp"),
            2 => Payload::Other("igmp"),
            89 => Payload::Other("ospf"),
            _ => Payload::Other("ip_other"),
        }
    }

    fn udp(&mut self) -> Payload<'a> {
        let udp = match Udp::parse(self.bytes, self.wire_len) {
            Ok(udp) => udp,
            Err(stop) => return Payload::Stopped(stop),
        };
        let inner = match udp.dst_port() {
            VXLAN | VXLAN_LINUX => vxlan(udp.payload),
            GENEVE => geneve(udp.payload),
            GTP_U => gtp_u(udp.payload),
            _ => None,
        };
        let Some(header) = inner else { return Payload::Udp(udp) };
        self.bytes = udp.payload;
        self.wire_len = udp.payload_len;
        self.tunnel(Some(header))
    }

    /// Enters a tunnel; what is not plainly one (`None`) ends the walk.
    fn tunnel(&mut self, header: Option<(usize, Next)>) -> Payload<'a> {
        let Some(header) = header else { return Payload::Stopped(Stop::TunnelMalformed) };
        match self.link(Ok(header)) {
            Ok(()) => self.network(),
            Err(End::Stop(Stop::LinkCut)) => Payload::Stopped(Stop::TunnelMalformed),
            Err(End::Stop(stop)) => Payload::Stopped(stop),
            Err(End::Other(name)) => Payload::Other(name),
        }
    }
}

/// An error that quotes a segment, or else something of this name.
fn quoted<'a>(b: &[u8], v6: bool, name: &'static str) -> Payload<'a> {
    Quoted::read(b, v6).map_or(Payload::Other(name), Payload::Quoted)
}

const VXLAN: u16 = 4789;
/// The port that Linux used for VXLAN before IANA gave one.
const VXLAN_LINUX: u16 = 8472;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;

/// GRE (RFC 2784, 2890) and the enhanced header of PPTP (RFC 2637).
fn gre(b: &[u8]) -> Option<(usize, Next)> {
    let flags = u16::from_be_bytes([*b.first()?, *b.get(1)?]);
    let protocol = u16::from_be_bytes([*b.get(2)?, *b.get(3)?]);
    let word = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    match flags & 7 {
        // routing (0x4000) was withdrawn; its presence leaves the length unknown
        0 if flags & 0x4000 == 0 => {
            let len = 4 + word(0x8000) + word(0x2000) + word(0x1000);
            match protocol {
                0x88be if flags & 0x1000 != 0 => Some((len + 8, Next::Ethernet)), // ERSPAN II
                0x88be => Some((len, Next::Ethernet)),                            // ERSPAN I
                0x22eb => Some((len + 12, Next::Ethernet)),                       // ERSPAN III
                t => Some((len, Next::EtherType(t))),
            }
        }
        1 if protocol == 0x880b => {
            let len = 8 + word(0x1000) + word(0x0080);
            if b.len() <= len { Some((0, Next::Other("gre_ack"))) } else { Some((len, Next::Ppp)) }
        }
        _ => None,
    }
}

/// VXLAN (RFC 7348): eight bytes with the I flag set and reserved fields zero.
fn vxlan(b: &[u8]) -> Option<(usize, Next)> {
    (*b.first()? == 0x08 && b.get(1..4)? == [0; 3] && *b.get(7)? == 0).then_some((8, Next::Ethernet))
}

/// Geneve (RFC 8926): version 0, options of up to 63 words, then a protocol.
fn geneve(b: &[u8]) -> Option<(usize, Next)> {
    let first = *b.first()?;
    let protocol = u16::from_be_bytes([*b.get(2)?, *b.get(3)?]);
    (first >> 6 == 0).then_some((8 + usize::from(first & 0x3f) * 4, Next::EtherType(protocol)))
}

/// GTP-U (3GPP TS 29.281): version 1, a T-PDU (255), optional fields and extension headers.
fn gtp_u(b: &[u8]) -> Option<(usize, Next)> {
    let flags = *b.first()?;
    if flags & 0xf0 != 0x30 || *b.get(1)? != 255 {
        return None;
    }
    let mut len = 8;
    if flags & 7 != 0 {
        len = 12;
        let mut extension = if flags & 4 != 0 { *b.get(11)? } else { 0 };
        while extension != 0 {
            let words = usize::from(*b.get(len)?);
            if words == 0 {
                return None;
            }
            len += words * 4; // at least 4, so the walk ends with the packet
            extension = *b.get(len - 1)?;
        }
    }
    matches!(b.get(len)? >> 4, 4 | 6).then_some((len, Next::Ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use proptest::prelude::*;

    fn on(link_type: LinkType, data: &[u8]) -> Frame<'_> {
        let wire_len = u32::try_from(data.len()).unwrap();
        Frame {
            number: 1,
            at: Timestamp::from_ns(0),
            link_type,
            file: 0,
            interface: 0,
            data,
            wire_len,
            dropped_before: 0,
        }
    }

    /// An IPv4 TCP segment of etherparse's making, with a payload of two bytes.
    fn segment() -> Vec<u8> {
        let mut bytes = Vec::new();
        etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 7], 57)
            .tcp(443, 50_000, 7, 4229)
            .rst()
            .write(&mut bytes, b"hi")
            .unwrap();
        bytes
    }

    fn behind(link: LinkType, header: &[u8]) -> Vec<u8> {
        let bytes = [header, &segment()].concat();
        let packet = frame(&on(link, &bytes));
        let Payload::Tcp(tcp) = packet.payload else { panic!("{link}: {:?}", packet.payload) };
        assert_eq!((tcp.src_port(), tcp.payload, packet.ip.unwrap().ttl), (443, &b"hi"[..], 57));
        bytes
    }

    #[test]
    fn finds_tcp_behind_every_link_layer() {
        let mac = [0u8; 12];
        let with = |tail: &[u8]| [&mac[..], tail].concat();
        behind(LinkType::ETHERNET, &with(&[0x08, 0]));
        behind(LinkType::ETHERNET, &with(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x08, 0]));
        behind(LinkType::ETHERNET, &with(&[0x88, 0x47, 0, 1, 0x00, 9, 0, 2, 0x01, 9]));
        behind(LinkType::ETHERNET, &with(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 44, 0, 0x21]));
        behind(LinkType::ETHERNET, &with(&[0, 50, 0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0]));
        behind(LinkType::LINUX_SLL, &[0, 4, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0]);
        behind(LinkType::LINUX_SLL2, &[0x08, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
        behind(LinkType::NULL, &[2, 0, 0, 0]);
        behind(LinkType::LOOP, &[0, 0, 0, 2]);
        behind(LinkType::RAW, &[]);
        behind(LinkType::PPP, &[0xff, 3, 0, 0x21]);
        behind(LinkType::IPNET, &[0; 24]);
        let wifi = [&[0x88u8, 2][..], &[0; 24], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
        behind(LinkType::IEEE802_11, &wifi);
        behind(LinkType::RADIOTAP, &[&[0u8, 0, 9, 0, 0, 0, 0, 0, 0][..], &wifi].concat());
    }

    #[test]
    fn finds_tcp_inside_every_tunnel() {
        let outer = |protocol: u8, inside: &[u8]| {
            let mut b = Vec::new();
            let length = u16::try_from(inside.len()).unwrap();
            let header =
                etherparse::Ipv4Header::new(length, 64, protocol.into(), [10, 0, 0, 1], [10, 0, 0, 2])
                    .unwrap();
            header.write(&mut b).unwrap();
            [b, inside.to_vec()].concat()
        };
        let udp = |port: u16, inside: &[u8]| {
            let len = u16::try_from(inside.len() + 8).unwrap().to_be_bytes();
            let port = port.to_be_bytes();
            outer(17, &[&[0xc0, 0, port[0], port[1], len[0], len[1], 0, 0], inside].concat())
        };
        let ethernet = [&[0u8; 12][..], &[8, 0], &segment()].concat();
        let cases = [
            outer(4, &segment()),
            outer(47, &[&[0, 0, 8, 0][..], &segment()].concat()),
            outer(47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1][..], &ethernet].concat()),
            outer(47, &[&[0x30, 0x01, 0x88, 0x0b, 0, 46, 0, 1, 0, 0, 0, 1, 0x21][..], &segment()].concat()),
            udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet].concat()),
            udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &ethernet].concat()),
            udp(2152, &[&[0x34, 255, 0, 50, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0][..], &segment()].concat()),
        ];
        for (n, bytes) in cases.iter().enumerate() {
            let packet = frame(&on(LinkType::RAW, bytes));
            assert!(matches!(packet.payload, Payload::Tcp(t) if t.payload == b"hi"), "case {n}: {packet:?}");
            assert!(packet.tunnelled);
        }
    }

    #[test]
    fn tunnels_in_tunnels_end() {
        let mut bytes = segment();
        for _ in 0..40 {
            let mut b = Vec::new();
            let length = u16::try_from(bytes.len()).unwrap();
            etherparse::Ipv4Header::new(length, 64, 4.into(), [10, 0, 0, 1], [10, 0, 0, 2])
                .unwrap()
                .write(&mut b)
                .unwrap();
            bytes = [b, bytes].concat();
        }
        assert_eq!(frame(&on(LinkType::RAW, &bytes)).payload, Payload::Stopped(Stop::TooDeep));
    }

    #[test]
    fn tunnels_are_walked_as_deep_as_is_said() {
        const TO_IP: usize = 4; // the link type, Ethernet, its type, IP
        for tunnels in 0..2 * MAX_LAYERS {
            let mut data = vec![0; 12];
            data.extend([0x08, 0x00]);
            for n in (0..=tunnels).rev() {
                let mut header = [0; 20];
                header[0] = 0x45;
                header[9] = if n > 0 { protocol::IPIP } else { protocol::UDP };
                data.extend(header);
            }
            data.extend([0; 8]);
            let packet = frame(&on(LinkType::ETHERNET, &data));
            assert_eq!(packet.payload == Payload::Stopped(Stop::TooDeep), tunnels + TO_IP > MAX_LAYERS);
        }
    }

    proptest! {
        /// The straight way reads what the walk reads, and takes all sound TCP in Ethernet.
        #[test]
        fn straight_is_as_by_the_walk(
            mut data in prop::collection::vec(any::<u8>(), 0..120), v6: bool, whole: bool, tcp: bool, wire_len in 0u32..200
        ) {
            if data.len() > 34 {
                let (ethertype, version) = if v6 { ([0x86, 0xdd], 0x60) } else { ([0x08, 0x00], 0x45) };
                data[12..14].copy_from_slice(&ethertype);
                data[14] = version;
                if whole && !v6 {
                    data[20..22].fill(0);
                }
                if tcp {
                    data[if v6 { 20 } else { 23 }] = protocol::TCP;
                }
            }
            let f = Frame { wire_len, ..on(LinkType::ETHERNET, &data) };
            let by_walk = frame(&f);
            let straight = tcp_in_ipv4(&f).or(tcp_in_ipv6(&f));
            if let Some((ip, tcp)) = straight {
                prop_assert_eq!(by_walk, Packet { ip: Some(ip), payload: Payload::Tcp(tcp), tunnelled: false });
            } else if data.len() > 34 && tcp {
                prop_assert!(!matches!(by_walk.payload, Payload::Tcp(_)));
            }
        }

        #[test]
        fn any_bytes_of_any_link_type_never_panic(data: Vec<u8>, link in 0u16..300) {
            let _ = frame(&on(LinkType(link), &data));
        }

        /// etherparse and this decoder find the same TCP segment behind Ethernet, with and without VLANs.
        #[test]
        fn agrees_with_etherparse(ports: (u16, u16), seq: u32, window: u16, ttl: u8, vlan: bool, v6: bool, payload: Vec<u8>) {
            let b = etherparse::PacketBuilder::ethernet2([1; 6], [2; 6]);
            let mut bytes = Vec::new();
            macro_rules! build { ($b:expr) => { $b.tcp(ports.0, ports.1, seq, window).ack(9).write(&mut bytes, &payload).unwrap() } }
            match (vlan, v6) {
                (false, false) => build!(b.ipv4([1, 2, 3, 4], [5, 6, 7, 8], ttl)),
                (true, false) => build!(b.single_vlan(etherparse::VlanId::ZERO).ipv4([1, 2, 3, 4], [5, 6, 7, 8], ttl)),
                (false, true) => build!(b.ipv6([1; 16], [2; 16], ttl)),
                (true, true) => build!(b.single_vlan(etherparse::VlanId::ZERO).ipv6([1; 16], [2; 16], ttl)),
            }
            let theirs = etherparse::SlicedPacket::from_ethernet(&bytes).unwrap();
            let Some(etherparse::TransportSlice::Tcp(t)) = theirs.transport else { panic!() };
            let packet = frame(&on(LinkType::ETHERNET, &bytes));
            let Payload::Tcp(o) = packet.payload else { panic!("{packet:?}") };
            prop_assert_eq!((o.src_port(), o.seq().0, o.payload), (t.source_port(), t.sequence_number(), t.payload()));
            prop_assert_eq!(packet.ip.unwrap().ttl, ttl);
            prop_assert!(!o.is_cut());
        }
    }
}
