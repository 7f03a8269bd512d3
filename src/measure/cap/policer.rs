//! The policer fit: the bucket under which the losses are least surprising.
//!
//! The search is coarse over merged packets first, then fine around the few best over all packets.

use super::bucket::{Bucket, Replay, chance, replay};
use super::series::Packet;

/// A bucket fitted to packets.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicerFit {
    /// The bucket.
    pub bucket: Bucket,
    /// Its replay.
    pub replay: Replay,
    /// How much better it predicts the losses than chance does, in natural logarithms.
    pub gain: f64,
    /// Bytes within which its guesses are not counted.
    pub slack: f64,
    /// The rates that explain the losses about as well, bytes a second.
    pub interval: [f64; 2],
    /// The gain in the first half of the losses, and in the second.
    pub by_halves: [f64; 2],
}

/// Losses below which nothing is fitted.
pub const FEWEST_LOSSES: usize = 8;

/// Seconds without a packet after which a sender is idle: the rest of such a pause tells nothing of the rate.
const IDLE: f64 = 1.0;

/// How exact a bucket's clock and the times of the capture are, from best to worst, in packets and in seconds.
const SLACKS: [(f64, f64); 2] = [(0.5, 0.0), (2.0, 0.001)];

/// The most merged packets that the coarse search replays.
const COARSE: usize = 3000;

/// Rates that the coarse search tries: from a little below what passed between losses to five times that, as idle
/// times may have let the bucket overflow.
const RATES: i32 = 80;
/// The step between them.
const RATE_STEP: f64 = 1.02;

/// Packets up to which the coarse search is fine enough to say that there is nothing.
const SHORT: usize = 2000;
/// The gain over chance below which the coarse search ends it.
const HOPELESS: f64 = -8.0;

/// How many of the coarse search's best are looked at closely.
const SEEDS: usize = 6;

/// Fits a bucket; `None` where there are too few losses to say anything.
pub fn fit(packets: &[Packet]) -> Option<PolicerFit> {
    let first = packets.iter().position(|p| p.lost)?;
    let last = packets.iter().rposition(|p| p.lost)?;
    let took: f64 = packets[first..=last].windows(2).map(|w| (w[1].at - w[0].at).min(IDLE)).sum();
    if packets.iter().filter(|p| p.lost).count() < FEWEST_LOSSES || took < 0.02 {
        return None;
    }
    let passed: f64 = packets[first..last].iter().filter(|p| !p.lost).map(|p| f64::from(p.bytes)).sum();
    let base = passed / took;
    if base <= 0.0 {
        return None;
    }
    let largest = packets.iter().map(|p| f64::from(p.bytes)).fold(0.0, f64::max);
    let null = chance(packets);
    let slack = |b: Bucket, (sizes, seconds): (f64, f64)| largest * sizes + b.rate * seconds;
    let replay_of = |b: Bucket, exact| replay(packets, b, slack(b, exact), |_, _| {});
    let score = |b: Bucket, exact| {
        let least = SHALLOWEST * largest.max(slack(b, exact));
        if b.depth < least { f64::NEG_INFINITY } else { replay_of(b, exact).log_likelihood() }
    };
    // what a packet more or less makes of the rate over the whole time
    let grain = largest / (took * base);
    let [exact, wide] = SLACKS;
    let mut starts: Vec<(f64, Bucket)> = Vec::new();
    let mut gathered: Vec<(usize, Bucket)> = Vec::new();
    let merged = merged(packets, usize::MAX);
    let near_base = NEAR.map(|factor| Bucket { rate: base * factor, depth: largest });
    for seed in coarse(packets, base, largest)?.into_iter().chain(near_base) {
        let straight = straighten(packets, seed, largest);
        for bucket in [seed, straight] {
            starts.push((score(bucket, wide).max(score(bucket, exact)), bucket));
            gathered.push(gather(&merged, bucket, grain, largest));
        }
    }
    starts.sort_by(|a, b| b.0.total_cmp(&a.0));
    gathered.sort_by_key(|(most, _)| std::cmp::Reverse(*most));
    let best_scores = apart(starts.into_iter().map(|(_, b)| b));
    let most_losses = apart(gathered.into_iter().map(|(_, b)| b));
    let climbed = best_scores.into_iter().flat_map(|from| {
        let loose = climb(from, grain, &|b| score(b, wide));
        let tight = [from, loose].map(|b| climb(b, grain, &|b| score(b, exact)));
        [(loose, wide), (tight[0], exact), (tight[1], exact)]
    });
    let climbed = climbed.chain(most_losses.into_iter().flat_map(|from| {
        let once = climb(from, grain / 8.0, &|b| score(b, exact));
        let again = climb(once, grain / 8.0, &|b| score(b, exact));
        [(once, exact), (again, exact)]
    }));
    let scored = climbed.map(|(b, exact)| {
        let r = replay_of(b, exact);
        let handicap = if exact == wide { WIDER } else { 0.0 };
        ((r.holds(), score(b, exact) - handicap), b, exact)
    });
    let (_, bucket, exact) = scored.max_by(|a, b| a.0.0.cmp(&b.0.0).then(a.0.1.total_cmp(&b.0.1)))?;
    let best = score(bucket, exact);
    if !best.is_finite() {
        return None;
    }
    let (bucket, mut interval) = plateau(bucket, best, &|b| score(b, exact));
    let slack = slack(bucket, exact);
    let replay = replay(packets, bucket, slack, |_, _| {});
    // between the first loss after a full bucket and the last, one packet more or less is what a rate can be off by
    let blur = largest / longest_emptying(packets, bucket).max(1e-3);
    interval = [(interval[0] - blur).max(bucket.rate * 0.1), interval[1] + blur];
    let by_halves = halves(packets, bucket, slack);
    Some(PolicerFit { bucket, gain: replay.log_likelihood() - null, replay, slack, interval, by_halves })
}

