//! What the fits amount to: which of them hold, and what each sign weighs.

use crate::measure::cap::Fits;
use crate::measure::cap::policer::PolicerFit;
use crate::measure::cap::queue::{QueueFit, Waiting};

/// Log-likelihood that a bucket has to gain over chance, beyond what its three parameters cost (half the logarithm of
/// the count each, as BIC has it): 10, which is 20 in units of BIC, "very strong" (Kass and Raftery 1995).
const GAIN: f64 = 10.0;

/// What the three parameters of a bucket cost.
#[allow(clippy::cast_precision_loss)] // counts of packets
pub(super) fn cost(f: &Fits) -> f64 {
    1.5 * (f.packets.max(2) as f64).ln()
}

/// A policer's bucket, where one holds: losses are where it is empty, passes where it is not.
pub(super) fn bucket(f: &Fits) -> Option<&PolicerFit> {
    let p = f.policer.as_ref()?;
    (p.gain - cost(f) > GAIN && p.replay.holds()).then_some(p)
}

/// What delays beside losses say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Delay {
    /// They are not known, or vary too much to tell.
    Unknown,
    /// Packets beside lost ones waited no longer than others: nothing stood in a queue.
    Flat,
    /// They waited about as long as a queue of that size takes.
    Queued,
    /// Between the two.
    Between,
}

/// The share of the time to refill the bucket that packets beside lost ones waited: below this nothing queued, above
/// the other it was a queue. In the router captures of Flach et al. 2016 policers have 0.07 at most, shapers 0.3 at
/// least.
const FLAT: f64 = 0.12;
const QUEUED: f64 = 0.25;
/// The share of all packets that waited less than those beside losses, from which on it looks like a queue that was full:
/// 0.84 at most with the router's policers, 0.88 and more with its shapers that drop.
const LONGEST: f64 = 0.9;

/// Seconds that clocks and timestamps blur.
const TICKS: f64 = 0.002;
/// Seconds that a burst takes to leave its sender: 2.5 MB, half of what Linux lets a sender buffer, at 1 Gbit/s. Its end waits that
/// long for its beginning, and a deep bucket is empty there.
const AT_ONCE: f64 = 0.02;
/// The least share of packets that came much sooner after the one before than the rate allows, where they are captured
/// behind the box: a link of that rate spaces them, a policer lets bursts through.
const FASTER: f64 = 0.02;

/// The share of that time from which on a wait is a sign of a short queue on a faster link, where it is longer than the
/// usual one by more than the delays' spread and the bucket's lead over chance, less its cost, is small. A queue of 8 kB
/// that drops early, or of 30 kB, with other traffic at 20 Mbit/s, passes for a bucket otherwise: eight times with twelve
/// base seeds of the simulated matrix, with shares of 0.031 to 0.119 and leads of 11 to 25, where ten of 3769 claims of a
/// true policer have all three signs.
const SHORT: f64 = 0.025;
const SHORT_LEAD: f64 = 40.0;
/// The share of all packets that waited less than those beside losses, above which losses go with the delays at all; 0.77
/// and more with those queues.
const LONGER: f64 = 0.7;

/// How long a receiver may delay an acknowledgment (RFC 9293 §3.8.6.3): who waited longer stood in a queue.
const LATE: f64 = 0.5;

/// How far the rates of a bucket that loses and of a queue that is emptied may be apart and be one box's: both are exact to a
/// few hundredths where many packets show them.
const ONE_RATE: f64 = 0.05;

/// The share of the longest wait that packets beside losses waited where the queue was full; a sender that paces at a policer's
/// rate has acknowledgments that are late at that rate as well, but not beside losses.
const FULL: f64 = 0.5;

fn full(w: &Waiting) -> bool {
    w.at_loss - w.base > FULL * (w.most - w.base)
}

/// Packets wait, longest beside losses, and leave at the bucket's rate; or wait beside losses for longer than others, and than
/// acknowledgments do: one box with a queue that is short beside its burst.
fn same_box(f: &Fits, p: &PolicerFit, w: &Waiting) -> bool {
    let at_one_rate = queue(f).is_some_and(|q| (q.rate / p.bucket.rate).ln().abs() < ONE_RATE);
    let longer = |(delay, rank): (f64, f64)| delay - w.median > LATE && rank > LONGER;
    at_one_rate && full(w) || longer((w.at_loss, w.rank_at_loss)) || longer(w.nearest)
}

/// Packets waited somewhere, for longer than acknowledgments do.
fn stood(w: &Waiting) -> bool {
    w.most - w.base > LATE
}

