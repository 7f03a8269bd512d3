//! The policer fit: the bucket under which the losses are least surprising.
//!
//! The search is coarse over merged packets first, then fine around the few best over all packets.

use std::cmp::Ordering;

use super::bucket::{Bucket, Guess, LANES, Replay, Step, chance, debts, replay, replays, steps};
use super::series::Packet;
use super::steady;

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
    /// Packets that contradict it where nothing sets it right, as a share of the losses (see [`steady`]).
    pub astray: f64,
}

/// Losses below which nothing is fitted.
pub const FEWEST_LOSSES: usize = 8;

/// Seconds without a packet after which a sender is idle: the rest of such a pause tells nothing of the rate.
const IDLE: f64 = 1.0;

/// How exact a bucket's clock and the times of the capture are, in packets and in seconds: at best, and at worst.
#[derive(Clone, Copy, PartialEq)]
struct Exactness(f64, f64);
const EXACT: Exactness = Exactness(0.5, 0.0);
const WIDE: Exactness = Exactness(2.0, 0.001);

/// Packets and losses within which a bucket is searched for; a longer transfer only says more exactly which it was.
const SEARCHED: (usize, usize) = (5000, 200);

/// Packets within this time that had one outcome are one to the coarse search, and the most that it replays.
const APART: f64 = 0.001;
const COARSE: usize = 3000;

/// Rates that the coarse search tries, and the step between them: from a little below what passed between losses to five
/// times that, as idle times may have let the bucket overflow. The second search sees single packets, as a bucket that
/// holds only a few is another one where they are merged.
const RATES: [(i32, f64); 2] = [(80, 1.02), (24, 1.07)];

/// How many of each coarse search's best are looked at closely.
const SEEDS: [usize; 2] = [6, 3];

/// What a replay amounts to.
#[derive(Clone, Copy)]
struct Score {
    likelihood: f64,
    holds: bool,
}

impl Score {
    const NONE: Self = Self { likelihood: f64::NEG_INFINITY, holds: false };
}

/// The packets that a bucket is searched in.
struct Search {
    steps: Vec<Step>,
    /// Bytes of the largest packet.
    largest: f64,
}

impl Search {
    fn guess(&self, bucket: Bucket, Exactness(sizes, seconds): Exactness) -> Guess {
        Guess { bucket, slack: self.largest * sizes + bucket.rate * seconds }
    }

    /// How well each foretells the losses, and whether it is a policer's.
    fn scores(&self, buckets: &[(Bucket, Exactness)]) -> Vec<Score> {
        let guesses: Vec<Guess> = buckets.iter().map(|(b, exact)| self.guess(*b, *exact)).collect();
        let deep = |g: &Guess| g.bucket.depth >= (SHALLOWEST * self.largest).max(VAGUEST * g.slack);
        let replays = replays(&self.steps, &guesses);
        let score = |(g, r): (&Guess, Replay)| {
            if deep(g) { Score { likelihood: r.log_likelihood(), holds: r.holds() } } else { Score::NONE }
        };
        guesses.iter().zip(replays).map(score).collect()
    }

    fn chance(&self) -> f64 {
        chance(self.steps.iter().map(|s| s.lost))
    }
}

