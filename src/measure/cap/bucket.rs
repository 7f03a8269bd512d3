//! A token bucket replayed over packets: what it predicts for each, before it sees what became of it.
//!
//! Tokens are bytes. They come in at the rate, up to the depth; a packet passes if there are enough and takes them.
//! After each packet the state is set right by what was seen: a packet that passed had tokens, a lost one had none.
//! So one wrong guess is paid for once, and the sum of what the guesses cost (a prequential code length, with the
//! Krichevsky–Trofimov estimator) can be compared with any other model's on the same packets.

use std::sync::LazyLock;

use super::series::Packet;

/// A rate and a depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Bytes a second.
    pub rate: f64,
    /// Bytes.
    pub depth: f64,
}

/// Lost and passed, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Lost.
    pub lost: f64,
    /// Passed.
    pub passed: f64,
}

impl Tally {
    /// Adds one packet.
    pub fn add(&mut self, lost: bool) {
        if lost {
            self.lost += 1.0;
        } else {
            self.passed += 1.0;
        }
    }

    /// All of them.
    pub fn total(self) -> f64 {
        self.lost + self.passed
    }

    /// The same after others were seen: what is known of the chance beforehand.
    fn log_likelihood_after(self, before: Self) -> f64 {
        let both = Self { lost: self.lost + before.lost, passed: self.passed + before.passed };
        both.log_likelihood() - before.log_likelihood()
    }

    /// Natural logarithm of the probability of these outcomes under the best constant chance, less what learning
    /// that chance costs (Krichevsky and Trofimov 1981: half the logarithm of the count, and ln 2).
    pub fn log_likelihood(self) -> f64 {
        let n = self.total();
        if n == 0.0 {
            return 0.0;
        }
        let [lost, passed, all] = [self.lost, self.passed, n].map(ln);
        self.lost * lost + self.passed * passed - (n + 0.5) * all - std::f64::consts::LN_2
    }
}

/// Logarithms of counts, of which a fit needs thousands; 0 of 0.
fn ln(count: f64) -> f64 {
    static FIRST: LazyLock<[f64; 4096]> = LazyLock::new(|| {
        #[allow(clippy::cast_precision_loss)] // small
        std::array::from_fn(|n| (n.max(1) as f64).ln())
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count
    FIRST.get(count as usize).copied().unwrap_or_else(|| count.ln())
}

/// What a replay found: outcomes by how many tokens there were, and by what became of the packet before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Replay {
    /// Packets for which there were clearly too few tokens; after a packet that passed, and after a lost one.
    pub empty: [Tally; 2],
    /// Those for which it was close.
    pub edge: [Tally; 2],
    /// Those with tokens to spare.
    pub full: [Tally; 2],
}

/// The least share of losses without tokens, as some have other causes, and of passes with: a policer lets nothing through
/// without. Behind the router of Flach et al. 2016 the shares are 0.76 and 0.94 at least.
const EXPLAINED: f64 = 0.75;
const ALLOWED: f64 = 0.93;

/// What a policer is known to do without tokens before the first packet is seen: it loses what comes, as if it had done so to
/// this many. How surely it passes what finds tokens is left open, as losses have other causes, too. Over fifteen base seeds of the
/// simulated matrix, 12 to 24 part the buckets from losses in runs best; with nothing known, a tenth as well.
const LOSES: Tally = Tally { lost: 16.0, passed: 0.0 };

fn sum(t: [Tally; 2]) -> Tally {
    Tally { lost: t[0].lost + t[1].lost, passed: t[0].passed + t[1].passed }
}

impl Replay {
    /// How well the bucket predicts the losses; a bucket that loses more when full than when empty predicts nothing.
    pub fn log_likelihood(&self) -> f64 {
        let share = |t: Tally| t.lost / t.total().max(1.0);
        if share(sum(self.full)) > share(sum(self.empty)) && self.losses().0 > 0.0 {
            return f64::NEG_INFINITY;
        }
        let empty: f64 = self.empty.into_iter().map(|t| t.log_likelihood_after(LOSES)).sum();
        empty + self.edge.into_iter().chain(self.full).map(Tally::log_likelihood).sum::<f64>()
    }

    /// Whether it is a policer's: nearly all losses without tokens, nearly all passes with.
    pub fn holds(&self) -> bool {
        self.explained() >= EXPLAINED && self.allowed() >= ALLOWED
    }

    /// Losses when there were clearly too few tokens, when it was close, and when there were tokens to spare.
    pub fn losses(&self) -> (f64, f64, f64) {
        (sum(self.empty).lost, sum(self.edge).lost, sum(self.full).lost)
    }

    /// Passes, in the same order.
    pub fn passes(&self) -> (f64, f64, f64) {
        (sum(self.empty).passed, sum(self.edge).passed, sum(self.full).passed)
    }

    /// The share of the losses for which there were too few tokens.
    pub fn explained(&self) -> f64 {
        let (empty, edge, full) = self.losses();
        (empty + edge) / (empty + edge + full).max(1.0)
    }

    /// The share of passes for which there were tokens.
    pub fn allowed(&self) -> f64 {
        let (empty, edge, full) = self.passes();
        (edge + full) / (empty + edge + full).max(1.0)
    }
}

/// A packet as buckets see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Seconds since the one before.
    pub after: f32,
    /// Bytes of the IP packet.
    pub bytes: f32,
    /// Whether it was lost.
    pub lost: bool,
}

