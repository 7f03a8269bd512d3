//! pcapng (draft-ietf-opsawg-pcapng): a file of blocks, in sections that each have a byte order and interfaces of
//! their own.
//!
//! Every block states its length before and behind its body. The two must agree; the length of a whole section is
//! not looked at, as writers leave it wrong.

use super::blocks::Blocks;
use super::facts::{ByteOrder, End, Facts, Format};
use super::options::{COMMENT, Options};
use super::section::{self, Interface, MOST_INTERFACES, Totals};
use super::{Error, Located};
use crate::base::Timestamp;

/// Section Header Block; reads the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
/// Interface Description Block.
pub(super) const INTERFACE: u32 = 1;
/// Packet Block, obsolete.
pub(super) const PACKET: u32 = 2;
/// Simple Packet Block.
pub(super) const SIMPLE_PACKET: u32 = 3;
/// Interface Statistics Block.
pub(super) const STATISTICS: u32 = 5;
/// Enhanced Packet Block.
pub(super) const ENHANCED_PACKET: u32 = 6;

/// The longest block whose body is looked at: Wireshark's limit (`MAX_BLOCK_SIZE`). Others may have any length.
pub(super) const LONGEST_BLOCK: u64 = 16 << 20;
/// Bytes of a block besides its body: type, length, and the length again.
pub(super) const FRAME: usize = 12;
/// Bytes of an Enhanced Packet Block before the packet.
pub(super) const BEFORE_PACKET: usize = 28;
/// Bytes of a Simple Packet Block before the packet.
pub(super) const BEFORE_SIMPLE_PACKET: usize = 12;

/// A reader of pcapng.
pub(crate) struct Pcapng {
    order: ByteOrder,
    /// The interfaces of this section.
    interfaces: Vec<Interface>,
    totals: Totals,
    number: u64,
    /// The last timestamp seen, for packets that have none.
    last: Timestamp,
}

/// A block that lies ahead in one piece.
#[derive(Clone, Copy)]
struct Block {
    /// Where it begins in the stream.
    offset: u64,
    /// Its length, padding included.
    length: usize,
}

impl Block {
    fn damaged(self, why: impl Into<String>) -> End {
        End::Damaged { offset: self.offset, why: why.into() }
    }
}

impl Pcapng {
    /// Reads the first section header.
    pub(crate) fn start(blocks: &mut Blocks, facts: &mut Facts) -> Result<Self, Error> {
        let interfaces = Vec::new();
        let totals = Totals::default();
        let mut reader =
            Self { order: ByteOrder::Little, interfaces, totals, number: 0, last: Timestamp::default() };
        if blocks.fill(16).is_ok() {
            let head = blocks.ahead();
            let order = byte_order(head).unwrap_or(ByteOrder::Little);
            let (major, minor) = (order.u16(head, 12), order.u16(head, 14));
            if major != 1 {
                return Err(Error::Version { format: "pcapng", major, minor });
            }
        }
        let length = blocks.ahead().len();
        match reader.section(blocks, facts, 0) {
            Ok(()) => {}
            Err(End::Damaged { why, .. }) => return Err(Error::Header { why }),
            Err(End::Io { error, .. }) => return Err(Error::Read(std::io::Error::other(error))),
            Err(_) => return Err(Error::CutHeader { format: "pcapng", length }),
        }
        facts.format = Format::Pcapng { order: reader.order };
        Ok(reader)
    }

    /// The next frame; at the end, how it came.
    #[inline]
    pub(crate) fn next(&mut self, blocks: &mut Blocks, facts: &mut Facts) -> Result<Located, Box<End>> {
        loop {
            let offset = blocks.offset();
            if blocks.fill(8).is_err() {
                return Err(blocks.end(offset, "a block header").into());
            }
            let head = blocks.ahead();
            let (block_type, stated) = (self.order.u32(head, 0), self.order.u32(head, 4));
            let found = match block_type {
                ENHANCED_PACKET | PACKET => {
                    let block = self.whole(blocks, offset, stated, BEFORE_PACKET + 4)?;
                    self.packet(blocks, facts, block, block_type == PACKET)?
                }
                SECTION => {
                    self.section(blocks, facts, offset)?;
                    None
                }
                SIMPLE_PACKET => {
                    let block = self.whole(blocks, offset, stated, BEFORE_SIMPLE_PACKET + 4)?;
                    self.simple_packet(blocks, facts, block)?
                }
                INTERFACE | STATISTICS => {
                    self.description(blocks, facts, offset, block_type, stated)?;
                    None
                }
                _ => {
                    self.skip(blocks, facts, offset, block_type, stated)?;
                    None
                }
            };
            if let Some(located) = found {
                return Ok(located);
            }
        }
    }