/// A short queue that another rate and depth explain: the losses of a link faster than this bucket.
fn short_queue(f: &Fits, p: &PolicerFit, w: &Waiting, waited: f64) -> bool {
    // the more careful of two readings: late acknowledgments count as waiting here
    let longer = w.nearest.0 - w.median > w.noise && w.nearest.1 > LONGER;
    longer
        && waited.max((w.nearest.0 - w.base) / (p.bucket.depth / p.bucket.rate)) > SHORT
        && p.gain - cost(f) < SHORT_LEAD
}

pub(super) fn delay(f: &Fits, p: &PolicerFit) -> Delay {
    let Some(w) = f.waiting.as_ref().filter(|w| w.losses >= 5) else {
        return Delay::Unknown;
    };
    let refill = p.bucket.depth / p.bucket.rate;
    let waited = (w.at_loss - w.base) / (p.bucket.depth / p.bucket.rate);
    let latest = w.at_loss.max(w.nearest.0) - w.base;
    let longest = w.at_loss - w.median > w.noise / 2.0 + TICKS
        && (w.rank_at_loss >= LONGEST && (waited > SHORT || latest > AT_ONCE)
            || w.rank_at_loss > LONGER && full(w) && w.at_loss - w.median > AT_ONCE);
    let blurred = w.rank_at_loss < LONGER && w.at_loss - w.base < TICKS && waited < QUEUED;
    if waited > QUEUED && w.rank_at_loss > LONGER || same_box(f, p, w) {
        Delay::Queued
    } else if short_queue(f, p, w, waited) || f.early > p.gain || stood(w) {
        Delay::Between
    } else if (waited < FLAT || blurred) && refill > 2.0 * w.noise && !longest && f.faster >= FASTER {
        Delay::Flat
    } else if refill <= 2.0 * w.noise {
        Delay::Unknown
    } else {
        Delay::Between
    }
}

/// Stretches of twenty packets, at least, whose rates are compared.
const STRETCHES: usize = 6;
/// How much they may differ. Links whose rate varies (Wi-Fi, mobile) differ by a tenth and more; a clock by hundredths.
const UNSTEADY: f64 = 0.03;
/// How far the delays may be from the foretold ones, as a share of their range; or in packets' times.
const MISFIT: f64 = 0.2;
const PACKETS_OFF: f64 = 1.5;
/// The least share of the time in which packets waited.
const BUSY: f64 = 0.1;

/// A queue that is emptied at one steady rate, where there is one.
pub(super) fn queue(f: &Fits) -> Option<&QueueFit> {
    f.queue.as_ref().filter(|q| {
        let fits = q.misfit <= MISFIT || q.misfit * q.range <= PACKETS_OFF * 1500.0 / q.rate;
        q.stretches >= STRETCHES && q.unsteady <= UNSTEADY && fits && q.busy >= BUSY
    })
}

/// Bytes that pass at once before a shaper delays, from which on it is no plain link: three full packets. A plain link
/// delays the second.
const BURST: f64 = 4500.0;

/// How much better a burst has to foretell the delays than none: as logarithm of the errors' ratio, times the stretches
/// that are independent; and the least ratio.
const BETTER: f64 = 11.0;
const LEAST_RATIO: f64 = 1.15;

/// How far off the delays may be that a burst foretells, as a share of their range; or, where the queue is short, in packets'
/// times, within a larger share. Simulated shapers reach 0.1 and the router's with short queues 0.21 at 1.2 packets; links with
/// other traffic, whose start looks like a burst, have 0.15 at ten packets, or half of the range.
const FORETOLD: f64 = 0.11;
const FORETOLD_SHORT: (f64, f64) = (0.25, 1.3);

fn needs_burst(q: &QueueFit) -> bool {
    let (share, packets) = FORETOLD_SHORT;
    let short = q.misfit <= share && q.misfit * q.range <= packets * 1500.0 / q.rate;
    if q.misfit > FORETOLD && !short {
        return false;
    }
    let ratio = q.plain_misfit / q.misfit.max(1e-6);
    #[allow(clippy::cast_precision_loss)] // a few hundred stretches
    let gain = q.stretches as f64 * ratio.ln();
    ratio >= LEAST_RATIO && gain > BETTER
}

/// The bytes that passed before anything waited, where a plain link cannot explain that.
pub(super) fn burst(f: &Fits, p: Option<&PolicerFit>, q: Option<&QueueFit>) -> Option<f64> {
    let depth = match (q, p, &f.waiting) {
        (Some(q), ..) if needs_burst(q) => q.depth,
        // the bucket's depth is that of burst and queue; a queue that drops only when full has its length in the delays
        (None, Some(p), Some(w)) if w.rank_at_loss > 0.9 => {
            p.bucket.depth - (w.at_loss - w.base) * p.bucket.rate
        }
        _ => 0.0,
    };
    (depth >= BURST).then_some(depth)
}
