//! Writers of capture files, into memory.
//!
//! They write what they are told, sound or not: a test may want a snapshot length that lies.

use std::io::{self, Write};

use crate::base::Timestamp;
use crate::capture::write::Bytes;
pub use crate::capture::write::{BlockOption, OptionValue, PcapngWriter};
use crate::capture::{ByteOrder, LinkType};

/// A writer of classic pcap.
#[derive(Clone, Debug)]
pub struct PcapWriter {
    bytes: Bytes,
    nanoseconds: bool,
    modified: bool,
}

impl PcapWriter {
    /// A little-endian file of microseconds with a snapshot length of 262,144 bytes.
    pub fn new(link_type: LinkType) -> Self {
        Self::with(ByteOrder::Little, false, link_type)
    }

    /// A file of the given byte order and resolution.
    pub fn with(order: ByteOrder, nanoseconds: bool, link_type: LinkType) -> Self {
        let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        Self::with_header(order, magic, (2, 4), 262_144, u32::from(link_type.0))
    }

    /// A file with any header. The magic `a1b23c4d` makes it one of nanoseconds, `a1b2cd34` one with record headers
    /// of 24 bytes.
    pub fn with_header(
        order: ByteOrder,
        magic: u32,
        version: (u16, u16),
        snaplen: u32,
        network: u32,
    ) -> Self {
        let mut bytes = Bytes { order, out: Vec::new() };
        bytes.u32(magic);
        bytes.u16(version.0);
        bytes.u16(version.1);
        bytes.u64(0); // time zone and accuracy, always 0
        bytes.u32(snaplen);
        bytes.u32(network);
        Self { bytes, nanoseconds: magic == 0xa1b2_3c4d, modified: magic == 0xa1b2_cd34 }
    }

    /// Appends a frame that was captured whole. The moment must lie between 1970 and 2106.
    pub fn frame(&mut self, at: Timestamp, data: &[u8]) -> &mut Self {
        self.cut_frame(at, data, u32::try_from(data.len()).unwrap_or(u32::MAX))
    }

    /// Appends a frame of which only `data` was captured.
    pub fn cut_frame(&mut self, at: Timestamp, data: &[u8], wire_len: u32) -> &mut Self {
        let fraction = at.ns().rem_euclid(1_000_000_000) / if self.nanoseconds { 1 } else { 1000 };
        let secs = u32::try_from(at.ns().div_euclid(1_000_000_000)).unwrap_or(u32::MAX);
        let captured = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.record(secs, u32::try_from(fraction).unwrap_or(0), captured, wire_len, data)
    }

    /// Appends a record with any header.
    pub fn record(&mut self, secs: u32, fraction: u32, first: u32, second: u32, data: &[u8]) -> &mut Self {
        for n in [secs, fraction, first, second] {
            self.bytes.u32(n);
        }
        if self.modified {
            self.bytes.u64(0);
        }
        self.bytes.out.extend_from_slice(data);
        self
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.out.len()
    }

    /// Never: there is always a header.
    pub fn is_empty(&self) -> bool {
        self.bytes.out.is_empty()
    }

    /// Moves what was written so far to `out`.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub fn drain(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.bytes.out)?;
        self.bytes.out.clear();
        Ok(())
    }

    /// The file, or what was written since the last [`PcapWriter::drain`].
    pub fn finish(&self) -> Vec<u8> {
        self.bytes.out.clone()
    }
}
