//! A borrowed view of a TCP segment (RFC 9293 §3.1) that refuses no flag combination.
//!
//! Injectors send what no stack would: SYN with RST, reserved bits, odd options. So the view judges nothing; it
//! only makes sure that its accessors cannot run past the captured bytes.

use std::fmt;

use crate::base::SeqNum;

/// Length of the TCP header without options.
pub const MIN_HEADER: usize = 20;

/// The twelve bits between data offset and window: four reserved or experimental bits and eight control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x001);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Push.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (formerly the nonce sum, NS).
    pub const AE: Self = Self(0x100);
    /// The three bits that RFC 9293 reserves.
    pub const RESERVED: Self = Self(0xe00);

    /// Whether every bit of `other` is set here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set here.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These flags and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Flags {
    /// `RST+ACK`, in the order in which people say them; `none` for no flag at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u16, &str); 12] = [
            (0x002, "SYN"),
            (0x001, "FIN"),
            (0x004, "RST"),
            (0x008, "PSH"),
            (0x010, "ACK"),
            (0x020, "URG"),
            (0x040, "ECE"),
            (0x080, "CWR"),
            (0x100, "AE"),
            (0x200, "R1"),
            (0x400, "R2"),
            (0x800, "R3"),
        ];
        let mut first = true;
        for (bit, name) in NAMES {
            if self.0 & bit != 0 {
                f.write_str(if first { "" } else { "+" })?;
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

/// A TCP segment: at least the fixed 20 header bytes, and of options and payload what was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// The first twenty bytes of the header.
    fixed: &'a [u8; MIN_HEADER],
    /// The captured part of the header: `MIN_HEADER <= header.len() <= 4 * data_offset`.
    header: &'a [u8],
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// How long the payload was on the wire; more than `payload.len()` where the snaplen cut it.
    pub payload_len: u32,
}

impl<'a> Tcp<'a> {
    /// Reads the segment that starts at `bytes` and was `wire_len` bytes long on the wire.
    ///
    /// # Errors
    /// [`super::Stop::TcpCut`] where fewer than 20 bytes were captured, [`super::Stop::TcpMalformed`] where the
    /// data offset is under five words or reaches past `wire_len`.
    #[inline]
    pub fn parse(bytes: &'a [u8], wire_len: u32) -> Result<Self, super::Stop> {
        let fixed = bytes.first_chunk().ok_or(super::Stop::TcpCut)?;
        let header_len = usize::from(fixed[12] >> 4) * 4;
        let Some(payload_len) = wire_len.checked_sub(u32::try_from(header_len).unwrap_or(u32::MAX)) else {
            return Err(super::Stop::TcpMalformed);
        };
        if header_len < MIN_HEADER {
            return Err(super::Stop::TcpMalformed);
        }
        let (header, payload) = bytes.split_at(header_len.min(bytes.len()));
        let on_wire = usize::try_from(payload_len).unwrap_or(usize::MAX);
        Ok(Self { fixed, header, payload: &payload[..payload.len().min(on_wire)], payload_len })
    }

    #[inline]
    fn u16_at(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.fixed[at], self.fixed[at + 1]]) // at < MIN_HEADER - 1
    }

    #[inline]
    fn u32_at(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.fixed[at], self.fixed[at + 1], self.fixed[at + 2], self.fixed[at + 3]]) // at < MIN_HEADER - 3
    }

    /// Source port.
    #[inline]
    pub fn src_port(&self) -> u16 {
        self.u16_at(0)
    }

    /// Destination port.
    #[inline]
    pub fn dst_port(&self) -> u16 {
        self.u16_at(2)
    }

    /// Sequence number.
    #[inline]
    pub fn seq(&self) -> SeqNum {
        SeqNum(self.u32_at(4))
    }

    /// Acknowledgment number, whether or not ACK is set.
    #[inline]
    pub fn ack(&self) -> SeqNum {
        SeqNum(self.u32_at(8))
    }

    /// All twelve flag and reserved bits.
    #[inline]
    pub fn flags(&self) -> Flags {
        Flags(self.u16_at(12) & 0x0fff)
    }

    /// Window field, unscaled.
    #[inline]
    pub fn window(&self) -> u16 {
        self.u16_at(14)
    }

    /// Header length in bytes, as the data offset states it.
    #[inline]
    pub fn header_len(&self) -> u8 {
        (self.fixed[12] >> 4) * 4
    }

    /// The captured header bytes.
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// Whether bytes of this segment are missing from the capture.
    pub fn is_cut(&self) -> bool {
        self.header.len() < usize::from(self.header_len())
            || (self.payload.len() as u64) < u64::from(self.payload_len)
    }

    /// How far the segment moves the sequence: payload, and one each for SYN and FIN.
    pub fn seq_len(&self) -> u32 {
        let flags = self.flags();
        self.payload_len + u32::from(flags.has(Flags::SYN)) + u32::from(flags.has(Flags::FIN))
    }

    /// The options, one after the other; an unknown kind hides none behind it.
    pub fn options(&self) -> Options<'a> {
        Options { rest: &self.header[MIN_HEADER..] }
    }

    /// Whether its options are timestamps and nothing else, as nearly all segments have them that have any.
    #[inline]
    pub fn has_timestamps_alone(&self) -> bool {
        self.header.len() == MIN_HEADER + 12 && self.header[MIN_HEADER..].starts_with(&[1, 1, 8, 10])
    }

    /// `TSval` and `TSecr`, where it has timestamps.
    #[inline]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        let options = &self.header[MIN_HEADER..];
        if let [1, 1, 8, 10, v0, v1, v2, v3, e0, e1, e2, e3, ..] = *options {
            // two NOPs and timestamps, as nearly all segments have them (RFC 7323 appendix A)
            return Some((u32::from_be_bytes([v0, v1, v2, v3]), u32::from_be_bytes([e0, e1, e2, e3])));
        }
        self.options().find_map(|o| match o {
            TcpOption::Timestamps { val, ecr } => Some((val, ecr)),
            _ => None,
        })
    }
}