/// The first few that are not near each other.
fn apart(buckets: impl Iterator<Item = Bucket>) -> Vec<Bucket> {
    let mut out: Vec<Bucket> = Vec::new();
    for b in buckets {
        let near = |o: &Bucket| (o.rate / b.rate).ln().abs() < 0.004 && (o.depth / b.depth).ln().abs() < 0.1;
        if out.len() < CLIMBS && !out.iter().any(near) {
            out.push(b);
        }
    }
    out
}

/// How long, at most, the bucket was losing packets without being full in between, in seconds.
fn longest_emptying(packets: &[Packet], b: Bucket) -> f64 {
    let (mut debt, mut then, mut longest) = (0.0f64, 0.0, 0.0f64);
    let mut since: Option<f64> = None;
    for p in packets {
        debt -= b.rate * (p.at - then);
        then = p.at;
        if debt <= 0.0 {
            (debt, since) = (0.0, None);
        }
        if p.lost {
            longest = longest.max(p.at - *since.get_or_insert(p.at));
        } else {
            debt += f64::from(p.bytes);
        }
    }
    longest
}

/// How much better than chance the bucket does before the middle one of the losses, and after it.
fn halves(packets: &[Packet], b: Bucket, slack: f64) -> [f64; 2] {
    let losses = packets.iter().filter(|p| p.lost).count();
    let middle = packets.iter().enumerate().filter(|(_, p)| p.lost).nth(losses / 2).map_or(0, |(i, _)| i);
    let first = replay(&packets[..middle], b, slack, |_, _| {}).log_likelihood() - chance(&packets[..middle]);
    let whole = replay(packets, b, slack, |_, _| {}).log_likelihood() - chance(packets);
    [first, whole - first]
}

/// How much better guesses with the wide slack have to be than with the exact one, which ask more of a bucket: the router's
/// shallow buckets fit both within 11, and only the exact ones have the right rate.
const WIDER: f64 = 15.0;

