//! Caps and what looks like them, on the simulated path: a part of what `cargo bench --bench caps` plays.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::path::Path;

use pinchpoint::analysis::Settings;
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::matrix::{self, Outcome, Said};
use pinchpoint::testkit::path::capture::capture;
use pinchpoint::testkit::path::scenario::Class;
use pinchpoint::testkit::path::world::play;

/// One of so many variants is played here.
const EVERY: usize = 3;

#[test]
fn policers_and_shapers_are_found_and_links_and_losses_are_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut entries = matrix::load(&root.join("fixtures/scenarios")).unwrap();
    entries.retain(|e| e.name.starts_with("cap-") && !e.scenario.hard);
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

#[test]
fn what_is_overtaken_is_not_lost() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut entries = matrix::load(&root.join("fixtures/scenarios")).unwrap();
    entries.retain(|e| e.name == "cap-innocent" && e.variant.contains("path.2=reorder"));
    assert!(entries.len() >= 6, "{} variants", entries.len());
    for e in &entries {
        let run = play(&e.scenario, 20_240_218);
        for how in e.scenario.capture.iter().filter(|c| c.only.is_none()) {
            let a = analyzed(capture(&run, how, 1).file, Settings::default()).unwrap();
            let c = &a.connections[0].flows.to_client;
            assert!(how.at != "client" || c.out_of_order > 20, "{}: nothing was overtaken", e.variant);
            let lost: usize = a.transfers.iter().map(|t| t.fits.losses).sum();
            println!("{} {}: {lost} of {} packets", e.variant, how.at, c.packets);
            assert!(lost <= 2, "{} {}: {lost} taken for lost, and none was", e.variant, how.at);
        }
    }
}