/// Fits a bucket; `None` where there are too few losses to say anything.
pub fn fit(packets: &[Packet]) -> Option<PolicerFit> {
    let losses: Vec<usize> = (0..packets.len()).filter(|i| packets[*i].lost).collect();
    let (first, last) = (*losses.first()?, *losses.last()?);
    let largest = packets.iter().map(|p| f64::from(p.bytes)).fold(0.0, f64::max);
    if losses.len() < FEWEST_LOSSES || took(&packets[first..=last]) < 0.02 {
        return None;
    }
    let (least, enough) = SEARCHED;
    let some = losses.get(enough).map_or(packets.len(), |i| (*i).max(least).min(packets.len()));
    let search = Search { steps: steps(&packets[..some], 0.0), largest };
    let (bucket, exact) = find(&packets[..some], &search)?;
    let whole = Search { steps: steps(packets, 0.0), largest };
    let mut at = Climber { at: bucket, exact, grain: 0.0, score: whole.scores(&[(bucket, exact)])[0] };
    if some < packets.len() {
        at.grain = largest / passed_between(packets).max(1.0);
        let mut one = vec![at];
        climb(&whole, &mut one, [1; 4]);
        at = one[0];
    }
    if !at.score.likelihood.is_finite() {
        return None;
    }
    let (mut bucket, mut interval) = plateau(&whole, at);
    if interval[1] > interval[0] * LOOSE {
        let mut middle = across(&search, at, interval);
        middle.score = whole.scores(&[(middle.at, exact)])[0];
        if middle.score.likelihood >= at.score.likelihood - WITHIN && middle.score.holds == at.score.holds {
            (bucket, interval) = (middle.at, plateau(&whole, middle).1);
        }
    }
    let guess = whole.guess(bucket, exact);
    let replay = replay(&whole.steps, guess);
    // between the first loss after a full bucket and the last, one packet more or less is what a rate can be off by
    let blur = largest / longest_emptying(packets, bucket).max(1e-3);
    interval = [(interval[0] - blur).max(bucket.rate * 0.1), interval[1] + blur];
    let gain = replay.log_likelihood() - whole.chance();
    let turned = straighten(&whole.steps, &[bucket], largest).into_iter().map(|b| b.rate);
    let near: Vec<f64> = turned.chain([bucket.rate]).collect();
    let steady = steady::fit(&whole.steps, largest, &near)?;
    if steady.holds() {
        (bucket, interval) = (steady.bucket, steady.interval);
    }
    let astray = steady.astray;
    let by_halves = halves(&whole.steps, guess, losses[losses.len() / 2], gain);
    Some(PolicerFit { bucket, gain, replay, slack: guess.slack, interval, by_halves, astray })
}

/// Seconds from the first to the last, without idle times.
fn took(packets: &[Packet]) -> f64 {
    packets.windows(2).map(|w| (w[1].at - w[0].at).min(IDLE)).sum()
}

/// Bytes that passed between the first loss and the last.
fn passed_between(packets: &[Packet]) -> f64 {
    let first = packets.iter().position(|p| p.lost).unwrap_or_default();
    let last = packets.iter().rposition(|p| p.lost).unwrap_or_default();
    packets[first..last].iter().filter(|p| !p.lost).map(|p| f64::from(p.bytes)).sum()
}

