//! One line for each name that clients asked for: a sentence that can be printed, and the numbers behind it.

use std::collections::BTreeMap;

use super::Capture;
use super::units::{bits, thousands};
use crate::base::text::Untrusted;
use crate::detect::{Finding, KeyedOn, Level, Mechanism, Trigger, Verdict};

/// What happened to the connections that asked for one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NameRow {
    /// The name, in lower case.
    pub name: String,
    /// Connections that asked for it.
    pub connections: u64,
    /// Those with the verdict clean.
    pub ok: u64,
    /// Those with a claim that they were reset.
    pub reset: u64,
    /// Those of them reset after the name was sent.
    pub reset_after_name: u64,
    /// Those with a claim that they were dropped, muted, cut off or closed because of the name.
    pub dropped: u64,
    /// Those of them that an ICMP error ended.
    pub refused: u64,
    /// Those with a claim that they were slowed because of the name.
    pub slowed: u64,
    /// Those about which nothing can be said.
    pub inconclusive: u64,
    /// Those with a claim that the server did not send their answer.
    pub forged: u64,
    /// Those with a claim that a box changed what was said.
    pub tampered: u64,
    /// Answers of DNS about it with a claim that the resolver did not send them.
    pub dns_forged: u64,
    /// Names that it was held against.
    pub control: Vec<String>,
    /// Connections with those that went well.
    pub control_well: usize,
    /// How likely chance alone sets it and them so far apart.
    pub p_value: Option<f64>,
    /// What it depends on, where a claim says so.
    pub keyed_on: Option<KeyedOn>,
    /// The rate that it was slowed to.
    pub rate_bps: Option<f64>,
    /// How far the device is, where the packets tell.
    pub hops: Option<u8>,
}

