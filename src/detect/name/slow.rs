//! Handshakes that nothing fails in and that wait for seconds, because of the name (OONI judges throttling so).
//!
//! A wait is the time that the first exchange spent on its way (`flow::exchange`): a program that thinks long is no part of it,
//! and what one or two lost packets cost is taken off.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::group::Names;
use super::rows::{
    ByNetwork, COUNTED, Compared, LISTED, MOST_GROUPS, Row, Tally, around, controls, first, span,
};
use super::samples::{median, median_difference};
use crate::base::{Direction, Span};
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Evidence, Finding, KeyedOn, Level};
use crate::measure::Summary;
use crate::wire::tls::Alert;

/// A wait under this is no throttle that a user notices: handshakes took over 3 s in Turkey (OONI), 1.3 to 5 s with names of a video service in
/// Russia in 2024 (net4people 382), 0.07 to 0.65 s without.
const FLOOR: Span = Span::from_secs(1);
/// A wait must be so many times that of the controls' middle (a proposal; Turkey 30 times, Russia 3 and more).
const RATIO: f64 = 3.0;
/// From so many packets sent again in one handshake on, its wait is not taken for that of lost packets: three in a row are no chance
/// where controls lose few. Fewer, and what was waited for them is taken off.
const REPEATS: u32 = 3;
/// How many times longer the shortest round trip may be than the controls', and how much in any case: else it is another place.
const FARTHER: f64 = 1.5;
const FARTHER_ANYWAY: f64 = 0.03;
/// A share of packets sent again in handshakes beside them that makes losses a likely cause.
const LOSSY: f64 = 0.04;

type Key<'a> = (IpAddr, &'a str);

/// How long a handshake waited, s: with what was waited for packets sent again, and without.
#[derive(Clone, Copy)]
struct Wait {
    /// On its way.
    way: [f64; 2],
    /// In all.
    whole: [f64; 2],
}

impl Wait {
    /// The waits of a connection whose handshake was answered and is all in the capture.
    fn of(s: &Summary) -> Option<Self> {
        let x = &s.exchange;
        let refused = s.alerts[Direction::ToClient].is_some_and(Alert::is_fatal);
        if s.sni.is_none() || refused || !s.is_two_sided() {
            return None;
        }
        let lost = s.flows.to_client.missed_bytes + s.flows.to_server.missed_bytes > 0;
        let (way, whole) = (x.on_the_way?, x.whole?);
        let off = if x.again < REPEATS { x.waited.secs_f64() } else { 0.0 };
        let both = |t: Span| [t.secs_f64(), (t.secs_f64() - off).max(0.0)];
        (!lost).then(|| Self { way: both(way), whole: both(whole) })
    }
}

/// A row with its wait.
struct Timed<'a, 'b> {
    row: &'b Row<'a>,
    wait: Wait,
}

/// Looks for names whose handshakes wait where those of others do not.
pub(super) fn slow<'a>(rows: &[Row<'a>], by_network: &ByNetwork<'a, '_>, names: &Names, out: &mut Compared) {
    let mut by_group: BTreeMap<Key<'_>, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows.iter().filter(|r| names.is_target(r.group)) {
        let waits = Wait::of(row.s).is_some_and(|w| w.whole[1] >= FLOOR.secs_f64());
        if waits {
            by_group.entry((row.s.client.addr, row.group)).or_default().push(row);
        }
    }
    out.not_compared += by_group.len().saturating_sub(MOST_GROUPS) as u64;
    for ((client, group), waiting) in by_group.iter().take(MOST_GROUPS) {
        let near: Vec<Timed<'_, '_>> = around(*client, waiting, by_network)
            .into_iter()
            .filter_map(|row| Some(Timed { row, wait: Wait::of(row.s)? }))
            .collect();
        let (target, others): (Vec<_>, Vec<_>) = near.into_iter().partition(|t| t.row.group == *group);
        let others: Vec<_> =
            others.into_iter().filter(|t| names.may_control(t.row.s.name().unwrap_or_default())).collect();
        // on its way, or, as a pointer, with what the server's program took
        let claim = Held::new(group, &target, &others, |w| w.way, true);
        let found = claim
            .and_then(Held::finding)
            .or_else(|| Held::new(group, &target, &others, |w| w.whole, false).and_then(Held::finding));
        out.findings.extend(found);
    }
}

/// A name's waits held against those of others.
struct Held<'t, 'a, 'b> {
    group: &'t str,
    slow: Vec<&'t Timed<'a, 'b>>,
    fast: Vec<&'t Timed<'a, 'b>>,
    controls: Vec<&'t Timed<'a, 'b>>,
    controls_slow: Vec<&'t Timed<'a, 'b>>,
    /// The name's waits that packets sent again account for.
    unclear: usize,
    /// The middle waits, s: the name's, the controls'.
    medians: [f64; 2],
    /// The interval of their difference, s.
    interval: [f64; 2],
    on_the_way: bool,
}

