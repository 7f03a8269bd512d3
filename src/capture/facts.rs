//! What a capture file says besides its frames, and how reading it ended.
//!
//! Everything here is bounded: a hostile file may fill it to its limits, never beyond.

use super::LinkType;
use std::collections::BTreeMap;

/// The most comments that are kept; the rest are only counted.
pub const KEPT_COMMENTS: usize = 100;
/// The most interfaces whose description is kept.
pub const KEPT_INTERFACES: usize = 1024;
/// The most distinct block types that are counted one by one.
pub const KEPT_BLOCK_TYPES: usize = 64;
/// The most bytes that are kept of one text.
pub const KEPT_TEXT: usize = 1024;
/// The most link types that are listed.
pub const KEPT_LINK_TYPES: usize = 64;

/// Which end of a number comes first in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// The 16-bit number at `at`, which the caller has checked to lie in `bytes`; 0 where it does not.
    #[inline]
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let Some(&b) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return 0 };
        if self == Self::Little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) }
    }

    /// The 32-bit number at `at`, which the caller has checked to lie in `bytes`; 0 where it does not.
    #[inline]
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let Some(&b) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return 0 };
        if self == Self::Little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) }
    }

    /// The 64-bit number at `at`, which the caller has checked to lie in `bytes`; 0 where it does not.
    #[inline]
    pub(crate) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let Some(&b) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return 0 };
        if self == Self::Little { u64::from_le_bytes(b) } else { u64::from_be_bytes(b) }
    }
}

/// The file format, told by its magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Classic pcap.
    Pcap {
        /// Whether fractions of a second are nanoseconds rather than microseconds.
        nanoseconds: bool,
        /// Byte order of the file.
        order: ByteOrder,
        /// Whether records have the 24-byte header of Kuznetzov's patched libpcap (magic `a1b2cd34`).
        modified: bool,
    },
    /// pcapng; the byte order is that of the first section.
    Pcapng {
        /// Byte order of the first section.
        order: ByteOrder,
    },
}

impl std::fmt::Display for Format {
    /// `pcap, microseconds, little-endian`, or `pcapng, little-endian`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |order| if order == ByteOrder::Little { "little-endian" } else { "big-endian" };
        match *self {
            Self::Pcap { nanoseconds, order, modified } => {
                let fractions = if nanoseconds { "nanoseconds" } else { "microseconds" };
                let kind = if modified { ", Kuznetzov's headers" } else { "" };
                write!(f, "pcap, {fractions}, {}{kind}", name(order))
            }
            Self::Pcapng { order } => write!(f, "pcapng, {}", name(order)),
        }
    }
}

/// The compression that a capture was wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// The `.xz` format.
    Xz,
}

impl Compression {
    /// The name a person knows it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }
}

/// What the capture says of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// Link-layer header type.
    pub link_type: LinkType,
    /// Most bytes captured of each frame; 0 where there was no limit.
    pub snaplen: u32,
    /// Length of the frame check sequence at the end of each frame, in bytes, where the file states it.
    pub fcs_len: Option<u8>,
    /// `if_name`.
    pub name: Option<String>,
    /// `if_description`.
    pub description: Option<String>,
    /// `if_filter`: the capture filter, where it is text.
    pub filter: Option<String>,
    /// `if_os`.
    pub os: Option<String>,
    /// Units of the timestamps.
    pub resolution: super::Resolution,
    /// `if_tsoffset`: seconds added to every timestamp.
    pub offset_secs: i64,
}

/// A comment that somebody left in the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The frame it is on; `None` on a section, an interface or its statistics.
    pub frame: Option<u64>,
    /// The text, cut at [`KEPT_TEXT`] bytes; not safe to print as it is.
    pub text: String,
}

/// Packets that were lost while capturing, as the capture itself says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Sum over interfaces of the latest `isb_ifdrop`: lost by the interface for lack of resources.
    pub by_interface: Option<u64>,
    /// Sum over interfaces of the latest `isb_osdrop`: lost by the operating system.
    pub by_os: Option<u64>,
    /// Sum of `epb_dropcount`: lost between a packet and the one before it.
    pub before_packets: Option<u64>,
}

impl Drops {
    /// The best single number, where there is any.
    ///
    /// Interface statistics and `epb_dropcount` count the same losses, so the larger of the two is taken, never
    /// their sum.
    #[must_use]
    pub fn total(self) -> Option<u64> {
        let statistics = match (self.by_interface, self.by_os) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        statistics.max(self.before_packets)
    }
}

