//! What a matrix gave of caps: recall by what matters to them, how far rates can be trusted, and misses by cause.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Outcome, Said, Scores};
use crate::testkit::path::scenario::Class;

/// Rules with a table of their own, and what their truth asks for.
const RULES: [&str; 2] = ["CAP001", "CAP002"];

/// Losses from which a transfer counts for CAP001.
const LOSSES: usize = 15;

fn band(x: f64, bounds: &[(f64, &'static str)], above: &'static str) -> &'static str {
    bounds.iter().find(|(upto, _)| x <= *upto).map_or(above, |(_, name)| name)
}

/// The keys under which an outcome is counted.
fn keys(o: &Outcome) -> Vec<(&'static str, String)> {
    let mut keys = vec![("1 captured at", o.vantage.clone())];
    if let Some((rate, depth)) = o.capped.cap {
        let rates = [
            (1e5, "64 to 100 kbit/s"),
            (2.5e5, "100 to 250 kbit/s"),
            (1e6, "250 kbit/s to 1 Mbit/s"),
            (4e6, "1 to 4 Mbit/s"),
            (16e6, "4 to 16 Mbit/s"),
        ];
        keys.push(("2 rate", band(rate, &rates, "over 16 Mbit/s").to_owned()));
        let depths =
            [(1e4, "up to 10 kB"), (5e4, "10 to 50 kB"), (2e5, "50 to 200 kB"), (1e6, "0.2 to 1 MB")];
        keys.push(("3 depth", band(depth, &depths, "over 1 MB").to_owned()));
    }
    if let Some(rtt) = o.capped.rtt_ms {
        let rtts = [
            (10.0, "up to 10 ms"),
            (30.0, "10 to 30 ms"),
            (80.0, "30 to 80 ms"),
            (160.0, "80 to 160 ms"),
            (320.0, "160 to 320 ms"),
        ];
        keys.push(("4 RTT", band(rtt, &rtts, "over 320 ms").to_owned()));
    }
    keys.push(("5 congestion control", o.capped.control.clone()));
    let losses = match o.capped.losses {
        n if n < LOSSES => "losses in the capture: under 15",
        n if n < 2 * LOSSES => "losses in the capture: 15 to 29",
        _ => "losses in the capture: 30 and more",
    };
    keys.push(("6", losses.to_owned()));
    let set = if o.hard { "hard: all rates and depths, and handshakes that crawl" } else { "the others" };
    keys.push(("7 scenarios", set.to_owned()));
    keys
}

/// Why a cap was not claimed, as far as the transfer tells.
fn cause(o: &Outcome) -> &'static str {
    let policed = o.rule == "CAP001";
    let shown = o.signs.first().copied();
    match (o.said, shown) {
        (Said::Other, _) => "taken for another mechanism",
        (Said::Pointer, _) if o.signs.contains(&"CAP_WAITS_UNKNOWN") => {
            "a pointer: the delays do not tell a policer from a queue"
        }
        (Said::Pointer, _) if o.signs.contains(&"CAP_NO_BURST") => {
            "a pointer: the burst is too small to tell a shaper from a slow link"
        }
        (Said::Pointer, _) => "a pointer: too small a lead over chance, or too many other losses",
        _ if o.capped.losses < LOSSES && policed => {
            "fewer than 15 of the losses are to be seen in this capture"
        }
        _ if !o.capped.fitted && policed => "no bucket fits: emptied once only, or times of losses too vague",
        _ if policed => "a bucket fits, and leads chance too little or leaves too many losses unexplained",
        _ => "packets waited too seldom, or the foretold delays are too far off",
    }
}

impl Scores {
    /// Tables of caps.
    pub(super) fn caps_tables(&self, out: &mut String) {
        let positive = |rule: &'static str| {
            self.outcomes.iter().filter(move |o| o.rule == rule && o.class == Class::Positive)
        };
        out.push_str("\nCaps, where one was put on 15 packets and more (shaped: 30):\n\n| rule | by | | claimed | rate within 5% | within 10% | interval holds the rate |\n|---|---|---|---|---|---|---|\n");
        for rule in RULES {
            let mut rows: BTreeMap<(&str, String), [usize; 6]> = BTreeMap::new();
            for o in positive(rule) {
                for key in std::iter::once(("0 all", String::new())).chain(keys(o)) {
                    let row = rows.entry(key).or_default();
                    row[0] += 1;
                    if o.said != Said::Claim {
                        continue;
                    }
                    row[1] += 1;
                    row[2] += usize::from(o.rate.is_some_and(|r| (r - 1.0).abs() < 0.05));
                    row[3] += usize::from(o.rate.is_some_and(|r| (r - 1.0).abs() < 0.1));
                    row[4] += usize::from(o.covered == Some(true));
                    row[5] += usize::from(o.covered.is_some());
                }
            }
            for ((by, value), [n, claimed, five, ten, covered, of]) in rows {
                let by = by.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
                let _ = writeln!(
                    out,
                    "| {rule} | {by} | {value} | {claimed} of {n} ({:.3}) | {five} | {ten} | {covered} of {of} |",
                    claimed as f64 / n.max(1) as f64
                );
            }
        }
        out.push_str("\n| rule | missed, by cause | connections |\n|---|---|---|\n");
        for rule in RULES {
            let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
            for o in positive(rule).filter(|o| o.said != Said::Claim) {
                *causes.entry(cause(o)).or_default() += 1;
            }
            for (cause, n) in causes {
                let _ = writeln!(out, "| {rule} | {cause} | {n} |");
            }
        }
    }
}
