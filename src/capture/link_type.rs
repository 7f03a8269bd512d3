//! Link-layer header types, by the numbers that capture files carry (<https://www.tcpdump.org/linktypes.html>).

use std::fmt;

/// The link-layer header type of a frame: a `LINKTYPE_` number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

/// Defines the constants and their names in one table, so that neither can be forgotten.
macro_rules! link_types {
    ($($constant:ident = $number:literal, $name:literal, $doc:literal;)*) => {
        impl LinkType {
            $(#[doc = $doc] pub const $constant: Self = Self($number);)*

            /// The name that tcpdump has for it (`DLT_` left out; Ethernet by its own), where this table knows one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

link_types! {
    NULL = 0, "NULL", "BSD loopback: the address family in the byte order of the capturing host.";
    ETHERNET = 1, "Ethernet", "Ethernet.";
    IEEE802_5 = 6, "IEEE802", "Token Ring.";
    SLIP = 8, "SLIP", "SLIP with the 16-byte header of libpcap.";
    PPP = 9, "PPP", "PPP.";
    FDDI = 10, "FDDI", "FDDI.";
    RAW_BSD = 12, "RAW", "Bare IPv4 or IPv6 as most systems number it within the host; some files have it.";
    RAW_OPENBSD = 14, "RAW", "Bare IPv4 or IPv6 as OpenBSD numbers it within the host; some files have it.";
    PPP_SERIAL = 50, "PPP_SERIAL", "PPP in HDLC-like framing.";
    PPP_ETHER = 51, "PPP_ETHER", "PPP over Ethernet, from the session header on.";
    ATM_RFC1483 = 100, "ATM_RFC1483", "LLC/SNAP-encapsulated ATM.";
    RAW = 101, "RAW", "Bare IPv4 or IPv6.";
    C_HDLC = 104, "C_HDLC", "Cisco HDLC.";
    IEEE802_11 = 105, "IEEE802_11", "Wireless LAN without metadata.";
    FRELAY = 107, "FRELAY", "Frame Relay.";
    LOOP = 108, "LOOP", "OpenBSD loopback: the address family in network byte order.";
    ENC = 109, "ENC", "Encapsulated packets of OpenBSD's `enc` interface.";
    LINUX_SLL = 113, "LINUX_SLL", "Linux \"cooked\" capture, version 1.";
    LTALK = 114, "LTALK", "Apple `LocalTalk`.";
    PFLOG = 117, "PFLOG", "Log of the packet filter `pf`.";
    PRISM = 119, "PRISM_HEADER", "Wireless LAN after a Prism header.";
    IP_OVER_FC = 122, "IP_OVER_FC", "IP over Fibre Channel.";
    SUNATM = 123, "SUNATM", "ATM as `SunATM` devices give it.";
    RADIOTAP = 127, "IEEE802_11_RADIO", "Wireless LAN after a radiotap header.";
    LINUX_IRDA = 144, "LINUX_IRDA", "Infrared, Linux \"cooked\".";
    USER0 = 147, "USER0", "Reserved for private use; the first of sixteen.";
    AVS = 163, "IEEE802_11_RADIO_AVS", "Wireless LAN after an AVS header.";
    LINUX_LAPD = 177, "LINUX_LAPD", "ISDN, Linux vISDN.";
    USB_LINUX = 189, "USB_LINUX", "USB requests of Linux, short header.";
    PPI = 192, "PPI", "Per-Packet Information header; its own field gives the link type inside.";
    IEEE802_15_4 = 195, "IEEE802_15_4", "IEEE 802.15.4 with its check sequence.";
    ERF = 197, "ERF", "Endace ERF records.";
    BLUETOOTH_H4 = 201, "BLUETOOTH_HCI_H4_WITH_PHDR", "Bluetooth H4 after a direction field.";
    USB_LINUX_MMAPPED = 220, "USB_LINUX_MMAPPED", "USB requests of Linux, 64-byte header.";
    IPNET = 226, "IPNET", "Solaris IP observability header.";
    CAN_SOCKETCAN = 227, "CAN_SOCKETCAN", "CAN bus.";
    IPV4 = 228, "IPV4", "Bare IPv4.";
    IPV6 = 229, "IPV6", "Bare IPv6.";
    IEEE802_15_4_NOFCS = 230, "IEEE802_15_4_NOFCS", "IEEE 802.15.4 without its check sequence.";
    DBUS = 231, "DBUS", "D-Bus messages.";
    NFLOG = 239, "NFLOG", "Linux netfilter log messages.";
    NETANALYZER = 240, "NETANALYZER", "Ethernet after a `netANALYZER` header.";
    IPOIB = 242, "IPOIB", "IP over `InfiniBand`.";
    MPEG_2_TS = 243, "MPEG_2_TS", "MPEG-2 transport stream.";
    INFINIBAND = 247, "INFINIBAND", "`InfiniBand`.";
    SCTP = 248, "SCTP", "Bare SCTP.";
    USBPCAP = 249, "USBPCAP", "USB requests of Windows.";
    BLUETOOTH_LE_LL = 251, "BLUETOOTH_LE_LL", "Bluetooth Low Energy link layer.";
    WIRESHARK_UPPER_PDU = 252, "WIRESHARK_UPPER_PDU", "Protocol data exported by Wireshark, described by tags.";
    NETLINK = 253, "NETLINK", "Linux netlink messages.";
    BLUETOOTH_LINUX_MONITOR = 254, "BLUETOOTH_LINUX_MONITOR", "Bluetooth monitor of Linux.";
    BLUETOOTH_LE_LL_PHDR = 256, "BLUETOOTH_LE_LL_WITH_PHDR", "Bluetooth Low Energy after a radio header.";
    PKTAP = 258, "PKTAP", "Apple's packet metadata header; its own field gives the link type inside.";
    USB_DARWIN = 266, "USB_DARWIN", "USB requests of macOS.";
    OPENFLOW = 267, "OPENFLOW", "`OpenFlow` messages.";
    VSOCK = 271, "VSOCK", "Linux virtual-machine sockets.";
    LINUX_SLL2 = 276, "LINUX_SLL2", "Linux \"cooked\" capture, version 2.";
    EBHSCR = 279, "EBHSCR", "Elektrobit high-speed capture and replay.";
    DSA_TAG_DSA = 284, "DSA_TAG_DSA", "Ethernet with a Marvell DSA tag.";
    IEEE802_15_4_TAP = 283, "IEEE802_15_4_TAP", "IEEE 802.15.4 after a TAP header.";
}

impl fmt::Display for LinkType {
    /// `Ethernet (1)`, or `link type 300` where the table has no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "link type {}", self.0),
        }
    }
}

impl LinkType {
    /// Whether frames of this type begin with the IP header itself, under any of the numbers that mean so.
    #[must_use]
    pub const fn is_raw_ip(self) -> bool {
        matches!(self, Self::RAW | Self::RAW_BSD | Self::RAW_OPENBSD | Self::IPV4 | Self::IPV6)
    }

    /// The longest captured length that a record of this type may claim before the record counts as damaged.
    ///
    /// 262,144 bytes is the limit of libpcap (`MAXIMUM_SNAPLEN`) and of Wireshark (`WTAP_MAX_PACKET_SIZE_STANDARD`).
    /// Both allow 128 MiB for the three types that carry no network frames; here they get 16 MiB, as the frame has
    /// to lie in memory in one piece.
    pub(crate) const fn longest_frame(self) -> u32 {
        match self {
            Self::DBUS | Self::USBPCAP | Self::EBHSCR => 16 << 20,
            _ => 262_144,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_name_and_number() {
        assert_eq!(LinkType::ETHERNET.to_string(), "Ethernet (1)");
        assert_eq!(LinkType(300).to_string(), "link type 300");
        assert!(LinkType(14).is_raw_ip() && !LinkType::ETHERNET.is_raw_ip());
    }
}
