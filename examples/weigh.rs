//! What the simulated matrix makes of each piece of evidence for caps: `cargo run --release --features testkit --example
//! weigh [SEED]`.
//!
//! Plays the scenarios of caps with their truth, and prints for each weight of `detect::weights` whose name begins with `CAP_`
//! how often the sign was given where a box of that kind had capped a connection and where none had: the natural logarithm of
//! the ratio, beside the weight in the table. Weights that rest on papers or recordings may differ; a sign of the wrong side
//! may not. The two that say how much is not known are set by the matrix (`matrix::Scores::derived`), and
//! `cargo bench --bench accuracy` holds the table to them.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::path::Path;

use pinchpoint::detect::weights::{self, Weight};
use pinchpoint::testkit::matrix::{self, Outcome};
use pinchpoint::testkit::path::scenario::Class;

/// The seed of the published matrix.
const SEED: u64 = 20_240_217;

fn main() {
    let seed = std::env::args().nth(1).map_or(SEED, |s| s.parse().unwrap());
    let mut entries =
        matrix::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios")).unwrap();
    entries.retain(|e| !e.scenario.hard && e.scenario.covers.iter().any(|c| c.rule.starts_with("CAP")));
    let scores = matrix::run(&entries, u64::MAX, seed);
    let caps: Vec<&Outcome> = scores.outcomes.iter().filter(|o| o.rule.starts_with("CAP")).collect();
    println!("{} captures, {} connections in them", scores.captures, caps.len());
    println!("{:26} {:>16} {:>16} {:>9} {:>7}", "sign", "capped", "not capped", "log-odds", "weight");
    for weight in weights::ALL.iter().filter(|w| w.key.starts_with("CAP_")) {
        row(weight, &caps);
    }
    println!("{:26} {:>16} {:>16} {:>9} {:>7}", "set by the matrix", "boxes", "", "derived", "weight");
    for weight in matrix::SET_BY_THE_MATRIX {
        let (boxes, all) = scores.with_sign(weight.key);
        let of = format!("{boxes} of {all}");
        let derived = scores.derived(weight).unwrap_or(f64::NAN);
        println!("{:26} {of:>16} {:>16} {derived:>9.2} {:>7.1}", weight.key, "", weight.log_odds);
    }
}

/// What a weight is of: the rule whose truth it speaks for.
fn rules(key: &str) -> &'static [&'static str] {
    match key {
        "CAP_STEADY_WHILE_WAITING"
        | "CAP_DELAYS_FORETOLD"
        | "CAP_LOST_WHEN_LONG"
        | "CAP_BURST_FIRST"
        | "CAP_NO_BURST" => &["CAP002"],
        "CAP_WAITS_UNKNOWN" => &["CAP001", "CAP002", "CAP003"],
        _ => &["CAP001"],
    }
}

fn row(weight: &Weight, caps: &[&Outcome]) {
    let rules = rules(weight.key);
    let count = |capped: bool| {
        // a connection is judged under three rules where nothing was done to it, and counts once
        let of = |o: &&&Outcome| {
            if capped {
                o.class == Class::Positive && rules.contains(&o.rule)
            } else {
                o.class != Class::Positive
            }
        };
        let mut seen: Vec<(&str, &str, u64, &str, u16, bool)> = caps
            .iter()
            .filter(of)
            .map(|o| {
                let sign = o.signs.contains(&weight.key);
                (o.scenario.as_str(), o.variant.as_str(), o.seed, o.vantage.as_str(), o.port, !sign)
            })
            .collect();
        seen.sort_unstable();
        seen.dedup_by_key(|(a, b, c, d, e, _)| (*a, *b, *c, *d, *e));
        let with = seen.iter().filter(|s| !s.5).count();
        (with, seen.len())
    };
    let ((a, n), (b, m)) = (count(true), count(false));
    // half a case more on each side, so that none is infinite (Jeffreys' prior)
    let share = |k: usize, n: usize| (k as f64 + 0.5) / (n as f64 + 1.0);
    let odds = (share(a, n) / share(b, m)).ln();
    println!(
        "{:26} {:>16} {:>16} {odds:>9.1} {:>7.1}",
        weight.key,
        format!("{a} of {n}"),
        format!("{b} of {m}"),
        weight.log_odds
    );
}
