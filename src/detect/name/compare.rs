//! Target against control.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fate::{Fate, fate};
use super::group::{Names, network};
use super::rates::plateaus;
use super::residual::{Tries, residual, tries};
use super::rows::{
    ByNetwork, COUNTED, Compared, Keyed, LISTED, MOST_GROUPS, MOST_ROWS, Row, Tally, WITHIN, around,
    controls, first, span,
};
use super::slow::slow;
use super::throttle::throttled;
use super::{refusals, sizes};
use crate::base::Direction;
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Controls, Evidence, Finding, KeyedOn, Residual};
use crate::measure::stall::Silence;
use crate::measure::{QuicSummary, Summary};

/// A share of packets lost on the way that makes a silence of chance more likely.
const LOSSY: f64 = 0.04;

/// A payload from which on a packet may meet a hole in the path's MTU: 1,280 bytes pass everywhere (RFC 8200 §5), less headers.
const LARGE: u32 = 1_200;

/// A group of connections that met the same fate.
type Key<'a> = (IpAddr, &'a str, Mechanism);

/// Compares the names of a capture. `findings` are those about single connections; those of QUIC are numbered behind those of
/// TCP.
pub fn compare(
    connections: &[Box<Summary>],
    quic: &[QuicSummary],
    findings: &[Finding],
    names: &Names,
) -> Compared {
    let mut about: BTreeMap<usize, Vec<&Finding>> = BTreeMap::new();
    let mut resets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (n, f) in findings.iter().enumerate() {
        for c in &f.connections {
            about.entry(*c).or_default().push(f);
            if f.trigger.is_some() {
                resets.entry(*c).or_default().push(n);
            }
        }
    }
    let none = Vec::new();
    let rows: Vec<Row<'_>> = connections
        .iter()
        .enumerate()
        .filter_map(|(n, s)| {
            let name = s.name()?;
            let fate = fate(s, about.get(&n).unwrap_or(&none));
            Some(Row { n, s, fate, group: names.group(name), network: network(s.server.addr) })
        })
        .collect();
    let mut out = Compared::default();
    let mut failed: BTreeMap<Key<'_>, Vec<&Row<'_>>> = BTreeMap::new();
    let mut by_network: ByNetwork<'_, '_> = BTreeMap::new();
    for row in &rows {
        let client = row.s.client.addr;
        let network = by_network.entry((client, row.network)).or_default();
        if network.len() < MOST_ROWS {
            network.push(row);
        } else {
            out.not_compared += 1;
        }
        if let (Fate::Bad(mechanism), true) = (row.fate, names.is_target(row.group)) {
            failed.entry((client, row.group, mechanism)).or_default().push(row);
        }
    }
    out.not_compared += failed.len().saturating_sub(MOST_GROUPS) as u64;
    let places = failed.values().flatten().map(|r| (r.s.client.addr, r.network)).collect();
    let tries = if failed.is_empty() { Tries::default() } else { tries(connections, &about, &places) };
    for ((client, group, mechanism), bad) in failed.iter().take(MOST_GROUPS) {
        let pairing = Pairing::new(*client, group, *mechanism, bad, &by_network, &tries, names);
        pairing.conclude(bad, &resets, connections, &mut out);
    }
    throttled(&rows, &by_network, findings, names, &mut out);
    plateaus(&rows, &by_network, names, &mut out);
    slow(&rows, &by_network, names, &mut out);
    super::quic::compare(quic, &rows, connections.len(), names, &mut out);
    out
}

/// The failures of a group, and what they are held against.
struct Pairing<'a> {
    mechanism: Mechanism,
    group: &'a str,
    /// Connections of the group itself that went well.
    well: Vec<&'a Row<'a>>,
    /// Connections to other names that went well.
    controls: Vec<&'a Row<'a>>,
    /// Connections to other names that met the same fate.
    controls_failed: Vec<&'a Row<'a>>,
    tally: Tally,
    p_value: Option<f64>,
    interleaved: bool,
    residual: Option<Residual>,
    beside: Beside,
}

/// What became of connections that are no controls: those without a name, and those to other ports.
#[derive(Clone, Copy, Debug, Default)]
struct Beside {
    /// Connections without a name to the same network that failed.
    nameless_failed: usize,
    /// And those that went well.
    nameless_well: usize,
    /// Connections to the same network and other ports that went well.
    other_port_well: usize,
}

