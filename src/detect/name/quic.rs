//! QUIC connections that fall silent because of the name in their Initials, against controls over QUIC.
//!
//! Boxes drop QUIC and do not reset it (Elmenhorst et al. 2022): a hello that gets no reply, or a server that repeats its
//! flight as if the client had gone. A server may also speak no QUIC, and a network may let no UDP through.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::fate::Fate;
use super::group::{Names, network};
use super::rows::{COUNTED, Compared, LISTED, MOST_GROUPS, MOST_ROWS, Tally, WITHIN, first, listed};
use crate::base::Timestamp;
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Controls, Evidence, Finding, KeyedOn};
use crate::measure::QuicSummary;
use crate::measure::quic::Outcome;

/// Of each so many controls, one that had to send its hello or the answer again counts as losses of the path.
const REPEATED: usize = 4;

/// A connection in the comparison.
struct Row<'a> {
    n: usize,
    q: &'a QuicSummary,
    name: &'a str,
    group: &'a str,
    network: [u8; 7],
}

impl Row<'_> {
    fn is_bad(&self) -> bool {
        matches!(self.q.outcome, Outcome::NoReply | Outcome::Dropped)
    }

    /// Whether its handshake took more than one try of either end.
    fn repeats(&self) -> bool {
        self.q.seen.sent.to_server.flights > 1 || self.q.seen.sent.to_client.flights > 1
    }

    fn is_well(&self) -> bool {
        matches!(self.q.outcome, Outcome::Ok | Outcome::Slow)
    }
}