/// How reading ended.
///
/// Offsets count bytes of the capture itself: after decompression, where it was compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Not at the end yet.
    Open,
    /// The file ended where a record ended.
    Complete,
    /// The file ended within a record. Everything before it was read.
    Truncated {
        /// Where the record that is cut begins.
        offset: u64,
        /// What was cut.
        what: String,
    },
    /// The file contradicts itself or its format; nothing after this place can be trusted.
    Damaged {
        /// Where the record in question begins.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// The operating system gave an error.
    Io {
        /// Where the record that could not be read begins.
        offset: u64,
        /// The system's words.
        error: String,
    },
}

/// What a capture says besides its frames, as far as it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// File format.
    pub format: Format,
    /// Compression around it.
    pub compression: Option<Compression>,
    /// The first [`KEPT_INTERFACES`] interfaces in file order; [`super::Frame::interface`] counts through them.
    pub interfaces: Vec<InterfaceFacts>,
    /// Number of interfaces, kept or not.
    pub interface_count: u64,
    /// Link types of the frames read, in order of appearance, at most [`KEPT_LINK_TYPES`].
    pub link_types: Vec<LinkType>,
    /// Frames given out.
    pub frames: u64,
    /// Packets lost while capturing.
    pub dropped: Drops,
    /// Sum over interfaces of the latest `isb_ifrecv`: received while capturing.
    pub received: Option<u64>,
    /// Number of comments, kept or not.
    pub comment_count: u64,
    /// The first [`KEPT_COMMENTS`] comments.
    pub comments: Vec<Comment>,
    /// pcapng sections; 1 for classic pcap.
    pub sections: u64,
    /// Blocks whose type is of no use here, by type; beyond [`KEPT_BLOCK_TYPES`] types only in the sum.
    pub blocks_skipped: BTreeMap<u32, u64>,
    /// Number of blocks skipped, all types.
    pub blocks_skipped_count: u64,
    /// Records that hold no packet but that Wireshark numbers as frames: custom blocks, systemd journal entries and
    /// Sysdig events. Frame numbers leave room for them.
    pub records_without_packet: u64,
    /// `shb_hardware` of the first section that has it.
    pub hardware: Option<String>,
    /// `shb_os` of the first section that has it.
    pub os: Option<String>,
    /// `shb_userappl` of the first section that has it.
    pub application: Option<String>,
    /// Packets without a timestamp (Simple Packet Blocks); they were given the last one seen.
    pub without_timestamp: u64,
    /// Packets that name an interface which the section does not describe. They are numbered and left out.
    pub without_interface: u64,
    /// How reading ended.
    pub ended: End,
}

impl Facts {
    /// Facts of a capture of which only the format is known.
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            compression: None,
            interfaces: Vec::new(),
            interface_count: 0,
            link_types: Vec::new(),
            frames: 0,
            dropped: Drops::default(),
            received: None,
            comment_count: 0,
            comments: Vec::new(),
            sections: 0,
            blocks_skipped: BTreeMap::new(),
            blocks_skipped_count: 0,
            records_without_packet: 0,
            hardware: None,
            os: None,
            application: None,
            without_timestamp: 0,
            without_interface: 0,
            ended: End::Open,
        }
    }

    /// Counts a comment and keeps it if there is room.
    pub(crate) fn comment(&mut self, frame: Option<u64>, text: &[u8]) {
        self.comment_count += 1;
        if self.comments.len() < KEPT_COMMENTS {
            self.comments.push(Comment { frame, text: kept(text) });
        }
    }

    /// Counts an interface and keeps it if there is room.
    pub(crate) fn interface(&mut self, interface: InterfaceFacts) {
        self.interface_count += 1;
        if self.interfaces.len() < KEPT_INTERFACES {
            self.interfaces.push(interface);
        }
    }

    /// Counts a block that is skipped.
    pub(crate) fn skipped(&mut self, block_type: u32) {
        self.blocks_skipped_count += 1;
        if let Some(n) = self.blocks_skipped.get_mut(&block_type) {
            *n += 1;
        } else if self.blocks_skipped.len() < KEPT_BLOCK_TYPES {
            self.blocks_skipped.insert(block_type, 1);
        }
    }

    /// Notes the link type of a frame.
    #[cold]
    pub(crate) fn link_type(&mut self, link_type: LinkType) {
        if self.link_types.len() < KEPT_LINK_TYPES && !self.link_types.contains(&link_type) {
            self.link_types.push(link_type);
        }
    }
}

/// Text of the capture as it is kept: cut, and what is not UTF-8 shown as `\xNN`.
///
/// pcapng strings are "not zero-terminated", but writers add the zero nevertheless.
pub(crate) fn kept(text: &[u8]) -> String {
    let text = &text[..text.len().min(KEPT_TEXT)];
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    crate::base::text::lossless(&text[..end])
}