impl Beside {
    fn new(client: IpAddr, bad: &[&Row<'_>], tries: &Tries) -> Self {
        let mut beside = Self::default();
        let (first, last) = span(bad);
        let networks: BTreeSet<[u8; 7]> = bad.iter().map(|r| r.network).collect();
        let ports: BTreeSet<u16> = bad.iter().map(|r| r.s.server.port).collect();
        for list in networks.iter().filter_map(|n| tries.by_network.get(&(client, *n))) {
            for (port, t) in
                list.iter().filter(|(_, t)| first.since(t.at) < WITHIN && t.at.since(last) < WITHIN)
            {
                let same_port = ports.contains(port);
                match t.failed {
                    Some(true) if t.nameless => beside.nameless_failed += 1,
                    Some(false) if t.nameless => beside.nameless_well += 1,
                    Some(false) if !same_port => beside.other_port_well += 1,
                    _ => {}
                }
            }
        }
        beside
    }
}

impl<'a> Pairing<'a> {
    fn new(
        client: IpAddr,
        group: &'a str,
        mechanism: Mechanism,
        bad: &[&'a Row<'a>],
        by_network: &ByNetwork<'a, 'a>,
        tries: &Tries,
        names: &Names,
    ) -> Self {
        let (begun, last) = span(bad);
        let rows = around(client, bad, by_network);
        let others =
            || rows.iter().filter(|r| r.group != group && names.may_control(r.s.name().unwrap_or_default()));
        let well: Vec<&Row<'_>> =
            rows.iter().filter(|r| r.group == group && r.fate == Fate::Well).copied().collect();
        let speaks = |r: &&&Row<'_>| r.fate == Fate::Well && sizes::speaks(mechanism, bad, r);
        let controls: Vec<&Row<'_>> = others().filter(speaks).copied().collect();
        let (residual, lingering) = residual(bad, tries).map_or_else(Default::default, |(r, m)| (Some(r), m));
        // that a third party resets is shown; of a silence it is not, and a server that was down may have come back
        let consequence = |r: &Row<'_>| mechanism == Mechanism::Reset && lingering.contains(&r.n);
        let same = |r: &&&Row<'_>| matches!(r.fate, Fate::Bad(m) if m == mechanism) && !consequence(r);
        let controls_failed: Vec<&Row<'_>> = others().filter(same).copied().collect();
        let interleaved = controls.iter().any(|c| c.s.started >= begun && c.s.started <= last);
        let tally = Tally {
            bad: bad.len(),
            well: well.len(),
            controls_failed: controls_failed.len(),
            controls: controls.len(),
        };
        let p_value = tally.chance();
        let beside = Beside::new(client, bad, tries);
        Self {
            mechanism,
            group,
            well,
            controls,
            controls_failed,
            tally,
            p_value,
            interleaved,
            residual,
            beside,
        }
    }

    fn controls(&self) -> Controls {
        controls(&self.controls, &self.controls_failed)
    }

