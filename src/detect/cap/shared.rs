//! Which transfers went through one bucket: those of two hosts, of a client and a prefix, of a host; where one bucket
//! foretells the losses of all better than a bucket for each.

use std::collections::BTreeMap;
use std::net::IpAddr;

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
    for level in 0..3 {
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
            for run in overlapping(transfers, &members) {
                let taken: Vec<&Transfer> = run.iter().map(|i| &transfers[*i]).collect();
                if let Some(group) = as_one(&taken) {
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

fn gain(f: &Fits) -> f64 {
    f.policer.as_ref().map_or(0.0, |p| p.gain.max(0.0))
}

/// The transfers as one, where that explains more than each alone.
fn as_one<'a>(taken: &[&'a Transfer]) -> Option<Group<'a>> {
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
    if gain(&fits) < each + MARGIN && !(steadier && gain(&fits) >= each * 0.8) {
        return None;
    }
    let mut transfers = taken.to_vec();
    transfers.sort_by_key(|t| t.connection);
    Some(group(transfers, fits, &series.packets))
}

fn alone(t: &Transfer) -> Group<'_> {
    group(vec![t], t.fits.clone(), &t.series.packets)
}

/// How many lost packets a finding names.
const NAMED: usize = 32;

fn group<'a>(
    transfers: Vec<&'a Transfer>,
    fits: Fits,
    packets: &[crate::measure::cap::series::Packet],
) -> Group<'a> {
    let mut lost: Vec<u64> =
        packets.iter().filter(|p| p.lost).take(NAMED).map(|p| u64::from(p.frame)).collect();
    lost.dedup();
    lost.sort_unstable();
    let first_loss = packets.iter().find(|p| p.lost).map_or(0.0, |p| p.at);
    Group { transfers, fits, lost, first_loss }
}
