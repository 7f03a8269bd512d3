//! A cap that one name has and others on the same network have not (detection by mechanism and pairing).
//!
//! The control is physical: a connection to another name that moved more than the target's bucket lets pass. Whatever holds the
//! target did not hold that one, so it is no property of the path or the subscriber.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::group::Names;
use super::rates::Rates;
use super::rows::{ByNetwork, COUNTED, Compared, Keyed, MOST_GROUPS, Row, around, controls, span};
use crate::base::Direction;
use crate::detect::finding::{Cap, Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Evidence, Finding, KeyedOn, Level};
use crate::measure::Summary;

/// A control must have been so many times faster than the cap.
const FASTER: f64 = 2.0;
/// And have moved so many bytes more than the bucket may let pass at once.
const BEYOND_BURST: u64 = 30_000;
type Key<'a> = (IpAddr, &'a str, Direction);

/// Looks for caps that depend on the name among the findings about caps.
pub(super) fn throttled<'a>(
    rows: &[Row<'a>],
    by_network: &ByNetwork<'a, '_>,
    findings: &[Finding],
    names: &Names,
    out: &mut Compared,
) {
    let row = |c: &usize| rows.binary_search_by_key(c, |r| r.n).ok().map(|i| &rows[i]);
    // the capped connections of a client and group with the findings that say so, and the caps of each connection
    let mut capped: BTreeMap<Key<'_>, Vec<(&Row<'_>, usize)>> = BTreeMap::new();
    let mut caps: BTreeMap<usize, Vec<Cap>> = BTreeMap::new();
    for (n, f) in findings.iter().enumerate().filter(|(_, f)| f.level >= Level::Likely) {
        let Some(cap) = f.cap else { continue };
        for c in &f.connections {
            caps.entry(*c).or_default().push(cap);
        }
        let Some(direction) = f.direction else { continue };
        let mut groups: Vec<&str> = f.connections.iter().filter_map(row).map(|r| r.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let [group] = groups[..] else { continue }; // one bucket for several names is not keyed on one
        for r in f.connections.iter().filter_map(row).filter(|_| names.is_target(group)) {
            capped.entry((r.s.client.addr, group, direction)).or_default().push((r, n));
        }
    }
    out.not_compared += capped.len().saturating_sub(MOST_GROUPS) as u64;
    for ((client, group, direction), members) in capped.iter().take(MOST_GROUPS) {
        let bad: Vec<&Row<'_>> = members.iter().map(|(r, _)| *r).collect();
        let Some(cap) = members.first().and_then(|(_, n)| findings[*n].cap) else { continue };
        let mut near = around(*client, &bad, by_network);
        near.sort_unstable_by_key(|r| r.n);
        let others =
            || near.iter().filter(|r| r.group != *group && names.may_control(r.s.name().unwrap_or_default()));
        let faster: Vec<&Row<'_>> = others().filter(|r| moved_more(r.s, *direction, &cap)).copied().collect();
        let capped_too =
            |r: &&&Row<'_>| caps.get(&r.n).is_some_and(|all| all.iter().any(|other| alike(other, &cap)));
        if faster.is_empty() || others().any(|r| capped_too(&r)) {
            continue; // nothing to hold it against, or what holds it holds the others
        }
        let free = near.iter().filter(|r| r.group == *group && moved_more(r.s, *direction, &cap)).count();
        let mut evidence = evidence(group, &cap, &bad, &faster, free);
        let (ours, theirs): (Vec<&Row<'_>>, Vec<&Row<'_>>) = near.iter().partition(|r| r.group == *group);
        evidence.extend(Rates::new(&ours, &theirs, *direction).iter().flat_map(Rates::evidence));
        if let Some(finding) = conclude(&cap, *direction, &bad, &faster, evidence) {
            for (_, n) in members {
                let controls = controls(&faster, &[]);
                out.keyed.insert(*n, Keyed { on: KeyedOn::Sni, p_value: None, controls });
            }
            out.findings.push(finding);
        }
    }
}

/// The finding, where the evidence carries a claim; under that the cap stays a finding of its own.
fn conclude(
    cap: &Cap,
    direction: Direction,
    bad: &[&Row<'_>],
    faster: &[&Row<'_>],
    evidence: Vec<Evidence>,
) -> Option<Finding> {
    let confidence = probability(w::NAME_PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>());
    if confidence < w::LIKELY {
        return None;
    }
    let mut rows = bad.to_vec();
    rows.sort_unstable_by_key(|r| r.n);
    rows.dedup_by_key(|r| r.n);
    let list = rows.iter().map(|r| r.n).collect();
    let enough = bad.len() >= 3 && faster.len() >= 3 && confidence >= w::CONFIRMED;
    Some(Finding {
        keyed_on: Some(KeyedOn::Sni),
        controls: Some(controls(faster, &[])),
        cap: Some(*cap),
        direction: Some(direction),
        frames: rows.iter().filter_map(|r| r.s.hello_frame).collect(),
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
        ..Finding::new("SNI006", Mechanism::Throttled, list, span(bad).0)
    })
}

fn evidence(group: &str, cap: &Cap, bad: &[&Row<'_>], faster: &[&Row<'_>], free: usize) -> Vec<Evidence> {
    let ((first, last), bad) = (span(bad), bad.len());
    let mut all = Vec::new();
    let mut add = |weight: &Weight, times: usize, claim: String, frames: Vec<u64>| {
        if times > 0 {
            #[allow(clippy::cast_precision_loss)] // a count of three at most
            let times = times.min(COUNTED) as f64;
            all.push(Evidence::new(weight, times, claim, frames));
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
        faster.iter().take(COUNTED).filter_map(|r| r.s.hello_frame).collect(),
    );
    add(
        &w::CONTROL_WELL_TOO,
        n.saturating_sub(1).min(2),
        "there is more than one such control".to_owned(),
        Vec::new(),
    );
    let between = faster.iter().any(|r| r.s.started >= first && r.s.started <= last);
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
