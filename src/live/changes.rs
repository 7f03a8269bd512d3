//! What is new since the last look: findings that came, changed, or were taken back by later packets.
//!
//! What rests on a fit to a rate turns back and forth while a transfer goes on, and what rests on a silence is nothing where the
//! silence ends. So these are said as claims only once they have stood for [`STEADY`], and taken back only once they have not stood
//! for [`GONE`]; until the one they are pointers, marked as such that may become more. All else is said and taken back at once.

use std::collections::BTreeMap;

use crate::analysis::Analysis;
use crate::base::{Span, Timestamp};
use crate::detect::{Finding, Level, Mechanism};

/// How long a claim that may turn must stand, in capture time, before it is said as one (docs/live.md has the figures).
pub const STEADY: Span = Span::from_secs(8);
/// How long it must not have stood before it is taken back.
pub const GONE: Span = Span::from_secs(10);

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    New,
    /// Its level, its connections or its deciding packets are others.
    Changed,
}

impl Change {
    /// The word that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
        }
    }
}

/// What is remembered of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// The level at which it was said.
    level: Level,
    connections: usize,
    frames: Vec<u64>,
    may_turn: bool,
    /// Since when it has been a claim, or has not been one.
    since: Timestamp,
    is_claim: bool,
}

impl Known {
    fn says_other_than(&self, before: &Self) -> bool {
        (self.level, self.connections, &self.frames) != (before.level, before.connections, &before.frames)
    }

    /// Notes whether it is a claim now; gives for how long it has been so.
    fn turn(&mut self, is_claim: bool, seen: Timestamp) -> Span {
        if self.is_claim != is_claim {
            (self.is_claim, self.since) = (is_claim, seen);
        }
        seen.since(self.since)
    }
}

/// The findings that were said so far.
#[derive(Debug)]
pub struct Changes {
    known: BTreeMap<String, Known>,
    steady: Span,
    gone: Span,
}

impl Default for Changes {
    fn default() -> Self {
        Self::with(STEADY, GONE)
    }
}

/// How a finding stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its key, see [`key`].
    pub key: String,
    /// The level at which it is to be said.
    pub level: Level,
    /// Whether it would be a claim, had it stood longer.
    pub provisional: bool,
    /// What became of it since the last look, if anything.
    pub change: Option<Change>,
}

/// What a look tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Of each finding of the analysis, in its order.
    pub standing: Vec<Standing>,
    /// Keys of claims that are not in the analysis, but not taken back yet either.
    pub held: Vec<String>,
    /// Keys of findings that are no more.
    pub withdrawn: Vec<String>,
}

impl Changes {
    /// Nothing said yet; see [`STEADY`] and [`GONE`].
    pub fn with(steady: Span, gone: Span) -> Self {
        Self { known: BTreeMap::new(), steady, gone }
    }

    /// Compares an analysis with what was said before; where the capture is `over`, nothing waits any more.
    pub fn look(&mut self, a: &Analysis, over: bool) -> Told {
        let mut told = Told::default();
        let mut now = BTreeMap::new();
        let seen = a.counts.last.unwrap_or_default();
        for f in &a.findings {
            let mut key = key(f, a);
            while now.contains_key(&key) {
                key.push('+'); // two of a kind about one connection
            }
            let before = self.known.remove(&key);
            let (may_turn, is_claim) = (may_turn(f), f.level >= Level::Likely);
            let mut known = Known {
                level: f.level,
                connections: f.connections.len(),
                frames: f.frames.clone(),
                may_turn,
                since: before.as_ref().map_or(seen, |b| b.since),
                is_claim: before.as_ref().map_or(is_claim, |b| b.is_claim),
            };
            let stood = known.turn(is_claim, seen);
            let was_said = before.as_ref().filter(|b| b.level >= Level::Likely);
            let waits = may_turn && !over;
            let provisional = waits && is_claim && was_said.is_none() && stood < self.steady;
            if provisional {
                known.level = Level::Possible;
            }
            if let Some(said) = was_said.filter(|_| waits && !is_claim && stood < self.gone) {
                known = Known { since: known.since, is_claim, ..said.clone() };
            }
            let change = match &before {
                None => Some(Change::New),
                Some(before) => known.says_other_than(before).then_some(Change::Changed),
            };
            told.standing.push(Standing { key: key.clone(), level: known.level, provisional, change });
            now.insert(key, known);
        }
        for (key, mut known) in std::mem::take(&mut self.known) {
            let held = known.may_turn && known.level >= Level::Likely && !over;
            if held && known.turn(false, seen) < self.gone {
                told.held.push(key.clone());
                now.insert(key, known);
            } else {
                told.withdrawn.push(key);
            }
        }
        self.known = now;
        told
    }
}

/// Whether later packets of the same connections may well take a finding back: it rests on a rate or on a silence.
fn may_turn(f: &Finding) -> bool {
    use Mechanism::{DropAfterN, Freeze, HelloDropped, HelloMuted, SizeKeyed, SlowHandshake};
    let of_silence = [HelloDropped, HelloMuted, DropAfterN, Freeze, SizeKeyed, SlowHandshake];
    rests_on_rate(f) || of_silence.contains(&f.mechanism)
}

/// Whether a finding rests on a fit to a rate.
pub fn rests_on_rate(f: &Finding) -> bool {
    f.cap.is_some() || f.mechanism == Mechanism::Throttled
}

/// What names a finding from one analysis to the next: its rule, what happened, and the first of its connections.
pub fn key(f: &Finding, a: &Analysis) -> String {
    let first = f.connections.iter().filter_map(|c| first_frame(a, *c)).min();
    let first = first.or(f.frames.first().copied()).unwrap_or(0); // what DNS did has no connection
    format!("{}:{}:{first}", f.code, f.mechanism.name())
}

fn first_frame(a: &Analysis, place: usize) -> Option<u64> {
    match a.connections.get(place) {
        Some(c) => Some(c.first_frame),
        None => Some(a.udp.quic.get(place.checked_sub(a.connections.len())?)?.first_frame),
    }
}
