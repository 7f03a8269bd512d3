//! What is new since the last look: findings that came, changed, or were taken back by later packets.

use std::collections::BTreeMap;

use crate::analysis::Analysis;
use crate::detect::{Finding, Level};

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

/// What is remembered of a finding that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    level: Level,
    connections: usize,
    frames: Vec<u64>,
}

/// The findings that were said so far.
#[derive(Debug, Default)]
pub struct Changes {
    known: BTreeMap<String, Known>,
}

/// What a look tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Places of findings in the analysis, each with its key and what became of it.
    pub said: Vec<(usize, String, Change)>,
    /// Keys of findings that are no more.
    pub withdrawn: Vec<String>,
}

impl Changes {
    /// Compares an analysis with what was said before.
    pub fn look(&mut self, a: &Analysis) -> Told {
        let mut told = Told::default();
        let mut now = BTreeMap::new();
        for (n, f) in a.findings.iter().enumerate() {
            let mut key = key(f, a);
            while now.contains_key(&key) {
                key.push('+'); // two of a kind about one connection
            }
            let known = Known { level: f.level, connections: f.connections.len(), frames: f.frames.clone() };
            match self.known.get(&key) {
                None => told.said.push((n, key.clone(), Change::New)),
                Some(before) if *before != known => told.said.push((n, key.clone(), Change::Changed)),
                Some(_) => {}
            }
            now.insert(key, known);
        }
        told.withdrawn = self.known.keys().filter(|k| !now.contains_key(*k)).cloned().collect();
        self.known = now;
        told
    }
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
