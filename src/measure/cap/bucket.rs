//! A token bucket replayed over packets: what it predicts for each, before it sees what became of it.
//!
//! Tokens are bytes. They come in at the rate, up to the depth; a packet passes if there are enough and takes them.
//! After each packet the state is set right by what was seen: a packet that passed had tokens, a lost one had none.
//! So one wrong guess is paid for once, and the sum of what the guesses cost (a prequential code length, with the
//! Krichevsky–Trofimov estimator) can be compared with any other model's on the same packets.

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

    /// Natural logarithm of the probability of these outcomes under the best constant chance, less what learning
    /// that chance costs (Krichevsky and Trofimov 1981: half the logarithm of the count, and ln 2).
    pub fn log_likelihood(self) -> f64 {
        let n = self.total();
        if n == 0.0 {
            return 0.0;
        }
        let term = |k: f64| if k > 0.0 { k * (k / n).ln() } else { 0.0 };
        term(self.lost) + term(self.passed) - 0.5 * n.ln() - std::f64::consts::LN_2
    }
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
        self.empty.into_iter().chain(self.edge).chain(self.full).map(Tally::log_likelihood).sum()
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

/// Replays a bucket that is full at first; `see` gets each packet with the tokens before it. Within `slack` bytes a
/// guess is neither right nor wrong.
///
/// A loss is taken to say that there were no tokens, as other traffic may have taken them unseen. When packets then
/// pass nevertheless, that loss had another cause, and what was there before it is put back.
pub fn replay(packets: &[Packet], bucket: Bucket, slack: f64, mut see: impl FnMut(usize, f64)) -> Replay {
    let mut out = Replay::default();
    let (mut tokens, mut then, mut before) = (bucket.depth, 0.0, 0usize);
    // what the tokens would be if the loss that emptied the bucket had had another cause, and passes that say so
    let (mut doubt, mut passes) = (0.0f64, 0);
    for (i, p) in packets.iter().enumerate() {
        let bytes = f64::from(p.bytes);
        let came = bucket.rate * (p.at - then);
        then = p.at;
        tokens = (tokens + came).min(bucket.depth);
        doubt = (doubt + came).min(bucket.depth);
        see(i, tokens);
        let over = tokens - bytes;
        let class = if over < -slack {
            &mut out.empty
        } else if over <= slack {
            &mut out.edge
        } else {
            &mut out.full
        };
        class[before].add(p.lost);
        before = usize::from(p.lost);
        if p.lost {
            if over > slack {
                (doubt, passes) = (tokens.max(doubt), 0);
                tokens = bytes + slack;
            }
            continue;
        }
        doubt -= bytes;
        tokens = over;
        if over < -slack {
            passes += 1;
            tokens = -slack - bytes;
            if passes >= SECOND_THOUGHTS && doubt > slack {
                (tokens, doubt, passes) = (doubt, 0.0, 0);
            }
        }
    }
    out
}

/// Passes without tokens after which a loss is no longer believed.
const SECOND_THOUGHTS: u32 = 3;

/// How well chance predicts the losses that come in bursts: a chance for each of what became of the last two
/// packets.
pub fn chance(packets: &[Packet]) -> f64 {
    let mut tallies = [Tally::default(); 4];
    let mut context = 0usize;
    for p in packets {
        tallies[context].add(p.lost);
        context = (context * 2 + usize::from(p.lost)) % 4;
    }
    tallies.into_iter().map(Tally::log_likelihood).sum()
}
