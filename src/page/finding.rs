//! A finding as the page has it: the claim, what speaks for and against it, and how to check it by hand.

use std::cmp::Ordering;

use crate::analysis::Analysis;
use crate::detect::{Finding, registry};
use crate::report::says::{prior, says};
use crate::report::text::percent;
use crate::report::units::frames;
use crate::report::wireshark_filter;

/// Findings that are written out; the rest is counted.
const WRITTEN: usize = 40;

pub(super) struct Article {
    pub(super) number: usize,
    pub(super) level: &'static str,
    pub(super) code: &'static str,
    pub(super) rule: &'static str,
    pub(super) summary: &'static str,
    pub(super) probability: String,
    pub(super) says: String,
    pub(super) rows: Vec<Row>,
    pub(super) filter: String,
}

pub(super) struct Row {
    pub(super) side: &'static str,
    pub(super) weight: String,
    pub(super) claim: String,
    pub(super) frames: String,
    pub(super) source: &'static str,
}

/// The findings of a capture, and how many more there are.
pub(super) fn articles(a: &Analysis, addresses: bool) -> (Vec<Article>, usize) {
    let written = a.findings.iter().take(WRITTEN).enumerate().map(|(n, f)| article(n + 1, f, a, addresses));
    (written.collect(), a.findings.len().saturating_sub(WRITTEN))
}

fn article(number: usize, f: &Finding, a: &Analysis, addresses: bool) -> Article {
    let rule = registry::find(f.code);
    let mut rows = vec![Row {
        side: "before",
        weight: signed(f.prior),
        claim: prior(f).to_owned(),
        frames: String::new(),
        source: "",
    }];
    let evidence = |e: &crate::detect::Evidence| {
        let mut list = e.frames.clone();
        list.sort_unstable();
        list.dedup();
        let at = if list.is_empty() { String::new() } else { frames(&list) };
        (signed(e.log_odds), e.claim.clone(), at, e.source)
    };
    let side_of = |v: f64| match v.total_cmp(&0.0) {
        Ordering::Greater => "for",
        Ordering::Less => "against",
        Ordering::Equal => "neutral",
    };
    for side in ["for", "against", "neutral"] {
        for e in f.evidence.iter().filter(|e| side_of(e.log_odds) == side) {
            let (weight, claim, frames, source) = evidence(e);
            rows.push(Row { side, weight, claim, frames, source });
        }
    }
    for alternative in &f.alternatives {
        rows.push(Row {
            side: "innocent cause",
            weight: signed(alternative.log_odds),
            claim: format!("{}: {}", alternative.cause, alternative.why),
            frames: String::new(),
            source: "",
        });
    }
    Article {
        number,
        level: f.level.name(),
        code: f.code,
        rule: rule.map_or("", |r| r.name),
        summary: rule.map_or("", |r| r.summary),
        probability: percent(f.confidence),
        says: says(f, a, addresses),
        rows,
        filter: wireshark_filter(&a.streams(f), &f.frames),
    }
}

fn signed(v: f64) -> String {
    let v = if v.abs() < 0.05 { 0.0 } else { v };
    if v < 0.0 { format!("−{:.1}", -v) } else { format!("+{v:.1}") }
}
