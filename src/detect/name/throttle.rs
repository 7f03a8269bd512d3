//! A cap that one name has and others on the same network have not (detection by mechanism and pairing).
//!
//! The control is physical: a connection to another name that moved more than the target's bucket lets pass. Whatever holds the
//! target did not hold that one, so it is no property of the path or the subscriber.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::compare::{Compared, Keyed, WITHIN};
use super::group::{Names, network};
use crate::base::{Direction, Timestamp};
use crate::detect::finding::{Cap, Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Controls, Evidence, Finding, KeyedOn, Level};
use crate::measure::Summary;

/// A control must have been so many times faster than the cap.
const FASTER: f64 = 2.0;
/// And have moved so many bytes more than the bucket may let pass at once.
const BEYOND_BURST: u64 = 30_000;
/// Evidence of more connections than these is not added up.
const COUNTED: usize = 3;

type Key<'a> = (IpAddr, &'a str, Direction);

/// Looks for caps that depend on the name among the findings about caps.
pub(super) fn throttled(connections: &[Summary], findings: &[Finding], names: &Names, out: &mut Compared) {
    // the capped connections of a client and group, and the findings that say so
    let mut capped: BTreeMap<Key<'_>, Vec<(usize, usize)>> = BTreeMap::new();
    for (n, f) in findings.iter().enumerate().filter(|(_, f)| f.cap.is_some() && f.level >= Level::Likely) {
        let Some(direction) = f.direction else { continue };
        let mut groups: Vec<&str> = f
            .connections
            .iter()
            .filter_map(|c| connections[*c].name())
            .map(|name| names.group(name))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let [group] = groups[..] else { continue }; // one bucket for several names is not keyed on one
        for c in f.connections.iter().filter(|_| names.is_target(group)) {
            capped.entry((connections[*c].client.addr, group, direction)).or_default().push((*c, n));
        }
    }
    for ((client, group, direction), members) in capped.iter().take(MOST) {
        one(connections, findings, names, *client, group, *direction, members, out);
    }
}

/// The most groups that are looked at; each looks at all connections.
const MOST: usize = 64;

#[allow(clippy::too_many_arguments)] // one group, with all that it is held against
fn one(
    connections: &[Summary],
    findings: &[Finding],
    names: &Names,
    client: IpAddr,
    group: &str,
    direction: Direction,
    members: &[(usize, usize)],
    out: &mut Compared,
) {
    let Some(cap) = members.first().and_then(|(_, n)| findings[*n].cap) else { return };
    let bad: Vec<&Summary> = members.iter().map(|(c, _)| &connections[*c]).collect();
    let first = bad.iter().map(|s| s.started).min().unwrap_or_default();
    let last = bad.iter().map(|s| s.started + s.duration).max().unwrap_or_default();
    let networks: Vec<[u8; 7]> = bad.iter().map(|s| network(s.server.addr)).collect();
    let capped_too = |c: usize| {
        let says = |f: &&Finding| f.cap.is_some() && f.level >= Level::Likely && f.concerns(c);
        findings.iter().filter(says).any(|f| f.cap.is_some_and(|other| alike(&other, &cap)))
    };
    let near = |s: &Summary| {
        s.client.addr == client
            && networks.contains(&network(s.server.addr))
            && first.since(s.started) < WITHIN
            && s.started.since(last) < WITHIN
    };
    let of_others =
        |s: &Summary| s.name().is_some_and(|name| names.group(name) != group && names.may_control(name));
    let others: Vec<(usize, &Summary)> =
        connections.iter().enumerate().filter(|(_, s)| near(s) && of_others(s)).collect();
    let faster: Vec<&Summary> =
        others.iter().filter(|(_, s)| moved_more(s, direction, &cap)).map(|(_, s)| *s).collect();
    let failed = others.iter().filter(|(c, _)| capped_too(*c)).count();
    let free: usize = connections
        .iter()
        .filter(|s| {
            near(s) && s.name().is_some_and(|n| names.group(n) == group) && moved_more(s, direction, &cap)
        })
        .count();
    if faster.is_empty() || failed > 0 {
        return; // nothing to hold it against, or what holds it holds the others
    }
    let evidence = evidence(group, &cap, bad.len(), &faster, free, (first, last));
    let confidence = probability(w::NAME_PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>());
    let mut control_names: Vec<String> = faster.iter().filter_map(|s| s.name()).map(str::to_owned).collect();
    control_names.sort_unstable();
    control_names.dedup();
    control_names.truncate(10);
    let controls = Controls { names: control_names, well: faster.len(), failed: 0 };
    if confidence < w::LIKELY {
        return; // the cap stays a finding of its own
    }
    for (_, n) in members {
        out.keyed.insert(*n, Keyed { on: KeyedOn::Sni, p_value: None, controls: controls.clone() });
    }
    let mut list: Vec<usize> = members.iter().map(|(c, _)| *c).collect();
    list.sort_unstable();
    list.dedup();
    let enough = bad.len() >= 3 && faster.len() >= 3 && confidence >= w::CONFIRMED;
    out.findings.push(Finding {
        code: "SNI006",
        mechanism: Mechanism::Throttled,
        family: None,
        looks_like: None,
        trigger: None,
        keyed_on: Some(KeyedOn::Sni),
        p_value: None,
        controls: Some(controls),
        cap: Some(cap),
        direction: Some(direction),
        frames: list.iter().filter_map(|c| connections[*c].hello_frame).collect(),
        at: first,
        connections: list,
        hops: None,
        prior: w::NAME_PRIOR,
        confidence,
        level: if enough { Level::Confirmed } else { Level::Likely },
        evidence,
        alternatives: vec![
            Alternative {
                cause: "the path or the subscriber has that capacity",
                log_odds: 0.0,
                why: "a connection with another name moved more than such a bucket lets pass".to_owned(),
            },
            Alternative {
                cause: "the cap began or ended in between, for all names",
                log_odds: 0.0,
                why: "controls before, between and after the capped connections would tell".to_owned(),
            },
            Alternative {
                cause: "the server itself holds that name to a rate",
                log_odds: 0.0,
                why: "the same name from another network would tell".to_owned(),
            },
        ],
    });
}

