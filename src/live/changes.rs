//! What is new since the last look: findings that came, changed, or were taken back by later packets.
//!
//! A claim about a rate is said as a claim only once it has stood for [`STEADY`]: its fit may turn with the next packets of
//! a transfer that goes on. Until then it is a pointer, and marked as one that may become more.

use std::collections::BTreeMap;

use crate::analysis::Analysis;
use crate::base::{Span, Timestamp};
use crate::detect::{Finding, Level, Mechanism};

/// How long a claim about a rate must stand, in capture time, before it is said as one (docs/live.md has the figures).
pub const STEADY: Span = Span::from_secs(3);

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
    level: Level,
    connections: usize,
    frames: Vec<u64>,
    /// Since when it has been a claim without a break.
    claim_since: Option<Timestamp>,
}

impl Known {
    fn says_other_than(&self, before: &Self) -> bool {
        (self.level, self.connections, &self.frames) != (before.level, before.connections, &before.frames)
    }
}

/// The findings that were said so far.
#[derive(Debug)]
pub struct Changes {
    known: BTreeMap<String, Known>,
    steady: Span,
}

impl Default for Changes {
    fn default() -> Self {
        Self::steady_for(STEADY)
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
    /// Keys of findings that are no more.
    pub withdrawn: Vec<String>,
}

impl Changes {
    /// Nothing said yet; claims about rates must stand for so long.
    pub fn steady_for(steady: Span) -> Self {
        Self { known: BTreeMap::new(), steady }
    }

    /// Compares an analysis with what was said before; where the capture is `over`, no claim waits any more.
    pub fn look(&mut self, a: &Analysis, over: bool) -> Told {
        let mut told = Told::default();
        let mut now = BTreeMap::new();
        let seen = a.counts.last.unwrap_or_default();
        for f in &a.findings {
            let mut key = key(f, a);
            while now.contains_key(&key) {
                key.push('+'); // two of a kind about one connection
            }
            let before = self.known.get(&key);
            let is_claim = f.level >= Level::Likely;
            let claim_since = is_claim.then(|| before.and_then(|b| b.claim_since).unwrap_or(seen));
            let waits = |since: Timestamp| rests_on_rate(f) && !over && seen.since(since) < self.steady;
            let provisional = claim_since.is_some_and(waits);
            let level = if provisional { Level::Possible } else { f.level };
            let (connections, frames) = (f.connections.len(), f.frames.clone());
            let known = Known { level, connections, frames, claim_since };
            let change = match before {
                None => Some(Change::New),
                Some(before) => known.says_other_than(before).then_some(Change::Changed),
            };
            told.standing.push(Standing { key: key.clone(), level, provisional, change });
            now.insert(key, known);
        }
        told.withdrawn = self.known.keys().filter(|k| !now.contains_key(*k)).cloned().collect();
        self.known = now;
        told
    }
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
