//! Rates of bulk transfers with a name against those with others: two samples, and a plateau (design: Wehe's tests, and Anderson's
//! collapse of the variance).
//!
//! They need no model of a box, and tell none: beside a cap that was found they are evidence, alone a pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::group::Names;
use super::rows::{ByNetwork, Compared, LISTED, MOST_GROUPS, Row, around, controls, first, span};
use super::samples::{agreement, area, kolmogorov_smirnov, median, variation};
use crate::base::Direction;
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights as w;
use crate::detect::{Alternative, Evidence, Finding, KeyedOn, Level};

/// A transfer of fewer bytes says little about a rate: it hardly leaves slow start (a proposal).
const BULK: u64 = 200_000;
/// Wehe (wehe-py3): differentiation where the means lie a tenth apart and the distributions differ at 5%.
const AREA: f64 = 0.1;
const ALPHA: f64 = 0.05;
/// And where halves of the samples say the same (Zhang, Mao, Zhang 2009; wehe-py3).
const AGREE: f64 = 0.95;
/// A plateau: three transfers within 15% of each other, at a third of the controls' middle rate (a proposal).
const PLATEAU_OF: usize = 3;
const PLATEAU_VARIES: f64 = 0.15;
const PLATEAU_UNDER: f64 = 1.0 / 3.0;

/// What the tests say.
pub(super) struct Rates {
    ours: Vec<f64>,
    theirs: Vec<f64>,
    p_value: f64,
}

impl Rates {
    /// Of transfers of one direction; `None` where either side has too few.
    pub(super) fn new(ours: &[&Row<'_>], theirs: &[&Row<'_>], d: Direction) -> Option<Self> {
        let rates = |rows: &[&Row<'_>]| {
            let bulk = rows.iter().map(|r| &r.s.flows[d]).filter(|f| f.new_bytes >= BULK);
            bulk.filter_map(|f| f.goodput_bps).collect::<Vec<f64>>()
        };
        let (ours, theirs) = (rates(ours), rates(theirs));
        if ours.len() < PLATEAU_OF || theirs.len() < PLATEAU_OF {
            return None;
        }
        let p_value = kolmogorov_smirnov(&ours, &theirs)?;
        Some(Self { ours, theirs, p_value })
    }

    /// Whether the name's transfers are the slower ones, beyond chance.
    fn are_apart(&self) -> bool {
        area(&self.ours, &self.theirs) > AREA
            && self.p_value < ALPHA
            && agreement(&self.ours, &self.theirs, AREA) > AGREE
    }

    /// Whether both are alike, as far as so many transfers tell.
    fn are_alike(&self) -> bool {
        area(&self.ours, &self.theirs) <= AREA && self.p_value >= ALPHA
    }

    /// Whether the name's transfers all had one rate, far under the others'.
    fn is_plateau(&self) -> bool {
        variation(&self.ours) < PLATEAU_VARIES && median(&self.ours) <= PLATEAU_UNDER * median(&self.theirs)
    }

    /// For and against a throttle.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let kbit = |rates: &[f64]| median(rates) / 1e3;
        let both = format!(
            "{} transfers with the name went at {:.0} kbit/s, {} with others at {:.0} kbit/s (medians; Kolmogorov and Smirnov: p = {:.3})",
            self.ours.len(),
            kbit(&self.ours),
            self.theirs.len(),
            kbit(&self.theirs),
            self.p_value
        );
        let mut all = Vec::new();
        if self.are_apart() {
            all.push(Evidence::new(&w::RATES_APART, 1.0, both, Vec::new()));
        } else if self.are_alike() {
            all.push(Evidence::new(&w::RATES_ALIKE, 1.0, both, Vec::new()));
        }
        if self.is_plateau() {
            let claim = format!(
                "the transfers with the name had one rate: they vary by {:.0}%",
                variation(&self.ours) * 100.0
            );
            all.push(Evidence::new(&w::RATE_PLATEAU, 1.0, claim, Vec::new()));
        }
        all
    }
}

