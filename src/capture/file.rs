//! One capture file, opened and read.

use super::blocks::{Blocks, Failure};
use super::decompress::decompress;
use super::magic::{self, Kind};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::{Compression, End, Error, Facts, Format, Frame, LinkType, Located, Source};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Opens the capture at `path`.
///
/// # Errors
///
/// Where the file cannot be opened, or is no capture that can be read.
pub fn open_path(path: &Path) -> Result<FileSource, Error> {
    open_reader(Box::new(File::open(path).map_err(Error::Open)?))
}

/// Opens the capture that `reader` gives: a pipe, standard input, bytes in memory.
///
/// # Errors
///
/// Where nothing can be read, or what can is no capture that is known here.
pub fn open_reader(reader: Box<dyn Read + Send>) -> Result<FileSource, Error> {
    let Opened { mut blocks, format, compression, position } = open_blocks(reader)?;
    let mut facts = Facts::new(format);
    facts.compression = compression;
    let reader = match format {
        Format::Pcap { nanoseconds, order, modified } => {
            Reader::Pcap(Pcap::start(&mut blocks, &mut facts, order, nanoseconds, modified)?)
        }
        Format::Pcapng { .. } => Reader::Pcapng(Pcapng::start(&mut blocks, &mut facts)?),
    };
    Ok(FileSource { blocks, reader, facts, position, last_link_type: None })
}

/// A capture whose format is known and of which nothing has been consumed.
pub(super) struct Opened {
    pub(super) blocks: Blocks,
    pub(super) format: Format,
    compression: Option<Compression>,
    position: Arc<AtomicU64>,
}

/// Finds out what `reader` gives, and decompresses it.
pub(super) fn open_blocks(reader: Box<dyn Read + Send>) -> Result<Opened, Error> {
    let position = Arc::new(AtomicU64::new(0));
    let mut blocks = Blocks::new(Box::new(Counted { reader, position: Arc::clone(&position) }));
    let mut compression = None;
    let mut kind = recognise(&mut blocks, None)?;
    if let Kind::Compressed(outer) = kind {
        let (prefix, input, failure) = blocks.into_parts();
        if let Some(Failure::Io(e)) = failure {
            return Err(Error::Read(e));
        }
        blocks = Blocks::new(decompress(outer, prefix, input));
        compression = Some(outer);
        kind = recognise(&mut blocks, compression)?;
    }
    let format = match kind {
        Kind::Capture(format) => format,
        Kind::Compressed(inner) => {
            return Err(Error::Nested { outer: compression.unwrap_or(inner), inner });
        }
    };
    Ok(Opened { blocks, format, compression, position })
}

/// Tells what lies at the start of `blocks`.
fn recognise(blocks: &mut Blocks, compression: Option<Compression>) -> Result<Kind, Error> {
    // Four bytes decide most; more are asked for one step at a time, so that a pipe that has written only its header
    // is not waited for.
    for enough in [4, 24, magic::LOOKED_AT] {
        let short = blocks.fill(enough).is_err();
        let result = magic::recognise(blocks.ahead());
        if result.is_ok() || short {
            return match (result, blocks.failure(), compression) {
                (Ok(kind), ..) => Ok(kind),
                (Err(_), Some(Failure::Io(e)), _) => {
                    Err(Error::Read(io::Error::new(e.kind(), e.to_string())))
                }
                (Err(_), Some(Failure::Cut(why) | Failure::Damaged(why)), Some(compression)) => {
                    Err(Error::Compressed { compression, why: why.clone() })
                }
                (Err(e), ..) => Err(e),
            };
        }
    }
    magic::recognise(blocks.ahead())
}

/// Counts what is read, where the decompressor cannot be asked.
struct Counted {
    reader: Box<dyn Read + Send>,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf)?;
        self.position.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// One capture file.
pub struct FileSource {
    blocks: Blocks,
    reader: Reader,
    facts: Facts,
    position: Arc<AtomicU64>,
    /// Saves looking through the list for every frame.
    last_link_type: Option<LinkType>,
}

/// The reader of each format.
enum Reader {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl FileSource {
    /// What the file says besides its frames, as far as it has been read.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The place of the next frame, valid until this is called again.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> Option<Located> {
        if !matches!(self.facts.ended, End::Open) {
            return None;
        }
        let next = match &mut self.reader {
            Reader::Pcap(reader) => reader.next(&mut self.blocks),
            Reader::Pcapng(reader) => {
                let next = reader.next(&mut self.blocks, &mut self.facts);
                if let Ok(located) = &next
                    && self.last_link_type != Some(located.link_type)
                {
                    self.last_link_type = Some(located.link_type);
                    self.facts.link_type(located.link_type);
                }
                next
            }
        };
        match next {
            Ok(located) => {
                self.facts.frames += 1;
                Some(located)
            }
            Err(end) => {
                self.facts.ended = *end;
                None
            }
        }
    }

    /// The frame at a place that [`FileSource::advance`] gave last.
    #[inline]
    pub(super) fn frame(&self, located: &Located) -> Frame<'_> {
        Frame {
            number: located.number,
            at: located.at,
            link_type: located.link_type,
            file: 0,
            interface: located.interface,
            data: self.blocks.bytes(located.bytes.clone()),
            wire_len: located.wire_len,
            dropped_before: located.dropped_before,
        }
    }
}

impl Source for FileSource {
    #[inline(always)]
    fn next_frame(&mut self) -> Option<Frame<'_>> {
        let located = self.advance()?;
        Some(self.frame(&located))
    }

    fn files(&self) -> Vec<&Facts> {
        vec![&self.facts]
    }

    fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }
}