/// Rates near what passed between the losses, which is the rate where the bucket never overflowed: no grid is fine enough
/// where losses go on for minutes.
const NEAR: [f64; 6] = [0.97, 0.99, 1.0, 1.02, 1.06, 1.15];

/// Full packets that a bucket holds at least, and times what a guess may be off: one that holds fewer is one of pauses between
/// packets, which losses make themselves. Behind losses at random of 3% and more, buckets of 4.8 to 6 kB with a slack of
/// 3.1 kB seem to be (simulated, 14 of 768).
const SHALLOWEST: f64 = 2.0;

/// How many starts the fine search climbs from.
const CLIMBS: usize = 3;

/// Log-likelihood that a rate may lose and still lie in the interval: half of the 95% point of χ² with one degree of
/// freedom (Wilks 1938).
const WITHIN: f64 = 1.92;

/// The rates that do about as well as the best, each with the depth that suits it, and the middle of those that do
/// equally well: where a bucket fills up between bursts, losses bound the rate only loosely.
fn plateau(best: Bucket, top: f64, score: &impl Fn(Bucket) -> f64) -> (Bucket, [f64; 2]) {
    let edge = |up: bool| {
        let (mut same, mut within) = (best, best);
        let mut step = 0.0005f64;
        for _ in 0..12 {
            let factor = if up { 1.0 + step } else { 1.0 / (1.0 + step) };
            let rate = best.rate * factor;
            let depths = [0.97, 1.0, 1.03].map(|d| Bucket { rate, depth: within.depth * d });
            let (s, b) = depths
                .map(|b| (score(b), b))
                .into_iter()
                .fold((f64::NEG_INFINITY, best), |a, b| if b.0 > a.0 { b } else { a });
            if s < top - WITHIN {
                break;
            }
            within = b;
            if s >= top - 0.05 {
                same = b;
            }
            step *= 1.7;
        }
        (same, within)
    };
    let ((low, lowest), (high, highest)) = (edge(false), edge(true));
    let middle = Bucket { rate: (low.rate * high.rate).sqrt(), depth: (low.depth * high.depth).sqrt() };
    let bucket = if score(middle) >= top - WITHIN { middle } else { best };
    (bucket, [lowest.rate, highest.rate])
}

