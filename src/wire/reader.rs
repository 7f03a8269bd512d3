//! A cursor over borrowed bytes, in network byte order.
//!
//! A length prefix opens a sub reader ([`Reader::sub`]), so that an inner field cannot run past the outer one.
//! Every method answers `None` instead of reading past the end, and then leaves the cursor where it was.

/// The bytes that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    buffer: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { buffer: bytes }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.buffer.split_at_checked(n)?;
        self.buffer = rest;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.buffer.split_first_chunk::<N>()?;
        self.buffer = rest;
        Some(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[b]| b)
    }

    /// The next two bytes as a number.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes as a number.
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes as a number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of QUIC's variable length, 1 to 8 bytes (RFC 9000 §16).
    pub fn varint(&mut self) -> Option<u64> {
        let len = 1 << (self.buffer.first()? >> 6);
        let bytes = self.take(len)?;
        let first = u64::from(bytes[0] & 0x3f); // at least one byte was taken
        Some(bytes[1..].iter().fold(first, |n, b| n << 8 | u64::from(*b)))
    }

    /// A reader of the next `len` bytes, which this one steps over.
    pub fn sub(&mut self, len: usize) -> Option<Self> {
        self.take(len).map(Self::new)
    }

    /// A reader of the next `len` bytes or of as many as there are, and whether all were there.
    ///
    /// For fields that a snap length, a lost segment or a false length cut short.
    pub fn sub_lax(&mut self, len: usize) -> (Self, bool) {
        let there = len.min(self.buffer.len());
        let (taken, rest) = self.buffer.split_at(there); // `there` is at most the length
        self.buffer = rest;
        (Self::new(taken), there == len)
    }

    /// Everything that is left; nothing is left afterwards.
    pub const fn rest(&mut self) -> &'a [u8] {
        let all = self.buffer;
        self.buffer = &[];
        all
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_network_order() {
        let mut r = Reader::new(&[1, 0, 2, 0, 0, 3, 0, 0, 0, 4, 9, 8, 7]);
        assert_eq!((r.u8(), r.u16(), r.u24(), r.u32()), (Some(1), Some(2), Some(3), Some(4)));
        assert_eq!(r.array::<2>(), Some([9, 8]));
        assert_eq!((r.remaining(), r.rest(), r.is_empty()), (1, &[7][..], true));
    }

    #[test]
    fn a_short_read_leaves_the_cursor() {
        let mut r = Reader::new(&[1, 2]);
        assert_eq!((r.u24(), r.u32(), r.take(3), r.array::<3>()), (None, None, None, None));
        assert!(r.sub(3).is_none());
        assert_eq!(r.u16(), Some(0x0102));
    }

    /// The examples of RFC 9000 §A.1.
    #[test]
    fn numbers_of_variable_length() {
        let read = |b: &[u8]| Reader::new(b).varint();
        assert_eq!(read(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]), Some(151_288_809_941_952_652));
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), Some(494_878_333));
        assert_eq!(
            (read(&[0x7b, 0xbd]), read(&[0x25]), read(&[0x40, 0x25])),
            (Some(15_293), Some(37), Some(37))
        );
        assert_eq!((read(&[]), read(&[0x80, 0, 0])), (None, None));
    }

    #[test]
    fn a_sub_reader_ends_with_its_field() {
        let mut r = Reader::new(&[1, 2, 3]);
        let mut inner = r.sub(2).unwrap();
        assert_eq!((inner.u16(), inner.u8()), (Some(0x0102), None));
        let (lax, whole) = r.sub_lax(9);
        assert_eq!((lax.remaining(), whole, r.remaining()), (1, false, 0));
    }
}