/// One TCP option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Maximum segment size (kind 2).
    Mss(u16),
    /// Window scale shift (kind 3).
    WindowScale(u8),
    /// SACK permitted (kind 4).
    SackPermitted,
    /// SACK blocks (kind 5): the bytes of up to four pairs of edges, see [`sack_blocks`].
    Sack(&'a [u8]),
    /// Timestamps (kind 8): value and echo reply.
    Timestamps {
        /// `TSval`: the sender's clock.
        val: u32,
        /// `TSecr`: the clock value that it echoes.
        ecr: u32,
    },
    /// Any other kind, or a known one of an unexpected length.
    Other {
        /// Option kind.
        kind: u8,
        /// The bytes after kind and length.
        data: &'a [u8],
    },
}

/// The left and right edges of the blocks of a SACK option (RFC 2018).
pub fn sack_blocks(bytes: &[u8]) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
    bytes.chunks_exact(8).map(|b| {
        let edge = |i: usize| SeqNum(u32::from_be_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]));
        (edge(0), edge(4))
    })
}

/// Walks TCP options; ends at the end-of-list option, at the end of the header, or at a length that is impossible.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        loop {
            let (&kind, after) = self.rest.split_first()?;
            match kind {
                0 => {
                    self.rest = &[];
                    return None;
                }
                1 => self.rest = after,
                _ => {
                    let len = usize::from(*after.first()?);
                    if len < 2 || len > self.rest.len() {
                        self.rest = &[];
                        return None;
                    }
                    let (option, rest) = self.rest.split_at(len);
                    self.rest = rest;
                    return Some(read_option(kind, &option[2..]));
                }
            }
        }
    }
}