/// The best few buckets, one rate after the other, by packets merged into runs of one outcome; `None` where none of them
/// is better than chance.
///
/// At a given rate the bytes that a bucket has given out and not yet got back follow from the packets alone. Losses
/// of a policer all come where that debt is as large as the bucket is deep: their median is the depth.
fn coarse(packets: &[Packet], base: f64, largest: f64) -> Option<Vec<Bucket>> {
    let merged = merged(packets, COARSE);
    let mut all: Vec<(f64, Bucket)> = Vec::new();
    let mut debts: Vec<f64> = Vec::new();
    for r in 0..RATES {
        let rate = base * 0.9 * RATE_STEP.powi(r);
        let slack = largest * 2.0 + rate * 0.001;
        debts.clear();
        let (mut debt, mut then) = (0.0f64, 0.0);
        for p in &merged {
            debt = (debt - rate * (p.at - then)).max(0.0);
            then = p.at;
            if p.lost {
                debts.push(debt);
            } else {
                debt += f64::from(p.bytes);
            }
        }
        if debts.is_empty() {
            break; // the first loss comes later than the coarse search looks
        }
        debts.sort_unstable_by(f64::total_cmp);
        for part in [10, 50, 90] {
            let depth = debts[(debts.len() - 1) * part / 100] + largest;
            let bucket = Bucket { rate, depth };
            all.push((replay(&merged, bucket, slack, |_, _| {}).log_likelihood(), bucket));
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let hopeless = packets.len() < SHORT && all.first().is_some_and(|(s, _)| s - chance(&merged) < HOPELESS);
    if hopeless {
        return None;
    }
    let mut seeds: Vec<Bucket> = Vec::new();
    for (_, b) in all {
        let near = |s: &Bucket| (s.rate / b.rate).ln().abs() < 0.07 && (s.depth / b.depth).ln().abs() < 0.4;
        if !seeds.iter().any(near) {
            seeds.push(b);
            if seeds.len() == SEEDS {
                break;
            }
        }
    }
    Some(seeds)
}

/// Runs of packets of one outcome within a millisecond, as one packet each.
fn merged(packets: &[Packet], most: usize) -> Vec<Packet> {
    let mut out: Vec<Packet> = Vec::new();
    for p in packets {
        if let Some(run) = out.last_mut()
            && run.lost == p.lost
            && p.at - run.at < 0.001
        {
            run.bytes += if p.lost { 0.0 } else { p.bytes };
        } else if out.len() < most {
            out.push(*p);
        } else {
            break;
        }
    }
    out
}

/// Losses that [`straighten`] compares with each other, all pairs of them.
const COMPARED: usize = 48;

/// Turns the rate until the debt at losses neither grows nor shrinks with the time since the bucket was last full:
/// the slope that is left is the rate's error (Theil and Sen's median of slopes).
fn straighten(packets: &[Packet], from: Bucket, largest: f64) -> Bucket {
    let mut b = from;
    for _ in 0..4 {
        let mut losses: Vec<(f64, f64)> = Vec::new();
        let (mut debt, mut then, mut full) = (0.0f64, 0.0, 0.0);
        for p in packets {
            debt -= b.rate * (p.at - then);
            then = p.at;
            if debt <= 0.0 {
                (debt, full) = (0.0, p.at);
            }
            if p.lost {
                losses.push((p.at - full, debt));
            } else {
                debt += f64::from(p.bytes);
            }
        }
        let step = losses.len().div_ceil(COMPARED).max(1);
        let some: Vec<(f64, f64)> = losses.iter().step_by(step).copied().collect();
        let mut slopes: Vec<f64> = Vec::new();
        for (i, (age, debt)) in some.iter().enumerate() {
            let later = some[i + 1..].iter().filter(|(a, _)| (a - age).abs() > 0.2);
            slopes.extend(later.map(|(a, d)| (d - debt) / (a - age)));
        }
        if slopes.len() < 3 {
            break;
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let slope = slopes[slopes.len() / 2].clamp(-0.3 * b.rate, 0.3 * b.rate);
        let mut depths: Vec<f64> = losses.iter().map(|(age, debt)| debt - slope * age).collect();
        depths.sort_unstable_by(f64::total_cmp);
        b = Bucket { rate: b.rate + slope, depth: (depths[depths.len() / 2] + largest / 2.0).max(largest) };
    }
    b
}

/// Climbs from a bucket to the best near it.
fn climb(from: Bucket, grain: f64, score: &impl Fn(Bucket) -> f64) -> Bucket {
    let mut best = (score(from), from);
    let consider = |b: Bucket, best: &mut (f64, Bucket)| {
        let s = score(b);
        if s > best.0 {
            *best = (s, b);
        }
    };
    for (grains, depth) in [(64.0, 1.1f64), (16.0, 1.04), (4.0, 1.015), (1.0, 1.006)] {
        let around = best.1;
        let rate = 1.0 + (grain * grains).clamp(0.0001, 0.01);
        for n in [-2, -1, 1, 2] {
            consider(Bucket { rate: around.rate * rate.powi(n), ..around }, &mut best);
        }
        let around = best.1;
        for n in [-2, -1, 1, 2] {
            consider(Bucket { depth: around.depth * depth.powi(n), ..around }, &mut best);
        }
    }
    best.1
}

/// How finely [`gather`] looks around a rate, in grains, and at how many rates to each side.
const FINE: f64 = 0.4;
const ASIDE: i32 = 12;

/// Near a bucket, the rate at which most losses lie within one packet of each other, how many, and the depth that lies
/// there: a rate that is a little off spreads them, and no depth is right for all then.
fn gather(packets: &[Packet], around: Bucket, grain: f64, largest: f64) -> (usize, Bucket) {
    let step = (grain * FINE).clamp(0.0001, 0.002);
    // the middle of the rates that do equally well
    let (mut most, mut equal) = (0, Vec::new());
    for n in -ASIDE..=ASIDE {
        let rate = around.rate * (1.0 + step).powi(n);
        let debts = debts(packets, rate);
        let (mut first, mut here, mut depth) = (0, 0, 0.0);
        for (last, debt) in debts.iter().enumerate() {
            while debt - debts[first] > largest {
                first += 1;
            }
            if last + 1 - first > here && *debt > largest {
                (here, depth) = (last + 1 - first, f64::midpoint(*debt, debts[first]) + largest);
            }
        }
        if here > most {
            (most, equal) = (here, Vec::new());
        }
        if here == most && here > 0 {
            equal.push(Bucket { rate, depth });
        }
    }
    (most, equal.get(equal.len() / 2).copied().unwrap_or(around))
}

/// What a bucket of this rate has given out and not yet got back when packets are lost, in order.
fn debts(packets: &[Packet], rate: f64) -> Vec<f64> {
    let (mut debt, mut then) = (0.0f64, 0.0);
    let mut debts = Vec::new();
    for p in packets {
        debt = (debt - rate * (p.at - then)).max(0.0);
        then = p.at;
        if p.lost {
            debts.push(debt);
        } else {
            debt += f64::from(p.bytes);
        }
    }
    debts.sort_unstable_by(f64::total_cmp);
    debts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts of `burst` full packets every `every` seconds into a bucket; packets between are lost at random if `lost` says so.
    fn bursts(
        n: usize,
        burst: usize,
        every: f64,
        bucket: Option<Bucket>,
        mut lost: impl FnMut(usize) -> bool,
    ) -> Vec<Packet> {
        let (mut tokens, mut then) = (bucket.map_or(0.0, |b| b.depth), 0.0);
        (0..n)
            .map(|i| {
                #[allow(clippy::cast_precision_loss)] // a few packets
                let at = (i / burst) as f64 * every + (i % burst) as f64 * 1e-4;
                let dropped = bucket.is_some_and(|b| {
                    tokens = (tokens + b.rate * (at - then)).min(b.depth);
                    then = at;
                    let out = tokens < 1500.0;
                    tokens -= if out { 0.0 } else { 1500.0 };
                    out
                });
                let lost = dropped || lost(i);
                Packet { at, bytes: 1500.0, delay: 0.05, frame: 0, lost, window_full: false, alone: false }
            })
            .collect()
    }

    #[test]
    fn a_bucket_is_found_again() {
        for (rate, depth) in [(62_500.0, 16_000.0), (250_000.0, 40_000.0), (1_250_000.0, 150_000.0)] {
            let bucket = Bucket { rate, depth };
            // a tenth more than it lets through, in bursts that never let it fill up
            let every = 6.0 * 1500.0 / (rate * 1.1);
            let f = fit(&bursts(3000, 6, every, Some(bucket), |_| false)).unwrap();
            assert!((f.bucket.rate / rate - 1.0).abs() < 0.01, "{bucket:?}: {:?}", f.bucket);
            assert!((f.bucket.depth / depth).ln().abs() < 0.2, "{bucket:?}: {:?}", f.bucket);
            assert!(f.interval[0] <= rate && rate <= f.interval[1], "{bucket:?}: {:?}", f.interval);
            assert!(f.gain > 100.0 && f.replay.holds());
        }
    }

    #[test]
    fn losses_at_random_are_no_bucket() {
        for seed in 1..20u64 {
            let mut state = seed;
            let random = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33 < (1 << 31) / 30
            };
            let f = fit(&bursts(3000, 12, 0.05, None, random));
            assert!(f.is_none_or(|f| f.gain < 10.0), "seed {seed}");
        }
    }

    #[test]
    fn nothing_to_say_is_none() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&bursts(500, 10, 0.1, None, |i| i % 100 == 0)), None, "five losses");
        assert_eq!(fit(&bursts(500, 500, 0.1, None, |_| true)), None, "nothing passed");
    }
}
