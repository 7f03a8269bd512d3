//! A pcapng file block by block, as it stands there: for whoever writes a copy with something added.
//!
//! The packets are numbered by the rules of [`super::FileSource`]. What the blocks say is not checked: a copy may be
//! made of what a reader has read, so the offset at which that one stopped ends this one too.

use std::path::Path;

use super::blocks::Blocks;
use super::facts::{ByteOrder, Facts, Format};
use super::options::Options;
use super::pcapng::{
    BEFORE_PACKET, BEFORE_SIMPLE_PACKET, ENHANCED_PACKET, FRAME, INTERFACE, LONGEST_BLOCK, PACKET, SECTION,
    SIMPLE_PACKET, STATISTICS, byte_order, is_numbered,
};
use super::section::{self, Interface, MOST_INTERFACES};
use super::{Error, file};
use crate::base::Timestamp;

/// The most bytes of a block of no use that are given at once.
const PIECE: u64 = 1 << 20;

/// What a block is, as far as a copy must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A section header.
    Section,
    /// The description of an interface.
    Interface,
    /// Counters of an interface.
    Statistics,
    /// A packet in a block that has room for options.
    Packet {
        /// Its frame number.
        frame: u64,
        /// Where its options begin in the block.
        options: usize,
    },
    /// A packet in a block that has none, and no timestamp.
    SimplePacket {
        /// Its frame number.
        frame: u64,
        /// Captured bytes; they begin at [`SIMPLE_DATA`].
        captured: usize,
        /// Length on the wire.
        wire_len: u32,
        /// The time of the packet before it, in units of the section's first interface.
        ticks: u64,
    },
    /// Anything else, or the next part of it where it is long.
    Other,
}

/// Where the packet of a Simple Packet Block begins.
pub const SIMPLE_DATA: usize = BEFORE_SIMPLE_PACKET;
/// Where the options of a section header begin.
pub const SECTION_OPTIONS: usize = 24;

/// A block, or a part of a long one.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// What it is.
    pub kind: Kind,
    /// The byte order of its section.
    pub order: ByteOrder,
    /// Its bytes, both lengths and the padding included.
    pub bytes: &'a [u8],
}

/// A pcapng file, read block by block.
pub struct Pieces {
    blocks: Blocks,
    order: ByteOrder,
    interfaces: Vec<Interface>,
    number: u64,
    last: Timestamp,
    /// Where to stop.
    until: Option<u64>,
    /// Bytes left of a block that is given in parts.
    left: u64,
    /// Where the parser of interfaces puts what is of no use here.
    scratch: Facts,
}

/// Opens a pcapng file, plain or compressed; `None` where the file is classic pcap. `until` is where a reader of frames
/// stopped, if it did so before the end.
///
/// # Errors
/// Where the file cannot be opened or is no capture.
pub fn open_path(path: &Path, until: Option<u64>) -> Result<Option<Pieces>, Error> {
    let opened = file::open_blocks(Box::new(std::fs::File::open(path).map_err(Error::Open)?))?;
    let Format::Pcapng { order } = opened.format else { return Ok(None) };
    Ok(Some(Pieces {
        blocks: opened.blocks,
        order,
        interfaces: Vec::new(),
        number: 0,
        last: Timestamp::default(),
        until,
        left: 0,
        scratch: Facts::new(opened.format),
    }))
}

impl Pieces {
    /// The next block; `None` at the end, and where the file does not go on as a reader of frames found it.
    pub fn next_piece(&mut self) -> Option<Piece<'_>> {
        if self.left > 0 {
            return self.part();
        }
        let offset = self.blocks.offset();
        if self.until.is_some_and(|until| offset >= until) || self.blocks.fill(8).is_err() {
            return None;
        }
        let mut kind = self.order.u32(self.blocks.ahead(), 0);
        if kind == SECTION {
            self.blocks.fill(FRAME).ok()?;
            self.order = byte_order(self.blocks.ahead())?;
            self.interfaces.clear();
        } else if !matches!(kind, ENHANCED_PACKET | PACKET | SIMPLE_PACKET | INTERFACE | STATISTICS) {
            self.number += u64::from(is_numbered(kind));
            kind = 0;
        }
        let length = u64::from(self.order.u32(self.blocks.ahead(), 4)).next_multiple_of(4);
        if length < FRAME as u64 {
            return None;
        }
        if kind == 0 {
            self.left = length;
            return self.part();
        }
        // at most LONGEST_BLOCK
        let length = usize::try_from(length).ok().filter(|n| *n as u64 <= LONGEST_BLOCK)?;
        self.blocks.fill(length).ok()?;
        let order = self.order;
        let kind = self.kind(kind, length)?;
        let range = self.blocks.take(length);
        Some(Piece { kind, order, bytes: self.blocks.bytes(range) })
    }

    /// What the block that lies ahead is.
    fn kind(&mut self, block_type: u32, length: usize) -> Option<Kind> {
        let (order, bytes) = (self.order, self.blocks.ahead().get(..length)?);
        match block_type {
            SECTION if length >= SECTION_OPTIONS + 4 => Some(Kind::Section),
            INTERFACE if length >= FRAME + 8 => {
                if self.interfaces.len() < MOST_INTERFACES {
                    let body = bytes.get(8..length - 4)?;
                    self.interfaces.push(section::interface(&mut self.scratch, body, order));
                }
                Some(Kind::Interface)
            }
            STATISTICS => Some(Kind::Statistics),
            ENHANCED_PACKET | PACKET if length >= BEFORE_PACKET + 4 => {
                let captured = usize::try_from(order.u32(bytes, 20)).ok()?.checked_next_multiple_of(4)?;
                let options = captured.checked_add(BEFORE_PACKET).filter(|at| *at <= length - 4)?;
                self.number += 1;
                let interface = match block_type {
                    PACKET => usize::from(order.u16(bytes, 8)),
                    _ => order.u32(bytes, 8) as usize,
                };
                if let Some(i) = self.interfaces.get(interface) {
                    let ticks = u64::from(order.u32(bytes, 12)) << 32 | u64::from(order.u32(bytes, 16));
                    self.last = i.resolution.timestamp(ticks, i.offset_secs);
                }
                Some(Kind::Packet { frame: self.number, options })
            }
            SIMPLE_PACKET if length >= BEFORE_SIMPLE_PACKET + 4 => {
                self.number += 1;
                let wire_len = order.u32(bytes, 8);
                let Some(first) = self.interfaces.first() else { return Some(Kind::Other) };
                let limit = if first.snaplen == 0 { wire_len } else { wire_len.min(first.snaplen) };
                let captured = (length - BEFORE_SIMPLE_PACKET - 4).min(limit as usize);
                let ticks = first.resolution.ticks(self.last, first.offset_secs);
                Some(Kind::SimplePacket { frame: self.number, captured, wire_len, ticks })
            }
            _ => None,
        }
    }

    /// The next part of a block that may be longer than memory is wide.
    fn part(&mut self) -> Option<Piece<'_>> {
        let n = usize::try_from(self.left.min(PIECE)).ok()?;
        self.blocks.fill(n).ok()?;
        self.left -= n as u64;
        let range = self.blocks.take(n);
        Some(Piece { kind: Kind::Other, order: self.order, bytes: self.blocks.bytes(range) })
    }
}

/// Where in a list of options something can be added: behind the last sound one, before the end mark.
pub(super) fn end_of_options(options: &[u8], order: ByteOrder) -> usize {
    let used: usize = Options::new(options, order).map(|(_, v)| 4 + v.len().next_multiple_of(4)).sum();
    used.min(options.len())
}
