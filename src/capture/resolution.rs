//! Timestamp units: `if_tsresol` of pcapng, and the two of classic pcap.

use crate::base::Timestamp;
use std::fmt;

/// The unit of an interface's timestamps: one second divided by a power of 10 or of 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// 10⁻ⁿ seconds.
    Decimal(u8),
    /// 2⁻ⁿ seconds.
    Binary(u8),
}

impl Resolution {
    /// Microseconds, which hold "if this option is not present".
    pub const MICROSECONDS: Self = Self::Decimal(6);
    /// Nanoseconds.
    pub const NANOSECONDS: Self = Self::Decimal(9);

    /// The resolution that an `if_tsresol` octet states.
    ///
    /// "If the Most Significant Bit is equal to zero, the remaining bits indicate the resolution of the timestamp as
    /// a negative power of 10 […]. If it is equal to one, […] as a negative power of 2."
    #[must_use]
    pub const fn from_tsresol(octet: u8) -> Self {
        if octet & 0x80 == 0 { Self::Decimal(octet) } else { Self::Binary(octet & 0x7f) }
    }

    /// The moment that lies `ticks` units and `offset_secs` seconds after the Unix epoch, rounded down to a
    /// nanosecond; the nearest moment that a [`Timestamp`] can hold where it lies beyond.
    #[inline]
    #[must_use]
    pub fn timestamp(self, ticks: u64, offset_secs: i64) -> Timestamp {
        // Two cases make up nearly all captures and need no 128-bit division.
        let scale = match self {
            Self::Decimal(6) => 1000,
            Self::Decimal(9) => 1,
            _ => 0,
        };
        match i64::try_from(ticks).ok().and_then(|t| t.checked_mul(scale)) {
            Some(ns) if scale != 0 && offset_secs == 0 => Timestamp::from_ns(ns),
            _ => self.timestamp_of_any(ticks, offset_secs),
        }
    }

    #[cold]
    fn timestamp_of_any(self, ticks: u64, offset_secs: i64) -> Timestamp {
        let ticks = u128::from(ticks);
        let ns = match self {
            // Less than 2⁶⁴ × 10⁹ < 2⁹⁴.
            Self::Decimal(n @ 0..=9) => ticks * 10u128.pow(9 - u32::from(n)),
            Self::Decimal(n @ 10..=28) => ticks / 10u128.pow(u32::from(n) - 9),
            // 2⁶⁴ units of 10⁻²⁹ seconds are less than a nanosecond.
            Self::Decimal(_) => 0,
            Self::Binary(n) => (ticks * 1_000_000_000) >> u32::from(n).min(127),
        };
        let ns = i128::try_from(ns).unwrap_or(i128::MAX / 2) + i128::from(offset_secs) * 1_000_000_000;
        let ns = ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_ns(i64::try_from(ns).unwrap_or(i64::MAX))
    }

    /// The inverse of [`Resolution::timestamp`], rounded down; the nearest number where none stands for the moment.
    #[must_use]
    pub fn ticks(self, at: Timestamp, offset_secs: i64) -> u64 {
        let ns = i128::from(at.ns()) - i128::from(offset_secs) * 1_000_000_000;
        let ns = u128::try_from(ns).unwrap_or(0); // less than 2⁹⁵
        let ticks = match self {
            Self::Decimal(n @ 0..=9) => ns / 10u128.pow(9 - u32::from(n)),
            Self::Decimal(n) => ns.saturating_mul(10u128.saturating_pow(u32::from(n) - 9)),
            Self::Binary(n @ 0..=32) => (ns << n) / 1_000_000_000,
            Self::Binary(n) => ((ns << 32) / 1_000_000_000).saturating_mul(1 << (n - 32).min(63)),
        };
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Decimal(0) | Self::Binary(0) => f.write_str("seconds"),
            Self::Decimal(3) => f.write_str("milliseconds"),
            Self::Decimal(6) => f.write_str("microseconds"),
            Self::Decimal(9) => f.write_str("nanoseconds"),
            Self::Decimal(n) => write!(f, "10^-{n} seconds"),
            Self::Binary(n) => write!(f, "2^-{n} seconds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_octet_is_read_as_the_draft_says() {
        assert_eq!(Resolution::from_tsresol(6), Resolution::MICROSECONDS);
        assert_eq!(Resolution::from_tsresol(0x8a), Resolution::Binary(10));
        assert_eq!(Resolution::Binary(10).timestamp(1024 + 512, 0).ns(), 1_500_000_000);
        assert_eq!(Resolution::Decimal(6).timestamp(5, -100).ns(), -99_999_995_000);
        assert_eq!(Resolution::Decimal(0).timestamp(u64::MAX, i64::MAX), Timestamp::LAST);
        assert_eq!(Resolution::Decimal(127).timestamp(u64::MAX, i64::MIN), Timestamp::FIRST);
    }

    proptest! {
        /// A moment that came out of a number goes back into it, or into one that stands for the same nanosecond.
        #[test]
        fn ticks_are_the_inverse(n in 0u8..=9, binary in any::<bool>(), ticks in 0u64..1 << 33, offset in -1000i64..1000) {
            let octet = if binary { 0x80 | n } else { n };
            let r = Resolution::from_tsresol(octet);
            let at = r.timestamp(ticks, offset);
            if at != Timestamp::LAST && !binary {
                prop_assert_eq!(r.ticks(at, offset), ticks);
            }
        }

        #[test]
        fn no_moment_is_too_odd(octet: u8, at: i64, offset: i64) {
            let _ = Resolution::from_tsresol(octet).ticks(Timestamp::from_ns(at), offset);
        }

        /// Truth is a fraction of whole numbers, compared by cross-multiplication where that fits in 128 bits.
        #[test]
        fn equals_exact_arithmetic(octet: u8, ticks: u64, offset in -10_000_000_000i64..10_000_000_000) {
            let n = u32::from(octet & 0x7f);
            let base: u128 = if octet & 0x80 == 0 { 10 } else { 2 };
            let ns = match base.checked_pow(n) {
                Some(unit) => u128::from(ticks) * 1_000_000_000 / unit,
                None => 0,
            };
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
            let truth = (ns as i128 + i128::from(offset) * 1_000_000_000)
                .clamp(i64::MIN.into(), i64::MAX.into()) as i64;
            prop_assert_eq!(Resolution::from_tsresol(octet).timestamp(ticks, offset), Timestamp::from_ns(truth));
        }
    }
}
