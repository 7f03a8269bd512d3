//! What lingers: after a name set a box off, other connections of the client to the same server and port fail for a while,
//! whatever they ask for.
//!
//! The time is told as an interval, from the last failure to the first success. Such failures are consequences: they count
//! neither for the name nor against it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fate::{Fate, fate};
use super::group::network;
use super::rows::{MOST_ROWS, Row};
use crate::base::{Endpoint, Span, Timestamp};
use crate::detect::{Finding, Level, Residual};
use crate::flow::Stage;
use crate::measure::Summary;

/// Boxes are known to remember for 40 s to 7 min (TSPU 40, 75 and 420 s; the Great Firewall 90 to 180 s; Iran 60 to 180 s and
/// more when packets restart it: Bock et al. 2021, Wu et al. 2025, Xue et al. 2022): what fails later has another cause.
const LONGEST: Span = Span::from_secs(480);

/// A try of any connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    pub(super) n: usize,
    pub(super) at: Timestamp,
    /// Whether it failed in a way that a box may have caused; `None`: it cannot be told.
    pub(super) failed: Option<bool>,
    /// Whether it asked for no name.
    pub(super) nameless: bool,
}

/// A try and the server's port.
pub(super) type WithPort = (u16, Try);

/// All tries of a capture, in order of time: the first [`MOST_ROWS`] of each place.
#[derive(Debug, Default)]
pub(super) struct Tries {
    by_ends: BTreeMap<(IpAddr, Endpoint), Vec<Try>>,
    /// By the server's network; with the port.
    pub(super) by_network: BTreeMap<(IpAddr, [u8; 7]), Vec<WithPort>>,
}

/// All tries of a capture; `about` are the findings on each connection.
pub(super) fn tries(
    connections: &[Box<Summary>],
    about: &BTreeMap<usize, Vec<&Finding>>,
    places: &BTreeSet<(IpAddr, [u8; 7])>,
) -> Tries {
    let mut all = Tries::default();
    for (n, s) in connections.iter().enumerate() {
        let network = network(s.server.addr);
        if !places.contains(&(s.client.addr, network)) {
            continue;
        }
        let about = about.get(&n).map_or(&[][..], Vec::as_slice);
        let reset = about.iter().any(|f| f.trigger.is_some() && f.level >= Level::Likely);
        let unanswered = s.stage == Stage::SynSent && s.flows.to_client.packets == 0;
        let failed = match fate(s, about) {
            Fate::Bad(_) => Some(true),
            _ if reset || unanswered => Some(true),
            Fate::Well => Some(false),
            Fate::Unknown => None,
        };
        let nameless = s.name().is_none();
        let one = Try { n, at: s.started, failed, nameless };
        push(all.by_ends.entry((s.client.addr, s.server)).or_default(), one);
        push(all.by_network.entry((s.client.addr, network)).or_default(), (s.server.port, one));
    }
    all.by_ends.values_mut().for_each(|list| list.sort_by_key(|t| t.at));
    all
}

fn push<T>(list: &mut Vec<T>, one: T) {
    if list.len() < MOST_ROWS {
        list.push(one);
    }
}

/// How long others failed after these failures, and which they were; nothing unless one went well afterwards.
pub(super) fn residual(bad: &[&Row<'_>], tries: &Tries) -> Option<(Residual, BTreeSet<usize>)> {
    let own: BTreeSet<usize> = bad.iter().map(|r| r.n).collect();
    let mut ends: Vec<(IpAddr, Endpoint)> = bad.iter().map(|r| (r.s.client.addr, r.s.server)).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut members = BTreeSet::new();
    let (mut at_least, mut at_most): (Option<Span>, Option<Span>) = (None, None);
    for list in ends.iter().filter_map(|e| tries.by_ends.get(e)) {
        let mut since: Option<Timestamp> = None;
        let mut failures: Vec<(&Try, Span)> = Vec::new();
        for t in list {
            if own.contains(&t.n) {
                since = Some(t.at);
                failures.clear();
                continue;
            }
            let Some(after) = since.map(|s| t.at.since(s)).filter(|s| *s <= LONGEST) else { continue };
            match t.failed {
                Some(true) => failures.push((t, after)),
                Some(false) => {
                    // who fails after it sent a name of its own may be blocked for that
                    if let Some((_, last)) = failures.iter().rfind(|(t, _)| t.nameless) {
                        at_least = Some(at_least.map_or(*last, |a| a.max(*last)));
                        at_most = Some(at_most.map_or(after, |a| a.min(after)));
                        members.extend(failures.iter().filter(|(_, at)| at <= last).map(|(t, _)| t.n));
                    }
                    since = None; // it is over
                }
                None => {}
            }
        }
    }
    let (at_least, at_most) = (at_least?, at_most?);
    // two that contradict each other tell no time
    (at_least < at_most).then_some((Residual { at_least, at_most, connections: members.len() }, members))
}
