//! The detectors against the simulated path: precision, recall, errors and calibration, by rule, place and scenario.
//!
//! `cargo bench --bench accuracy` plays every scenario of `fixtures/scenarios/` with all its seeds, prints the tables, and
//! writes them into `docs/accuracy.md` between its marks. It fails under the bounds of `testkit::matrix`, and where
//! a weight that the matrix sets is another one in the table. With
//! `PINCHPOINT_SEED=n` it plays other seeds and writes nothing; with `PINCHPOINT_MISSES=1` it lists what it got wrong.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_methods)]

use std::path::Path;
use std::time::{Duration, Instant};

use pinchpoint::testkit::matrix;

/// The seed of the first run of each scenario.
const SEED: u64 = 20_240_217;
const BEGIN: &str = "<!-- matrix: begin, written by cargo bench --bench accuracy -->";
const END: &str = "<!-- matrix: end -->";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = matrix::load(&root.join("fixtures/scenarios")).unwrap();
    let other = std::env::var("PINCHPOINT_SEED").ok().map(|n| n.parse().unwrap());
    let seed = other.unwrap_or(SEED);
    let start = Instant::now();
    let scores = matrix::run(&entries, u64::MAX, seed);
    let took = start.elapsed();
    let head = format!(
        "{} scenarios in {} variants, seed {seed}: {} connections simulated, {} captures of {} frames analysed.",
        entries.iter().map(|e| &e.name).collect::<std::collections::BTreeSet<_>>().len(),
        entries.len(),
        scores.connections,
        scores.captures,
        scores.packets
    );
    let tables = scores.tables();
    println!(
        "{head}\n\n{tables}\n{took:?}, {:.0} connections a second",
        scores.connections as f64 / took.as_secs_f64()
    );
    if std::env::var_os("PINCHPOINT_MISSES").is_some() {
        for o in &scores.outcomes {
            let positive = o.class == pinchpoint::testkit::path::scenario::Class::Positive;
            if positive != (o.said == matrix::Said::Claim) && (positive || o.said >= matrix::Said::Other) {
                println!("{o:?}");
            }
        }
    }
    if other.is_none() {
        let page = root.join("docs/accuracy.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        std::fs::write(&page, format!("{before}{BEGIN}\n\n{head}\n\n{tables}\n{END}{after}")).unwrap();
    }

    // two thousand connections in two minutes on two cores
    let allowed = Duration::from_secs_f64(120.0 * (scores.connections as f64 / 2000.0).max(1.0));
    assert!(took < allowed, "{took:?} is more than {allowed:?}");
    assert!(scores.connections >= 2000, "{} connections are no matrix", scores.connections);
    scores.check();
    if other.is_none() {
        scores.check_weights();
    }
}