/// The best bucket, and how exact it is.
fn find(packets: &[Packet], search: &Search) -> Option<(Bucket, Exactness)> {
    let first = packets.iter().position(|p| p.lost)?;
    let last = packets.iter().rposition(|p| p.lost)?;
    let (largest, passed) = (search.largest, passed_between(packets));
    if passed <= 0.0 {
        return None;
    }
    let base = passed / took(&packets[first..=last]).max(1e-3);
    // what a packet more or less makes of the rate over the whole time
    let grain = largest / passed;
    let merged = steps(packets, APART);
    let mut seeds = coarse(&merged[..merged.len().min(COARSE)], base, largest, RATES[0], WIDE);
    let single = coarse(&search.steps[..search.steps.len().min(COARSE)], base, largest, RATES[1], EXACT);
    seeds.extend(single.into_iter().take(SEEDS[1]));
    let mut seeds: Vec<Bucket> = seeds.into_iter().map(|(_, b)| b).collect();
    seeds.extend(NEAR.map(|factor| Bucket { rate: base * factor, depth: largest }));
    let straight = straighten(&search.steps, &seeds, largest);
    seeds.extend(straight);
    let both: Vec<(Bucket, Exactness)> = seeds.iter().flat_map(|b| [(*b, WIDE), (*b, EXACT)]).collect();
    let scores = search.scores(&both);
    let mut starts: Vec<(f64, Bucket)> =
        seeds.iter().zip(scores.chunks(2)).map(|(b, s)| (s[0].likelihood.max(s[1].likelihood), *b)).collect();
    starts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let gathered = gather(&merged, starts.iter().map(|(_, b)| *b), grain, largest);
    let exact: Vec<(Bucket, Exactness)> = gathered.iter().map(|(_, b)| (*b, EXACT)).collect();
    // the most losses, or the best score: a bucket that is full before each burst has all losses in one place
    let mut gathered: Vec<(usize, f64, Bucket)> =
        gathered.into_iter().zip(search.scores(&exact)).map(|((n, b), s)| (n, s.likelihood, b)).collect();
    gathered.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let start = |at: Bucket, exact, grain| Climber { at, exact, grain, score: Score::NONE };
    let by_score = apart(starts.into_iter().map(|(_, b)| b)).into_iter();
    let by_score = by_score.flat_map(|b| [start(b, WIDE, grain), start(b, EXACT, grain)]);
    let by_place = apart(gathered.into_iter().map(|(.., b)| b)).into_iter();
    let by_place = by_place.map(|b| start(b, EXACT, grain / 8.0));
    // apart, as a peak that is narrow is low where its climb begins
    let mut climbers: Vec<Climber> = Vec::new();
    for mut some in [by_score.collect::<Vec<_>>(), by_place.collect()] {
        climb(search, &mut some, KEPT);
        let again = |c: &Climber| Climber { exact: EXACT, score: Score::NONE, ..*c };
        let mut more: Vec<Climber> = some.iter().map(again).collect();
        climb(search, &mut more, KEPT_AGAIN);
        climbers.extend(some);
        climbers.extend(more);
    }
    let best = climbers.into_iter().max_by(Climber::order)?;
    best.score.likelihood.is_finite().then_some((best.at, best.exact))
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
fn halves(steps: &[Step], guess: Guess, middle: usize, whole: f64) -> [f64; 2] {
    let half = &steps[..middle.min(steps.len())];
    let first = replay(half, guess).log_likelihood() - chance(half.iter().map(|s| s.lost));
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
/// 3.1 kB seem to be (simulated, 14 of 768), behind RED one of 6.8 kB; of 4156 true ones all but two hold five times the slack.
const SHALLOWEST: f64 = 2.0;
const VAGUEST: f64 = 3.0;

/// How many starts the fine search climbs from.
const CLIMBS: usize = 3;

/// How many climbers go on after each round, in the first climb and in the second.
const KEPT: [usize; 4] = [6, 5, 4, 4];
const KEPT_AGAIN: [usize; 4] = [3, 3, 2, 2];

/// Log-likelihood that a rate may lose and still lie in the interval: half of the 95% point of χ² with one degree of
/// freedom (Wilks 1938).
const WITHIN: f64 = 1.92;

/// How many steps, each 1.7 times the one before, lead away from a rate: to two and a half times it.
const EDGE_STEPS: usize = 16;

/// An interval of the rate whose ends differ by more than this factor is loose. It is searched at so many rates, then the part that
/// does as well as the best at so many more, each with the depths within a packet of the best.
const LOOSE: f64 = 1.1;
const ACROSS: [i32; 2] = [16, 8];
const EIGHTHS: i32 = 8;

/// The bucket in the middle of a loose interval. A bucket that fills up between bursts shows its rate in a few packets only, and
/// what it lets pass in whole packets: the likelihood has many peaks then, a part of a packet apart, of which a climb finds one.
fn across(search: &Search, best: Climber, [mut low, mut high]: [f64; 2]) -> Climber {
    let eighth = search.largest / f64::from(EIGHTHS);
    let (mut top, mut middle) = (f64::NEG_INFINITY, best);
    for count in ACROSS {
        let step = (high / low).powf(1.0 / f64::from(count - 1));
        let mut found: Vec<(Bucket, f64)> = Vec::new();
        for n in 0..count {
            let rate = low * step.powi(n);
            let bucket = |n| Bucket { rate, depth: best.at.depth + f64::from(n) * eighth };
            let tried: Vec<(Bucket, Exactness)> =
                (-EIGHTHS..EIGHTHS).map(|n| (bucket(n), best.exact)).collect();
            let scores = tried.iter().zip(search.scores(&tried)).map(|((b, _), s)| (*b, s.likelihood));
            found.extend(scores.max_by(|a, b| a.1.total_cmp(&b.1)));
        }
        top = found.iter().map(|(_, s)| *s).fold(top, f64::max);
        for (_, s) in &mut found {
            *s -= top;
        }
        let mean = mean(&mut found);
        found.retain(|(_, s)| *s >= -WITHIN);
        let from_mean = |b: &Bucket| (b.rate / mean.rate).ln().abs();
        if let Some((b, _)) = found.iter().min_by(|a, b| from_mean(&a.0).total_cmp(&from_mean(&b.0))) {
            middle.at = *b;
        }
        if let (Some((first, _)), Some((last, _))) = (found.first(), found.last()) {
            (low, high) = (first.rate / step, last.rate * step);
        }
    }
    middle
}

/// The rates that do about as well as the best, each with the depth that suits it, and the mean of them all, by their likelihoods:
/// where a bucket fills up between bursts, losses bound the rate only loosely.
fn plateau(search: &Search, best: Climber) -> (Bucket, [f64; 2]) {
    // on both sides: the last within the interval, and whether that goes on
    let mut edges = [(best.at, true); 2];
    let mut seen = vec![(best.at, 0.0)];
    let mut step = 0.0005f64;
    for _ in 0..EDGE_STEPS {
        let factors = [1.0 / (1.0 + step), 1.0 + step];
        let mut tried: Vec<(Bucket, Exactness)> = Vec::new();
        for ((within, on), factor) in edges.iter().zip(factors) {
            let rate = best.at.rate * factor;
            let depths = [0.97, 1.0, 1.03].map(|d| (Bucket { rate, depth: within.depth * d }, best.exact));
            tried.extend(depths.into_iter().filter(|_| *on));
        }
        let scores = search.scores(&tried);
        let mut found = tried.chunks(3).zip(scores.chunks(3));
        for (within, on) in edges.iter_mut().filter(|(_, on)| *on) {
            let Some((tried, scores)) = found.next() else { break };
            let three =
                tried.iter().zip(scores).map(|((b, _), s)| (s.likelihood - best.score.likelihood, *b));
            let (s, b) = three.fold((f64::NEG_INFINITY, best.at), |a, b| if b.0 > a.0 { b } else { a });
            *on = s >= -WITHIN;
            if *on {
                *within = b;
            }
            seen.push((b, s));
        }
        if edges.iter().all(|(_, on)| !on) {
            break;
        }
        step *= 1.7;
    }
    let mean = mean(&mut seen);
    let is_one = search.scores(&[(mean, best.exact)])[0].likelihood >= best.score.likelihood - WITHIN;
    (if is_one { mean } else { best.at }, edges.map(|(within, _)| within.rate))
}

/// The mean of buckets, in logarithms, by likelihoods (in logarithms, too) and by how far their rates are apart.
fn mean(of: &mut [(Bucket, f64)]) -> Bucket {
    of.sort_by(|a, b| a.0.rate.total_cmp(&b.0.rate));
    let (mut rate, mut depth, mut weight) = (0.0, 0.0, 0.0);
    for pair in of.windows(2) {
        let ((a, likely), (b, likely_too)) = (pair[0], pair[1]);
        let apart = (b.rate / a.rate).ln();
        for (at, likely) in [(a, likely), (b, likely_too)] {
            let w = apart * likely.exp();
            (rate, depth, weight) = (rate + w * at.rate.ln(), depth + w * at.depth.ln(), weight + w);
        }
    }
    Bucket { rate: (rate / weight).exp(), depth: (depth / weight).exp() }
}

/// The best few buckets with their likelihoods, one rate after the other.
///
/// At a given rate the bytes that a bucket has given out and not yet got back follow from the packets alone. Losses
/// of a policer all come where that debt is as large as the bucket is deep: their median is the depth.
fn coarse(
    steps: &[Step],
    base: f64,
    largest: f64,
    (count, step): (i32, f64),
    Exactness(sizes, seconds): Exactness,
) -> Vec<(f64, Bucket)> {
    let rates: Vec<f64> = (0..count).map(|r| base * 0.9 * step.powi(r)).collect();
    let mut guesses: Vec<Guess> = Vec::new();
    each_debts(steps, &rates, |rate, at_losses| {
        let mut debts: Vec<f32> = at_losses.iter().map(|(debt, _)| *debt).collect();
        if debts.is_empty() {
            return; // the first loss comes later than the coarse search looks
        }
        debts.sort_unstable_by(f32::total_cmp);
        let depth = |part: usize| f64::from(debts[(debts.len() - 1) * part / 100]) + largest;
        let slack = largest * sizes + rate * seconds;
        guesses.extend([10, 50, 90].map(|part| Guess { bucket: Bucket { rate, depth: depth(part) }, slack }));
    });
    let replays = replays(steps, &guesses);
    let mut all: Vec<(f64, Bucket)> =
        guesses.iter().zip(replays).map(|(g, r)| (r.log_likelihood(), g.bucket)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best: Vec<(f64, Bucket)> = Vec::new();
    for (score, b) in all {
        let near = |(_, s): &(f64, Bucket)| {
            (s.rate / b.rate).ln().abs() < 0.07 && (s.depth / b.depth).ln().abs() < 0.4
        };
        if best.len() < SEEDS[0] && !best.iter().any(near) {
            best.push((score, b));
        }
    }
    best
}

/// For each rate the debts at losses, with the times since the bucket was full.
fn each_debts(steps: &[Step], rates: &[f64], mut see: impl FnMut(f64, &[(f32, f32)])) {
    let mut one: Vec<(f32, f32)> = Vec::new();
    for some in rates.chunks(LANES) {
        #[allow(clippy::cast_possible_truncation)] // bytes a second: seven digits are enough
        let lanes = std::array::from_fn(|n| some.get(n).map_or(0.0, |r| *r as f32));
        let at_losses = debts(steps, lanes);
        for (n, rate) in some.iter().enumerate() {
            one.clear();
            one.extend(at_losses.iter().map(|(debt, age)| (debt[n], age[n])));
            see(*rate, &one);
        }
    }
}

/// Losses that [`straighten`] compares with each other, all pairs of them.
const COMPARED: usize = 32;

/// Turns rates until the debt at losses neither grows nor shrinks with the time since the bucket was last full:
/// the slope that is left is the rate's error (Theil and Sen's median of slopes).
fn straighten(steps: &[Step], from: &[Bucket], largest: f64) -> Vec<Bucket> {
    let mut buckets = from.to_vec();
    for _ in 0..3 {
        let rates: Vec<f64> = buckets.iter().map(|b| b.rate).collect();
        let mut turned = Vec::with_capacity(buckets.len());
        each_debts(steps, &rates, |rate, losses| turned.push(turn(rate, losses, largest)));
        for (b, turned) in buckets.iter_mut().zip(turned) {
            *b = turned.unwrap_or(*b);
        }
    }
    buckets
}

fn turn(rate: f64, losses: &[(f32, f32)], largest: f64) -> Option<Bucket> {
    let step = losses.len().div_ceil(COMPARED).max(1);
    let some: Vec<(f32, f32)> = losses.iter().step_by(step).copied().collect();
    let mut slopes: Vec<f32> = Vec::new();
    for (i, (debt, age)) in some.iter().enumerate() {
        let later = some[i + 1..].iter().filter(|(_, a)| (a - age).abs() > 0.2);
        slopes.extend(later.map(|(d, a)| (d - debt) / (a - age)));
    }
    if slopes.len() < 3 {
        return None;
    }
    let slope = f64::from(median(&mut slopes)).clamp(-0.3 * rate, 0.3 * rate);
    #[allow(clippy::cast_possible_truncation)] // seven digits are enough
    let mut depths: Vec<f32> = losses.iter().map(|(debt, age)| debt - slope as f32 * age).collect();
    let depth = (f64::from(median(&mut depths)) + largest / 2.0).max(largest);
    Some(Bucket { rate: rate + slope, depth })
}

/// The upper median; of nothing, 0.
fn median(of: &mut [f32]) -> f32 {
    let half = of.len() / 2;
    if of.is_empty() { 0.0 } else { *of.select_nth_unstable_by(half, f32::total_cmp).1 }
}

/// A bucket on its way to the best near it.
#[derive(Clone, Copy)]
struct Climber {
    at: Bucket,
    exact: Exactness,
    /// What its steps are multiples of.
    grain: f64,
    score: Score,
}

impl Climber {
    /// Those that are a policer's last, and among them the best.
    fn order(&self, other: &Self) -> Ordering {
        let lead = |c: &Self| c.score.likelihood - if c.exact == WIDE { WIDER } else { 0.0 };
        self.score.holds.cmp(&other.score.holds).then(lead(self).total_cmp(&lead(other)))
    }
}

/// All climb to the best near them; after each round the best go on, as many as `kept` says.
fn climb(search: &Search, climbers: &mut Vec<Climber>, kept: [usize; 4]) {
    let rounds = [(64.0, 1.1f64), (16.0, 1.04), (4.0, 1.015), (1.0, 1.006)];
    for ((grains, depth), kept) in rounds.into_iter().zip(kept) {
        for by_rate in [true, false] {
            let mut tried: Vec<(Bucket, Exactness)> = Vec::with_capacity(climbers.len() * 5);
            for c in climbers.iter() {
                let rate = 1.0 + (c.grain * grains).clamp(0.0001, 0.01);
                tried.extend([-2, -1, 0, 1, 2].map(|n| {
                    let Bucket { rate: r, depth: d } = c.at;
                    let b = if by_rate {
                        Bucket { rate: r * rate.powi(n), depth: d }
                    } else {
                        Bucket { rate: r, depth: d * depth.powi(n) }
                    };
                    (b, c.exact)
                }));
            }
            if !climbers.iter().any(|c| c.score.likelihood == f64::NEG_INFINITY) {
                // where they stand is known
                tried = tried.chunks(5).flat_map(|five| [five[0], five[1], five[3], five[4]]).collect();
            }
            let scores = search.scores(&tried);
            let each = tried.len() / climbers.len().max(1);
            for ((c, tried), scores) in climbers.iter_mut().zip(tried.chunks(each)).zip(scores.chunks(each)) {
                for ((b, _), s) in tried.iter().zip(scores) {
                    if s.likelihood > c.score.likelihood {
                        (c.at, c.score) = (*b, *s);
                    }
                }
            }
        }
        climbers.sort_by(|a, b| b.order(a));
        climbers.truncate(kept);
    }
}

/// How finely [`gather`] looks around a rate, in grains, and at how many rates to each side.
const FINE: f64 = 0.4;
const ASIDE: i32 = 11;

/// How many rates [`gather`] looks around, and how many losses it compares.
const AROUND: usize = 10;
const GATHERED: usize = 128;

/// Near each bucket, the rate at which most losses lie within one packet of each other, how many, and the depth that lies
/// there: a rate that is a little off spreads them, and no depth is right for all then.
fn gather(
    steps: &[Step],
    around: impl Iterator<Item = Bucket>,
    grain: f64,
    largest: f64,
) -> Vec<(usize, Bucket)> {
    let step = (grain * FINE).clamp(0.0001, 0.002);
    let mut centers: Vec<Bucket> = Vec::new();
    for b in around {
        if centers.len() < AROUND && !centers.iter().any(|c| (c.rate / b.rate).ln().abs() < 2.0 * step) {
            centers.push(b);
        }
    }
    let found = |around: Bucket| {
        // the middle of the rates that do equally well
        let (mut most, mut equal) = (0, Vec::new());
        let rates: Vec<f64> = (-ASIDE..=ASIDE).map(|n| around.rate * (1.0 + step).powi(n)).collect();
        each_debts(steps, &rates, |rate, losses| {
            let every = losses.len().div_ceil(GATHERED).max(1);
            let mut debts: Vec<f32> = losses.iter().step_by(every).map(|(debt, _)| *debt).collect();
            debts.sort_unstable_by(f32::total_cmp);
            let (mut first, mut here, mut depth) = (0, 0, 0.0);
            for (last, debt) in debts.iter().enumerate() {
                while f64::from(debt - debts[first]) > largest {
                    first += 1;
                }
                if last + 1 - first > here && f64::from(*debt) > largest {
                    (here, depth) = (last + 1 - first, f64::from(debt.midpoint(debts[first])) + largest);
                }
            }
            if here > most {
                (most, equal) = (here, Vec::new());
            }
            if here == most && here > 0 {
                equal.push(Bucket { rate, depth });
            }
        });
        (most, equal.get(equal.len() / 2).copied().unwrap_or(around))
    };
    centers.into_iter().map(found).collect()
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
    fn a_bucket_of_few_packets_that_fills_up_between_bursts_is_bounded() {
        let bucket = Bucket { rate: 375_000.0, depth: 8000.0 };
        // ten packets at once, or two, then some a little later: the rate shows only in those
        let mut packets = bursts(400, 10, 0.1, Some(bucket), |_| false);
        let (mut tokens, mut then) = (bucket.depth, 0.0);
        for (i, p) in packets.iter_mut().enumerate() {
            if i % 10 > 4 {
                #[allow(clippy::cast_precision_loss)] // a few packets
                let later = 0.001 * (1 + i / 10 % 14) as f64;
                p.at += later;
            }
            tokens = (tokens + bucket.rate * (p.at - then)).min(bucket.depth);
            then = p.at;
            p.lost = tokens < 1500.0;
            tokens -= if p.lost { 0.0 } else { 1500.0 };
        }
        let f = fit(&packets).unwrap();
        assert!((f.bucket.rate / bucket.rate - 1.0).abs() < 0.1, "{:?} {:?}", f.bucket, f.interval);
        assert!(f.interval[0] <= bucket.rate && bucket.rate <= f.interval[1], "{:?}", f.interval);
    }

    #[test]
    fn a_long_transfer_has_the_bucket_of_its_beginning_more_exactly() {
        let bucket = Bucket { rate: 62_500.0, depth: 16_000.0 };
        let every = 6.0 * 1500.0 / (bucket.rate * 1.1);
        let f = fit(&bursts(20_000, 6, every, Some(bucket), |_| false)).unwrap();
        assert!((f.bucket.rate / bucket.rate - 1.0).abs() < 0.001, "{:?}", f.bucket);
        assert!(f.interval[0] <= bucket.rate && bucket.rate <= f.interval[1], "{:?}", f.interval);
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
