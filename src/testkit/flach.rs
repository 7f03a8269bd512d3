//! The reference: the policing detector of Flach et al. (SIGCOMM 2016), written from its description, as a baseline.
//!
//! It looks at one response of one connection as the sender sees it, counts payload, takes the rate between the first
//! loss and the last, fills a bucket without bound at that rate, and asks whether it was emptier at losses than at
//! passes, by how much each strays, and whether packets before losses were delayed.

use crate::measure::cap::series::Packet;

/// What the reference says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Policed, at so many bits of payload a second.
    Policed(f64),
    /// Too few losses, passes or round trips with loss.
    TooFew,
    /// The first loss comes after 2 MB.
    LateLoss,
    /// More passed before the first loss than the rate allows.
    NegativeFill,
    /// The bucket was no emptier at losses than at passes.
    HigherOnLoss,
    /// It was too full at some losses.
    LossOutOfRange,
    /// It was too empty at some passes.
    PassOutOfRange,
    /// Packets before losses were delayed: congestion.
    Inflated,
}

/// Bytes of IPv4 and TCP headers with timestamps: the series has IP bytes, the reference counts payload.
const HEADERS: f64 = 52.0;
const SAMPLES: usize = 15;

/// The responses in a series: each begins with a packet that was sent with nothing in flight.
pub fn responses(packets: &[Packet]) -> Vec<&[Packet]> {
    let mut out = Vec::new();
    let mut from = 0;
    for i in 1..packets.len() {
        if packets[i].alone && packets[i].at - packets[i - 1].at > 0.2 && i - from > SAMPLES {
            out.push(&packets[from..i]);
            from = i;
        }
    }
    out.push(&packets[from..]);
    out
}

/// The verdict on one response, with no losses left out at the ends, or else with two.
pub fn verdict(packets: &[Packet]) -> Verdict {
    match once(packets, 0) {
        policed @ Verdict::Policed(_) => policed,
        other => match once(packets, 2) {
            policed @ Verdict::Policed(_) => policed,
            _ => other,
        },
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts and round trips
fn once(packets: &[Packet], cutoff: usize) -> Verdict {
    let payload = |p: &Packet| (f64::from(p.bytes) - HEADERS).max(0.0);
    let losses: Vec<usize> = (0..packets.len()).filter(|i| packets[*i].lost).collect();
    if losses.len() < SAMPLES + 2 * cutoff {
        return Verdict::TooFew;
    }
    let (first, last) = (losses[cutoff], losses[losses.len() - 1 - cutoff]);
    let before: f64 = packets[..first].iter().map(payload).sum();
    if before > 2e6 {
        return Verdict::LateLoss;
    }
    let took = packets[last].at - packets[first].at;
    let mut delays: Vec<f64> = packets.iter().map(|p| f64::from(p.delay)).filter(|d| !d.is_nan()).collect();
    delays.sort_unstable_by(f64::total_cmp);
    if took <= 0.0 || delays.len() < SAMPLES {
        return Verdict::TooFew;
    }
    let passed: f64 = packets[first..last].iter().filter(|p| !p.lost).map(payload).sum();
    let rate = passed / took;
    let median = delays[delays.len() / 2];
    let tenth = delays[delays.len() / 10];
    let (for_loss, for_pass) = (2.0 * median * rate, 0.75 * median * rate);
    if before - rate * (packets[first].at - packets[0].at) < -for_pass {
        return Verdict::NegativeFill;
    }
    let (mut on_loss, mut on_pass, mut slices) = (Vec::new(), Vec::new(), Vec::new());
    let (mut used, mut inflated, mut delay) = (0.0, 0, f64::NAN);
    for p in &packets[first..] {
        let fill = rate * (p.at - packets[first].at) - used;
        if p.lost {
            on_loss.push(fill);
            slices.push(((p.at - packets[0].at) / median) as u64);
            inflated += usize::from(delay >= median && delay > 1.3 * tenth && delay >= 0.02);
        } else {
            on_pass.push(fill);
            used += payload(p);
            if !p.delay.is_nan() {
                delay = f64::from(p.delay);
            }
        }
    }
    slices.dedup();
    if slices.len() < 3 || on_loss.len() < SAMPLES || on_pass.len() < SAMPLES {
        return Verdict::TooFew;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let middle = |v: &[f64]| {
        let mut v = v.to_vec();
        v.sort_unstable_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let level = middle(&on_loss);
    if mean(&on_loss) >= mean(&on_pass) || level >= middle(&on_pass) {
        return Verdict::HigherOnLoss;
    }
    let share =
        |v: &[f64], out: &dyn Fn(f64) -> bool| v.iter().filter(|f| out(**f)).count() as f64 / v.len() as f64;
    if share(&on_loss, &|f| (f - level).abs() > for_loss) > 0.1 {
        return Verdict::LossOutOfRange;
    }
    if share(&on_pass, &|f| f - level < -for_pass) > 0.03 {
        return Verdict::PassOutOfRange;
    }
    if inflated * 5 > on_loss.len() {
        return Verdict::Inflated;
    }
    Verdict::Policed(rate * 8.0)
}
