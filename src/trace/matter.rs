//! Which connections matter: those with findings, and what they are held against.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::analysis::Analysis;
use crate::detect::Finding;
use crate::detect::name::network;

/// The most connections that are taken to matter.
pub const MOST: usize = 4096;

/// The most controls of one finding.
const CONTROLS: usize = 8;

/// The most connections between a client and a network that are looked through for controls of one finding.
const LOOKED_AT: usize = 1024;

type Network = (IpAddr, [u8; 7]);

/// The places of the connections with findings and of their controls, the worst finding first, each with its controls
/// behind it; at most [`MOST`].
///
/// Controls are connections of the same client to the same /24 or /48 with other names: those that the finding names where
/// it names any, and only such as it does not concern.
pub fn that_matter(a: &Analysis) -> Vec<usize> {
    let mut by_network: BTreeMap<Network, Vec<usize>> = BTreeMap::new();
    if !a.findings.is_empty() {
        for place in 0..a.verdicts.len() {
            if let Some(ends) = ends(a, place).filter(|_| a.name(place).is_some()) {
                by_network.entry(ends).or_default().push(place);
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for f in a.findings.iter().take(MOST) {
        for place in f.connections.iter().copied().chain(controls(f, a, &by_network)) {
            if places.len() == MOST {
                return places;
            }
            if seen.insert(place) {
                places.push(place);
            }
        }
    }
    places
}

fn controls(f: &Finding, a: &Analysis, by_network: &BTreeMap<Network, Vec<usize>>) -> Vec<usize> {
    let names: BTreeSet<&str> = f.connections.iter().filter_map(|c| a.name(*c)).collect();
    let networks: BTreeSet<Network> = f.connections.iter().filter_map(|c| ends(a, *c)).collect();
    let listed = f.controls.as_ref().map(|c| &c.names).filter(|n| !n.is_empty());
    let is_control = |place: &usize| {
        let Some(name) = a.name(*place) else { return false };
        let named = listed.is_none_or(|l| l.iter().any(|n| n == name));
        named && !names.contains(name) && !f.concerns(*place)
    };
    let near = networks.iter().filter_map(|n| by_network.get(n)).flatten().take(LOOKED_AT);
    near.copied().filter(is_control).take(CONTROLS).collect()
}

fn ends(a: &Analysis, place: usize) -> Option<Network> {
    let (client, server) = a.ends(place)?;
    Some((client.addr, network(server.addr)))
}
