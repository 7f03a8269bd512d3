//! Which of the wanted connections a packet belongs to, and which frames are worth decoding at all.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::analysis::Analysis;
use crate::base::{Direction, Endpoint};
use crate::flow::key::Key;

/// Some connections of an analysis, to be found by their packets.
#[derive(Clone, Debug)]
pub struct Wanted {
    places: Vec<usize>,
    /// For each pair of ends and transport (true for TCP) the connections between them, in the order of their frames.
    by_key: HashMap<(bool, Key), Vec<Span>, foldhash::fast::RandomState>,
    /// Frames that may be of any, as spans that do not touch, in order.
    spans: Vec<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    last: u64,
    nth: usize,
    client: Endpoint,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of the wanted connections, from 0 on.
    pub nth: usize,
    /// Which way the packet goes.
    pub direction: Direction,
}

impl Wanted {
    /// The connections at these places; a place that is not there, or comes twice, is passed over.
    pub fn new(a: &Analysis, wanted: &[usize]) -> Self {
        let mut seen = BTreeSet::new();
        let there = |p: &&usize| **p < a.verdicts.len() && seen.insert(**p);
        let places: Vec<usize> = wanted.iter().filter(there).copied().collect();
        let mut by_key: HashMap<(bool, Key), Vec<Span>, foldhash::fast::RandomState> = HashMap::default();
        let mut spans = Vec::with_capacity(places.len());
        for (nth, place) in places.iter().enumerate() {
            let Some((client, server)) = a.ends(*place) else { continue };
            let Some((first, last)) = a.frames(*place) else { continue };
            let key = (a.connections.get(*place).is_some(), Key::new(client, server).0);
            by_key.entry(key).or_default().push(Span { first, last, nth, client });
            spans.push((first, last));
        }
        // no order of a hash gets out: each list is sorted by itself
        #[allow(clippy::iter_over_hash_type)]
        for list in by_key.values_mut() {
            list.sort_unstable_by_key(|s| (s.first, s.nth));
        }
        Self { places, by_key, spans: joined(spans) }
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Their places, in the order in which they were given.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().copied()
    }

    /// The last frame that may belong to any; 0 without any.
    pub fn last_frame(&self) -> u64 {
        self.spans.last().map_or(0, |(_, last)| *last)
    }

    /// Whether a frame may belong to any.
    pub fn may_have(&self, frame: u64) -> bool {
        let after = self.spans.partition_point(|(first, _)| *first <= frame);
        after > 0 && frame <= self.spans[after - 1].1
    }

    /// The connection of a packet from `src` to `dst` over TCP, or over UDP.
    pub fn find(&self, is_tcp: bool, src: Endpoint, dst: Endpoint, frame: u64) -> Option<Found> {
        let list = self.by_key.get(&(is_tcp, Key::new(src, dst).0))?;
        // connections between the same ends follow each other, so their spans do not overlap
        let after = list.partition_point(|s| s.first <= frame);
        let span = list[..after].last().filter(|s| frame <= s.last)?;
        let direction = if src == span.client { Direction::ToServer } else { Direction::ToClient };
        Some(Found { nth: span.nth, direction })
    }
}

/// Spans in order, those that overlap or follow at once joined.
fn joined(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        match out.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}
