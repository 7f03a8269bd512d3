//! Random numbers that a seed decides.

use crate::base::Span;

/// Small, seeded, and the same on every machine (`SplitMix64`).
#[derive(Clone, Copy, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that begins with `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to below `high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next_u64() % (high - low).max(1)
    }

    /// The same, as a byte.
    pub fn byte(&mut self, low: u8, high: u8) -> u8 {
        u8::try_from(self.range(low.into(), high.into())).unwrap_or(low)
    }

    /// Any 16 bits but 0.
    pub fn word(&mut self) -> u16 {
        u16::try_from(self.next_u64() & 0xffff).unwrap_or(1).max(1)
    }

    /// A span from `low` to below `high` milliseconds, to the nanosecond.
    pub fn ms(&mut self, low: u64, high: u64) -> Span {
        Span::from_ns(i64::try_from(self.range(low * 1_000_000, high * 1_000_000)).unwrap_or(0))
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        let bits = u32::try_from(self.next_u64() >> 32).unwrap_or(0);
        f64::from(bits) / 4_294_967_296.0
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// An exponentially distributed number with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Another generator, which this one seeds.
    pub fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}