fn evidence(
    group: &str,
    cap: &Cap,
    bad: usize,
    faster: &[&Summary],
    free: usize,
    (first, last): (Timestamp, Timestamp),
) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut add = |weight: &Weight, times: usize, claim: String, frames: Vec<u64>| {
        if times > 0 {
            #[allow(clippy::cast_precision_loss)] // a count of three at most
            let log_odds = weight.log_odds * times.min(COUNTED) as f64;
            all.push(Evidence { key: weight.key, claim, log_odds, frames, source: weight.source });
        }
    };
    let s = |n: usize| if n == 1 { "" } else { "s" };
    let rate = cap.rate_bps / 1e3;
    add(
        &w::NAME_CAPPED,
        bad.min(2),
        format!("{bad} connection{} to {group} or a name under it held to about {rate:.0} kbit/s", s(bad)),
        Vec::new(),
    );
    let n = faster.len();
    add(
        &w::CONTROL_FASTER,
        1,
        format!(
            "{n} connection{} of the same client to the same network with other names moved more than such a bucket lets pass",
            s(n)
        ),
        faster.iter().take(COUNTED).filter_map(|s| s.hello_frame).collect(),
    );
    add(
        &w::CONTROL_WELL_TOO,
        n.saturating_sub(1).min(2),
        "there is more than one such control".to_owned(),
        Vec::new(),
    );
    let between = faster.iter().any(|c| c.started >= first && c.started <= last);
    add(
        &w::INTERLEAVED,
        usize::from(between),
        "a control moved freely while the name was held".to_owned(),
        Vec::new(),
    );
    add(
        &w::NAME_WELL,
        free,
        format!("{free} connection{} to {group} on the same network moved freely", s(free)),
        Vec::new(),
    );
    all
}

/// Whether a connection moved what a bucket of this cap would have dropped or held back.
fn moved_more(s: &Summary, direction: Direction, cap: &Cap) -> bool {
    let f = &s.flows[direction];
    let beyond = f.new_bytes >= cap.burst_bytes.unwrap_or(0).saturating_mul(2).saturating_add(BEYOND_BURST);
    beyond && f.goodput_bps.is_some_and(|g| g >= FASTER * cap.interval_bps[1].max(cap.rate_bps))
}

/// Whether two caps have about the same rate (Flach et al. 2016 find clusters of ±5%; the interval may be wider).
fn alike(a: &Cap, b: &Cap) -> bool {
    let near = (a.rate_bps / b.rate_bps - 1.0).abs() < 0.2;
    near || a.interval_bps[0] <= b.interval_bps[1] && b.interval_bps[0] <= a.interval_bps[1]
}
