//! TCP sequence numbers: arithmetic modulo 2³² as RFC 9293 §3.4 has it, and unwrapping to 64 bits.

/// A TCP sequence or acknowledgment number.
///
/// It has no `Ord`: "before" is not transitive on a circle. Compare through [`SeqNum::distance`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// How far `other` lies after this number, between −2³¹ and 2³¹ − 1.
    #[allow(clippy::cast_possible_wrap)] // the wrap is the arithmetic
    pub const fn distance(self, other: Self) -> i32 {
        other.0.wrapping_sub(self.0) as i32
    }

    /// The number `n` further on.
    #[must_use]
    pub const fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// How far `other` lies after this number, its direction's first, unwrapped to 64 bits: of all places that it may have, the one
    /// nearest to the furthest `reached` so far. So a direction may carry any number of gigabytes as long as no single step spans
    /// 2 GiB.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo 2³² is meant
    pub const fn unwrapped(self, other: Self, reached: i64) -> i64 {
        reached + self.plus(reached as u32).distance(other) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distance_wraps() {
        assert_eq!(SeqNum(0xffff_fff0).distance(SeqNum(0x10)), 0x20);
        assert_eq!(SeqNum(0x10).distance(SeqNum(0xffff_fff0)), -0x20);
        assert_eq!(SeqNum(7).plus(u32::MAX), SeqNum(6));
    }

    proptest! {
        /// Truth is a 64-bit offset, of which the wire has only the low 32 bits.
        #[test]
        fn unwrapping_follows_64_bit_truth(isn: u32, steps in prop::collection::vec(-60_000i64..2_000_000_000, 1..60)) {
            let (mut truth, mut furthest) = (0i64, 0i64);
            for step in steps {
                truth = (furthest + step).max(0);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let wire = SeqNum(isn.wrapping_add(truth as u32));
                prop_assert_eq!(SeqNum(isn).unwrapped(wire, furthest), truth);
                furthest = furthest.max(truth);
            }
            let _ = truth;
        }
    }
}
