//! The shaper fit: a token bucket before which packets wait, read from how long they did.
//!
//! While packets wait, they leave at the rate, so the rate is what went through over the time that it took. How many
//! bytes went through before any had to wait is the depth. The fit is judged by how steady that rate is and how well it foretells the delays.

use super::bucket::{Bucket, LANES, Tally, chance};
use super::series::{Delays, Packet, Series};

/// What delays say of a queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueFit {
    /// Bytes a second at which it was emptied.
    pub rate: f64,
    /// Bytes that pass at once before any have to wait.
    pub depth: f64,
    /// How far its delays are from those seen, as a share of the range of those.
    pub misfit: f64,
    /// That range, in seconds.
    pub range: f64,
    /// The same of a plain link, which lets no burst pass.
    pub plain_misfit: f64,
    /// How much the rate of single stretches differs, as a share of it (median absolute deviation).
    pub unsteady: f64,
    /// Stretches that were compared for that.
    pub stretches: usize,
    /// Share of the time in which packets waited.
    pub busy: f64,
    /// The interval of the rate at 95%, bytes a second.
    pub interval: [f64; 2],
}

/// How long packets took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    /// The shortest.
    pub base: f64,
    /// The median.
    pub median: f64,
    /// The longest, but for outliers.
    pub most: f64,
    /// From the first quartile to the third.
    pub noise: f64,
    /// The median of packets beside a lost one.
    pub at_loss: f64,
    /// How often a packet beside a lost one took longer than any packet, from 0 to 1; 0.5 where losses do not
    /// care.
    pub rank_at_loss: f64,
    /// The median and the rank of the nearest packet alone, late acknowledgments and all.
    pub nearest: (f64, f64),
    /// How many losses have such a packet beside them.
    pub losses: usize,
    /// How many delays are known.
    pub known: usize,
}

/// A packet whose neighbour within this time was lost is beside it: a quarter of the time in which a queue that loses there
/// would empty, so that a packet waited three quarters of the longest time, where that is known and within these bounds.
const BESIDE: (f64, f64) = (0.02, 0.2);

/// Reads the delays; `empties` is the time in which a queue of the size and rate that losses show would empty.
pub fn waiting(series: &Series, empties: Option<f64>) -> Option<Waiting> {
    let beside = empties.map_or(BESIDE.0, |s| (s / 4.0).clamp(BESIDE.0, BESIDE.1));
    let packets = &series.packets;
    let mut known: Vec<f32> = packets.iter().map(|p| p.delay).filter(|d| !d.is_nan()).collect();
    if known.len() < 10 {
        return None;
    }
    known.sort_unstable_by(f32::total_cmp);
    let quantile = |of: &[f32], num: usize| f64::from(of[(of.len() - 1) * num / 100]);
    let (mut at_loss, mut nearest): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
    // the last two: a receiver may acknowledge one of them late (RFC 9293 §3.8.6.3), but a queue delays both
    let pair = series.delays == Delays::RoundTrips;
    let (mut near, mut i) = ([None::<(f64, f32)>; 2], 0);
    let mut waiting_for: Vec<f64> = Vec::new();
    while let Some(p) = packets.get(i) {
        i += 1;
        if p.lost {
            let close = near.iter().flatten().filter(|(at, _)| p.at - at <= beside).map(|(_, d)| *d);
            let mut close = close.peekable();
            nearest.extend(close.peek());
            match close.reduce(f32::min) {
                Some(d) => at_loss.push(d),
                None => waiting_for.push(p.at),
            }
        } else if !p.delay.is_nan() {
            let d = p.delay;
            near = [Some((p.at, d)), near[0].filter(|_| pair)];
            let late = waiting_for.drain(..).filter(|at| p.at - at <= beside).count();
            at_loss.extend(std::iter::repeat_n(d, late));
            nearest.extend(std::iter::repeat_n(d, late));
        }
    }
    at_loss.sort_unstable_by(f32::total_cmp);
    nearest.sort_unstable_by(f32::total_cmp);
    #[allow(clippy::cast_precision_loss)] // counts of packets
    let rank = |d: f32| {
        let (below, upto) = (known.partition_point(|k| *k < d), known.partition_point(|k| *k <= d));
        (below + upto) as f64 / 2.0 / known.len() as f64
    };
    #[allow(clippy::cast_precision_loss)] // counts of packets
    let mean_rank = |of: &[f32]| of.iter().map(|d| rank(*d)).sum::<f64>() / of.len().max(1) as f64;
    let rank_at_loss = mean_rank(&at_loss);
    let nearest =
        if nearest.is_empty() { (f64::NAN, f64::NAN) } else { (quantile(&nearest, 50), mean_rank(&nearest)) };
    Some(Waiting {
        base: f64::from(known[0]),
        median: quantile(&known, 50),
        most: quantile(&known, 98),
        noise: quantile(&known, 75) - quantile(&known, 25),
        at_loss: if at_loss.is_empty() { f64::NAN } else { quantile(&at_loss, 50) },
        rank_at_loss: if at_loss.is_empty() { f64::NAN } else { rank_at_loss },
        nearest,
        losses: at_loss.len(),
        known: known.len(),
    })
}

