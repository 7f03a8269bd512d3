//! Capture time: nanoseconds since the Unix epoch, as the capture says it, never a clock's.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};

/// Nanoseconds, with one value of the 2⁶⁴ left free, so that an optional span takes no more room than a span: connections
/// have dozens. Stored with the sign turned round, which keeps the order; `i64::MIN` becomes the number after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Ns(NonZeroU64);

const SIGN: u64 = 1 << 63;

impl Ns {
    const fn new(ns: i64) -> Self {
        match NonZeroU64::new(ns.cast_unsigned() ^ SIGN) {
            Some(stored) => Self(stored),
            None => Self(NonZeroU64::MIN),
        }
    }

    const fn get(self) -> i64 {
        (self.0.get() ^ SIGN).cast_signed()
    }
}

impl Default for Ns {
    fn default() -> Self {
        Self::new(0)
    }
}

impl fmt::Debug for Ns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A moment of capture time, in nanoseconds since the Unix epoch (1970-01-01 UTC), between [`Timestamp::FIRST`] and
/// [`Timestamp::LAST`]: so near to each other that no span between two of them overflows.
///
/// Stored as its distance from the moment before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// Nanoseconds from the moment before [`Timestamp::FIRST`] to the epoch.
const EPOCH: i64 = (1 << 62) + 1;

impl Timestamp {
    /// The first moment there is, in 1823; what is before it is taken for it.
    pub const FIRST: Self = Self::from_ns(i64::MIN);
    /// The last, in 2116.
    pub const LAST: Self = Self::from_ns(i64::MAX);

    /// The moment that lies `ns` nanoseconds after the Unix epoch.
    #[inline]
    pub const fn from_ns(ns: i64) -> Self {
        Self::stored(ns.saturating_add(EPOCH))
    }

    #[inline]
    const fn stored(at: i64) -> Self {
        match NonZeroU64::new(at.cast_unsigned()) {
            Some(stored) if at > 0 => Self(stored),
            _ => Self(NonZeroU64::MIN),
        }
    }

    /// Nanoseconds since the Unix epoch.
    #[inline]
    pub const fn ns(self) -> i64 {
        self.0.get().cast_signed() - EPOCH
    }

    /// The span from `earlier` to this moment; negative where the capture's clock went back.
    #[inline]
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_ns(self.0.get().cast_signed() - earlier.0.get().cast_signed()) // both are above 0
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::from_ns(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ns().fmt(f)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds; the bare number of nanoseconds where no calendar reaches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.ns())) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => write!(f, "{} ns", self.ns()),
        }
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self::stored(self.0.get().cast_signed().saturating_add(span.ns()))
    }
}

impl Sub for Timestamp {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        self.since(earlier)
    }
}

/// A signed length of capture time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Ns);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self::from_ns(0);

    /// A span of `ns` nanoseconds.
    pub const fn from_ns(ns: i64) -> Self {
        Self(Ns::new(ns))
    }

    /// A span of `ms` milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Self::from_ns(ms.saturating_mul(1_000_000))
    }

    /// A span of `s` seconds.
    pub const fn from_secs(s: i64) -> Self {
        Self::from_ns(s.saturating_mul(1_000_000_000))
    }

    /// Whole nanoseconds.
    pub const fn ns(self) -> i64 {
        self.0.get()
    }

    /// Seconds, as a float for rates and words.
    #[allow(clippy::cast_precision_loss)] // a rate needs no more than 52 bits
    pub fn secs_f64(self) -> f64 {
        self.ns() as f64 / 1e9
    }

    /// Whether this span is shorter than `fraction` of another; no length overflows.
    pub fn is_under(self, fraction: f64, of: Self) -> bool {
        self.secs_f64() < of.secs_f64() * fraction
    }

    /// The same span without its sign.
    pub const fn abs(self) -> Self {
        Self::from_ns(self.ns().saturating_abs())
    }
}

impl fmt::Display for Span {
    /// Three significant digits in the unit a person would choose: `850 µs`, `42.0 ms`, `3.10 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.secs_f64();
        let (value, unit) = match s.abs() {
            x if x >= 120.0 => (s / 60.0, "min"),
            x if x >= 1.0 => (s, "s"),
            x if x >= 1e-3 => (s * 1e3, "ms"),
            x if x >= 1e-6 => (s * 1e6, "µs"),
            _ => return write!(f, "{} ns", self.ns()),
        };
        let digits = if value.abs() >= 100.0 {
            0
        } else if value.abs() >= 10.0 {
            1
        } else {
            2
        };
        write!(f, "{value:.digits$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc() {
        let t = Timestamp::from_ns(1_708_128_000_123_456_789);
        assert_eq!(t.to_string(), "2024-02-17T00:00:00.123456Z");
        assert_eq!(Timestamp::FIRST.to_string(), "1823-11-12T00:06:21.572612Z");
        assert_eq!(Timestamp::LAST.to_string(), "2116-02-20T23:53:38.427387Z");
    }

    #[test]
    fn spans_choose_their_unit() {
        let shown: Vec<String> = [17, 850_000, 42_000_000, 3_100_000_000, 600_000_000_000]
            .map(|n| Span::from_ns(n).to_string())
            .into();
        assert_eq!(shown, ["17 ns", "850 µs", "42.0 ms", "3.10 s", "10.0 min"]);
    }

    #[test]
    fn clocks_that_go_back_give_negative_spans() {
        let (a, b) = (Timestamp::from_ns(5), Timestamp::from_ns(3));
        assert_eq!((b - a).ns(), -2);
        assert!(
            Span::from_ns(4).is_under(0.5, Span::from_ns(9))
                && !Span::from_ns(i64::MAX).is_under(0.5, Span::from_ns(i64::MAX))
        );
        assert_eq!((Timestamp::LAST - Timestamp::FIRST).ns(), i64::MAX - 1);
        assert_eq!((Timestamp::FIRST - Timestamp::LAST).ns(), 1 - i64::MAX);
        assert_eq!(Timestamp::LAST + Span::from_ns(i64::MAX), Timestamp::LAST);
        assert_eq!(Timestamp::LAST + Span::from_ns(i64::MIN), Timestamp::FIRST);
        assert_eq!(a + Span::from_ns(-7), Timestamp::from_ns(-2));
        assert_eq!(size_of::<Option<Timestamp>>(), 8);
        assert!(
            Timestamp::from_ns(-1) < Timestamp::from_ns(0) && Timestamp::from_ns(0) < Timestamp::from_ns(1)
        );
    }
}
