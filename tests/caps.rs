//! Caps and what looks like them, on the simulated path: a part of what `cargo bench --bench caps` plays.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::path::Path;

use pinchpoint::testkit::matrix::{self, Outcome, Said};
use pinchpoint::testkit::path::scenario::Class;

/// One of so many variants is played here.
const EVERY: usize = 3;

#[test]
fn policers_and_shapers_are_found_and_links_and_losses_are_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut entries = matrix::load(&root.join("fixtures/scenarios")).unwrap();
    entries.retain(|e| e.name.starts_with("cap-"));
    let some: Vec<_> = entries.into_iter().step_by(EVERY).collect();
    let scores = matrix::run(&some, 1, 20_240_218);
    let caps: Vec<&Outcome> = scores.outcomes.iter().filter(|o| o.rule.starts_with("CAP")).collect();
    let count = |rule: &str, positive: bool, claimed: bool| {
        let here = |o: &&&Outcome| {
            o.rule == rule
                && (o.class == Class::Positive) == positive
                && (!claimed || o.said == Said::Claim)
                // a sender's capture without acknowledgments has no delays: a pointer at most
                && !(positive && o.vantage == "server, one direction")
        };
        caps.iter().filter(here).count()
    };
    for (rule, least) in [("CAP001", 0.65), ("CAP002", 0.75)] {
        let (all, found) = (count(rule, true, false), count(rule, true, true));
        let (innocent, wrong) = (count(rule, false, false), count(rule, false, true));
        println!("{rule}: found {found} of {all}, claimed {wrong} of {innocent} innocent");
        assert!(all >= 10 && found as f64 >= least * all as f64, "{rule}: {found} of {all}");
        assert!(wrong * 200 <= innocent, "{rule}: {wrong} of {innocent}");
    }
    let mut off: Vec<f64> = caps.iter().filter_map(|o| Some((o.rate? - 1.0).abs())).collect();
    off.sort_by(f64::total_cmp);
    println!("rate error: median {:.4} of {}", off[off.len() / 2], off.len());
    assert!(off[off.len() / 2] < 0.02);
}