/// Points at names whose bulk transfers all have one low rate, where no cap was found.
pub(super) fn plateaus<'a>(
    rows: &[Row<'a>],
    by_network: &ByNetwork<'a, '_>,
    names: &Names,
    out: &mut Compared,
) {
    let said: BTreeSet<usize> = out
        .findings
        .iter()
        .filter(|f| f.code == "SNI006")
        .flat_map(|f| f.connections.iter().copied())
        .collect();
    let mut bulk: BTreeMap<(IpAddr, &str, Direction), Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows.iter().filter(|r| names.is_target(r.group)) {
        for d in [Direction::ToServer, Direction::ToClient] {
            if row.s.flows[d].new_bytes >= BULK {
                bulk.entry((row.s.client.addr, row.group, d)).or_default().push(row);
            }
        }
    }
    bulk.retain(|_, rows| rows.len() >= PLATEAU_OF && !rows.iter().any(|r| said.contains(&r.n)));
    out.not_compared += bulk.len().saturating_sub(MOST_GROUPS) as u64;
    for ((client, group, d), ours) in bulk.iter().take(MOST_GROUPS) {
        let theirs: Vec<&Row<'_>> = around(*client, ours, by_network)
            .into_iter()
            .filter(|r| r.group != *group && names.may_control(r.s.name().unwrap_or_default()))
            .filter(|r| r.s.flows[*d].new_bytes >= BULK)
            .collect();
        let Some(rates) = Rates::new(ours, &theirs, *d).filter(|r| r.are_apart() && r.is_plateau()) else {
            continue;
        };
        let evidence = rates.evidence();
        out.findings.push(Finding {
            keyed_on: Some(KeyedOn::Sni),
            p_value: Some(rates.p_value),
            controls: Some(controls(&theirs, &[])),
            direction: Some(*d),
            frames: first(ours.iter().filter_map(|r| r.s.hello_frame), LISTED),
            prior: w::NAME_PRIOR,
            confidence: probability(w::NAME_PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>()),
            level: Level::Possible,
            evidence,
            alternatives: vec![Alternative {
                cause: "the server holds that name's transfers to a rate, or is that slow",
                log_odds: 0.0,
                why: "no box was found that does it; the same name from another network would tell"
                    .to_owned(),
            }],
            ..Finding::new(
                "SNI006",
                Mechanism::Throttled,
                first(ours.iter().map(|r| r.n), LISTED),
                span(ours).0,
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(ours: &[f64], theirs: &[f64]) -> Rates {
        let p_value = kolmogorov_smirnov(ours, theirs).unwrap();
        Rates { ours: ours.to_vec(), theirs: theirs.to_vec(), p_value }
    }

    fn keys(r: &Rates) -> Vec<&'static str> {
        r.evidence().iter().map(|e| e.key).collect()
    }

    #[test]
    fn one_low_rate_against_many_high_ones_speaks_for_a_throttle() {
        let r = rates(&[150e3, 148e3, 152e3, 151e3], &[4e6, 2e6, 7e6, 3e6]);
        assert_eq!(keys(&r), [w::RATES_APART.key, w::RATE_PLATEAU.key]);
    }

    #[test]
    fn the_same_rates_speak_against_one() {
        let r = rates(&[4e6, 2e6, 7e6, 3e6], &[3.9e6, 2.2e6, 6.5e6, 3.1e6]);
        assert_eq!(keys(&r), [w::RATES_ALIKE.key]);
    }

    #[test]
    fn three_are_too_few_for_a_level_of_five_in_a_hundred() {
        let r = rates(&[150e3, 148e3, 152e3], &[4e6, 2e6, 7e6]);
        assert_eq!(keys(&r), [w::RATE_PLATEAU.key]);
        assert!((r.p_value - 0.1).abs() < 1e-9);
    }
}
