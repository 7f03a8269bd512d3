//! Classic pcap (draft-ietf-opsawg-pcap): a file header, then records.

use super::blocks::Blocks;
use super::facts::{ByteOrder, End, Facts, Format, InterfaceFacts};
use super::{Error, LinkType, Located, Resolution};
use crate::base::Timestamp;
use std::ops::Range;

/// Length of the file header.
const FILE_HEADER: usize = 24;
/// Length of a record header.
const RECORD_HEADER: usize = 16;
/// Length of a record header of Kuznetzov's patched libpcap: interface index, protocol and packet type follow.
const MODIFIED_RECORD_HEADER: usize = 24;

/// A reader of classic pcap.
pub(crate) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds in a unit of the fraction.
    unit: i64,
    header: usize,
    link_type: LinkType,
    lengths: Lengths,
    /// Whether records are in little-endian order, captured length first, with no more in their headers than most have.
    usual: bool,
    number: u64,
}

/// Which of the two lengths of a record comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// "Some files of version 2.3" have them swapped; a captured length above the original tells.
    Either,
    /// Before version 2.3, and in version 543.0 of DG/UX, the original length comes first.
    OriginalFirst,
}

impl Pcap {
    /// Reads the file header.
    pub(crate) fn start(
        blocks: &mut Blocks,
        facts: &mut Facts,
        order: ByteOrder,
        nanoseconds: bool,
        modified: bool,
    ) -> Result<Self, Error> {
        if blocks.fill(FILE_HEADER).is_err() {
            return Err(Error::CutHeader { format: "pcap", length: blocks.ahead().len() });
        }
        let header = blocks.ahead();
        let (major, minor) = (order.u16(header, 4), order.u16(header, 6));
        let snaplen = order.u32(header, 16);
        // "| FCS len |R|P| Reserved3 | Link-layer type |": four bits, one reserved, one that says whether the length
        // is given, in units of 16 bits.
        let network = order.u32(header, 20);
        let link_type = LinkType((network & 0xffff) as u16);
        #[allow(clippy::cast_possible_truncation)] // four bits
        let fcs_len = (network & 0x0400_0000 != 0).then_some((network >> 28) as u8 * 2);
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, 0) => Lengths::OriginalFirst,
            (2, 3) => Lengths::Either,
            (2, _) => Lengths::CapturedFirst,
            _ => return Err(Error::Version { format: "pcap", major, minor }),
        };
        blocks.take(FILE_HEADER);
        let resolution = if nanoseconds { Resolution::NANOSECONDS } else { Resolution::MICROSECONDS };
        facts.format = Format::Pcap { nanoseconds, order, modified };
        facts.sections = 1;
        facts.link_types.push(link_type);
        facts.interface(InterfaceFacts {
            link_type,
            snaplen,
            fcs_len,
            name: None,
            description: None,
            filter: None,
            os: None,
            resolution,
            offset_secs: 0,
        });
        Ok(Self {
            order,
            unit: if nanoseconds { 1 } else { 1000 },
            header: if modified { MODIFIED_RECORD_HEADER } else { RECORD_HEADER },
            link_type,
            lengths,
            usual: order == ByteOrder::Little && lengths == Lengths::CapturedFirst && !modified,
            number: 0,
        })
    }

    /// The next frame; at the end, how it came.
    #[inline]
    pub(crate) fn next(&mut self, blocks: &mut Blocks) -> Result<Located, Box<End>> {
        if let Some(located) = self.straight(blocks) { Ok(located) } else { self.with_care(blocks) }
    }

    /// The next frame where the file is as most are, the frame no longer than an IP packet, and all of it in the buffer.
    #[inline(always)]
    fn straight(&mut self, blocks: &mut Blocks) -> Option<Located> {
        let ahead = blocks.ahead();
        let header: [u8; RECORD_HEADER] = *ahead.first_chunk()?;
        let word = |at| ByteOrder::Little.u32(&header, at);
        let captured = word(8) as usize;
        if !self.usual || captured > 0xffff || ahead.len() < RECORD_HEADER + captured {
            return None;
        }
        blocks.take(RECORD_HEADER);
        let bytes = blocks.take(captured);
        Some(self.located(word(0), word(4), bytes, word(12)))
    }

    #[inline(never)]
    fn with_care(&mut self, blocks: &mut Blocks) -> Result<Located, Box<End>> {
        let record = blocks.offset();
        if blocks.fill(self.header).is_err() {
            return Err(blocks.end(record, "a record header").into());
        }
        let header: [u8; RECORD_HEADER] = blocks.ahead().first_chunk().copied().unwrap_or_default(); // it is there
        let secs = self.order.u32(&header, 0);
        let fraction = self.order.u32(&header, 4);
        let mut captured = self.order.u32(&header, 8);
        let mut original = self.order.u32(&header, 12);
        if self.lengths != Lengths::CapturedFirst
            && (self.lengths == Lengths::OriginalFirst || captured > original)
        {
            (captured, original) = (original, captured);
        }
        // Like Wireshark and libpcap, the snapshot length of the file header is not held against a record: writers
        // get it wrong.
        if captured > self.link_type.longest_frame() {
            let most = self.link_type.longest_frame();
            let why = format!("a record claims {captured} captured bytes, more than the {most} there can be");
            return Err(End::Damaged { offset: record, why }.into());
        }
        let captured = captured as usize;
        if blocks.fill(self.header + captured).is_err() {
            return Err(blocks.end(record, "the bytes of a frame").into());
        }
        blocks.take(self.header);
        let bytes = blocks.take(captured);
        Ok(self.located(secs, fraction, bytes, original))
    }

    #[inline]
    fn located(&mut self, secs: u32, fraction: u32, bytes: Range<usize>, wire_len: u32) -> Located {
        self.number += 1;
        // A damaged fraction may exceed a second; it is added as it is. At most (2³² − 1)(10⁹ + 10³) < 2⁶³.
        let ns = i64::from(secs) * 1_000_000_000 + i64::from(fraction) * self.unit;
        Located {
            number: self.number,
            at: Timestamp::from_ns(ns),
            link_type: self.link_type,
            interface: 0,
            bytes,
            wire_len,
            dropped_before: 0,
        }
    }
}