/// The shares of the packets by how long the packet before them took, for [`drops_early`].
const RANKS: [usize; 5] = [20, 40, 60, 80, 95];

/// How much better than chance a queue foretells the losses that drops early (`CoDel`, RFC 8289; PIE, RFC 8033; RED, Floyd and
/// Jacobson 1993): the longer packets wait, the more are lost. 0 where more are lost when they wait shortly, or where delays are
/// not known. In natural logarithms, with a memory of one packet.
pub fn drops_early(packets: &[Packet]) -> f64 {
    let mut known: Vec<f32> = packets.iter().map(|p| p.delay).filter(|d| !d.is_nan()).collect();
    if known.len() < 10 {
        return 0.0;
    }
    known.sort_unstable_by(f32::total_cmp);
    let marks = RANKS.map(|r| known[(known.len() - 1) * r / 100]);
    let mut tallies = [[Tally::default(); 2]; RANKS.len() + 1];
    let (mut wait, mut before) = (known[0], 0);
    for p in packets {
        tallies[marks.iter().filter(|m| wait > **m).count()][before].add(p.lost);
        before = usize::from(p.lost);
        if !p.delay.is_nan() {
            wait = p.delay;
        }
    }
    let share = |of: &[[Tally; 2]]| {
        let lost: f64 = of.iter().flatten().map(|t| t.lost).sum();
        lost / of.iter().flatten().map(|t| t.total()).sum::<f64>().max(1.0)
    };
    let (short, long) = tallies.split_at(RANKS.len() / 2 + 1);
    if share(long) <= share(short) {
        return 0.0;
    }
    let foretold: f64 = tallies.iter().flatten().map(|t| t.log_likelihood()).sum();
    (foretold - chance(packets.iter().map(|p| p.lost))).max(0.0)
}

/// A packet that waited, or not, with the times that a queue needs.
#[derive(Clone, Copy)]
struct Passage {
    /// Seconds by which it was sent later than any before.
    after: f32,
    done: f64,
    delay: f32,
    bytes: f32,
}

/// The most packets that the fit looks at: a fit on more would be no better, and this bounds its cost.
const ENOUGH: usize = 6000;

/// How much the rates of stretches differ at least where the rate varies.
const VARIES: f64 = 0.15;

/// Bytes that a plain link lets pass before it delays, and some: it delays the second packet.
const PLAIN: f64 = 2500.0;

/// How much faster than what was seen a plain link may be.
const FASTER_LINKS: [f64; 7] = [1.03, 1.04, 1.05, 1.08, 1.12, 1.25, 1.4];

/// Factors between the depths that are tried around the best, until they are a packet apart: a burst of megabytes that is off by
/// hundredths is seconds of a slow rate.
const CLOSER: [f64; 4] = [1.12, 1.03, 1.008, 1.002];
const PACKET: f64 = 1500.0;

/// A pause of this length is none of a transfer that is under way: seconds.
const PAUSE: f64 = 1.0;