impl NameRow {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The row in one word.
    pub fn conclusion(&self) -> &'static str {
        match (self.reset, self.dropped, self.slowed) {
            (1.., ..) => "reset",
            (_, 1.., _) => "dropped",
            (.., 1..) => "slowed",
            _ if self.forged > 0 => "forged",
            _ if self.tampered > 0 => "tampered",
            _ if self.dns_forged > 0 => "dns_forged",
            _ if self.ok > 0 => "no_interference_seen",
            _ => "inconclusive",
        }
    }

    /// Whether interference is claimed.
    pub fn is_claimed(&self) -> bool {
        self.claims() > 0
    }

    /// How much is claimed of it.
    fn claims(&self) -> u64 {
        self.reset + self.dropped + self.slowed + self.forged + self.tampered + self.dns_forged
    }

    /// The row in a sentence that says no more than was seen.
    pub fn sentence(&self) -> String {
        let name = Untrusted(&self.name);
        let all = thousands(self.connections);
        let plural = if self.connections == 1 { "connection" } else { "connections" };
        if self.is_claimed() {
            let mut parts = Vec::new();
            if self.dns_forged > 0 {
                let answers = if self.dns_forged == 1 { "answer" } else { "answers" };
                let were = if self.dns_forged == 1 { "was" } else { "were" };
                let n = thousands(self.dns_forged);
                parts.push(format!(
                    "{n} DNS {answers} about {name} {were} not sent by the resolver that was asked"
                ));
            }
            let mut part = |n: u64, did: &str| {
                if n > 0 {
                    let were = if n == 1 { "was" } else { "were" };
                    parts.push(format!("{} of {all} {plural} to {name} {were} {did}", thousands(n)));
                }
            };
            let when = if self.reset_after_name == self.reset { " after the name was sent," } else { "" };
            let device = self
                .hops
                .map_or(String::new(), |h| format!(", by a device about {h} hops from the point of capture"));
            part(self.reset, &format!("reset{when} by packets that no endpoint sent{device}"));
            part(self.dropped - self.refused, "cut off in silence once the name was sent");
            part(self.refused, "refused by an ICMP error once the name was sent");
            part(self.forged, "answered, in the server's name, by packets that it did not send");
            part(self.tampered, "changed on the way, so that they broke");
            let rate = self.rate_bps.map_or(String::new(), |r| format!(" to about {}", bits(r)));
            part(self.slowed, &format!("slowed{rate}"));
            let held = match self.keyed_on {
                Some(KeyedOn::Sni) => {
                    let n = thousands(self.control_well as u64);
                    let plural = if self.control_well == 1 { "connection" } else { "connections" };
                    format!("; {n} of {n} {plural} to other names on the same servers' network were not")
                }
                Some(_) => "; other names on the same servers' network fared the same".to_owned(),
                None => String::new(),
            };
            return format!("{}{held}", parts.join("; "));
        }
        let (ok, inconclusive) = (thousands(self.ok), thousands(self.inconclusive));
        match (self.ok, self.inconclusive) {
            (_, 0) => format!("no interference seen in {all} {plural} to {name}"),
            (0, _) => format!("nothing can be said of {all} {plural} to {name}"),
            _ => format!(
                "no interference seen in {ok} of {all} {plural} to {name}; {inconclusive} inconclusive"
            ),
        }
    }

    /// Takes a claim about one of its connections.
    fn take(&mut self, f: &Finding) {
        match f.mechanism {
            Mechanism::Injected | Mechanism::RewrittenInPath => {
                self.reset += 1;
                self.reset_after_name += u64::from(f.trigger.is_some_and(Trigger::has_name));
                self.hops = self.hops.or(f.hops);
            }
            Mechanism::Throttled | Mechanism::SlowHandshake => {
                self.slowed += 1;
                self.rate_bps = self.rate_bps.or(f.cap.map(|c| c.rate_bps));
            }
            Mechanism::Forged => self.forged += 1,
            Mechanism::Tampered => self.tampered += 1,
            // the resets themselves are counted; and a cap that does not depend on the name is the path's
            Mechanism::Reset | Mechanism::Policed | Mechanism::Shaped | Mechanism::RateLimitedUnknown => {}
            mechanism => {
                self.dropped += 1;
                self.refused += u64::from(mechanism == Mechanism::Icmp);
            }
        }
        if let Some(controls) = f.controls.as_ref().filter(|_| f.keyed_on.is_some()) {
            self.keyed_on = self.keyed_on.or(f.keyed_on);
            self.control.clone_from(&controls.names);
            self.control_well = controls.well;
            self.p_value = self.p_value.or(f.p_value);
        }
    }
}

/// The rows of all captures, claims first, then by name.
pub fn rows(captures: &[Capture]) -> Vec<NameRow> {
    let mut by_name: BTreeMap<&str, NameRow> = BTreeMap::new();
    for capture in captures {
        let a = &capture.analysis;
        for n in 0..a.verdicts.len() {
            let Some(name) = a.name(n) else { continue };
            let row = by_name.entry(name).or_insert_with(|| NameRow::new(name));
            row.connections += 1;
            match a.verdicts[n].0 {
                Verdict::Clean => row.ok += 1,
                Verdict::Interfered => {}
                Verdict::Inconclusive => row.inconclusive += 1,
            }
        }
        for f in a.findings.iter().filter(|f| f.level >= Level::Likely) {
            if let (Mechanism::DnsForged, Some(name)) = (f.mechanism, f.name.as_deref()) {
                by_name.entry(name).or_insert_with(|| NameRow::new(name)).dns_forged += f.frames.len() as u64;
                continue; // what followed went elsewhere, under whatever name
            }
            for c in &f.connections {
                if let Some(row) = a.name(*c).and_then(|n| by_name.get_mut(n)) {
                    row.take(f);
                }
            }
        }
    }
    let mut rows: Vec<NameRow> = by_name.into_values().collect();
    rows.sort_by(|a, b| b.claims().cmp(&a.claims()).then_with(|| a.name.cmp(&b.name)));
    rows
}