/// Compares the names that QUIC connections ask for. In findings they are numbered from `before` on.
pub(super) fn compare(
    quic: &[QuicSummary],
    tcp: &[super::rows::Row<'_>],
    before: usize,
    names: &Names,
    out: &mut Compared,
) {
    let mut by_client: BTreeMap<IpAddr, Vec<Row<'_>>> = BTreeMap::new();
    for (i, q) in quic.iter().enumerate() {
        let Some(name) = q.name() else { continue };
        let rows = by_client.entry(q.client.addr).or_default();
        if rows.len() < MOST_ROWS {
            let (group, network) = (names.group(name), network(q.server.addr));
            rows.push(Row { n: before + i, q, name, group, network });
        } else {
            out.not_compared += 1;
        }
    }
    let mut over_tcp: BTreeMap<(IpAddr, &str), Vec<&super::rows::Row<'_>>> = BTreeMap::new();
    for r in tcp.iter().filter(|r| by_client.contains_key(&r.s.client.addr)) {
        let list = over_tcp.entry((r.s.client.addr, r.group)).or_default();
        if list.len() < MOST_ROWS {
            list.push(r);
        }
    }
    let mut left = MOST_GROUPS;
    for (client, rows) in &by_client {
        let mut failed: BTreeMap<&str, Vec<&Row<'_>>> = BTreeMap::new();
        for r in rows.iter().filter(|r| r.is_bad() && names.is_target(r.group)) {
            failed.entry(r.group).or_default().push(r);
        }
        for (group, bad) in &failed {
            if left == 0 {
                out.not_compared += 1;
                continue;
            }
            left -= 1;
            let tcp = OverTcp::new(bad, over_tcp.get(&(*client, *group)));
            out.findings.push(Pairing::new(group, bad, rows, tcp, names).finding(bad));
        }
    }
}

/// What became of the same name over TCP within the hour.
#[derive(Clone, Copy, Debug, Default)]
struct OverTcp {
    well: usize,
    failed: usize,
}

impl OverTcp {
    fn new(bad: &[&Row<'_>], tcp: Option<&Vec<&super::rows::Row<'_>>>) -> Self {
        let near = |at: Timestamp| bad.iter().any(|b| b.q.started.since(at).abs() < WITHIN);
        let mut over = Self::default();
        for r in tcp.into_iter().flatten().filter(|r| near(r.s.started)) {
            match r.fate {
                Fate::Well => over.well += 1,
                Fate::Bad(_) => over.failed += 1,
                Fate::Unknown => {}
            }
        }
        over
    }
}

/// The failures of a group, and what they are held against.
struct Pairing<'a> {
    group: &'a str,
    tally: Tally,
    controls: Vec<&'a Row<'a>>,
    controls_failed: Vec<&'a Row<'a>>,
    /// Controls that sent their hello or its answer again, which shows losses.
    repeated: usize,
    /// Whether a control went well at the address of a failure, which shows that QUIC is spoken there.
    same_address: bool,
    /// Names that failed where no connection of the client with any name and server went well; 0 if one did.
    all_dead: usize,
    interleaved: bool,
    tcp: OverTcp,
}

impl<'a> Pairing<'a> {
    fn new(group: &'a str, bad: &[&'a Row<'a>], rows: &'a [Row<'a>], tcp: OverTcp, names: &Names) -> Self {
        let begun = bad.iter().map(|r| r.q.started).min().unwrap_or_default();
        let last = bad.iter().map(|r| r.q.started + r.q.duration).max().unwrap_or_default();
        let near = |r: &&Row<'_>| {
            begun.since(r.q.started) < WITHIN
                && r.q.started.since(last) < WITHIN
                && bad.iter().any(|b| b.network == r.network)
        };
        let near: Vec<&Row<'_>> = rows.iter().filter(near).collect();
        let others = || near.iter().filter(|r| r.group != group && names.may_control(r.name)).copied();
        let well = near.iter().filter(|r| r.group == group && r.is_well()).count();
        let controls: Vec<&Row<'_>> = others().filter(|r| r.is_well()).collect();
        let controls_failed: Vec<&Row<'_>> = others().filter(|r| r.is_bad()).collect();
        let repeated = controls.iter().filter(|r| r.repeats()).count();
        let same_address = controls.iter().any(|c| bad.iter().any(|b| b.q.server.addr == c.q.server.addr));
        let mut dead: Vec<&str> = rows.iter().filter(|r| r.is_bad()).map(|r| r.group).collect();
        dead.sort_unstable();
        dead.dedup();
        let all_dead = if rows.iter().any(Row::is_well) { 0 } else { dead.len() };
        let interleaved = controls.iter().any(|c| c.q.started >= begun && c.q.started <= last);
        let tally =
            Tally { bad: bad.len(), well, controls_failed: controls_failed.len(), controls: controls.len() };
        Self { group, tally, controls, controls_failed, repeated, same_address, all_dead, interleaved, tcp }
    }

    fn keyed_on(&self) -> Option<KeyedOn> {
        let Tally { bad, controls: good, controls_failed: failed, .. } = self.tally;
        if self.tally.sets_apart() && bad >= 2 && good >= 2 {
            Some(KeyedOn::Sni)
        } else if self.all_dead >= 2 {
            Some(KeyedOn::Port)
        } else if good == 0 && failed >= 2 {
            Some(KeyedOn::Server)
        } else {
            None
        }
    }

    fn finding(&self, bad: &[&Row<'_>]) -> Finding {
        let dropped = bad.iter().filter(|r| r.q.outcome == Outcome::Dropped).count();
        let mechanism = if dropped * 2 > bad.len() { Mechanism::QuicDropped } else { Mechanism::QuicNoReply };
        let keyed_on = self.keyed_on();
        let evidence = self.evidence(bad);
        let confidence = probability(w::NAME_PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>());
        // that the server speaks QUIC is shown by its own packets, or by its answer to another name
        let speaks = dropped > 0 || self.same_address;
        let likely = confidence >= w::LIKELY && keyed_on == Some(KeyedOn::Sni) && speaks;
        let p_value = self.tally.chance();
        let level = self.tally.level(likely, confidence, p_value);
        let frames = first(bad.iter().map(|r| r.hello_frame()), LISTED);
        let list = first(bad.iter().map(|r| r.n), LISTED);
        let at = bad.iter().map(|r| r.q.started).min().unwrap_or_default();
        Finding {
            keyed_on,
            p_value,
            controls: Some(self.controls()),
            frames,
            prior: w::NAME_PRIOR,
            confidence,
            level,
            alternatives: self.alternatives(&evidence, speaks),
            evidence,
            ..Finding::new("SNI007", mechanism, list, at)
        }
    }

    fn controls(&self) -> Controls {
        let names = self.controls.iter().chain(&self.controls_failed).map(|r| r.name);
        listed(names, self.controls.len(), self.controls_failed.len())
    }

    fn evidence(&self, bad: &[&Row<'_>]) -> Vec<Evidence> {
        let frames =
            |rows: &[&Row<'_>]| rows.iter().take(COUNTED * 4).map(|r| r.hello_frame()).collect::<Vec<_>>();
        let mut all = Vec::new();
        let mut add = |weight: &Weight, times: usize, claim: String, frames: Vec<u64>| {
            if times > 0 {
                #[allow(clippy::cast_precision_loss)] // three at most
                all.push(Evidence::new(weight, times.min(COUNTED) as f64, claim, frames));
            }
        };
        let (n, good, failed) = (bad.len(), self.controls.len(), self.controls_failed.len());
        let group = self.group;
        let of =
            |n: usize| if n == 1 { format!("{n} QUIC connection") } else { format!("{n} QUIC connections") };
        add(&w::NAME_FAILED, n, format!("{} to {group} or a name under it fell silent", of(n)), frames(bad));
        let claim = format!("{} of the same client to the same network with other names went well", of(good));
        add(&w::CONTROL_WELL, usize::from(good > 0), claim, frames(&self.controls));
        let claim = "there is more than one such control".to_owned();
        add(&w::CONTROL_WELL_TOO, good.saturating_sub(1).min(COUNTED - 1), claim, Vec::new());
        let claim = "controls went well between the failures or while they lasted".to_owned();
        add(&w::INTERLEAVED, usize::from(self.interleaved), claim, Vec::new());
        let claim = "no QUIC of the client went well on the same network meanwhile".to_owned();
        add(&w::PATH_UNKNOWN, usize::from(good == 0), claim, Vec::new());
        let claim = format!(
            "{} of the {good} that went well sent their hello or its answer again: losses may be all it was",
            self.repeated
        );
        add(&w::LOSSY_PATH, self.repeated * REPEATED / good.max(1), claim, Vec::new());
        let well = self.tally.well;
        add(
            &w::NAME_WELL,
            well,
            format!("{} to {group} on the same network went well", of(well)),
            Vec::new(),
        );
        let claim = format!("{} with other names on the same network fell silent, too", of(failed));
        add(&w::CONTROL_FAILED, failed, claim, frames(&self.controls_failed));
        let OverTcp { well, failed } = self.tcp;
        let claim = format!("over TCP, {failed} of {} connections to the name failed as well", well + failed);
        add(&w::QUIC_TCP_ALSO, usize::from(failed > 0 && well == 0), claim, Vec::new());
        all.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
        all
    }

    fn alternatives(&self, evidence: &[Evidence], speaks: bool) -> Vec<Alternative> {
        let against = |key: &str| evidence.iter().find(|e| e.key == key).map_or(0.0, |e| e.log_odds);
        let mut all = vec![
            Alternative {
                cause: "the server, its network or the way to it, whatever the name",
                log_odds: against(w::CONTROL_FAILED.key),
                why: match (self.controls.len(), self.controls_failed.len()) {
                    (0, 0) => "no other name on the same network was asked for over QUIC: a connection there with another name would settle it".to_owned(),
                    (well, failed) => format!("with other names {well} went well there and {failed} did not"),
                },
            },
            Alternative {
                cause: "UDP, or its port, blocked as a whole",
                log_odds: against(w::PATH_UNKNOWN.key),
                why: match self.all_dead {
                    0 => "other QUIC of the client went well".to_owned(),
                    1 => "no other QUIC of the client was seen".to_owned(),
                    n => format!("none of the {n} names that the client asked for over QUIC got through, at any server"),
                },
            },
        ];
        let losses = against(w::LOSSY_PATH.key);
        let why = format!(
            "{} of {} controls sent their hello or its answer again",
            self.repeated,
            self.controls.len()
        );
        all.push(Alternative { cause: "losses on the way", log_odds: losses, why });
        if self.tcp.well > 0 {
            let why = format!(
                "the name went well over TCP {} times meanwhile; who lost interest does not repeat its hello for seconds",
                self.tcp.well
            );
            all.push(Alternative {
                cause: "a client that lost interest, as TCP was faster",
                log_odds: 0.0,
                why,
            });
        }
        if !speaks {
            let why = "neither these connections nor others show a QUIC packet of that address: one with another name would".to_owned();
            all.push(Alternative { cause: "a server that speaks no QUIC", log_odds: 0.0, why });
        }
        all
    }
}

impl Row<'_> {
    /// The frame of its hello.
    fn hello_frame(&self) -> u64 {
        self.q.seen.hello.as_ref().map_or(self.q.first_frame, |h| h.frame)
    }
}
