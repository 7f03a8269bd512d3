//! Why a file could not be opened as a capture, in sentences that say what to do.

use super::Compression;
use std::io;

/// Why there is no capture to read.
///
/// Damage found later is no error but [`super::End`], as the frames before it count.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not give the file.
    #[error("it cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// The system gives no bytes of it.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// There are no bytes in it.
    #[error("it is empty (0 bytes); did the capturing program stop before it wrote anything?")]
    Empty,
    /// It begins like a capture but is cut within the header.
    #[error(
        "it begins like {format} but ends after {length} bytes, within the file header; there is nothing to read"
    )]
    CutHeader {
        /// The format its magic number states.
        format: &'static str,
        /// Bytes there are.
        length: usize,
    },
    /// It is a capture in another format.
    #[error("it is {found}, which is not read here; convert it: editcap -F pcap IN OUT")]
    OtherCapture {
        /// The format, with its article.
        found: &'static str,
    },
    /// It is something else, which is known by its first bytes.
    #[error("it is no capture: it is {found}; {advice}")]
    NoCapture {
        /// What it is, with its article.
        found: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// It is nothing known.
    #[error("it is neither pcap nor pcapng: it starts with {start}")]
    Unknown {
        /// Its first bytes in hexadecimal.
        start: String,
    },
    /// Compressed more than once.
    #[error("it is compressed twice ({} within {}); decompress it once first", inner.name(), outer.name())]
    Nested {
        /// Outer compression.
        outer: Compression,
        /// Inner compression.
        inner: Compression,
    },
    /// Compressed, and broken before its first byte comes out.
    #[error("it begins like {} data but cannot be decompressed: {why}", compression.name())]
    Compressed {
        /// The compression its magic number states.
        compression: Compression,
        /// What the decompressor says.
        why: String,
    },
    /// A version of the format that this program does not know.
    #[error("it is {format} version {major}.{minor}, which is not known; convert it: editcap -F pcap IN OUT")]
    Version {
        /// The format.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// The header of the file is damaged.
    #[error("its header is damaged: {why}")]
    Header {
        /// What is wrong.
        why: String,
    },
}
