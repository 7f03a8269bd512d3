//! The read buffer: records are borrowed from it, never copied one by one.
//!
//! ```text
//!  0            headroom            base (page-aligned)                     capacity
//!  |..............[ head of a record ][ block just read ...................]
//!                 ^ start                                   end ^
//! ```
//!
//! Reads go to `base` in pieces of 256 KiB; the kernel copies whole pages about twice as fast there as to an odd
//! address. What is left of the block before, the head of one record that straddles the two, is moved once, to lie
//! directly before `base`. Each record is moved at most three times (its header, its length and its body may each
//! need a read), so the work is linear however short the reads are.

use super::End;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes read at once: they stay in the second level of the cache until they are looked at.
const BLOCK: usize = 1 << 18;
/// Room for the head of a record; enough for any frame of ordinary length with its options.
const HEADROOM: usize = 320 << 10;
/// Size of a page of memory.
const PAGE: usize = 4096;
/// The longest record that may be asked for. More than that is refused by the format readers before they ask.
pub(crate) const LONGEST_RECORD: usize = (16 << 20) + (1 << 20);

/// Why a reader gave no more bytes, where that was not the plain end of the file.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system gave an error.
    Io(io::Error),
    /// The compressed stream ends within itself.
    Cut(String),
    /// The compressed stream is damaged.
    Damaged(String),
}

/// Something that gives bytes, or says why it cannot.
pub(crate) trait Input: Send {
    /// Reads at least one byte into `buf`; 0 is the end.
    fn more(&mut self, buf: &mut [u8]) -> Result<usize, Failure>;
}

impl<R: Read + Send> Input for R {
    fn more(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match Read::read(self, buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A reader that claims more than it was given room for is broken; believe the room.
                result => return result.map(|n| n.min(buf.len())).map_err(Failure::Io),
            }
        }
    }
}

/// There are fewer bytes than were asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short;

/// The read buffer over an input.
pub(crate) struct Blocks {
    input: Box<dyn Input>,
    buf: Vec<u8>,
    /// Where reads go; `buf[base]` lies at the start of a page.
    base: usize,
    /// First byte not yet consumed. `start <= end`.
    start: usize,
    /// One past the last byte read. `end <= buf.len()`.
    end: usize,
    /// Bytes of the stream before `end`.
    read: u64,
    /// Set once the input has ended; it is not read again.
    ended: bool,
    failure: Option<Failure>,
}

impl Blocks {
    /// A buffer over `input`, of which nothing has been read.
    pub(crate) fn new(input: Box<dyn Input>) -> Self {
        let (buf, base) = aligned(HEADROOM, BLOCK);
        Self { input, buf, base, start: base, end: base, read: 0, ended: false, failure: None }
    }

    /// Bytes of the stream that have been consumed.
    pub(crate) const fn offset(&self) -> u64 {
        self.read - (self.end - self.start) as u64
    }

    /// The bytes that lie in the buffer and are not yet consumed.
    #[inline]
    pub(crate) fn ahead(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Sees to it that at least `n` bytes lie ahead.
    #[inline]
    pub(crate) fn fill(&mut self, n: usize) -> Result<(), Short> {
        if self.end - self.start >= n { Ok(()) } else { self.read_until(n) }
    }

    #[cold]
    fn read_until(&mut self, n: usize) -> Result<(), Short> {
        if self.ended || n > LONGEST_RECORD {
            return Err(Short);
        }
        let left = self.end - self.start;
        if n > self.base.min(self.buf.len() - self.base) {
            let room = n.next_power_of_two();
            let (mut buf, base) = aligned(room, room.max(BLOCK));
            buf[base - left..base].copy_from_slice(&self.buf[self.start..self.end]);
            (self.buf, self.base) = (buf, base);
        } else {
            self.buf.copy_within(self.start..self.end, self.base - left);
        }
        self.start = self.base - left;
        self.end = self.base;
        while self.end - self.start < n {
            // One block at a time even in a grown buffer: it stays in the cache.
            let until = self.buf.len().min(self.end + BLOCK);
            match self.input.more(&mut self.buf[self.end..until]) {
                Ok(0) => {
                    self.ended = true;
                    return Err(Short);
                }
                Ok(got) => {
                    self.end += got;
                    self.read += got as u64;
                }
                Err(failure) => {
                    self.ended = true;
                    self.failure = Some(failure);
                    return Err(Short);
                }
            }
        }
        Ok(())
    }

    /// Consumes `n` bytes that lie ahead and says where they are, until the next call that reads.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Range<usize> {
        let from = self.start;
        self.start = (from + n).min(self.end);
        from..self.start
    }

