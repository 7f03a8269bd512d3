//! Streaming decompression, with everything before a cut or a damaged place delivered.

use super::Compression;
use super::blocks::{Failure, Input};
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of compressed input read at once.
const FEED: usize = 128 << 10;
/// The largest zstd window accepted: what `zstd --ultra -22 --long=27` writes, and the limit of `zstd -d` itself.
const LONGEST_ZSTD_WINDOW: u64 = 128 << 20;
/// The memory that an xz stream may ask for, in KiB: twice what `xz -9` needs.
const XZ_MEMORY_KIB: u32 = 160 << 10;

/// The decompressed bytes of `input`, which begins with `prefix`.
pub(crate) fn decompress(compression: Compression, prefix: Vec<u8>, input: Box<dyn Input>) -> Box<dyn Input> {
    let ending = Arc::new(Mutex::new(Ending::default()));
    let feed = Feed { prefix: io::Cursor::new(prefix), input, ending: Arc::clone(&ending) };
    let feed = BufReader::with_capacity(FEED, feed);
    // A decoder that fails forgets what it has written in the same call, hence the small pieces.
    let (decoder, piece): (Box<dyn Read + Send>, usize) = match compression {
        Compression::Gzip => (Box::new(MultiGzDecoder::new(feed)), 16 << 10),
        Compression::Zstd => (Box::new(Zstd::new(feed)), usize::MAX),
        Compression::Xz => (Box::new(XzReader::new_mem_limit(feed, true, XZ_MEMORY_KIB)), 1 << 10),
    };
    Box::new(Decompressor { decoder, piece, ending, compression })
}

/// How the compressed input ended, seen from below the decoder, which tells it less clearly.
#[derive(Default)]
struct Ending {
    /// The decoder asked for more than there is.
    ran_out: bool,
    failure: Option<Failure>,
}

/// The compressed bytes.
struct Feed {
    prefix: io::Cursor<Vec<u8>>,
    input: Box<dyn Input>,
    ending: Arc<Mutex<Ending>>,
}

impl Read for Feed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = Read::read(&mut self.prefix, buf)?;
        if n > 0 || buf.is_empty() {
            return Ok(n);
        }
        let result = self.input.more(buf);
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(0) => ending.ran_out = true,
            Ok(n) => return Ok(n),
            Err(failure) => {
                ending.failure = Some(failure);
                return Err(io::Error::other("the input failed"));
            }
        }
        Ok(0)
    }
}

/// A decoder, its errors told apart.
struct Decompressor {
    decoder: Box<dyn Read + Send>,
    /// Most bytes asked of the decoder at once.
    piece: usize,
    ending: Arc<Mutex<Ending>>,
    compression: Compression,
}

impl Input for Decompressor {
    fn more(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let piece = buf.len().min(self.piece);
        let name = self.compression.name();
        // The decoders are other people's code over hostile bytes; a panic in one is damage in the file. The decoder
        // is not used again after any error.
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match self.decoder.read(&mut buf[..piece]) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    other => return other,
                }
            }
        }));
        let why = match result {
            Ok(Ok(n)) => return Ok(n.min(piece)),
            Ok(Err(e)) => e.to_string(),
            Err(_) => "the decoder gave up".to_owned(),
        };
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        Err(match ending.failure.take() {
            Some(failure) => failure,
            None if ending.ran_out => Failure::Cut(format!("the {name} stream around it")),
            None => Failure::Damaged(format!("the {name} stream around it is damaged: {why}")),
        })
    }
}

/// A reader of all frames of a zstd stream, skippable frames left out.
struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
    within_frame: bool,
    /// The error that ended the stream, kept until what was decoded before it is given out.
    error: Option<io::Error>,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LONGEST_ZSTD_WINDOW);
        Self { source, decoder, within_frame: false, error: None }
    }

    /// Begins the next frame; false at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(e) => return Err(io::Error::other(e)),
            }
        }
    }

    fn decode_block(&mut self) {
        let result = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
        if let Err(e) = result {
            self.error = Some(io::Error::other(e));
            // The decoder holds back one window for blocks to come. An empty last block (RFC 8878 §3.1.1.2, with four
            // bytes for the checksum that may follow) makes it give out what it has.
            let last = [1u8, 0, 0, 0, 0, 0, 0];
            let _ = self.decoder.decode_blocks(&last[..], BlockDecodingStrategy::UptoBlocks(1));
        }
    }

    /// Compares the checksum of a frame, once all of it is given out.
    fn check(&mut self) {
        if let (Some(stated), Some(computed)) =
            (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum())
            && stated != computed
            && self.error.is_none()
        {
            self.error = Some(io::Error::other("the checksum of a frame is wrong"));
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.within_frame {
                if self.decoder.can_collect() > 0 {
                    let n = Read::read(&mut self.decoder, buf)?;
                    if n > 0 || buf.is_empty() {
                        return Ok(n);
                    }
                }
                if self.decoder.is_finished() {
                    self.check();
                    self.within_frame = false;
                } else if self.error.is_none() {
                    self.decode_block();
                    continue;
                }
            }
            if let Some(e) = self.error.take() {
                return Err(e);
            }
            self.within_frame = self.next_frame()?;
            if !self.within_frame {
                return Ok(0);
            }
        }
    }
}
