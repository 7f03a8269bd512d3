//! A plateau: a rate that a direction kept. A measure, and no cause: a box that caps does this, and so do a slow link, a sender
//! that paces, a window, and a video that is fetched as fast as it plays.
//!
//! It is all that can be read of QUIC, whose packet numbers and acknowledgments are encrypted (RFC 9001 §5.4): no losses, no
//! round trips.

use std::collections::VecDeque;

use crate::base::{Span, Timestamp};
use crate::flow::volume::Volume;

/// A rate that a direction kept for most of what it carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// Bits a second, headers of IP and UDP included.
    pub rate_bps: f64,
    /// When it began, to the width of a bin.
    pub started: Timestamp,
    /// How long it lasted.
    pub duration: Span,
    /// The share of the direction's bytes that it carried.
    pub share: f64,
}

/// Bytes that stretches have on average: forty full packets, so that one more or less is a fortieth.
const STRETCH: u64 = 60_000;

/// How much more the largest stretch of a plateau may have than the smallest. Behind a link or shaper of the simulated path, and two
/// packets in forty more or less, they differ by a tenth; a window that grows or a video in pieces by a factor.
const EVEN: f64 = 1.25;

/// The fewest stretches, and the shortest time: a round trip is not taken for one.
const FEWEST: usize = 10;
const SHORTEST: Span = Span::from_secs(2);

/// The least share of all bytes.
const MOST_OF_IT: f64 = 0.5;

/// The longest plateau of a direction, if it has one.
#[allow(clippy::cast_precision_loss)] // bytes of a flow
pub fn plateau(v: &Volume) -> Option<Plateau> {
    let total: u64 = v.bins().iter().map(|b| u64::from(*b)).sum();
    let mean = total / (v.bins().len() as u64).max(1);
    let joined = usize::try_from(STRETCH.div_ceil(mean.max(1))).ok()?;
    let stretches: Vec<u64> =
        v.bins().chunks_exact(joined).map(|c| c.iter().map(|b| u64::from(*b)).sum()).collect();
    let (from, to) = longest(&stretches);
    let bytes: u64 = stretches[from..to].iter().sum();
    let width = Span::from_ns(v.width().ns().saturating_mul(i64::try_from(joined).ok()?));
    let after = |n: usize| Some(Span::from_ns(width.ns().saturating_mul(i64::try_from(n).ok()?)));
    let (started, duration) = (v.start()? + after(from)?, after(to - from)?);
    let share = bytes as f64 / total as f64;
    let is_one = to - from >= FEWEST && duration >= SHORTEST && share >= MOST_OF_IT;
    is_one.then(|| Plateau { rate_bps: bytes as f64 * 8.0 / duration.secs_f64(), started, duration, share })
}

/// The longest run of stretches that are even: the first of equals.
#[allow(clippy::cast_precision_loss)] // bytes of a flow
fn longest(stretches: &[u64]) -> (usize, usize) {
    let (mut from, mut best) = (0, (0, 0));
    // places of what may still be the largest, and the smallest, of the run: falling, and rising
    let (mut largest, mut smallest) = (VecDeque::new(), VecDeque::new());
    for (n, here) in stretches.iter().enumerate() {
        while largest.back().is_some_and(|at: &usize| stretches[*at] <= *here) {
            largest.pop_back();
        }
        while smallest.back().is_some_and(|at: &usize| stretches[*at] >= *here) {
            smallest.pop_back();
        }
        largest.push_back(n);
        smallest.push_back(n);
        let is_even =
            |a: usize, b: usize| stretches[a] as f64 <= stretches[b] as f64 * EVEN && stretches[b] > 0;
        while let (Some(most), Some(least)) = (largest.front(), smallest.front())
            && !is_even(*most, *least)
        {
            from += 1;
            for places in [&mut largest, &mut smallest] {
                if places.front().is_some_and(|at| *at < from) {
                    places.pop_front();
                }
            }
        }
        if n + 1 - from > best.1 - best.0 {
            best = (from, n + 1);
        }
    }
    best
}