    /// Bytes that [`Blocks::take`] gave.
    #[inline]
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buf.get(range).unwrap_or_default()
    }

    /// Consumes `n` bytes without keeping them, however many there are.
    pub(crate) fn discard(&mut self, mut n: u64) -> Result<(), Short> {
        loop {
            let step = usize::try_from(n).unwrap_or(usize::MAX).min(self.end - self.start);
            self.start += step;
            n -= step as u64;
            if n == 0 {
                return Ok(());
            }
            self.fill(1)?;
        }
    }

    /// How reading ended, if it did so within the record that begins at `record`.
    #[cold]
    pub(crate) fn end(&mut self, record: u64, what: &str) -> End {
        match self.failure.take() {
            Some(Failure::Io(e)) => End::Io { offset: record, error: e.to_string() },
            Some(Failure::Cut(why)) => End::Truncated { offset: record, what: why },
            Some(Failure::Damaged(why)) => End::Damaged { offset: record, why },
            None if self.read == record => End::Complete,
            None => End::Truncated { offset: record, what: what.to_owned() },
        }
    }

    /// Why the input stopped, where it was not the plain end.
    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What has been read and not consumed, and the input it came from.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Box<dyn Input>, Option<Failure>) {
        (self.ahead().to_vec(), self.input, self.failure)
    }
}

/// A buffer with at least `before` bytes before a page boundary and exactly `after` bytes behind it, and the place of
/// that boundary.
fn aligned(before: usize, after: usize) -> (Vec<u8>, usize) {
    let mut buf = vec![0u8; before + PAGE + after];
    // The result may be `usize::MAX` where alignment cannot be had; the buffer is then merely slower.
    let shift = buf[before..].as_ptr().align_offset(PAGE);
    let base = if shift < PAGE { before + shift } else { before };
    buf.truncate(base + after);
    (buf, base)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the bytes in pieces of the lengths listed, again and again.
    struct Pieces(Vec<u8>, usize, Vec<usize>, usize);

    impl Read for Pieces {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.3 += 1;
            if self.3.is_multiple_of(5) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = self.2[self.3 % self.2.len()].min(buf.len()).min(self.0.len() - self.1);
            buf[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    #[test]
    fn records_of_any_length_come_out_whole() {
        #[allow(clippy::cast_possible_truncation)]
        let bytes: Vec<u8> = (0..9_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for pieces in [vec![usize::MAX], vec![70_001, 5, 1], vec![4096]] {
            let mut blocks = Blocks::new(Box::new(Pieces(bytes.clone(), 0, pieces, 0)));
            assert_eq!(blocks.buf[blocks.base..].as_ptr().align_offset(PAGE), 0);
            let (mut at, mut step) = (0usize, 1usize);
            while at + step <= bytes.len() {
                blocks.fill(step).unwrap();
                let range = blocks.take(step);
                assert!(blocks.bytes(range) == &bytes[at..at + step], "at {at}");
                at += step;
                assert_eq!(blocks.offset(), at as u64);
                step = (step * 3 + 1) % 2_500_000;
            }
            blocks.discard((bytes.len() - at) as u64).unwrap();
            assert!(blocks.discard(1).is_err());
            assert_eq!(blocks.end(bytes.len() as u64, ""), End::Complete);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_without_reading() {
        let mut blocks = Blocks::new(Box::new(io::repeat(7)));
        assert!(blocks.fill(LONGEST_RECORD + 1).is_err());
        assert!(blocks.fill(LONGEST_RECORD).is_ok());
        assert!(blocks.buf.len() < 70 << 20);
    }
}