    fn keyed_on(&self, bad: &[&Row<'_>]) -> Option<KeyedOn> {
        let Tally { bad: failures, controls: good, controls_failed: failed, .. } = self.tally;
        if self.tally.sets_apart() && (failures >= 2 && good >= 2 || good >= 3) {
            return Some(KeyedOn::Sni);
        }
        let port = |r: &Row<'_>| r.s.server.port;
        let here = self.controls.iter().filter(|c| bad.iter().any(|b| port(b) == port(c))).count();
        if failed < 2 || here > 0 {
            return None;
        }
        match self.beside {
            Beside { nameless_failed: 1.., nameless_well: 0, .. } if good == 0 => Some(KeyedOn::AnyData),
            Beside { other_port_well: 2.., .. } => Some(KeyedOn::Port),
            _ if good == 0 => Some(KeyedOn::Server),
            _ => None,
        }
    }

    fn conclude(
        &self,
        bad: &[&Row<'_>],
        resets: &BTreeMap<usize, Vec<usize>>,
        connections: &[Box<Summary>],
        out: &mut Compared,
    ) {
        let keyed_on = self.keyed_on(bad);
        let shown = matches!(self.mechanism, Mechanism::Reset | Mechanism::Forged | Mechanism::Tampered);
        if shown {
            let findings = bad.iter().filter_map(|b| resets.get(&b.n)).flatten();
            out.lingered.extend(findings.filter_map(|n| Some((*n, self.residual?))));
            for n in bad.iter().filter_map(|b| resets.get(&b.n)).flatten() {
                if let Some(on) = keyed_on {
                    out.keyed.insert(*n, Keyed { on, p_value: self.p_value, controls: self.controls() });
                }
            }
            if keyed_on != Some(KeyedOn::Sni) || self.mechanism != Mechanism::Reset {
                return; // each is a finding already; without controls there is nothing to add
            }
        }
        let evidence = self.evidence(bad);
        let log_odds = w::NAME_PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>();
        let confidence = probability(log_odds);
        if confidence < w::POSSIBLE && bad.iter().all(|r| r.s.stall.is_none()) {
            return; // a server that closes, and nothing that makes more of it
        }
        // a program that says nothing, or closes, is as silent as a box that drops its words
        let proven = match self.mechanism {
            Mechanism::Reset | Mechanism::SizeKeyed | Mechanism::Icmp => true,
            Mechanism::Closed => false,
            _ => bad.iter().filter(|r| r.s.stall.is_some_and(|s| s.proven)).count() * 2 > bad.len(),
        };
        let likely = proven
            && (self.mechanism == Mechanism::Reset || self.is_no_dead_server(bad))
            && (self.mechanism != Mechanism::HelloMuted || self.large_ones_come())
            && confidence >= w::LIKELY
            && keyed_on == Some(KeyedOn::Sni)
            && bad.iter().all(|r| r.is_whole());
        let level = self.tally.level(likely, confidence, self.p_value);
        let frames = first(bad.iter().map(|r| r.deciding_frame()), LISTED);
        let list = first(bad.iter().map(|r| r.n), LISTED);
        let at = connections[list[0]].started;
        out.findings.push(Finding {
            keyed_on,
            p_value: self.p_value,
            controls: Some(self.controls()),
            residual: self.residual,
            direction: self.direction(bad),
            hops: if self.mechanism == Mechanism::Icmp { refusals::distance(bad) } else { None },
            frames,
            prior: w::NAME_PRIOR,
            confidence,
            level,
            alternatives: self.alternatives(&evidence, bad),
            evidence,
            ..Finding::new(code(self.mechanism), self.mechanism, list, at)
        });
    }

    /// Which way what is missing would have gone.
    fn direction(&self, bad: &[&Row<'_>]) -> Option<Direction> {
        match self.mechanism {
            Mechanism::SizeKeyed => bad[0].s.sizes.map(|s| s.direction),
            _ => bad[0].s.stall.map(|s| s.unheard),
        }
    }

    /// What is particular to this kind of failure, in words.
    fn particulars(&self, bad: &[&Row<'_>]) -> String {
        let words = match self.mechanism {
            Mechanism::SizeKeyed => sizes::words(bad),
            Mechanism::Icmp => refusals::words(bad),
            _ => None,
        };
        words.map_or_else(String::new, |w| format!("; {w}"))
    }

    /// Whether what failed fell silent, as losses and outages make it.
    fn is_silent(&self) -> bool {
        !matches!(self.mechanism, Mechanism::Reset | Mechanism::Closed | Mechanism::Icmp)
    }

    /// Whether the failures cannot be one server's that is down behind whatever answers SYNs for it: they are those of several
    /// addresses, or a control went well at the same one.
    fn is_no_dead_server(&self, bad: &[&Row<'_>]) -> bool {
        let first = bad[0].s.server.addr;
        bad.iter().any(|r| r.s.server.addr != first) || self.controls.iter().any(|r| r.s.server.addr == first)
    }

    /// Whether a control got a packet as large as answers are: a path that takes small ones only mutes long answers, whatever the
    /// name.
    fn large_ones_come(&self) -> bool {
        self.controls.iter().any(|r| r.s.flows.to_client.largest >= LARGE)
    }

    /// Packets that were sent again in connections that went well, and all of them.
    fn losses(&self) -> (u64, u64) {
        let flows =
            self.well.iter().chain(&self.controls).flat_map(|r| [r.s.flows.to_server, r.s.flows.to_client]);
        flows.fold((0, 0), |(again, all), f| (again + u64::from(f.retransmitted), all + f.packets))
    }

    fn evidence(&self, bad: &[&Row<'_>]) -> Vec<Evidence> {
        let frames =
            |rows: &[&Row<'_>]| rows.iter().take(COUNTED * 4).map(|r| r.deciding_frame()).collect::<Vec<_>>();
        let mut all = Vec::new();
        let mut add = |weight: &Weight, times: f64, claim: String, frames: Vec<u64>| {
            if times > 0.0 {
                all.push(Evidence::new(weight, times, claim, frames));
            }
        };
        #[allow(clippy::cast_precision_loss)] // three at most
        let counted = |n: usize| n.min(COUNTED) as f64;
        let (n, group) = (bad.len(), self.group);
        let did = what(self.mechanism);
        let weight = if self.mechanism == Mechanism::Reset { &w::NAME_RESET } else { &w::NAME_FAILED };
        let plural = |n: usize| if n == 1 { "connection" } else { "connections" };
        add(
            weight,
            counted(n),
            format!("{n} {} to {group} or a name under it {did}{}", plural(n), self.particulars(bad)),
            frames(bad),
        );
        let good = self.controls.len();
        if good > 0 {
            let claim = format!(
                "{good} {} of the same client to the same network with other names went well",
                plural(good)
            );
            add(&w::CONTROL_WELL, 1.0, claim, frames(&self.controls));
            let claim = "there is more than one such control".to_owned();
            add(&w::CONTROL_WELL_TOO, counted(good) - 1.0, claim, Vec::new());
        }
        if self.interleaved {
            let claim = "controls went well between the failures or while they lasted".to_owned();
            add(&w::INTERLEAVED, 1.0, claim, Vec::new());
        } else if good == 0 && self.mechanism != Mechanism::Reset && self.mechanism != Mechanism::Closed {
            let claim = "nothing else of the client went well on the same network meanwhile".to_owned();
            add(&w::PATH_UNKNOWN, 1.0, claim, Vec::new());
        }
        let well = self.well.len();
        let claim = format!("{well} {} to {group} on the same network went well", plural(well));
        add(&w::NAME_WELL, counted(well), claim, frames(&self.well));
        let failed = self.controls_failed.len();
        let claim = format!("{failed} {} with other names on the same network {did}, too", plural(failed));
        add(&w::CONTROL_FAILED, counted(failed), claim, frames(&self.controls_failed));
        let (lost, of) = self.losses();
        #[allow(clippy::cast_precision_loss)] // counts of packets
        let parts = (lost as f64 / LOSSY / of.max(1) as f64).floor().min(3.0);
        let claim = format!(
            "connections that went well beside them lost {lost} of {of} packets: losses may be all it was"
        );
        let silent = self.is_silent();
        add(&w::LOSSY_PATH, if silent { parts } else { 0.0 }, claim, Vec::new());
        let partly = |r: &&&Row<'_>| r.s.stall.is_some_and(|s| s.silence == Silence::RequestPartly);
        let large = bad.iter().filter(partly).count();
        let claim = format!("in {large} of them a part of the hello was acknowledged and the rest never");
        add(&w::LARGE_HELLO, f64::from(u8::from(large * 2 > n)), claim, Vec::new());
        let too_big =
            if self.mechanism == Mechanism::SizeKeyed || large > 0 { sizes::too_big(bad) } else { 0 };
        let claim = format!("in {too_big} of them an ICMP error says that a packet was too big");
        add(&w::TOO_BIG, f64::from(u8::from(too_big > 0)), claim, Vec::new());
        all.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
        all
    }

    fn alternatives(&self, evidence: &[Evidence], bad: &[&Row<'_>]) -> Vec<Alternative> {
        let against = |key: &str| evidence.iter().find(|e| e.key == key).map_or(0.0, |e| e.log_odds);
        let mut all = Vec::new();
        let mut weigh = |cause, log_odds: f64, fits: String, does_not: String| {
            all.push(Alternative { cause, log_odds, why: if log_odds < 0.0 { fits } else { does_not } });
        };
        let controls = match self.controls.len() {
            0 => "no other name on the same network was asked for with success: a connection there with another name would settle it".to_owned(),
            n => format!("{n} with other names went well on the same network"),
        };
        weigh(
            "the server, its port or the way to it, whatever the name",
            against(w::CONTROL_FAILED.key),
            "other names on the same network fared the same".to_owned(),
            controls,
        );
        let outage = "nothing shows that the path was up meanwhile".to_owned();
        let up =
            if self.interleaved { "others went well meanwhile" } else { "others went well before or after" };
        let silent = self.is_silent();
        if self.mechanism != Mechanism::Reset {
            weigh("an outage, or a machine that slept", against(w::PATH_UNKNOWN.key), outage, up.to_owned());
        }
        if silent {
            let (lost, of) = self.losses();
            let share = format!("connections that went well beside them lost {lost} of {of} packets");
            weigh("losses on the way", against(w::LOSSY_PATH.key), share.clone(), share);
        }
        if bad.iter().any(|r| r.s.stall.is_some_and(|s| s.silence == Silence::RequestPartly)) {
            let fits = "the hello fills more than a segment; a small one to the same name would settle it"
                .to_owned();
            weigh(
                "a hole in the path's MTU, or a server that does not join the parts of a large hello",
                against(w::LARGE_HELLO.key),
                fits,
                String::new(),
            );
        }
        all.extend(sizes::small_mtu(bad, &self.controls, against(w::TOO_BIG.key)));
        if self.mechanism != Mechanism::Reset
            && self.mechanism != Mechanism::Closed
            && !self.is_no_dead_server(bad)
        {
            let why = "all failures were at one address, and no control was there: what answers SYNs may not be what answers requests; a connection to that address with another name, or to another of the name's, would settle it".to_owned();
            all.push(Alternative { cause: "one server that is down", log_odds: 0.0, why });
        }
        if matches!(self.mechanism, Mechanism::HelloMuted | Mechanism::Closed) {
            let why = "a server that has no such name, or is overloaded, may say nothing or close; the same name from another network would tell".to_owned();
            all.push(Alternative { cause: "the server itself", log_odds: 0.0, why });
        }
        all.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
        all
    }
}

impl Row<'_> {
    /// The frame that a reader wants to see first: the hello, or what carried the request.
    fn deciding_frame(&self) -> u64 {
        let shown = match self.fate {
            Fate::Bad(Mechanism::Icmp) => self.s.refused.as_ref().map(|r| r.notice.frame),
            Fate::Bad(Mechanism::SizeKeyed) => self.s.sizes.map(|s| s.frame),
            _ => None,
        };
        shown.or(self.s.hello_frame).or(self.s.asked.map(|m| m.frame)).unwrap_or(self.s.first_frame)
    }

    /// Whether the capture has all of it that a claim about silence needs.
    fn is_whole(&self) -> bool {
        let flows = &self.s.flows;
        self.s.is_two_sided() && flows.to_client.missed_bytes == 0 && flows.to_server.missed_bytes == 0
    }
}

fn code(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::HelloDropped => "SNI001",
        Mechanism::HelloMuted => "SNI002",
        Mechanism::DropAfterN | Mechanism::Freeze => "SNI003",
        Mechanism::Closed => "SNI004",
        Mechanism::SizeKeyed => "SNI011",
        Mechanism::Icmp => "SNI012",
        _ => "SNI005",
    }
}

/// What happened to connections, after their number.
pub(crate) fn what(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Reset => "got resets that no endpoint sent, after the name was sent",
        Mechanism::HelloDropped => "got no acknowledgment of their hello, sent again and again",
        Mechanism::HelloMuted => "got no answer to a hello that was acknowledged",
        Mechanism::DropAfterN => "fell silent a few packets after their hello",
        Mechanism::Freeze => "froze after some kilobytes of the answer",
        Mechanism::Closed => "were closed in the place of an answer to their hello",
        Mechanism::Throttled => "were held to a rate",
        Mechanism::SizeKeyed => "lost every packet over some size, and no smaller one",
        Mechanism::Icmp => "were refused by an ICMP error after their hello",
        Mechanism::SlowHandshake => "waited for seconds in their TLS handshake",
        Mechanism::QuicNoReply => "got no reply to their QUIC hello, sent again and again",
        Mechanism::QuicDropped => "were not heard any more by the server after their QUIC hello",
        Mechanism::Forged => "got answers that the server did not send",
        Mechanism::Tampered => "got answers that a box had changed",
        Mechanism::DnsForged => "went to an address that a forged DNS answer gave",
        _ => "were slowed",
    }
}