/// Fits a queue; `None` where packets hardly waited, or delays are not known.
pub fn fit(series: &Series, waiting: &Waiting) -> Option<QueueFit> {
    let passages = passages(series);
    let range = waiting.most - waiting.base;
    let mark = waiting.base + (range * 0.15).max(0.002);
    if passages.len() < 30 || range < 0.004 {
        return None;
    }
    let mut stretches = stretches(&passages, mark);
    if stretches.len() < 3 {
        return None;
    }
    let mut rates: Vec<f64> = stretches.iter().map(|s| s.0 / s.1).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let median = rates[rates.len() / 2];
    let off = |rate: f64| (rate / median - 1.0).abs();
    let mut apart: Vec<f64> = rates.iter().map(|r| off(*r)).collect();
    apart.sort_unstable_by(f64::total_cmp);
    let unsteady = apart[apart.len() / 2];
    // a few in which the queue ran empty unseen say nothing of its rate
    stretches.retain(|s| unsteady > VARIES || off(s.0 / s.1) <= VARIES);
    let bytes: f64 = stretches.iter().map(|s| s.0).sum();
    let time: f64 = stretches.iter().map(|s| s.1).sum();
    if unsteady > VARIES {
        // no queue that is emptied at one rate: not worth the search
        let nothing = f64::INFINITY;
        return Some(QueueFit {
            rate: bytes / time,
            depth: 0.0,
            misfit: nothing,
            range,
            plain_misfit: nothing,
            unsteady,
            stretches: stretches.len(),
            busy: 0.0,
            interval: [0.0; 2],
        });
    }
    let first = bytes / time;
    // each rate with each depth
    let grid = (-2..=2).flat_map(|r| {
        (0..14).map(move |d| {
            let depth = if d == 0 { 0.0 } else { 1000.0 * 2f64.powi(d - 1) };
            Bucket { rate: first * 1.01f64.powi(r), depth }
        })
    });
    let mut tried: Vec<Bucket> = grid.collect();
    // other traffic in a plain link takes a part of a higher rate
    tried.extend(FASTER_LINKS.map(|factor| Bucket { rate: first * factor, depth: 0.0 }));
    let errors_of = |tried: &[Bucket]| -> Vec<(f64, Bucket)> {
        errors(&passages, waiting.base, tried).into_iter().zip(tried.iter().copied()).collect()
    };
    let best = |of: Vec<(f64, Bucket)>| of.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let found = errors_of(&tried);
    let plain = found.iter().filter(|(_, b)| b.depth < PLAIN).map(|(e, _)| *e).fold(f64::INFINITY, f64::min);
    let (_, near) = best(found[..found.len() - FASTER_LINKS.len()].to_vec())?;
    let (mut least, mut at) = (f64::INFINITY, near);
    for step in CLOSER {
        let closer: Vec<Bucket> =
            (-4..=4).map(|d| Bucket { depth: at.depth * step.powi(d), ..near }).collect();
        (least, at) = best(errors_of(&closer))?;
        if at.depth * (step - 1.0) < PACKET {
            break;
        }
    }
    let depth = at.depth;
    let longest = PAUSE.max(range);
    let took: f64 = passages.windows(2).map(|w| (w[1].done - w[0].done).clamp(0.0, longest)).sum();
    // what left while packets waited is the rate; the one that foretells delays best is only as fine as the search
    let rate = first;
    // the standard error of a ratio of sums (Cochran 1977, §6.4), which is what resampling stretches would give
    let off: f64 = stretches.iter().map(|(bytes, time)| (bytes - rate * time).powi(2)).sum();
    #[allow(clippy::cast_precision_loss)] // a few stretches
    let n = stretches.len() as f64;
    let half = 1.96 * (off * n / (n - 1.0)).sqrt() / time;
    Some(QueueFit {
        rate,
        depth,
        misfit: least / range,
        range,
        plain_misfit: plain / range,
        unsteady,
        stretches: stretches.len(),
        busy: (time / took.max(1e-9)).min(1.0),
        interval: [rate - half.max(rate * 0.002), rate + half.max(rate * 0.002)],
    })
}

fn passages(series: &Series) -> Vec<Passage> {
    let one_way = series.delays == Delays::OneWay;
    let mut latest = f64::NAN;
    let passage = |p: &Packet| {
        let known = if p.delay.is_nan() { 0.0 } else { f64::from(p.delay) };
        let (sent, done) = if one_way { (p.at - known, p.at) } else { (p.at, p.at + known) };
        let before = if latest.is_nan() { sent } else { latest };
        latest = before.max(sent);
        #[allow(clippy::cast_possible_truncation)] // seconds between packets
        let after = (latest - before) as f32;
        Passage { after, done, delay: p.delay, bytes: p.bytes }
    };
    series.packets.iter().filter(|p| !p.lost).take(ENOUGH).map(passage).collect()
}