    /// Reads a block into the buffer in one piece and checks its length.
    #[inline]
    fn whole(&self, blocks: &mut Blocks, offset: u64, stated: u32, least: usize) -> Result<Block, End> {
        let length = u64::from(stated).next_multiple_of(4);
        if length > LONGEST_BLOCK || length < least as u64 {
            let why = format!("a block states an impossible length of {stated} bytes");
            return Err(End::Damaged { offset, why });
        }
        // At most LONGEST_BLOCK.
        let length = usize::try_from(length).unwrap_or(0);
        if blocks.fill(length).is_err() {
            return Err(blocks.end(offset, "a block"));
        }
        let block = Block { offset, length };
        Self::check_trailer(block, stated, self.order.u32(blocks.ahead(), length - 4))?;
        Ok(block)
    }

    /// Compares the two lengths of a block.
    ///
    /// A stated length that forgets the padding ("MUST be a multiple of 4") is harmless where the second length is
    /// found behind the padding; Wireshark accepts it as well.
    #[inline]
    fn check_trailer(block: Block, stated: u32, again: u32) -> Result<(), End> {
        if again == stated || again == stated.next_multiple_of(4) {
            return Ok(());
        }
        Err(block.damaged(format!("the two lengths of a block differ ({stated} and {again})")))
    }

    /// Takes an Enhanced Packet Block or, where `obsolete`, a Packet Block.
    #[inline]
    fn packet(
        &mut self,
        blocks: &mut Blocks,
        facts: &mut Facts,
        block: Block,
        obsolete: bool,
    ) -> Result<Option<Located>, End> {
        let order = self.order;
        let bytes = blocks.ahead();
        let mut dropped = None;
        let interface = if obsolete {
            // "A value of 0xFFFF […] indicates that this information is not available."
            dropped = Some(order.u16(bytes, 10)).filter(|&n| n != u16::MAX).map(u64::from);
            usize::from(order.u16(bytes, 8))
        } else {
            order.u32(bytes, 8) as usize
        };
        let ticks = u64::from(order.u32(bytes, 12)) << 32 | u64::from(order.u32(bytes, 16));
        let (captured, wire_len) = (order.u32(bytes, 20), order.u32(bytes, 24));
        let captured_len = captured as usize;
        if captured_len > block.length - BEFORE_PACKET - 4 {
            let why = format!("a packet of {captured} bytes cannot lie in a block of {}", block.length);
            return Err(block.damaged(why));
        }
        let Some(interface) = self.interfaces.get(interface) else {
            self.number += 1;
            facts.without_interface += 1;
            blocks.take(block.length);
            return Ok(None);
        };
        if captured > interface.link_type.longest_frame() {
            let most = interface.link_type.longest_frame();
            let why = format!("a packet claims {captured} captured bytes, more than the {most} there can be");
            return Err(block.damaged(why));
        }
        self.number += 1;
        let options = BEFORE_PACKET + captured_len.next_multiple_of(4);
        if options + 4 < block.length {
            let options = bytes.get(options..block.length - 4).unwrap_or_default();
            dropped = packet_options(facts, self.number, options, order).or(dropped);
        }
        if let Some(n) = dropped {
            let sum = &mut facts.dropped.before_packets;
            *sum = Some(sum.unwrap_or(0).saturating_add(n));
        }
        let at = interface.resolution.timestamp(ticks, interface.offset_secs);
        self.last = at;
        let (link_type, interface) = (interface.link_type, interface.index);
        blocks.take(BEFORE_PACKET);
        let bytes = blocks.take(captured_len);
        blocks.take(block.length - BEFORE_PACKET - captured_len);
        let number = self.number;
        let dropped_before = dropped.unwrap_or(0);
        Ok(Some(Located { number, at, link_type, interface, bytes, wire_len, dropped_before }))
    }

    /// Takes a Simple Packet Block, which has the first interface of the section and no timestamp.
    fn simple_packet(
        &mut self,
        blocks: &mut Blocks,
        facts: &mut Facts,
        block: Block,
    ) -> Result<Option<Located>, End> {
        let wire_len = self.order.u32(blocks.ahead(), 8);
        let Some(interface) = self.interfaces.first() else {
            self.number += 1;
            facts.without_interface += 1;
            blocks.take(block.length);
            return Ok(None);
        };
        let (link_type, interface, snaplen) = (interface.link_type, interface.index, interface.snaplen);
        // "the SnapLen value […] MUST be used to determine the size of the Packet Data field": the smallest of the
        // snapshot length, the original length and the room there is.
        let room = block.length - BEFORE_SIMPLE_PACKET - 4;
        let limit = if snaplen == 0 { wire_len } else { wire_len.min(snaplen) };
        let captured = room.min(limit as usize);
        let most = link_type.longest_frame();
        if captured > most as usize {
            let why = format!("a packet has {captured} captured bytes, more than the {most} there can be");
            return Err(block.damaged(why));
        }
        self.number += 1;
        facts.without_timestamp += 1;
        blocks.take(BEFORE_SIMPLE_PACKET);
        let bytes = blocks.take(captured);
        blocks.take(block.length - BEFORE_SIMPLE_PACKET - captured);
        let (number, at) = (self.number, self.last);
        Ok(Some(Located { number, at, link_type, interface, bytes, wire_len, dropped_before: 0 }))
    }

