//! Which transfers went through one bucket: those of two hosts, of a client and a prefix, of a host; where one bucket
//! foretells the losses of all better than a bucket for each. Transfers of two hosts that came in turn found it full each
//! time, or each had one of its own of the same size, which comes to the same.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::signs;
use crate::base::Direction;
use crate::measure::cap::transfer::together;
use crate::measure::cap::{Fits, Transfer};

/// Transfers that are judged as one.
pub(super) struct Group<'a> {
    /// In the order of their connections.
    pub transfers: Vec<&'a Transfer>,
    /// What the models say of all their packets.
    pub fits: Fits,
    /// The lost packets, the first few.
    pub lost: Vec<u64>,
    /// Whether they shared one bucket, and did not come in turn.
    pub at_once: bool,
    /// Seconds after the first packet at which the first was lost.
    pub first_loss: f64,
}

/// The most transfers that are tried as one.
const MOST: usize = 12;

/// How much better one bucket has to be than several: as many parameters fewer, but the grouping was picked.
const MARGIN: f64 = 5.0;

/// What transfers may have in common, the narrowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Common {
    Hosts(IpAddr, IpAddr),
    ClientAndPrefix(IpAddr, IpAddr),
    Client(IpAddr),
}

fn prefix(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(a) => {
            let [a, b, c, _] = a.octets();
            [a, b, c, 0].into()
        }
        IpAddr::V6(a) => {
            let [a, b, c, ..] = a.segments();
            [a, b, c, 0, 0, 0, 0, 0].into()
        }
    }
}

/// Groups with one bucket, and the rest alone.
pub(super) fn groups(transfers: &[Transfer]) -> Vec<Group<'_>> {
    let mut free: Vec<bool> = vec![true; transfers.len()];
    let mut out = Vec::new();
    // those at one time first: of two that shared a bucket, each alone looks like one with a bucket of another rate
    for (level, at_once) in [(0, true), (1, true), (2, true), (0, false)] {
        let mut by: BTreeMap<(Common, bool), Vec<usize>> = BTreeMap::new();
        for (i, t) in transfers.iter().enumerate().filter(|(i, t)| free[*i] && !t.series.packets.is_empty()) {
            let (client, server) = match t.direction {
                Direction::ToClient => (t.receiver, t.sender),
                Direction::ToServer => (t.sender, t.receiver),
            };
            let common = match level {
                0 => Common::Hosts(t.sender, t.receiver),
                1 => Common::ClientAndPrefix(client, prefix(server)),
                _ => Common::Client(client),
            };
            // two hosts are told apart by who sends; a client's up and down are two
            by.entry((common, level > 0 && t.direction == Direction::ToClient)).or_default().push(i);
        }
        for (_, members) in by {
            let runs = if at_once { overlapping(transfers, &members) } else { in_turn(transfers, &members) };
            for run in runs {
                let taken: Vec<&Transfer> = run.iter().map(|i| &transfers[*i]).collect();
                if let Some(group) = as_one(&taken, at_once) {
                    out.push(group);
                    for i in run {
                        free[i] = false;
                    }
                }
            }
        }
    }
    out.extend(transfers.iter().zip(&free).filter(|(_, free)| **free).map(|(t, _)| alone(t)));
    out.sort_by_key(|g| g.transfers[0].connection);
    out
}

/// Runs of transfers each of which overlaps in time with one before it.
fn overlapping(transfers: &[Transfer], members: &[usize]) -> Vec<Vec<usize>> {
    let mut sorted = members.to_vec();
    sorted.sort_by_key(|i| (transfers[*i].start, *i));
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut until = None;
    for i in sorted {
        let t = &transfers[i];
        match runs.last_mut() {
            Some(run) if until.is_some_and(|u| t.start <= u) && run.len() < MOST => run.push(i),
            _ => {
                runs.push(vec![i]);
                until = None;
            }
        }
        until = until.max(Some(t.end));
    }
    runs.retain(|r| r.len() > 1);
    runs
}

/// Runs of transfers that came one after the other and of which each looks policed already, if only a little.
fn in_turn(transfers: &[Transfer], members: &[usize]) -> Vec<Vec<usize>> {
    let mut sorted: Vec<usize> = members
        .iter()
        .copied()
        .filter(|i| gain(&transfers[*i].fits) > 0.0 && transfers[*i].fits.queue.is_none())
        .collect();
    sorted.sort_by_key(|i| (transfers[*i].start, *i));
    let mut until = None;
    sorted.retain(|i| {
        let after = until.is_none_or(|u| transfers[*i].start > u);
        if after {
            until = Some(transfers[*i].end);
        }
        after
    });
    sorted.chunks(MOST).filter(|r| r.len() > 1).map(<[usize]>::to_vec).collect()
}

fn gain(f: &Fits) -> f64 {
    f.policer.as_ref().map_or(0.0, |p| p.gain.max(0.0))
}

/// The transfers as one, where that explains more than each alone: of those that came in turn, as much with fewer parameters.
fn as_one<'a>(taken: &[&'a Transfer], at_once: bool) -> Option<Group<'a>> {
    let losses = taken.iter().filter(|t| t.fits.losses > 0).count();
    let queues = taken.iter().filter(|t| t.fits.queue.is_some()).count();
    if losses < 2 && queues < 2 || taken.iter().any(|t| t.side != taken[0].side && t.fits.losses > 0) {
        return None;
    }
    let series = together(taken)?;
    let fits = Fits::new(&series);
    let each: f64 = taken.iter().map(|t| gain(&t.fits)).sum();
    let steadier = fits.queue.as_ref().is_some_and(|q| {
        taken.iter().all(|t| t.fits.queue.as_ref().is_none_or(|own| q.unsteady < own.unsteady * 0.7))
    });
    let better = if at_once {
        gain(&fits) >= each + MARGIN || steadier && gain(&fits) >= each * 0.8
    } else {
        let beyond = |f: &Fits| gain(f) - signs::cost(f);
        beyond(&fits) >= taken.iter().map(|t| beyond(&t.fits)).sum()
    };
    if !better {
        return None;
    }
    let mut transfers = taken.to_vec();
    transfers.sort_by_key(|t| t.connection);
    Some(group(transfers, fits, &series.packets, at_once))
}

fn alone(t: &Transfer) -> Group<'_> {
    group(vec![t], t.fits.clone(), &t.series.packets, true)
}

/// How many lost packets a finding names.
const NAMED: usize = 32;

fn group<'a>(
    transfers: Vec<&'a Transfer>,
    fits: Fits,
    packets: &[crate::measure::cap::series::Packet],
    at_once: bool,
) -> Group<'a> {
    let mut lost: Vec<u64> =
        packets.iter().filter(|p| p.lost).take(NAMED).map(|p| u64::from(p.frame)).collect();
    lost.dedup();
    lost.sort_unstable();
    let first_loss = packets.iter().find(|p| p.lost).map_or(0.0, |p| p.at);
    Group { transfers, fits, lost, at_once, first_loss }
}