/// Seconds that a stretch lasts at least: a tick of most senders' clocks, a millisecond at either end, is a few hundredths of it.
const LASTS: f64 = 0.04;

/// Stretches of time in which packets waited throughout: bytes that left, and how long it took.
fn stretches(passages: &[Passage], mark: f64) -> Vec<(f64, f64)> {
    const PACKETS: usize = 20;
    let mut out = Vec::new();
    let (mut from, mut bytes, mut n) = (None::<f64>, 0.0, 0);
    for p in passages {
        if p.delay.is_nan() {
            bytes += f64::from(p.bytes); // it left between the others
            continue;
        }
        if f64::from(p.delay) < mark {
            from = None;
            continue;
        }
        match from {
            None => (from, bytes, n) = (Some(p.done), 0.0, 0),
            Some(start) => {
                bytes += f64::from(p.bytes);
                n += 1;
                if n >= PACKETS && p.done - start >= LASTS {
                    out.push((bytes, p.done - start));
                    (from, bytes, n) = (Some(p.done), 0.0, 0);
                }
            }
        }
    }
    out
}

/// The mean difference between the delays and what each queue, of a rate and a depth, would make of them.
fn errors(passages: &[Passage], base: f64, queues: &[Bucket]) -> Vec<f64> {
    let known = passages.iter().filter(|p| !p.delay.is_nan()).count();
    let mut out = Vec::with_capacity(queues.len());
    for some in queues.chunks(LANES) {
        let of = |get: fn(&Bucket) -> f64| -> [f32; LANES] {
            #[allow(clippy::cast_possible_truncation)] // bytes and bytes a second: seven digits are enough
            std::array::from_fn(|n| some.get(n).map_or(1.0, get) as f32)
        };
        let (rate, depth, each) = (of(|b| b.rate), of(|b| b.depth), of(|b| 1.0 / b.rate));
        #[allow(clippy::cast_possible_truncation)] // seconds
        let base = base as f32;
        let (mut tokens, mut sum) = (depth, [0.0f32; LANES]);
        for p in passages {
            let waited = p.delay - base;
            for n in 0..LANES {
                let there = tokens[n] + rate[n] * p.after;
                tokens[n] = (if there < depth[n] { there } else { depth[n] }) - p.bytes;
                let wait = -tokens[n] * each[n];
                let off = (waited - if wait > 0.0 { wait } else { 0.0 }).abs();
                sum[n] += if p.delay.is_nan() { 0.0 } else { off };
            }
        }
        #[allow(clippy::cast_precision_loss)] // counts of packets
        let mean = |sum: f32| if known == 0 { f64::INFINITY } else { f64::from(sum) / known as f64 };
        out.extend(sum.into_iter().take(some.len()).map(mean));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets whose delay goes up and down, of which `lost` loses some.
    fn packets(lost: impl Fn(usize, f32) -> bool) -> Vec<Packet> {
        let mut at = 0.0;
        (0..2000usize)
            .map(|i| {
                at += 0.01;
                #[allow(clippy::cast_precision_loss)] // a few packets
                let delay = 0.05 + 0.001 * (i % 100) as f32;
                let lost = lost(i, delay);
                let delay = if lost { f32::NAN } else { delay };
                Packet { at, bytes: 1500.0, delay, frame: 0, lost, window_full: false, alone: false }
            })
            .collect()
    }

    #[test]
    fn losses_that_go_with_the_delay_are_a_queue_that_drops_early() {
        assert!(drops_early(&packets(|i, d| d > 0.12 && i % 3 == 0)) > 20.0);
        assert!(drops_early(&packets(|i, d| d < 0.08 && i % 3 == 0)) <= 0.0, "the other way round");
        assert!(drops_early(&packets(|i, _| i % 37 == 0)) < 10.0, "whatever the delay");
        assert!(drops_early(&[]) <= 0.0);
    }
}
