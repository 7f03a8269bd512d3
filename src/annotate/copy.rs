//! The copy: packets as they were, comments added.

use std::io::{self, Write};
use std::path::Path;

use super::Comments;
use crate::capture::raw::{self, Kind, Pieces, SECTION_OPTIONS, SIMPLE_DATA};
use crate::capture::write::{BlockOption, PcapngWriter, with_comments};
use crate::capture::{self, ByteOrder, End, Facts, FileSource, Frame, Resolution, Source};

/// Bytes gathered before they are written out.
const GATHERED: usize = 1 << 16;

/// What a copy holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Packets.
    pub packets: u64,
    /// Those of them with a comment of ours.
    pub commented: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The capture cannot be read, or not a second time.
    #[error(transparent)]
    Input(#[from] capture::Error),
    /// The copy cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Which packets an kept keeps.
pub type Keep<'a> = &'a mut dyn FnMut(&Frame<'_>) -> bool;

/// Writes the capture at `path` as pcapng with comments, up to where `read` says that reading it ended.
///
/// Blocks of a pcapng file stay byte for byte, but for what a comment is added to, and for the length of a section,
/// which is then left open. With `keep`, only the packets that it wants are written, and of the blocks that hold no
/// packet only sections, interfaces and their statistics: names, secrets and logs may tell of others.
///
/// # Errors
/// Where the capture cannot be read again, or the copy not be written.
pub fn copy(
    path: &Path,
    read: &Facts,
    comments: &Comments,
    keep: Option<Keep<'_>>,
    out: &mut dyn Write,
) -> Result<Copied, Error> {
    let until = match read.ended {
        End::Truncated { offset, .. } | End::Damaged { offset, .. } | End::Io { offset, .. } => Some(offset),
        End::Open | End::Complete => None,
    };
    let mut copy = Copy { comments, out, done: Copied::default() };
    match raw::open_path(path, until)? {
        Some(pieces) => {
            let kept = keep.map(|keep| Ok::<_, capture::Error>(Kept::new(capture::open_path(path)?, keep)));
            copy.pcapng(pieces, kept.transpose()?)?;
        }
        None => copy.pcap(capture::open_path(path)?, read.frames, keep)?,
    }
    Ok(copy.done)
}

struct Copy<'a> {
    comments: &'a Comments,
    out: &'a mut dyn Write,
    done: Copied,
}

impl Copy<'_> {
    /// The comments on a packet that is written.
    fn count(&mut self, frame: u64) -> Vec<String> {
        let comments = self.comments.on(frame);
        self.done.packets += 1;
        self.done.commented += u64::from(!comments.is_empty());
        comments
    }

    /// Classic pcap: one section, one interface in the units of the file, and a block for each record.
    fn pcap(&mut self, mut source: FileSource, frames: u64, mut keep: Option<Keep<'_>>) -> io::Result<()> {
        let tool = concat!("pinchpoint ", env!("CARGO_PKG_VERSION"));
        let header = [BlockOption::comment(&self.comments.section), BlockOption::bytes(4, tool)];
        let mut writer = PcapngWriter::with(ByteOrder::Little, &header);
        let Some(interface) = source.facts().interfaces.first() else { return Ok(()) };
        let resolution = interface.resolution;
        let mut options = Vec::new();
        if resolution == Resolution::NANOSECONDS {
            options.push(BlockOption::tsresol(9));
        }
        options.extend(interface.fcs_len.map(|n| BlockOption::bytes(13, [n])));
        writer.interface(interface.link_type, interface.snaplen, &options);
        while let Some(frame) = source.next_frame().filter(|f| f.number <= frames) {
            if keep.as_mut().is_some_and(|keep| !keep(&frame)) {
                continue;
            }
            let comments: Vec<BlockOption> =
                self.count(frame.number).iter().map(|c| BlockOption::comment(c)).collect();
            writer.packet(0, resolution.ticks(frame.at, 0), frame.data, frame.wire_len, &comments);
            if writer.len() >= GATHERED {
                writer.drain(&mut self.out)?;
            }
        }
        writer.drain(&mut self.out)
    }

    fn pcapng(&mut self, mut pieces: Pieces, mut kept: Option<Kept<'_>>) -> io::Result<()> {
        let mut changed = Vec::new();
        let mut sections = 0u64;
        while let Some(piece) = pieces.next_piece() {
            changed.clear();
            let wanted = |kept: &mut Option<Kept<'_>>, frame| kept.as_mut().is_none_or(|e| e.wants(frame));
            match piece.kind {
                Kind::Section => {
                    sections += 1;
                    let comment =
                        if sections == 1 { std::slice::from_ref(&self.comments.section) } else { &[] };
                    with_comments(piece.bytes, SECTION_OPTIONS, piece.order, comment, &mut changed);
                    if let Some(length) = changed.get_mut(16..24) {
                        length.fill(0xff); // "not specified": it will be another
                    }
                    self.out.write_all(&changed)?;
                }
                Kind::Packet { frame, options } if wanted(&mut kept, frame) => {
                    let comments = self.count(frame);
                    if comments.is_empty() {
                        self.out.write_all(piece.bytes)?;
                    } else {
                        with_comments(piece.bytes, options, piece.order, &comments, &mut changed);
                        self.out.write_all(&changed)?;
                    }
                }
                Kind::SimplePacket { frame, captured, wire_len, ticks } if wanted(&mut kept, frame) => {
                    let comments = self.count(frame);
                    let data = piece.bytes.get(SIMPLE_DATA..SIMPLE_DATA + captured).unwrap_or_default();
                    if comments.is_empty() {
                        self.out.write_all(piece.bytes)?;
                    } else {
                        let comments: Vec<BlockOption> =
                            comments.iter().map(|c| BlockOption::comment(&format!("{c}{NO_TIME}"))).collect();
                        let mut writer = PcapngWriter::within(piece.order);
                        writer.packet(0, ticks, data, wire_len, &comments);
                        writer.drain(&mut self.out)?;
                    }
                }
                Kind::Packet { .. } | Kind::SimplePacket { .. } => {}
                Kind::Other if kept.is_some() => {}
                Kind::Interface | Kind::Statistics | Kind::Other => self.out.write_all(piece.bytes)?,
            }
        }
        Ok(())
    }
}

/// What is said of a packet whose block had room neither for a time nor for a comment.
const NO_TIME: &str =
    " (The capture has no time for this packet; the one shown is that of the packet before it.)";

/// The packets that are kept, asked for in the order of their frame numbers.
struct Kept<'a> {
    source: FileSource,
    keep: Keep<'a>,
    /// The last frame looked at, and whether it is wanted.
    last: (u64, bool),
}

impl<'a> Kept<'a> {
    const fn new(source: FileSource, keep: Keep<'a>) -> Self {
        Self { source, keep, last: (0, false) }
    }

    /// Whether a frame is wanted; one that no reader gives is not.
    fn wants(&mut self, frame: u64) -> bool {
        while self.last.0 < frame {
            let Some(next) = self.source.next_frame() else { return false };
            self.last = (next.number, next.number == frame && (self.keep)(&next));
        }
        self.last.0 == frame && self.last.1
    }
}