impl<'t, 'a, 'b> Held<'t, 'a, 'b> {
    fn new(
        group: &'t str,
        target: &'t [Timed<'a, 'b>],
        others: &'t [Timed<'a, 'b>],
        of: impl Fn(&Wait) -> [f64; 2],
        on_the_way: bool,
    ) -> Option<Self> {
        let times = |all: &[&Timed<'_, '_>]| all.iter().map(|t| of(&t.wait)[1]).collect::<Vec<f64>>();
        let middle = median(&times(&others.iter().collect::<Vec<_>>()));
        let least = FLOOR.secs_f64().max(RATIO * middle);
        // a wait that only packets sent again account for is neither slow nor quick
        let clear = |t: &&Timed<'_, '_>| {
            let [with, without] = of(&t.wait);
            (with >= least) == (without >= least)
        };
        let ours: Vec<&Timed<'_, '_>> = target.iter().filter(clear).collect();
        let theirs: Vec<&Timed<'_, '_>> = others.iter().filter(clear).collect();
        let unclear = target.len() - ours.len();
        let medians = [median(&times(&ours)), median(&times(&theirs))];
        let interval = median_difference(&times(&ours), &times(&theirs))?;
        if medians[0] < least || interval[0] <= 0.0 {
            return None;
        }
        let (slow, fast) = ours.into_iter().partition(|t| of(&t.wait)[1] >= least);
        let (controls_slow, controls) = theirs.into_iter().partition(|t| of(&t.wait)[1] >= least);
        Some(Self { group, slow, fast, controls, controls_slow, unclear, medians, interval, on_the_way })
    }

    fn tally(&self) -> Tally {
        Tally {
            bad: self.slow.len(),
            well: self.fast.len(),
            controls_failed: self.controls_slow.len(),
            controls: self.controls.len(),
        }
    }

    fn rows(of: &[&Timed<'a, 'b>]) -> Vec<&'b Row<'a>> {
        of.iter().map(|t| t.row).collect()
    }

    fn finding(self) -> Option<Finding> {
        let tally = self.tally();
        let slow = Self::rows(&self.slow);
        let evidence = self.evidence(&slow);
        let confidence = probability(w::NAME_PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>());
        if confidence < w::POSSIBLE || tally.bad < 2 {
            return None;
        }
        let keyed_on = (tally.sets_apart() && tally.controls >= 2).then_some(KeyedOn::Sni);
        let likely = self.on_the_way
            && confidence >= w::LIKELY
            && keyed_on.is_some()
            && tally.bad >= 3
            && tally.bad > self.unclear
            && tally.controls >= 3
            && self.is_interleaved(&slow)
            && self.is_as_near()
            && self.shares_an_address();
        let p_value = tally.chance();
        Some(Finding {
            keyed_on,
            p_value,
            controls: Some(controls(&Self::rows(&self.controls), &Self::rows(&self.controls_slow))),
            frames: first(slow.iter().filter_map(|r| r.s.hello_frame), LISTED),
            prior: w::NAME_PRIOR,
            confidence,
            level: if likely { tally.level(true, confidence, p_value) } else { Level::Possible },
            alternatives: self.alternatives(&evidence),
            evidence,
            ..Finding::new(
                "SNI010",
                Mechanism::SlowHandshake,
                first(slow.iter().map(|r| r.n), LISTED),
                span(&slow).0,
            )
        })
    }

