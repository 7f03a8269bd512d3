//! A writer of pcapng (draft-ietf-opsawg-pcapng), into a buffer that its owner drains.
//!
//! It writes what it is told, sound or not: what is copied keeps its faults, and a test may want one.

use super::options::{COMMENT, Options};
use super::{ByteOrder, LinkType, raw};
use crate::base::Timestamp;

/// The longest comment that is written, in bytes; an option may have 65,535.
const LONGEST_COMMENT: usize = 16_000;

/// Numbers in a byte order, appended to bytes.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    pub(crate) order: ByteOrder,
    pub(crate) out: Vec<u8>,
}

impl Bytes {
    pub(crate) fn u16(&mut self, n: u16) {
        self.out.extend(if self.order == ByteOrder::Little { n.to_le_bytes() } else { n.to_be_bytes() });
    }

    pub(crate) fn u32(&mut self, n: u32) {
        self.out.extend(if self.order == ByteOrder::Little { n.to_le_bytes() } else { n.to_be_bytes() });
    }

    pub(crate) fn u64(&mut self, n: u64) {
        self.out.extend(if self.order == ByteOrder::Little { n.to_le_bytes() } else { n.to_be_bytes() });
    }

    pub(crate) fn pad(&mut self) {
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }
}

/// An option of a pcapng block: its code and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOption(pub u16, pub OptionValue);

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// Bytes as they are: text, single octets.
    Bytes(Vec<u8>),
    /// A 64-bit number in the byte order of the section.
    U64(u64),
}

impl BlockOption {
    /// `opt_comment`.
    pub fn comment(text: &str) -> Self {
        Self(1, OptionValue::Bytes(text.into()))
    }

    /// An option whose value is text or bytes.
    pub fn bytes(code: u16, value: impl Into<Vec<u8>>) -> Self {
        Self(code, OptionValue::Bytes(value.into()))
    }

    /// An option whose value is a 64-bit number.
    pub const fn number(code: u16, value: u64) -> Self {
        Self(code, OptionValue::U64(value))
    }

    /// `if_tsresol`.
    pub fn tsresol(octet: u8) -> Self {
        Self(9, OptionValue::Bytes(vec![octet]))
    }
}

/// A writer of pcapng.
#[derive(Clone, Debug)]
pub struct PcapngWriter {
    bytes: Bytes,
}

impl PcapngWriter {
    /// A little-endian file that begins with a bare section header.
    pub fn new() -> Self {
        Self::with(ByteOrder::Little, &[])
    }

    /// A file whose first section has the given byte order and options.
    pub fn with(order: ByteOrder, options: &[BlockOption]) -> Self {
        let mut writer = Self { bytes: Bytes { order, out: Vec::new() } };
        writer.section(order, options);
        writer
    }

    /// Blocks of a section that has begun elsewhere.
    pub const fn within(order: ByteOrder) -> Self {
        Self { bytes: Bytes { order, out: Vec::new() } }
    }

    /// Begins a section.
    pub fn section(&mut self, order: ByteOrder, options: &[BlockOption]) -> &mut Self {
        self.bytes.order = order;
        self.block(0x0a0d_0d0a, |body| {
            body.u32(0x1a2b_3c4d);
            body.u16(1);
            body.u16(0);
            body.u64(u64::MAX); // length of the section not given
            write_options(body, options);
        })
    }

    /// Describes the next interface.
    pub fn interface(&mut self, link_type: LinkType, snaplen: u32, options: &[BlockOption]) -> &mut Self {
        self.block(1, |body| {
            body.u16(link_type.0);
            body.u16(0);
            body.u32(snaplen);
            write_options(body, options);
        })
    }

    /// Appends an Enhanced Packet Block with a timestamp in units of the interface.
    pub fn packet(
        &mut self,
        interface: u32,
        ticks: u64,
        data: &[u8],
        wire_len: u32,
        options: &[BlockOption],
    ) -> &mut Self {
        self.block(6, |body| {
            body.u32(interface);
            write_packet(body, ticks, data, wire_len, options);
        })
    }

    /// Appends an Enhanced Packet Block to an interface of microseconds or nanoseconds, captured whole.
    pub fn frame(&mut self, interface: u32, nanoseconds: bool, at: Timestamp, data: &[u8]) -> &mut Self {
        let ticks = at.ns().unsigned_abs() / if nanoseconds { 1 } else { 1000 };
        self.packet(interface, ticks, data, u32::try_from(data.len()).unwrap_or(u32::MAX), &[])
    }

    /// Appends an obsolete Packet Block.
    pub fn obsolete_packet(
        &mut self,
        interface: u16,
        drops: u16,
        ticks: u64,
        data: &[u8],
        wire_len: u32,
    ) -> &mut Self {
        self.block(2, |body| {
            body.u16(interface);
            body.u16(drops);
            write_packet(body, ticks, data, wire_len, &[]);
        })
    }

