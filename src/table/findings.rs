//! The tables `findings`, `evidence` and `names`.

use super::column::Kind::{Count, Number, Text, Time, Whole};
use super::column::{Column, column};
use crate::detect::{Finding, KeyedOn, Trigger, registry};
use crate::report::names::NameRow;
use crate::report::says::says;
use crate::report::{Capture, wireshark_filter};

/// A row of `findings`.
pub(super) struct Found<'a> {
    capture: &'a str,
    number: u64,
    of: &'a Capture,
    finding: &'a Finding,
}

/// The findings of a capture, worst first.
pub(super) fn rows<'a>(capture: &'a str, of: &'a Capture) -> impl Iterator<Item = Found<'a>> {
    of.analysis.findings.iter().zip(1..).map(move |(finding, number)| Found { capture, number, of, finding })
}

/// Numbers with a space between.
fn list(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
}

impl Found<'_> {
    /// The names asked for, each once.
    fn names(&self) -> Option<String> {
        let mut names: Vec<&str> = match &self.finding.name {
            Some(name) => vec![name],
            None => self.finding.connections.iter().filter_map(|c| self.of.analysis.name(*c)).collect(),
        };
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| names.join(" "))
    }
}

/// The columns of `findings`.
pub(super) fn columns<'a>() -> Vec<Column<Found<'a>>> {
    vec![
        column("capture", Text, "as in `connections`", |r| r.capture.into()),
        column("finding", Count, "number within the capture, worst first, from 1 on", |r| r.number.into()),
        column("code", Text, "the rule: `pinchpoint explain CODE` has its page", |r| r.finding.code.into()),
        column("rule", Text, "its name", |r| registry::find(r.finding.code).map(|r| r.name).into()),
        column("kind", Text, "`injected_reset`, `sni_interference` or `bandwidth_cap`", |r| {
            registry::find(r.finding.code).map(|r| r.kind).into()
        }),
        column("mechanism", Text, "what was done", |r| r.finding.mechanism.name().into()),
        column("family", Text, "the devices whose fingerprint it has, where it is theirs alone", |r| {
            r.finding.family.as_deref().into()
        }),
        column("looks_like", Text, "a pattern that others may send too", |r| {
            r.finding.looks_like.as_deref().into()
        }),
        column("level", Text, "`confirmed` and `likely` are claims, `possible` is a pointer", |r| {
            r.finding.level.name().into()
        }),
        column("confidence", Number, "probability of the claim, given evidence and prior", |r| {
            r.finding.confidence.into()
        }),
        column("prior_log_odds", Number, "log-odds before any evidence", |r| r.finding.prior.into()),
        column("connection", Count, "the first connection that it is about", |r| {
            r.finding.connections.first().map(|c| *c as u64 + 1).into()
        }),
        column("connections", Count, "how many it is about", |r| (r.finding.connections.len() as u64).into()),
        column("connection_list", Text, "all of them, a space between", |r| {
            list(r.finding.connections.iter().map(|c| *c as u64 + 1)).into()
        }),
        column("names", Text, "the names that it is about, a space between", |r| r.names().into()),
        column("trigger", Text, "what set it off, as far as the packets before it tell", |r| {
            r.finding.trigger.map(Trigger::name).into()
        }),
        column("keyed_on", Text, "what it depends on, where controls tell", |r| {
            r.finding.keyed_on.map(KeyedOn::name).into()
        }),
        column("direction", Text, "which way the packets went; null for both", |r| {
            r.finding.direction.map(crate::base::Direction::name).into()
        }),
        column("at", Time, "time of the first deciding packet, or of the first connection", |r| {
            r.finding.at.ns().into()
        }),
        column("frames", Text, "the deciding packets, a space between", |r| {
            list(r.finding.frames.iter().copied()).into()
        }),
        column("p_value", Number, "how likely chance alone sets target and control so far apart", |r| {
            r.finding.p_value.into()
        }),
        column("controls_well", Count, "connections with other names that went well", |r| {
            r.finding.controls.as_ref().map(|c| c.well as u64).into()
        }),
        column("controls_failed", Count, "connections with other names that met the same fate", |r| {
            r.finding.controls.as_ref().map(|c| c.failed as u64).into()
        }),
        column("control_names", Text, "the first few of those names, a space between", |r| {
            r.finding.controls.as_ref().map(|c| c.names.join(" ")).into()
        }),
        column(
            "residual_at_least_ns",
            Whole,
            "how long other connections to that server failed afterwards",
            |r| r.finding.residual.map(|f| f.at_least.ns()).into(),
        ),
        column("residual_at_most_ns", Whole, "and until the first that went well", |r| {
            r.finding.residual.map(|f| f.at_most.ns()).into()
        }),
        column("rate_bps", Number, "rate of a cap, in bit/s of IP packets", |r| {
            r.finding.cap.map(|c| c.rate_bps).into()
        }),
        column("rate_low_bps", Number, "lower end of its interval at 95%", |r| {
            r.finding.cap.map(|c| c.interval_bps[0]).into()
        }),
        column("rate_high_bps", Number, "upper end of it", |r| {
            r.finding.cap.map(|c| c.interval_bps[1]).into()
        }),
        column("burst_bytes", Count, "bytes that a cap lets pass at once", |r| {
            r.finding.cap.and_then(|c| c.burst_bytes).into()
        }),
        column("hops", Count, "routers between the device and the point of capture", |r| {
            r.finding.hops.into()
        }),
        column("wireshark", Text, "display filter that selects the deciding packets", |r| {
            wireshark_filter(&r.of.analysis.streams(r.finding), &r.finding.frames).into()
        }),
        column("sentence", Text, "the finding in plain words, without addresses", |r| {
            says(r.finding, &r.of.analysis, false).into()
        }),
    ]
}