    fn is_interleaved(&self, slow: &[&Row<'_>]) -> bool {
        let (begun, last) = span(slow);
        self.controls.iter().any(|c| c.row.s.started >= begun && c.row.s.started <= last)
    }

    /// Whether the name's servers are no farther than the controls': by the shortest round trip, which the handshake of TCP gives
    /// before any name was sent.
    fn is_as_near(&self) -> bool {
        let middle = |of: &[&Timed<'_, '_>]| {
            let all: Vec<f64> = of.iter().filter_map(|t| t.row.s.rtt_min).map(Span::secs_f64).collect();
            (!all.is_empty()).then(|| median(&all))
        };
        match (middle(&self.slow), middle(&self.controls)) {
            (Some(ours), Some(theirs)) => ours <= (theirs * FARTHER).max(theirs + FARTHER_ANYWAY),
            _ => false,
        }
    }

    /// Whether a control was quick at the address of a slow one: then it is not one server that is slow.
    fn shares_an_address(&self) -> bool {
        let at = |c: &&Timed<'_, '_>| self.slow.iter().any(|s| s.row.s.server.addr == c.row.s.server.addr);
        self.controls.iter().any(at)
    }

    /// Packets that controls sent again, and all of theirs.
    fn losses(&self) -> (u64, u64) {
        let flows = self.controls.iter().flat_map(|t| [t.row.s.flows.to_server, t.row.s.flows.to_client]);
        flows.fold((0, 0), |(again, all), f| (again + u64::from(f.retransmitted), all + f.packets))
    }

    fn evidence(&self, slow: &[&Row<'_>]) -> Vec<Evidence> {
        let mut all = Vec::new();
        let mut add = |weight: &Weight, times: f64, claim: String, frames: Vec<u64>| {
            if times > 0.0 {
                all.push(Evidence::new(weight, times, claim, frames));
            }
        };
        #[allow(clippy::cast_precision_loss)] // three at most
        let counted = |n: usize| n.min(COUNTED) as f64;
        let hellos = |of: &[&Row<'_>]| of.iter().take(COUNTED * 4).filter_map(|r| r.s.hello_frame).collect();
        let n = slow.len();
        let [ours, theirs] = self.medians;
        let [low, high] = self.interval;
        let where_to = if self.on_the_way { "on its way" } else { "in all" };
        add(
            &w::NAME_SLOW,
            counted(n),
            format!(
                "the TLS handshake of {n} connection{} to {} or a name under it took {ours:.2} s {where_to} (median), {theirs:.2} s with other names; the difference lies between {low:.2} and {high:.2} s",
                if n == 1 { "" } else { "s" },
                self.group
            ),
            hellos(slow),
        );
        let good = self.controls.len();
        let controls = Self::rows(&self.controls);
        let claim = format!(
            "{good} handshake{} of the same client on the same network with other names did not wait",
            if good == 1 { "" } else { "s" }
        );
        add(&w::CONTROL_WELL, f64::from(u8::from(good > 0)), claim, hellos(&controls));
        let claim = "there is more than one such control".to_owned();
        add(&w::CONTROL_WELL_TOO, counted(good) - 1.0, claim, Vec::new());
        let claim = "controls were quick between the slow ones or while they lasted".to_owned();
        add(&w::INTERLEAVED, f64::from(u8::from(self.is_interleaved(slow))), claim, Vec::new());
        let claim = format!("{} to {} were quick", self.fast.len(), self.group);
        add(&w::NAME_WELL, counted(self.fast.len()), claim, hellos(&Self::rows(&self.fast)));
        let claim = format!("{} with other names waited as long", self.controls_slow.len());
        add(
            &w::CONTROL_FAILED,
            counted(self.controls_slow.len()),
            claim,
            hellos(&Self::rows(&self.controls_slow)),
        );
        let (lost, of) = self.losses();
        #[allow(clippy::cast_precision_loss)] // counts of packets
        let parts = (lost as f64 / LOSSY / of.max(1) as f64).floor().min(3.0);
        let claim =
            format!("connections beside them sent {lost} of {of} packets again: losses may be all it was");
        add(&w::LOSSY_PATH, parts, claim, Vec::new());
        let claim = "their hellos were acknowledged at once: it is the answer that waited, as where the server's program does";
        add(&w::SERVER_WAITED, f64::from(u8::from(!self.on_the_way)), claim.to_owned(), Vec::new());
        all.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
        all
    }

    fn alternatives(&self, evidence: &[Evidence]) -> Vec<Alternative> {
        let against =
            |weight: &Weight| evidence.iter().find(|e| e.key == weight.key).map_or(0.0, |e| e.log_odds);
        let again = self.slow.iter().filter(|t| t.row.s.exchange.again > 0);
        let (lost, of) = self.losses();
        let mut all = vec![
            Alternative {
                cause: "the server's program, or what stands behind it, is slow for that name",
                log_odds: against(&w::SERVER_WAITED),
                why: if self.on_the_way {
                    "what waited is on the way: acknowledgments, which no program sends, or the parts of one answer".to_owned()
                } else {
                    "only the answer waited; the same name from another network would tell".to_owned()
                },
            },
            Alternative {
                cause: "losses on the way",
                log_odds: against(&w::LOSSY_PATH),
                why: format!(
                    "in {} of the {} slow handshakes something was sent again, and {} more waited for that alone; connections beside them sent {lost} of {of} packets again",
                    again.count(),
                    self.slow.len(),
                    self.unclear
                ),
            },
            Alternative {
                cause: "the path, whatever the name",
                log_odds: against(&w::CONTROL_FAILED),
                why: format!(
                    "with other names {} were quick and {} were not",
                    self.controls.len(),
                    self.controls_slow.len()
                ),
            },
        ];
        if !self.is_as_near() {
            let why =
                "the shortest round trip to the name's servers is longer than to the controls'".to_owned();
            all.push(Alternative { cause: "servers farther away", log_odds: 0.0, why });
        }
        if !self.shares_an_address() {
            let why = "no control was at an address of the name's: a connection there with another name would settle it".to_owned();
            all.push(Alternative { cause: "one server that is slow", log_odds: 0.0, why });
        }
        all.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
        all
    }
}
