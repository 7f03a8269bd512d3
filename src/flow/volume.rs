//! Bytes over time: what a rate is read from where packets tell no more than their sizes.

use crate::base::{Span, Timestamp};

/// The most bins. When time goes on beyond them, pairs are joined, so that the memory of a flow is bounded (1 kB).
pub const MOST_BINS: usize = 256;

/// The width of bins at first: of a flow of 12 s nothing is joined.
const FIRST_WIDTH: Span = Span::from_ms(50);

/// Bytes in bins of one width, from the first packet on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    start: Option<Timestamp>,
    width: Span,
    bins: Vec<u32>,
}

impl Default for Volume {
    fn default() -> Self {
        Self { start: None, width: FIRST_WIDTH, bins: Vec::new() }
    }
}

impl Volume {
    /// Takes a packet; one from before the first counts as if it came with it.
    pub(super) fn push(&mut self, at: Timestamp, bytes: u32) {
        let since = at.since(*self.start.get_or_insert(at)).ns().max(0);
        let bin = loop {
            match usize::try_from(since / self.width.ns()) {
                Ok(bin) if bin < MOST_BINS => break bin,
                _ => self.join(),
            }
        };
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] = self.bins[bin].saturating_add(bytes);
    }

    /// Joins bins in pairs.
    fn join(&mut self) {
        self.width = Span::from_ns(self.width.ns().saturating_mul(2));
        self.bins =
            self.bins.chunks(2).map(|pair| pair.iter().copied().fold(0, u32::saturating_add)).collect();
    }

    /// When its first packet came.
    pub const fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// The width of a bin.
    pub const fn width(&self) -> Span {
        self.width
    }

    /// Bytes in each bin, up to the last that has any.
    pub fn bins(&self) -> &[u32] {
        &self.bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bins_are_joined_when_time_goes_on() {
        let mut v = Volume::default();
        for ms in [1000, 1049, 1050, 1260, 900] {
            v.push(Timestamp::from_ns(ms * 1_000_000), 10);
        }
        assert_eq!((v.width(), v.bins()), (Span::from_ms(50), &[30, 10, 0, 0, 0, 10][..]));
        v.push(Timestamp::from_ns(1_000_000_000 + 256 * 50_000_000), 5);
        assert_eq!((v.width(), v.bins().len()), (Span::from_ms(100), 129));
        assert_eq!(v.bins()[..4], [40, 0, 10, 0]);
    }

    proptest! {
        #[test]
        fn no_time_is_too_far_and_no_byte_is_lost(packets in prop::collection::vec((any::<i64>(), 0u32..9000), 0..200)) {
            let mut v = Volume::default();
            for (at, bytes) in &packets {
                v.push(Timestamp::from_ns(*at), *bytes);
            }
            prop_assert!(v.bins().len() <= MOST_BINS);
            prop_assert_eq!(v.bins().iter().map(|b| u64::from(*b)).sum::<u64>(), packets.iter().map(|p| u64::from(p.1)).sum::<u64>());
        }
    }
}
