//! The packets of a datagram, by their headers (RFC 8999, RFC 9000 §17, RFC 9369 §3.2).

use super::super::reader::Reader;
use super::Version;

/// The longest connection ID of the versions that are read (RFC 9000 §17.2).
pub const MAX_CID: usize = 20;

/// A QUIC packet, as far as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A long header with protected payload, of a version that is read.
    Long(Long<'a>),
    /// A Retry: the server wants the client to come again with its token (RFC 9000 §17.2.5).
    Retry {
        /// The connection ID that the client is to use from now on, and derive its keys from.
        scid: &'a [u8],
    },
    /// Version Negotiation: the server speaks none of the version asked for (RFC 9000 §17.2.1).
    Negotiation(Negotiation<'a>),
    /// A short header: a packet with keys that only the two ends have (RFC 9000 §17.3).
    Short,
    /// A packet of Google's QUIC.
    Google(Version),
    /// A long header of a version that is not read.
    Unread(Version),
}

/// The kinds of long header with a protected payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carries the first CRYPTO bytes of each end.
    Initial,
    /// Early data.
    ZeroRtt,
    /// The rest of the handshake, encrypted with keys that only the two ends have.
    Handshake,
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long<'a> {
    /// What it is.
    pub kind: Kind,
    /// Version.
    pub version: Version,
    /// Destination connection ID, at most [`MAX_CID`] bytes.
    pub dcid: &'a [u8],
    /// Source connection ID, at most [`MAX_CID`] bytes.
    pub scid: &'a [u8],
    /// Token of an Initial.
    pub token: &'a [u8],
    /// The packet from its first byte to its last, as far as it was captured.
    pub bytes: &'a [u8],
    /// Where in `bytes` the protected packet number begins.
    pub number_at: usize,
    /// Whether all of the packet is there.
    pub whole: bool,
}

/// The versions that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiation<'a> {
    list: &'a [u8],
}

impl Negotiation<'_> {
    /// The versions in the order of the packet.
    pub fn versions(&self) -> impl Iterator<Item = Version> {
        self.list.chunks_exact(4).map(|b| Version(b.iter().fold(0, |n, b| n << 8 | u32::from(*b))))
    }
}

/// Whether a datagram starts with a header that tells QUIC by itself: a long one of a known version with possible
/// connection IDs, or the public header of Google's QUIC with its version.
///
/// Other data passes with a chance of about 1 in 10⁸. Short headers and Version Negotiation look like much else, and
/// belong to QUIC only where a flow does already.
#[inline]
pub fn speaks_quic(datagram: &[u8]) -> bool {
    match datagram {
        [first, a, b, c, d, ..] if first & 0x80 != 0 => {
            let version = Version(u32::from_be_bytes([*a, *b, *c, *d]));
            version.is_google() || version.is_read() && ids(&mut Reader::new(&datagram[5..])).is_some()
        }
        [first, ..] => google(*first, datagram).is_some(),
        [] => false,
    }
}

/// The packets of a datagram, one behind the other (RFC 9000 §12.2).
///
/// What cannot be a QUIC packet ends the walk; so does a packet without a length of its own.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram, first: true }
}

/// Iterator over the packets of a datagram.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    first: bool,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let bytes = std::mem::take(&mut self.rest);
        let coalesced = !std::mem::replace(&mut self.first, false);
        let first = *bytes.first()?;
        if first & 0x80 == 0 {
            // Behind another packet the fixed bit tells a short header from padding.
            if coalesced && first & 0x40 == 0 {
                return None;
            }
            return Some(google(first, bytes).map_or(Packet::Short, Packet::Google));
        }
        let mut r = Reader::new(&bytes[1..]);
        let version = Version(r.u32()?);
        if version.is_google() {
            return Some(Packet::Google(version));
        }
        if !version.is_read() && version != Version::NEGOTIATION {
            return Some(Packet::Unread(version));
        }
        let (dcid, scid) = ids(&mut r)?;
        if version == Version::NEGOTIATION {
            let list = r.rest();
            let sound = !list.is_empty() && list.len().is_multiple_of(4);
            return sound.then_some(Packet::Negotiation(Negotiation { list }));
        }
        let (kind, token) = match kind(version, first) {
            None => return Some(Packet::Retry { scid }),
            Some(Kind::Initial) => {
                let len = r.varint()?;
                (Kind::Initial, r.take(usize::try_from(len).ok()?)?)
            }
            Some(kind) => (kind, &[][..]),
        };
        let len = usize::try_from(r.varint()?).ok()?;
        let number_at = bytes.len() - r.remaining();
        let (_, whole) = r.sub_lax(len);
        let (bytes, rest) = bytes.split_at(bytes.len() - r.remaining()); // what is left is behind the packet
        self.rest = rest;
        Some(Packet::Long(Long { kind, version, dcid, scid, token, bytes, number_at, whole }))
    }
}

