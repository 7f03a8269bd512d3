//! Options of pcapng blocks: code, length, value, padding to four bytes.

use super::ByteOrder;

/// `opt_endofopt`.
const END: u16 = 0;
/// `opt_comment`.
pub(crate) const COMMENT: u16 = 1;

/// The options in a piece of a block; ends early where they are malformed.
///
/// A malformed list costs only itself: the length of the block is stated apart from it.
pub(crate) struct Options<'a> {
    rest: &'a [u8],
    order: ByteOrder,
}

impl<'a> Options<'a> {
    /// The options in `bytes`.
    pub(crate) const fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { rest: bytes, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_at_checked(4)?;
        let code = self.order.u16(head, 0);
        let length = usize::from(self.order.u16(head, 2));
        if code == END {
            return None;
        }
        let value = rest.get(..length)?;
        // The padding after the last value may be missing without harm.
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_list_ends_quietly() {
        let bytes = [1, 0, 3, 0, b'a', b'b', b'c', 0, 2, 0, 4, 0, 1, 2, 3, 4, 0, 0, 0, 0, 9, 9];
        let all: Vec<_> = Options::new(&bytes, ByteOrder::Little).collect();
        assert_eq!(all, [(1, &b"abc"[..]), (2, &[1, 2, 3, 4])]);
        for cut in 0..bytes.len() {
            let expected = if cut >= 16 { 2 } else { usize::from(cut >= 7) };
            assert_eq!(Options::new(&bytes[..cut], ByteOrder::Little).count(), expected, "{cut}");
        }
    }
}
