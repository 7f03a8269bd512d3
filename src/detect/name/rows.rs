//! What comparisons of names work on: connections with their fates, and which lie near which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fishers_exact::fishers_exact;

use super::fate::Fate;
use crate::base::{Span, Timestamp};
use crate::detect::weights as w;
use crate::detect::{Controls, Finding, KeyedOn, Level, Residual};
use crate::measure::Summary;

/// Controls are looked for within an hour (time of day moves paths and loads).
pub(super) const WITHIN: Span = Span::from_secs(3600);
/// More connections of a kind than these add no evidence: those of one capture are not independent.
pub(super) const COUNTED: usize = 3;
/// The most connections that one finding lists.
pub(super) const LISTED: usize = 1000;
/// With a level of chance below this, and three on each side, a claim is confirmed (detection by Fisher's exact test).
const CONFIRMED_P: f64 = 0.01;
/// The most names of controls that one finding lists.
const LISTED_NAMES: usize = 10;
/// Bounds on what a hostile capture can make it look at: groups, and connections of one network. What is beyond is counted.
pub(super) const MOST_GROUPS: usize = 4096;
pub(super) const MOST_ROWS: usize = 4096;

/// What comparing names gave.
#[derive(Debug, Default)]
pub struct Compared {
    /// Findings about names.
    pub findings: Vec<Finding>,
    /// For findings given before, by their place: what they depend on, and how likely chance is.
    pub keyed: BTreeMap<usize, Keyed>,
    /// For findings given before, by their place: what lingered after them.
    pub lingered: BTreeMap<usize, Residual>,
    /// Groups and connections beyond what is looked at.
    pub not_compared: u64,
}

/// What a finding depends on.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The name, or the server.
    pub on: KeyedOn,
    /// How likely chance is.
    pub p_value: Option<f64>,
    /// What it was held against.
    pub controls: Controls,
}

/// A connection in the comparison.
pub(super) struct Row<'a> {
    pub(super) n: usize,
    pub(super) s: &'a Summary,
    pub(super) fate: Fate,
    pub(super) group: &'a str,
    pub(super) network: [u8; 7],
}

/// The connections with names, by client and by the server's network.
pub(super) type ByNetwork<'a, 'b> = BTreeMap<(IpAddr, [u8; 7]), Vec<&'b Row<'a>>>;

/// From the start of the first of some connections to the end of the last.
pub(super) fn span(rows: &[&Row<'_>]) -> (Timestamp, Timestamp) {
    let first = rows.iter().map(|r| r.s.started).min().unwrap_or_default();
    let last = rows.iter().map(|r| r.s.started + r.s.duration).max().unwrap_or_default();
    (first, last)
}

/// The client's connections to the networks of some of them, within an hour of those.
pub(super) fn around<'a, 'b>(
    client: IpAddr,
    rows: &[&'b Row<'a>],
    by_network: &ByNetwork<'a, 'b>,
) -> Vec<&'b Row<'a>> {
    let (first, last) = span(rows);
    let mut networks: Vec<[u8; 7]> = rows.iter().map(|r| r.network).collect();
    networks.sort_unstable();
    networks.dedup();
    let near = |r: &&&Row<'_>| first.since(r.s.started) < WITHIN && r.s.started.since(last) < WITHIN;
    networks.iter().filter_map(|n| by_network.get(&(client, *n))).flatten().filter(near).copied().collect()
}

/// What some connections were held against: their names, and how many went well and did not.
pub(super) fn controls(well: &[&Row<'_>], failed: &[&Row<'_>]) -> Controls {
    listed(well.iter().chain(failed).filter_map(|r| r.s.name()), well.len(), failed.len())
}

/// Controls with these names.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>, well: usize, failed: usize) -> Controls {
    Controls { names: first(names.map(str::to_owned), LISTED_NAMES), well, failed }
}

/// The first few of some things, in order and each once.
pub(super) fn first<T: Ord>(things: impl Iterator<Item = T>, most: usize) -> Vec<T> {
    let mut all: Vec<T> = things.collect();
    all.sort_unstable();
    all.dedup();
    all.truncate(most);
    all
}

/// How many connections with a name failed and went well, and how many with others.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    pub(super) bad: usize,
    pub(super) well: usize,
    pub(super) controls_failed: usize,
    pub(super) controls: usize,
}

impl Tally {
    /// How likely chance alone sets name and controls so far apart (Fisher's exact test, one-sided); nothing without controls.
    pub(super) fn chance(self) -> Option<f64> {
        if self.controls + self.controls_failed == 0 {
            return None;
        }
        let table = [self.bad, self.well, self.controls_failed, self.controls];
        let table = table.map(|n| u32::try_from(n).unwrap_or(u32::MAX).min(10_000));
        fishers_exact(&table).ok().map(|p| p.greater_pvalue)
    }

    /// Whether controls all went well and the name hardly ever.
    pub(super) const fn sets_apart(self) -> bool {
        self.controls_failed == 0 && self.well * 4 <= self.bad
    }

    /// The level of a finding that is a claim or none.
    pub(super) fn level(self, likely: bool, confidence: f64, p_value: Option<f64>) -> Level {
        let confirmed = confidence >= w::CONFIRMED
            && self.bad >= 3
            && self.controls >= 3
            && p_value.is_some_and(|p| p < CONFIRMED_P);
        match (likely, confirmed) {
            (true, true) => Level::Confirmed,
            (true, false) => Level::Likely,
            _ => Level::Possible,
        }
    }
}