/// Both connection IDs, each with its length before it.
fn ids<'a>(r: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut id = || {
        let len = usize::from(r.u8()?);
        if len > MAX_CID { None } else { r.take(len) }
    };
    Some((id()?, id()?))
}

/// The kind in the first byte; `None` is a Retry. Version 2 numbers the kinds otherwise (RFC 9369 §3.2).
fn kind(version: Version, first: u8) -> Option<Kind> {
    let bits = first >> 4 & 3;
    match if version == Version::V2 { bits.wrapping_sub(1) & 3 } else { bits } {
        0 => Some(Kind::Initial),
        1 => Some(Kind::ZeroRtt),
        2 => Some(Kind::Handshake),
        _ => None,
    }
}

/// The version in the public header that Google's QUIC had up to Q043: flags for a version and a connection ID of
/// eight bytes, then these.
fn google(first: u8, bytes: &[u8]) -> Option<Version> {
    if first & 0xc9 != 0x09 {
        return None;
    }
    let version = Version(Reader::new(bytes.get(9..)?).u32()?);
    version.is_google().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::quic as make;
    use proptest::prelude::*;

    #[test]
    fn both_versions_number_the_kinds_in_their_way() {
        let kinds = |v| [0xc0, 0xd0, 0xe0, 0xf0].map(|first| kind(v, first));
        let (initial, early, handshake) = (Some(Kind::Initial), Some(Kind::ZeroRtt), Some(Kind::Handshake));
        assert_eq!(kinds(Version::V1), [initial, early, handshake, None]);
        assert_eq!(kinds(Version::V2), [None, initial, early, handshake]);
    }

    #[test]
    fn coalesced_packets_are_told_apart_from_padding() {
        let one = make::long(Kind::Handshake, Version::V1, &[1, 2], &[3], 30);
        let short = make::short(&[1, 2], 25);
        let datagram = [&one[..], &one, &short].concat();
        let found: Vec<Packet<'_>> = packets(&datagram).collect();
        assert_eq!(found.len(), 3);
        let Packet::Long(long) = found[1] else { panic!("{found:?}") };
        assert_eq!((long.dcid, long.scid, long.whole), (&[1, 2][..], &[3][..], true));
        assert_eq!((long.bytes, found[2]), (&one[..], Packet::Short));
        assert_eq!(packets(&[&one[..], &[0; 300]].concat()).count(), 1);
        let cut: Vec<Packet<'_>> = packets(&datagram[..one.len() * 2 - 1]).collect();
        assert!(matches!(cut[..], [Packet::Long(_), Packet::Long(Long { whole: false, .. })]));
    }

    #[test]
    fn retry_and_negotiation() {
        let retry = make::retry(Version::V2, &[], b"\xf0\x67", b"token");
        assert_eq!(packets(&retry).collect::<Vec<_>>(), [Packet::Retry { scid: b"\xf0\x67" }]);
        let vn = make::negotiation(&[1], &[2], &[Version::V1, Version::V2]);
        let Some(Packet::Negotiation(n)) = packets(&vn).next() else { panic!() };
        assert_eq!(n.versions().collect::<Vec<_>>(), [Version::V1, Version::V2]);
        assert_eq!(packets(&vn[..vn.len() - 1]).next(), None);
        assert!(speaks_quic(&retry) && !speaks_quic(&vn));
    }

    #[test]
    fn googles_quic_is_known_by_its_version() {
        let old = [&[0x0d, 1, 2, 3, 4, 5, 6, 7, 8][..], b"Q043", &[1; 40]].concat();
        let new = [&[0xc3][..], b"Q046", &[0x50], &[1; 40]].concat();
        assert_eq!(packets(&old).next(), Some(Packet::Google(Version(0x5130_3433))));
        assert_eq!(packets(&new).next(), Some(Packet::Google(Version(0x5130_3436))));
        assert!(speaks_quic(&old) && speaks_quic(&new));
    }

    #[test]
    fn what_else_runs_over_udp_is_not_quic() {
        let dns = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";
        let stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42............";
        let rtp = b"\x80\x60\x12\x34\x00\x00\x00\x01\x00\x00\x00\x02...";
        let dtls = b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x32....";
        for datagram in [&dns[..], stun, rtp, dtls, &[], &[0xff; 1200]] {
            assert!(!speaks_quic(datagram));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(mut bytes: Vec<u8>, version in prop::sample::select(vec![0, 1, 0x6b33_43cf, 0xff00_001d])) {
            if let Some(b) = bytes.get_mut(1..5) {
                b.copy_from_slice(&u32::to_be_bytes(version));
            }
            prop_assert!(packets(&bytes).count() <= bytes.len());
        }
    }
}