fn read_option(kind: u8, data: &[u8]) -> TcpOption<'_> {
    match (kind, data) {
        (2, &[a, b]) => TcpOption::Mss(u16::from_be_bytes([a, b])),
        (3, &[shift]) => TcpOption::WindowScale(shift),
        (4, &[]) => TcpOption::SackPermitted,
        (5, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => TcpOption::Sack(blocks),
        (8, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
            val: u32::from_be_bytes([a, b, c, d]),
            ecr: u32::from_be_bytes([e, f, g, h]),
        },
        _ => TcpOption::Other { kind, data },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stop;
    use super::*;
    use proptest::prelude::*;

    /// Port 443 to 50000, seq 0x01020304, ack 0x05060708, RST+ACK with AE and two reserved bits, window 4229,
    /// options: unknown kind 30 of 4 bytes, NOP, NOP, timestamps, NOP, NOP.
    const SEGMENT: [u8; 40] = [
        0x01, 0xbb, 0xc3, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 0xad, 0x14, 0x10, 0x85, 0xaa, 0xbb, 0,
        0, // fixed
        30, 4, 0xde, 0xad, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 1, // options
        b'h', b'i',
    ];

    #[test]
    fn reads_every_field() {
        let tcp = Tcp::parse(&SEGMENT, 42).unwrap();
        assert_eq!((tcp.src_port(), tcp.dst_port()), (443, 50_000));
        assert_eq!((tcp.seq(), tcp.ack()), (SeqNum(0x0102_0304), SeqNum(0x0506_0708)));
        assert_eq!(tcp.flags(), Flags(0xd14));
        assert_eq!(tcp.flags().to_string(), "RST+ACK+AE+R2+R3");
        assert_eq!(tcp.window(), 4229);
        assert_eq!(tcp.payload_len, 2);
        assert!(tcp.payload.is_empty(), "ten words of header leave no captured payload");
        assert!(tcp.is_cut());
    }

    #[test]
    fn an_unknown_option_hides_none_behind_it() {
        let options: Vec<_> = Tcp::parse(&SEGMENT, 42).unwrap().options().collect();
        assert_eq!(options[0], TcpOption::Other { kind: 30, data: &[0xde, 0xad] });
        assert_eq!(options[1], TcpOption::Timestamps { val: 7, ecr: 9 });
        assert_eq!(options.len(), 2, "\"hi\" lies inside the ten words and is no possible option");
    }

    #[test]
    fn every_shorter_length_is_cut_and_never_panics() {
        for n in 0..SEGMENT.len() {
            match Tcp::parse(&SEGMENT[..n], 42) {
                Ok(tcp) => {
                    assert!(n >= MIN_HEADER);
                    assert!(tcp.is_cut());
                    tcp.options().for_each(drop);
                }
                Err(stop) => assert_eq!((stop, n < MIN_HEADER), (Stop::TcpCut, true)),
            }
        }
    }

    #[test]
    fn impossible_offsets_are_named() {
        let mut bytes = SEGMENT;
        bytes[12] = 0x40;
        assert_eq!(Tcp::parse(&bytes, 42), Err(Stop::TcpMalformed));
        bytes[12] = 0xf0;
        assert_eq!(Tcp::parse(&bytes, 42), Err(Stop::TcpMalformed), "60 bytes of header in a segment of 42");
    }

    #[test]
    fn sack_keeps_all_four_blocks() {
        let bytes: Vec<u8> = (0u8..32).collect();
        assert_eq!(sack_blocks(&bytes).count(), 4);
        assert_eq!(sack_blocks(&bytes).last(), Some((SeqNum(0x1819_1a1b), SeqNum(0x1c1d_1e1f))));
    }

    proptest! {
        /// Where etherparse accepts a header, both read the same fields.
        #[test]
        fn agrees_with_etherparse(mut bytes in prop::collection::vec(any::<u8>(), 20..120), offset in 5u8..16, usual: bool) {
            if usual && bytes.len() >= 24 {
                bytes[20..24].copy_from_slice(&[1, 1, 8, 10]);
            }
            bytes[12] = bytes[12] & 0x0f | offset << 4;
            let theirs = etherparse::TcpSlice::from_slice(&bytes);
            let ours = Tcp::parse(&bytes, u32::try_from(bytes.len()).unwrap());
            if let Ok(theirs) = theirs {
                let ours = ours.unwrap();
                prop_assert_eq!(ours.src_port(), theirs.source_port());
                prop_assert_eq!(ours.dst_port(), theirs.destination_port());
                prop_assert_eq!(ours.seq().0, theirs.sequence_number());
                prop_assert_eq!(ours.ack().0, theirs.acknowledgment_number());
                prop_assert_eq!(ours.window(), theirs.window_size());
                prop_assert_eq!(ours.payload, theirs.payload());
                let f = ours.flags();
                prop_assert_eq!(
                    [f.has(Flags::AE), f.has(Flags::CWR), f.has(Flags::ECE), f.has(Flags::URG), f.has(Flags::ACK),
                     f.has(Flags::PSH), f.has(Flags::RST), f.has(Flags::SYN), f.has(Flags::FIN)],
                    [theirs.ns(), theirs.cwr(), theirs.ece(), theirs.urg(), theirs.ack(), theirs.psh(), theirs.rst(),
                     theirs.syn(), theirs.fin()]
                );
                let walked = ours.options().find_map(|o| match o {
                    TcpOption::Timestamps { val, ecr } => Some((val, ecr)),
                    _ => None,
                });
                prop_assert_eq!(ours.timestamps(), walked);
                // its option walk ends at the first unknown kind, so only a prefix can be compared
                let mut walk = ours.options();
                for option in theirs.options_iterator() {
                    use etherparse::TcpOptionElement as E;
                    let expected = match option {
                        Ok(E::Noop) => continue,
                        Ok(E::MaximumSegmentSize(m)) => TcpOption::Mss(m),
                        Ok(E::WindowScale(s)) => TcpOption::WindowScale(s),
                        Ok(E::SelectiveAcknowledgementPermitted) => TcpOption::SackPermitted,
                        Ok(E::Timestamp(val, ecr)) => TcpOption::Timestamps { val, ecr },
                        Ok(E::SelectiveAcknowledgement(..)) => {
                            prop_assert!(matches!(walk.next(), Some(TcpOption::Sack(_))));
                            continue;
                        }
                        Err(_) => break,
                    };
                    prop_assert_eq!(walk.next(), Some(expected));
                }
            } else {
                prop_assert!(ours.is_err());
            }
        }
    }
}
