//! Link layers: from a frame's first byte to the network layer, one header at a time.
//!
//! Every function takes what is left of a frame and names what comes next. The loop over them is in
//! [`super::decode`].

use super::next::{Header, Next, be16, be32, byte, le16};
use super::{Stop, wifi};
use crate::capture::LinkType;

/// Ethernet types that the decoder acts on.
mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_MULTICAST: u16 = 0x8848;
    pub(super) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    pub(super) const QINQ: u16 = 0x88a8;
    pub(super) const QINQ_OLD: u16 = 0x9100;
    pub(super) const EAPOL: u16 = 0x888e;
    pub(super) const VN_TAG: u16 = 0x8926;
    pub(super) const E_TAG: u16 = 0x893f;
    pub(super) const LLDP: u16 = 0x88cc;
}

/// Reads the outermost header of a frame of link type `link`.
pub(super) fn outermost(link: LinkType, b: &[u8]) -> Header {
    match link {
        LinkType::ETHERNET => Ok((0, Next::Ethernet)),
        LinkType::LINUX_SLL => sll(b),
        LinkType::LINUX_SLL2 => sll2(b),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD | LinkType::IPV4 | LinkType::IPV6 => {
            Ok((0, Next::Ip))
        }
        LinkType::NULL => null(b),
        LinkType::LOOP => Ok((4, family(be32(b, 0)?))),
        LinkType::PPP | LinkType::PPP_SERIAL => Ok((0, Next::Ppp)),
        LinkType::PPP_ETHER => pppoe(b),
        LinkType::C_HDLC => Ok((4, Next::EtherType(be16(b, 2)?))),
        LinkType::IEEE802_11 => wifi::frame(b),
        LinkType::RADIOTAP => wifi::radiotap(b),
        LinkType::PRISM => wifi::prism(b),
        LinkType::AVS => wifi::avs(b),
        LinkType::PPI => ppi(b),
        LinkType::IPNET => Ok((24, Next::Ip)), // Solaris: version, family, type, length, five 32-bit numbers
        LinkType::ENC => Ok((12, family(be32(b, 0)?.swap_if_large()))),
        LinkType::PFLOG => Ok((usize::from(byte(b, 0)?).next_multiple_of(4), family(u32::from(byte(b, 1)?)))),
        LinkType::NFLOG => nflog(b),
        LinkType::PKTAP => pktap(b),
        LinkType::NETANALYZER => Ok((4, Next::Ethernet)),
        _ => Err(Stop::LinkUnknown),
    }
}

/// Reads the header that `next` announces.
pub(super) fn inner(next: Next, b: &[u8]) -> Header {
    match next {
        Next::Ethernet => ethernet(b),
        Next::EtherType(t) => by_ethertype(t, b),
        Next::Llc => llc(b),
        Next::Ppp => ppp(b),
        Next::Link(link) => outermost(link, b),
        Next::Ip | Next::Other(_) => Ok((0, next)),
    }
}

fn le32(b: &[u8], at: usize) -> Result<u32, Stop> {
    Ok(be32(b, at)?.swap_bytes())
}

/// A link type from a 32-bit field; a number past 16 bits is none that exists.
fn link_type(number: u32) -> LinkType {
    LinkType(u16::try_from(number).unwrap_or(u16::MAX))
}

/// A family number written in an unknown byte order is always small in its own.
trait SwapIfLarge {
    fn swap_if_large(self) -> Self;
}

impl SwapIfLarge for u32 {
    fn swap_if_large(self) -> Self {
        if self > 0xffff { self.swap_bytes() } else { self }
    }
}

/// The network protocol of a BSD address family: 2 is IPv4 everywhere; IPv6 is 10, 24, 28 or 30 by system.
fn family(number: u32) -> Next {
    match number {
        2 | 10 | 24 | 28 | 30 => Next::Ip,
        _ => Next::Other("non_ip"),
    }
}

/// BSD loopback: the family in the byte order of the machine that captured.
fn null(b: &[u8]) -> Header {
    Ok((4, family(be32(b, 0)?.swap_if_large())))
}

