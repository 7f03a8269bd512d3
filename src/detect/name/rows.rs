//! What comparisons of names work on: connections with their fates, and which lie near which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::fate::Fate;
use crate::base::{Span, Timestamp};
use crate::detect::{Controls, Finding, KeyedOn};
use crate::measure::Summary;

/// Controls are looked for within an hour (time of day moves paths and loads).
pub(super) const WITHIN: Span = Span::from_secs(3600);
/// More connections of a kind than these add no evidence: those of one capture are not independent.
pub(super) const COUNTED: usize = 3;
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
    let mut names: Vec<String> =
        well.iter().chain(failed).filter_map(|r| r.s.name()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(LISTED_NAMES);
    Controls { names, well: well.len(), failed: failed.len() }
}