/// A row of `evidence`: something that was weighed.
pub(super) struct Weighed<'a> {
    capture: &'a str,
    finding: u64,
    number: u64,
    what: &'static str,
    key: Option<&'a str>,
    claim: &'a str,
    log_odds: f64,
    frames: &'a [u64],
    source: Option<&'a str>,
}

/// What was weighed for and against each finding.
pub(super) fn evidence_rows<'a>(capture: &'a str, of: &'a Capture) -> impl Iterator<Item = Weighed<'a>> {
    of.analysis.findings.iter().zip(1..).flat_map(move |(f, finding)| {
        let evidence = f.evidence.iter().map(move |e| Weighed {
            capture,
            finding,
            number: 0,
            what: "evidence",
            key: Some(e.key),
            claim: &e.claim,
            log_odds: e.log_odds,
            frames: &e.frames,
            source: Some(e.source),
        });
        let alternatives = f.alternatives.iter().map(move |a| Weighed {
            capture,
            finding,
            number: 0,
            what: "alternative",
            key: Some(a.cause),
            claim: &a.why,
            log_odds: a.log_odds,
            frames: &[],
            source: None,
        });
        evidence.chain(alternatives).zip(1..).map(|(row, number)| Weighed { number, ..row })
    })
}

/// The columns of `evidence`.
pub(super) fn evidence_columns<'a>() -> Vec<Column<Weighed<'a>>> {
    vec![
        column("capture", Text, "as in `connections`", |r| r.capture.into()),
        column("finding", Count, "the finding, as in `findings`", |r| r.finding.into()),
        column("evidence", Count, "number within the finding, from 1 on", |r| r.number.into()),
        column("what", Text, "`evidence`, or `alternative`: an innocent cause that was weighed", |r| {
            r.what.into()
        }),
        column(
            "key",
            Text,
            "the weight that it carries (`src/detect/weights.rs`), or the innocent cause",
            |r| r.key.into(),
        ),
        column("claim", Text, "what was seen, or why the cause fits or does not", |r| r.claim.into()),
        column("log_odds", Number, "natural-log odds for (positive) or against the finding", |r| {
            r.log_odds.into()
        }),
        column("frames", Text, "the packets that show it, a space between", |r| {
            list(r.frames.iter().copied()).into()
        }),
        column("source", Text, "where the rule comes from", |r| r.source.into()),
    ]
}

/// A row of `names`.
pub(super) struct Name<'a> {
    /// The capture.
    pub(super) capture: &'a str,
    /// What is said of the name.
    pub(super) row: NameRow,
}

/// The columns of `names`.
pub(super) fn name_columns<'a>() -> Vec<Column<Name<'a>>> {
    vec![
        column("capture", Text, "as in `connections`", |r| r.capture.into()),
        column("name", Text, "a name that connections asked for, in lower case", |r| {
            r.row.name.as_str().into()
        }),
        column("connections", Count, "connections that asked for it", |r| r.row.connections.into()),
        column("ok", Count, "those with the verdict clean", |r| r.row.ok.into()),
        column("reset", Count, "those with a claim that they were reset", |r| r.row.reset.into()),
        column(
            "dropped",
            Count,
            "those with a claim that they were dropped, muted, cut off or closed",
            |r| r.row.dropped.into(),
        ),
        column("slowed", Count, "those with a claim that they were slowed", |r| r.row.slowed.into()),
        column("inconclusive", Count, "those about which nothing can be said", |r| r.row.inconclusive.into()),
        column("dns_forged", Count, "connections that followed a forged answer of DNS", |r| {
            r.row.dns_forged.into()
        }),
        column("control", Text, "names that it was held against, a space between", |r| {
            (!r.row.control.is_empty()).then(|| r.row.control.join(" ")).into()
        }),
        column("p_value", Number, "how likely chance alone sets it and them so far apart", |r| {
            r.row.p_value.into()
        }),
        column("conclusion", Text, "the row in one word", |r| r.row.conclusion().into()),
        column("sentence", Text, "the row in a sentence", |r| r.row.sentence().into()),
    ]
}