/// Packets as buckets see them; runs of one outcome within `apart` seconds are one.
pub fn steps(packets: &[Packet], apart: f64) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::with_capacity(packets.len());
    let mut then = 0.0;
    for p in packets {
        #[allow(clippy::cast_possible_truncation)] // seconds between packets
        let after = (p.at - then) as f32;
        if let Some(run) = out.last_mut().filter(|run| run.lost == p.lost && p.at - then < apart) {
            run.bytes += if p.lost { 0.0 } else { p.bytes };
        } else {
            out.push(Step { after, bytes: p.bytes, lost: p.lost });
            then = p.at;
        }
    }
    out
}

/// A bucket, and how exact it is: within `slack` bytes a guess is neither right nor wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// The bucket.
    pub bucket: Bucket,
    /// Bytes.
    pub slack: f64,
}

/// Buckets that are replayed in one pass over the packets, side by side: four numbers are a vector of every x86-64.
pub const LANES: usize = 8;

/// Replays buckets that are full at first.
///
/// A loss is taken to say that there were no tokens, as other traffic may have taken them unseen. When packets then
/// pass nevertheless, that loss had another cause, and what was there before it is put back.
pub fn replays(steps: &[Step], guesses: &[Guess]) -> Vec<Replay> {
    let mut out = Vec::with_capacity(guesses.len());
    for some in guesses.chunks(LANES) {
        if some.len() <= LANES / 2 {
            out.extend(side_by_side::<{ LANES / 2 }>(steps, some));
        } else {
            out.extend(side_by_side::<LANES>(steps, some));
        }
    }
    out
}

/// Replays one bucket.
pub fn replay(steps: &[Step], guess: Guess) -> Replay {
    replays(steps, &[guess]).pop().unwrap_or_default()
}

#[allow(clippy::needless_bitwise_bool)] // a jump would keep the lanes from going side by side
fn side_by_side<const N: usize>(steps: &[Step], guesses: &[Guess]) -> impl Iterator<Item = Replay> {
    let of = |get: fn(&Guess) -> f64| -> [f32; N] {
        #[allow(clippy::cast_possible_truncation)] // bytes and bytes a second: seven digits are enough
        std::array::from_fn(|n| guesses.get(n).map_or(0.0, get) as f32)
    };
    let (rate, depth, slack) = (of(|g| g.bucket.rate), of(|g| g.bucket.depth), of(|g| g.slack));
    let mut tokens = depth;
    // what the tokens would be if the loss that emptied the bucket had had another cause, and passes that say so
    let (mut doubt, mut passes) = ([0.0f32; N], [0.0f32; N]);
    // by what became of the packet before and of this one
    let (mut empty, mut edge, mut all) = ([[0.0f32; N]; 4], [[0.0f32; N]; 4], [0.0f64; 4]);
    let mut before = 0;
    for s in steps {
        let case = before * 2 + usize::from(s.lost);
        before = usize::from(s.lost);
        all[case] += 1.0;
        let (empty, edge) = (&mut empty[case], &mut edge[case]);
        for n in 0..N {
            let came = rate[n] * s.after;
            let (there, other) = (least(tokens[n] + came, depth[n]), least(doubt[n] + came, depth[n]));
            let over = there - s.bytes;
            let (lacks, spare) = (over < -slack[n], over > slack[n]);
            empty[n] += if lacks { 1.0 } else { 0.0 };
            edge[n] += if lacks | spare { 0.0 } else { 1.0 };
            if s.lost {
                tokens[n] = if spare { s.bytes + slack[n] } else { there };
                doubt[n] = if spare && there > other { there } else { other };
                passes[n] = if spare { 0.0 } else { passes[n] };
            } else {
                let (left, against) = (other - s.bytes, passes[n] + if lacks { 1.0 } else { 0.0 });
                let restore = lacks & (against >= SECOND_THOUGHTS) & (left > slack[n]);
                let corrected = if lacks { -slack[n] - s.bytes } else { over };
                tokens[n] = if restore { left } else { corrected };
                doubt[n] = if restore { 0.0 } else { left };
                passes[n] = if restore { 0.0 } else { against };
            }
        }
    }
    let count = guesses.len();
    (0..count.min(N)).map(move |n| {
        let tally = |of: &[[f32; N]; 4]| {
            [0, 2].map(|case| Tally { passed: f64::from(of[case][n]), lost: f64::from(of[case + 1][n]) })
        };
        let (empty, edge) = (tally(&empty), tally(&edge));
        let full = std::array::from_fn(|b| Tally {
            passed: all[b * 2] - empty[b].passed - edge[b].passed,
            lost: all[b * 2 + 1] - empty[b].lost - edge[b].lost,
        });
        Replay { empty, edge, full }
    })
}

