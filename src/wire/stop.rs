//! Why a frame's decode stopped before TCP.

/// The reason for which nothing deeper could be read in a frame. Counted per capture, and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stop {
    /// The frame ends inside its link-layer header.
    LinkCut,
    /// A link type that this program does not read.
    LinkUnknown,
    /// An IEEE 802.11 data frame whose body is encrypted.
    WifiEncrypted,
    /// The frame ends inside its IP header.
    IpCut,
    /// An IP header that contradicts itself: version, header length or total length.
    IpMalformed,
    /// A tunnel inside a tunnel, deeper than [`super::decode::MAX_LAYERS`].
    TooDeep,
    /// A tunnel header that is cut or contradicts itself.
    TunnelMalformed,
    /// The captured bytes end inside the first 20 bytes of the TCP header.
    TcpCut,
    /// A TCP data offset under five words, or past the end of the packet.
    TcpMalformed,
    /// The captured bytes end inside the UDP header.
    UdpCut,
}

impl Stop {
    /// All reasons, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::LinkCut,
        Self::LinkUnknown,
        Self::WifiEncrypted,
        Self::IpCut,
        Self::IpMalformed,
        Self::TooDeep,
        Self::TunnelMalformed,
        Self::TcpCut,
        Self::TcpMalformed,
        Self::UdpCut,
    ];

    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkCut => "link_header_cut",
            Self::LinkUnknown => "link_type_unknown",
            Self::WifiEncrypted => "wifi_encrypted",
            Self::IpCut => "ip_header_cut",
            Self::IpMalformed => "ip_header_malformed",
            Self::TooDeep => "too_many_layers",
            Self::TunnelMalformed => "tunnel_header_malformed",
            Self::TcpCut => "tcp_header_cut",
            Self::TcpMalformed => "tcp_header_malformed",
            Self::UdpCut => "udp_header_cut",
        }
    }

    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::LinkCut => "the frame ends inside its link header",
            Self::LinkUnknown => "the link type is not one that this program reads",
            Self::WifiEncrypted => "the Wi-Fi frame is encrypted",
            Self::IpCut => "the frame ends inside its IP header",
            Self::IpMalformed => "the IP header contradicts itself",
            Self::TooDeep => "too many headers inside each other",
            Self::TunnelMalformed => "the tunnel header is cut or contradicts itself",
            Self::TcpCut => "the frame ends inside its TCP header",
            Self::TcpMalformed => "the TCP data offset is impossible",
            Self::UdpCut => "the frame ends inside its UDP header",
        }
    }
}