    /// Appends a Simple Packet Block.
    pub fn simple_packet(&mut self, data: &[u8], wire_len: u32) -> &mut Self {
        self.block(3, |body| {
            body.u32(wire_len);
            body.out.extend_from_slice(data);
            body.pad();
        })
    }

    /// Appends an Interface Statistics Block.
    pub fn statistics(&mut self, interface: u32, options: &[BlockOption]) -> &mut Self {
        self.block(5, |body| {
            body.u32(interface);
            body.u64(0);
            write_options(body, options);
        })
    }

    /// Appends a block of any type.
    pub fn other(&mut self, block_type: u32, body: &[u8]) -> &mut Self {
        self.block(block_type, |out| {
            out.out.extend_from_slice(body);
            out.pad();
        })
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.out.extend_from_slice(bytes);
        self
    }

    fn block(&mut self, block_type: u32, body: impl FnOnce(&mut Bytes)) -> &mut Self {
        let start = self.bytes.out.len();
        self.bytes.u32(block_type);
        self.bytes.u32(0);
        body(&mut self.bytes);
        let length = u32::try_from(self.bytes.out.len() - start + 4).unwrap_or(u32::MAX);
        self.bytes.u32(length);
        let stated = self.bytes.out.split_off(self.bytes.out.len() - 4);
        self.bytes.out[start + 4..start + 8].copy_from_slice(&stated);
        self.bytes.out.extend(stated);
        self
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.out.len()
    }

    /// Whether nothing has been written since the last [`PcapngWriter::drain`].
    pub fn is_empty(&self) -> bool {
        self.bytes.out.is_empty()
    }

    /// Writes out what there is, and goes on with an empty buffer.
    ///
    /// # Errors
    /// What writing gives.
    pub fn drain(&mut self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        out.write_all(&self.bytes.out)?;
        self.bytes.out.clear();
        Ok(())
    }

    /// The file.
    pub fn finish(&self) -> Vec<u8> {
        self.bytes.out.clone()
    }
}

impl Default for PcapngWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// What Enhanced Packet Block and Packet Block have in common.
fn write_packet(body: &mut Bytes, ticks: u64, data: &[u8], wire_len: u32, options: &[BlockOption]) {
    let [high, low] = [ticks >> 32, ticks & 0xffff_ffff].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    body.u32(high);
    body.u32(low);
    body.u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
    body.u32(wire_len);
    body.out.extend_from_slice(data);
    body.pad();
    write_options(body, options);
}

/// Options with the end mark, or nothing at all.
fn write_options(body: &mut Bytes, options: &[BlockOption]) {
    for option in options {
        write_option(body, option);
    }
    if !options.is_empty() {
        body.u32(0);
    }
}

fn write_option(body: &mut Bytes, BlockOption(code, value): &BlockOption) {
    body.u16(*code);
    match value {
        OptionValue::Bytes(bytes) => {
            body.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
            body.out.extend_from_slice(bytes);
            body.pad();
        }
        OptionValue::U64(n) => {
            body.u16(8);
            body.u64(*n);
        }
    }
}

/// Appends to `out` a block with comments added behind its options, which begin at `options`; a comment that is there
/// already is not added again.
///
/// All else stays byte for byte, an unsound list of options too. The block must be whole, as [`super::raw`] gives it.
pub fn with_comments(block: &[u8], options: usize, order: ByteOrder, comments: &[String], out: &mut Vec<u8>) {
    let Some((body, list)) = block.split_last_chunk::<4>().and_then(|(b, _)| b.split_at_checked(options))
    else {
        out.extend_from_slice(block);
        return;
    };
    let (kept, rest) = list.split_at(raw::end_of_options(list, order));
    let is_there =
        |text: &[u8]| Options::new(list, order).any(|(code, value)| code == COMMENT && value == text);
    let mut new = Bytes { order, out: Vec::new() };
    for text in comments.iter().map(|c| cut(c)).filter(|c| !is_there(c.as_bytes())) {
        write_option(&mut new, &BlockOption::comment(text));
    }
    if new.out.is_empty() {
        out.extend_from_slice(block);
        return;
    }
    if rest.is_empty() {
        new.u32(0); // the end mark, which may be left out only where there are no options
    }
    let length = u32::try_from(body.len() + kept.len() + new.out.len() + rest.len() + 4).unwrap_or(u32::MAX);
    let mut length_bytes = Bytes { order, out: Vec::new() };
    length_bytes.u32(length);
    let start = out.len();
    for part in [body, kept, &new.out, rest, &length_bytes.out] {
        out.extend_from_slice(part);
    }
    if let Some(stated) = out.get_mut(start + 4..start + 8) {
        stated.copy_from_slice(&length_bytes.out);
    }
}

/// A comment as long as an option may be.
fn cut(text: &str) -> &str {
    let end = (0..=LONGEST_COMMENT.min(text.len())).rev().find(|n| text.is_char_boundary(*n));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