/// The smaller, as one instruction does it.
fn least(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Passes without tokens after which a loss is no longer believed.
const SECOND_THOUGHTS: f32 = 3.0;

/// What buckets of these rates have given out and not yet got back when packets are lost, and how long it is since they
/// were full, in order.
pub fn debts(steps: &[Step], rates: [f32; LANES]) -> Vec<([f32; LANES], [f32; LANES])> {
    let (mut debt, mut age) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut out = Vec::new();
    for s in steps {
        for n in 0..LANES {
            let left = debt[n] - rates[n] * s.after;
            age[n] = if left > 0.0 { age[n] + s.after } else { 0.0 };
            debt[n] = (if left > 0.0 { left } else { 0.0 }) + if s.lost { 0.0 } else { s.bytes };
        }
        if s.lost {
            out.push((debt, age));
        }
    }
    out
}

/// How well chance predicts the losses that come in bursts: a chance for each of what became of the last two
/// packets.
pub fn chance(lost: impl Iterator<Item = bool>) -> f64 {
    let mut tallies = [Tally::default(); 4];
    let mut context = 0usize;
    for lost in lost {
        tallies[context].add(lost);
        context = (context * 2 + usize::from(lost)) % 4;
    }
    tallies.into_iter().map(Tally::log_likelihood).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts of twelve packets, of which some at the end are lost, and one in each hundred anywhere.
    fn packets() -> Vec<Packet> {
        (0..2000usize)
            .map(|i| {
                #[allow(clippy::cast_precision_loss)] // a few packets
                let at = (i / 12) as f64 * 0.1 + (i % 12) as f64 * 2e-4;
                let lost = i % 12 > 8 && i % 7 != 0 || i % 100 == 3;
                Packet { at, bytes: 1500.0, delay: 0.05, frame: 0, lost, window_full: false, alone: false }
            })
            .collect()
    }

    #[test]
    fn buckets_side_by_side_see_what_each_sees_alone() {
        let steps = steps(&packets(), 0.0);
        let guesses: Vec<Guess> = [3000.0, 9000.0, 12_000.0, 40_000.0]
            .into_iter()
            .flat_map(|depth| [50_000.0, 120_000.0, 135_000.0].map(|rate| Bucket { rate, depth }))
            .map(|bucket| Guess { bucket, slack: 750.0 })
            .collect();
        let alone: Vec<Replay> = guesses.iter().map(|g| replay(&steps, *g)).collect();
        assert_eq!(replays(&steps, &guesses), alone);
        for r in &alone {
            let (lost, passed) = (r.losses(), r.passes());
            let all = lost.0 + lost.1 + lost.2 + passed.0 + passed.1 + passed.2;
            assert!((all - 2000.0).abs() < 1e-9, "each packet is counted once: {r:?}");
        }
        assert!(alone.windows(2).any(|w| w[0] != w[1]), "they differ");
    }

    #[test]
    fn what_passes_without_tokens_speaks_against_a_policer_and_losses_do_not() {
        let tally = |lost, passed| [Tally { lost, passed }, Tally::default()];
        let with_empty = |empty| Replay { empty, full: tally(0.0, 500.0), ..Replay::default() };
        let likelihood = |empty: [Tally; 2]| with_empty(empty).log_likelihood();
        let learned = |empty: [Tally; 2]| empty[0].log_likelihood();
        let nothing = likelihood(tally(0.0, 0.0));
        // what is expected costs next to nothing, less than where it had to be learned; what is not costs more
        let lost = likelihood(tally(40.0, 0.0)) - nothing;
        assert!(lost > -1.0 && lost > learned(tally(40.0, 0.0)) + 1.0, "{lost}");
        let half = likelihood(tally(20.0, 20.0)) - nothing;
        assert!(half < learned(tally(20.0, 20.0)) - 5.0, "{half}");
    }

    #[test]
    fn merging_keeps_time_and_what_passed() {
        let packets = packets();
        let (each, merged) = (steps(&packets, 0.0), steps(&packets, 0.001));
        assert_eq!(each.len(), packets.len());
        assert!(merged.len() < each.len() / 2);
        let passed = |of: &[Step]| -> f64 { of.iter().filter(|s| !s.lost).map(|s| f64::from(s.bytes)).sum() };
        assert!((passed(&each) - passed(&merged)).abs() < 1e-6);
        let time = |of: &[Step]| -> f64 { of.iter().map(|s| f64::from(s.after)).sum() };
        assert!((time(&each) - time(&merged)).abs() < 0.003);
    }
}