    /// Takes a Section Header Block: byte order, interfaces and their numbers begin anew.
    #[cold]
    fn section(&mut self, blocks: &mut Blocks, facts: &mut Facts, offset: u64) -> Result<(), End> {
        if blocks.fill(12).is_err() {
            return Err(blocks.end(offset, "a section header"));
        }
        let Some(order) = byte_order(blocks.ahead()) else {
            let why = "a section header lacks the byte-order magic 1a2b3c4d".to_owned();
            return Err(End::Damaged { offset, why });
        };
        self.order = order;
        let stated = order.u32(blocks.ahead(), 4);
        let block = self.whole(blocks, offset, stated, 28)?;
        let bytes = blocks.ahead();
        let (major, minor) = (order.u16(bytes, 12), order.u16(bytes, 14));
        if major != 1 {
            return Err(block.damaged(format!("a section has the unknown version {major}.{minor}")));
        }
        facts.sections += 1;
        self.interfaces.clear();
        section::header_options(facts, bytes.get(24..block.length - 4).unwrap_or_default(), order);
        blocks.take(block.length);
        Ok(())
    }

    /// Takes an Interface Description Block or an Interface Statistics Block.
    #[cold]
    fn description(
        &mut self,
        blocks: &mut Blocks,
        facts: &mut Facts,
        offset: u64,
        block_type: u32,
        stated: u32,
    ) -> Result<(), End> {
        let before_options = if block_type == INTERFACE { 8 } else { 12 };
        let block = self.whole(blocks, offset, stated, FRAME + before_options)?;
        let body = blocks.ahead().get(8..block.length - 4).unwrap_or_default();
        if block_type == STATISTICS {
            section::statistics(facts, &mut self.totals, &mut self.interfaces, body, self.order);
        } else if self.interfaces.len() < MOST_INTERFACES {
            self.interfaces.push(section::interface(facts, body, self.order));
        } else {
            return Err(block.damaged(format!("a section has more than {MOST_INTERFACES} interfaces")));
        }
        blocks.take(block.length);
        Ok(())
    }

    /// Passes over a block of another type, however long it is.
    #[cold]
    fn skip(
        &mut self,
        blocks: &mut Blocks,
        facts: &mut Facts,
        offset: u64,
        block_type: u32,
        stated: u32,
    ) -> Result<(), End> {
        let length = u64::from(stated).next_multiple_of(4);
        if length < FRAME as u64 {
            let why =
                format!("a block of type {block_type:#x} states an impossible length of {stated} bytes");
            return Err(End::Damaged { offset, why });
        }
        let behind = blocks.discard(length - 4).and_then(|()| blocks.fill(4));
        if behind.is_err() {
            return Err(blocks.end(offset, "a block"));
        }
        let again = self.order.u32(blocks.ahead(), 0);
        Self::check_trailer(Block { offset, length: 0 }, stated, again)?;
        blocks.take(4);
        facts.skipped(block_type);
        if is_numbered(block_type) {
            self.number += 1;
            facts.records_without_packet += 1;
        }
        Ok(())
    }
}

/// Whether Wireshark gives the block a frame number though it holds no packet: systemd journal entries, custom
/// blocks (to be copied or not), Sysdig events (checked with tshark 4.0).
pub(super) const fn is_numbered(block_type: u32) -> bool {
    matches!(block_type, 0x9 | 0xbad | 0x4000_0bad | 0x204 | 0x216 | 0x221)
}

/// The byte order that the beginning of a section header states.
pub(super) fn byte_order(head: &[u8]) -> Option<ByteOrder> {
    match head.get(8..12)? {
        b"\x1a\x2b\x3c\x4d" => Some(ByteOrder::Big),
        b"\x4d\x3c\x2b\x1a" => Some(ByteOrder::Little),
        _ => None,
    }
}

/// Reads the options of a packet: its comments, and how many packets were lost before it.
#[cold]
fn packet_options(facts: &mut Facts, number: u64, options: &[u8], order: ByteOrder) -> Option<u64> {
    let mut dropped = None;
    for (code, value) in Options::new(options, order) {
        match code {
            COMMENT => facts.comment(Some(number), value),
            4 if value.len() >= 8 => dropped = Some(order.u64(value, 0)),
            _ => {}
        }
    }
    dropped
}
