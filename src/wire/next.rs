//! What a link header leads to, and the bytes that say so.

use super::Stop;
use crate::capture::LinkType;

/// What the bytes after a header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An IPv4 or IPv6 header; the version nibble tells which.
    Ip,
    /// An Ethernet II or IEEE 802.3 header.
    Ethernet,
    /// The payload of this Ethernet type.
    EtherType(u16),
    /// An LLC header (IEEE 802.2).
    Llc,
    /// A PPP protocol field, with or without address and control before it.
    Ppp,
    /// A frame of another link type (a wrapper such as PKTAP).
    Link(LinkType),
    /// A protocol that carries no IP, by its common name.
    Other(&'static str),
}

/// A header that was read: its length, and what follows it.
pub(super) type Header = Result<(usize, Next), Stop>;

pub(super) fn byte(b: &[u8], at: usize) -> Result<u8, Stop> {
    b.get(at).copied().ok_or(Stop::LinkCut)
}

pub(super) fn be16(b: &[u8], at: usize) -> Result<u16, Stop> {
    Ok(u16::from_be_bytes([byte(b, at)?, byte(b, at + 1)?]))
}

pub(super) fn le16(b: &[u8], at: usize) -> Result<u16, Stop> {
    Ok(be16(b, at)?.swap_bytes())
}

pub(super) fn be32(b: &[u8], at: usize) -> Result<u32, Stop> {
    Ok(u32::from(be16(b, at)?) << 16 | u32::from(be16(b, at + 2)?))
}