fn ethernet(b: &[u8]) -> Header {
    match be16(b, 12)? {
        // up to 1500 it is an IEEE 802.3 length, and LLC follows
        0..=1500 => Ok((14, Next::Llc)),
        t => Ok((14, Next::EtherType(t))),
    }
}

fn by_ethertype(t: u16, b: &[u8]) -> Header {
    use ethertype as e;
    match t {
        e::IPV4 | e::IPV6 => Ok((0, Next::Ip)),
        e::VLAN | e::QINQ | e::QINQ_OLD => match be16(b, 2)? {
            0..=1500 => Ok((4, Next::Llc)),
            t => Ok((4, Next::EtherType(t))),
        },
        // port extension: VN-Tag has four bytes before the next type, IEEE 802.1BR six
        e::VN_TAG => Ok((6, Next::EtherType(be16(b, 4)?))),
        e::E_TAG => Ok((8, Next::EtherType(be16(b, 6)?))),
        e::MPLS | e::MPLS_MULTICAST => mpls(b),
        e::PPPOE_SESSION => pppoe(b),
        e::TRANSPARENT_ETHERNET => Ok((0, Next::Ethernet)),
        e::PPP => Ok((0, Next::Ppp)),
        e::ARP => Ok((0, Next::Other("arp"))),
        e::EAPOL => Ok((0, Next::Other("eapol"))),
        e::LLDP => Ok((0, Next::Other("lldp"))),
        e::PPPOE_DISCOVERY => Ok((0, Next::Other("pppoe_discovery"))),
        _ => Ok((0, Next::Other("non_ip"))),
    }
}

/// MPLS (RFC 3032): labels up to the bottom of the stack; what follows says itself what it is.
fn mpls(b: &[u8]) -> Header {
    let bottom = byte(b, 2)? & 1 == 1;
    if !bottom {
        return Ok((4, Next::EtherType(ethertype::MPLS)));
    }
    match byte(b, 4)? >> 4 {
        4 | 6 => Ok((4, Next::Ip)),
        // a pseudo-wire control word, then Ethernet (RFC 4448)
        0 => Ok((8, Next::Ethernet)),
        _ => Ok((4, Next::Other("mpls_payload"))),
    }
}

fn pppoe(b: &[u8]) -> Header {
    match (byte(b, 0)?, byte(b, 1)?) {
        (0x11, 0) => Ok((6, Next::Ppp)),
        _ => Ok((6, Next::Other("pppoe_discovery"))),
    }
}

/// PPP (RFC 1661), with optional HDLC address and control, and a protocol field of one or two bytes.
fn ppp(b: &[u8]) -> Header {
    // Cisco HDLC under the link type of PPP: address 0x0f or 0x8f, control 0, an Ethernet type
    if matches!(byte(b, 0)?, 0x0f | 0x8f) && byte(b, 1)? == 0 {
        return Ok((4, Next::EtherType(be16(b, 2)?)));
    }
    let at = if byte(b, 0)? == 0xff && byte(b, 1)? == 0x03 { 2 } else { 0 };
    let (protocol, len) =
        if byte(b, at)? & 1 == 1 { (u16::from(byte(b, at)?), 1) } else { (be16(b, at)?, 2) };
    let next = match protocol {
        0x0021 | 0x0057 => Next::Ip,
        0x0281 => Next::EtherType(ethertype::MPLS),
        _ => Next::Other("ppp_control"),
    };
    Ok((at + len, next))
}

pub(super) fn llc(b: &[u8]) -> Header {
    match (byte(b, 0)?, byte(b, 1)?) {
        // SNAP: three bytes of OUI, then an Ethernet type
        (0xaa, 0xaa) => Ok((8, Next::EtherType(be16(b, 6)?))),
        (0x06, 0x06) => Ok((3, Next::Ip)),
        _ => Ok((0, Next::Other("llc"))),
    }
}

/// Linux cooked capture: what `-i any` gives.
fn sll(b: &[u8]) -> Header {
    Ok((16, cooked(be16(b, 2)?, be16(b, 14)?)))
}

