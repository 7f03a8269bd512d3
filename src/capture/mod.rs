//! Capture files as a stream of frames: classic pcap and pcapng, plain or compressed, without libpcap.
//!
//! The magic number decides what a file is, never its name. Frames are borrowed from the read buffer. A file that is
//! cut or damaged gives every frame before that place, and [`Facts::ended`] says what happened. Frame numbers are
//! Wireshark's, so that every statement about a frame can be checked there.
//!
//! References: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

mod blocks;
mod decompress;
mod error;
mod facts;
mod file;
mod link_type;
mod magic;
mod merge;
mod options;
mod pcap;
mod pcapng;
pub mod raw;
mod resolution;
mod section;
#[cfg(test)]
mod tests;
pub mod write;

pub use error::Error;
pub use facts::{
    ByteOrder, Comment, Compression, Drops, End, Facts, Format, InterfaceFacts, KEPT_BLOCK_TYPES,
    KEPT_COMMENTS, KEPT_INTERFACES, KEPT_LINK_TYPES, KEPT_TEXT,
};
pub use file::{FileSource, open_path, open_reader};
pub use link_type::LinkType;
pub use merge::{Merged, merge};
pub use resolution::Resolution;

use crate::base::Timestamp;
use std::ops::Range;

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number within the capture, from 1 on: Wireshark's `frame.number`.
    pub number: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// Link-layer header type.
    pub link_type: LinkType,
    /// Which file it is from: the index in [`Source::files`]. 0 unless several are merged.
    pub file: u32,
    /// Which interface of that file it is from: the index in [`Facts::interfaces`], which holds only the first ones.
    pub interface: u32,
    /// The bytes captured.
    pub data: &'a [u8],
    /// Length on the wire. Not less than `data.len()` in a sound capture; a damaged one may say anything.
    pub wire_len: u32,
    /// Packets lost between the frame before and this one, where the capture says so (`epb_dropcount`); else 0.
    pub dropped_before: u64,
}

/// Something that gives frames one after the other.
pub trait Source {
    /// The next frame; `None` at the end, for which see [`Facts::ended`].
    fn next_frame(&mut self) -> Option<Frame<'_>>;

    /// What each file says besides its frames, as far as it has been read.
    fn files(&self) -> Vec<&Facts>;

    /// Bytes of the files consumed, before decompression: for a progress bar.
    fn position(&self) -> u64;
}

/// A frame by its place in the read buffer, so that it can be kept without a borrow until the next one is read.
#[derive(Debug)]
struct Located {
    number: u64,
    at: Timestamp,
    link_type: LinkType,
    interface: u32,
    bytes: Range<usize>,
    wire_len: u32,
    dropped_before: u64,
}
