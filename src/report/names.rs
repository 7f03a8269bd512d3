//! One line for each name that clients asked for.

use std::collections::BTreeMap;

use super::Capture;
use super::units::thousands;
use crate::base::text::Untrusted;
use crate::detect::{Level, Trigger, Verdict};
use crate::measure::quic::Outcome;

/// What happened to the connections that asked for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Those about which nothing can be said.
    pub inconclusive: u64,
}

impl NameRow {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), connections: 0, ok: 0, reset: 0, reset_after_name: 0, inconclusive: 0 }
    }

    /// The row in one word.
    pub fn conclusion(&self) -> &'static str {
        if self.reset > 0 {
            "reset"
        } else if self.ok > 0 {
            "no_forged_reset"
        } else {
            "inconclusive"
        }
    }

    /// The row in a sentence that says no more than was seen.
    pub fn sentence(&self) -> String {
        let name = Untrusted(&self.name);
        let all = thousands(self.connections);
        let plural = if self.connections == 1 { "connection" } else { "connections" };
        if self.reset > 0 {
            let when = if self.reset_after_name == self.reset { "after the name was sent, " } else { "" };
            let were = if self.reset == 1 { "was" } else { "were" };
            let reset = thousands(self.reset);
            return format!(
                "{reset} of {all} {plural} to {name} {were} reset {when}by packets that no endpoint sent"
            );
        }
        let (ok, inconclusive) = (thousands(self.ok), thousands(self.inconclusive));
        match (self.ok, self.inconclusive) {
            (_, 0) => format!("no forged reset in {all} {plural} to {name}"),
            (0, _) => format!("nothing can be said of {all} {plural} to {name}"),
            _ => format!("no forged reset in {ok} of {all} {plural} to {name}; {inconclusive} inconclusive"),
        }
    }
}

/// The rows of all captures, most resets first, then by name.
pub fn rows(captures: &[Capture]) -> Vec<NameRow> {
    let mut by_name: BTreeMap<&str, NameRow> = BTreeMap::new();
    for capture in captures {
        let a = &capture.analysis;
        for (n, c) in a.connections.iter().enumerate() {
            let Some(name) = c.name() else { continue };
            let row = by_name.entry(name).or_insert_with(|| NameRow::new(name));
            row.connections += 1;
            match a.verdicts[n].0 {
                Verdict::Clean => row.ok += 1,
                Verdict::Interfered => row.reset += 1,
                Verdict::Inconclusive => row.inconclusive += 1,
            }
        }
        for q in &a.udp.quic {
            let Some(name) = q.name() else { continue };
            let row = by_name.entry(name).or_insert_with(|| NameRow::new(name));
            row.connections += 1;
            *(if q.outcome == Outcome::Ok { &mut row.ok } else { &mut row.inconclusive }) += 1;
        }
        for f in a.findings.iter().filter(|f| f.level >= Level::Likely) {
            for c in f.connections.iter().filter(|_| f.trigger.is_some_and(Trigger::has_name)) {
                if let Some(row) = a.connections[*c].name().and_then(|n| by_name.get_mut(n)) {
                    row.reset_after_name += 1;
                }
            }
        }
    }
    let mut rows: Vec<NameRow> = by_name.into_values().collect();
    rows.sort_by(|a, b| b.reset.cmp(&a.reset).then_with(|| a.name.cmp(&b.name)));
    rows
}