fn sll2(b: &[u8]) -> Header {
    Ok((20, cooked(be16(b, 8)?, be16(b, 0)?)))
}

fn cooked(hardware: u16, protocol: u16) -> Next {
    match (hardware, protocol) {
        (824, _) => Next::Other("netlink"),
        (_, 0x0004) => Next::Llc,
        (_, t) if t > 1500 => Next::EtherType(t),
        _ => Next::Other("non_ip"),
    }
}

/// Per-packet information: a little-endian header that names the link type of the rest.
fn ppi(b: &[u8]) -> Header {
    Ok((usize::from(le16(b, 2)?).max(8), Next::Link(link_type(le32(b, 4)?))))
}

/// Apple's PKTAP: little-endian length, then, eight bytes in, the link type of the rest.
fn pktap(b: &[u8]) -> Header {
    let len = usize::try_from(le32(b, 0)?).map_err(|_| Stop::LinkCut)?;
    if len < 12 {
        return Err(Stop::LinkCut);
    }
    Ok((len, Next::Link(link_type(le32(b, 8)?))))
}

/// Netfilter log: type-length-value attributes in host order, of which one (type 9) is the packet.
fn nflog(b: &[u8]) -> Header {
    let family = family(u32::from(byte(b, 0)?));
    let mut at = 4;
    loop {
        let (len, kind) = (usize::from(le16(b, at)?), le16(b, at + 2)?);
        if len < 4 {
            return Err(Stop::LinkCut);
        }
        if kind == 9 {
            return Ok((at + 4, family));
        }
        at += len.next_multiple_of(4); // at least 4, so the walk ends with the frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_and_labels_nest() {
        assert_eq!(by_ethertype(0x88a8, &[0, 7, 0x81, 0]), Ok((4, Next::EtherType(0x8100))));
        assert_eq!(by_ethertype(0x8847, &[0, 1, 0x40, 63]), Ok((4, Next::EtherType(0x8847))));
        assert_eq!(by_ethertype(0x8847, &[0, 1, 0x41, 63, 0x45]), Ok((4, Next::Ip)));
    }

    #[test]
    fn families_are_read_in_either_byte_order() {
        assert_eq!(null(&[2, 0, 0, 0]), Ok((4, Next::Ip)));
        assert_eq!(null(&[0, 0, 0, 30]), Ok((4, Next::Ip)));
        assert_eq!(null(&[7, 0, 0, 0]), Ok((4, Next::Other("non_ip"))));
    }

    #[test]
    fn ppp_fields_may_be_compressed() {
        assert_eq!(ppp(&[0xff, 3, 0, 0x21]), Ok((4, Next::Ip)));
        assert_eq!(ppp(&[0x21]), Ok((1, Next::Ip)));
        assert_eq!(ppp(&[0x0f, 0, 0x08, 0]), Ok((4, Next::EtherType(0x0800))));
        assert_eq!(ppp(&[0xc0, 0x21]), Ok((2, Next::Other("ppp_control"))));
    }

    #[test]
    fn nflog_finds_the_packet_among_attributes() {
        let b = [2, 0, 0, 0, 8, 0, 1, 0, 9, 9, 9, 9, 5, 0, 10, 0, 0, 0, 0, 0, 24, 0, 9, 0, 0x45];
        assert_eq!(nflog(&b), Ok((24, Next::Ip)));
        assert_eq!(nflog(&b[..20]), Err(Stop::LinkCut));
        assert_eq!(nflog(&[2, 0, 0, 0, 0, 0, 1, 0]), Err(Stop::LinkCut), "a length of 0 must not loop");
    }

    #[test]
    fn a_cut_header_is_said_to_be_cut() {
        for link in [1, 113, 276, 0, 108, 9, 51, 105, 127, 119, 163, 192, 109, 117, 239, 258] {
            let first = outermost(LinkType(link), &[]);
            let cut = first.and_then(|(n, next)| if n == 0 { inner(next, &[]) } else { Ok((n, next)) });
            assert_eq!(cut, Err(Stop::LinkCut), "link type {link}");
        }
    }
}
