//! The detector of caps against the simulated path, and beside the reference on a folder of captures.
//!
//! `cargo bench --bench caps` prints what the fits cost a packet of one connection, plays the scenarios `fixtures/scenarios/cap-*.toml` and prints precision, recall and errors.
//! With `PINCHPOINT_CAPTURES` set to a folder it analyses the captures there as well, and prints what the algorithm of
//! Flach et al. 2016 says of the same transfers.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_methods)]
// a bench is there to look at the clock

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pinchpoint::analysis::{Settings, analyze};
use pinchpoint::base::{Direction, Timestamp};
use pinchpoint::capture::{Source, open_path};
use pinchpoint::detect::{Finding, Level, Mechanism};
use pinchpoint::flow::table::{FlowTable, Limits};
use pinchpoint::flow::{Connection, Segment};
use pinchpoint::measure::cap::Fits;
use pinchpoint::measure::cap::series::{Delays, Packet, Series, Side};
use pinchpoint::testkit::flach::{self, Verdict};
use pinchpoint::testkit::matrix::{self, Said};
use pinchpoint::testkit::path::scenario::Class;
use pinchpoint::wire::{Payload, decode};

const SEED: u64 = 20_240_218;

fn main() {
    cost();
    match std::env::var_os("PINCHPOINT_CAPTURES") {
        Some(folder) => beside_the_reference(Path::new(&folder)),
        None => {
            println!("PINCHPOINT_CAPTURES names no folder of captures: nothing is set beside the reference");
        }
    }
    if std::env::var_os("PINCHPOINT_ONLY_CAPTURES").is_none() {
        on_the_simulated_path();
    }
}

/// How much more a packet may cost in the longest series than in the shortest that is not dominated by fixed costs.
const LINEAR: f64 = 3.0;

/// Prints what all fits cost a packet, of one connection with losses of a policer in each hundred packets, and holds it to be
/// linear. A connection keeps 2¹⁶ packets at most, so longer ones cost no more in all.
fn cost() {
    println!("packets of one connection | all fits, ns a packet");
    let mut costs = Vec::new();
    for exponent in 3..=6 {
        let n = 10usize.pow(exponent);
        let series = policed_series(n);
        let runs = 200_000 / n + 1;
        let start = Instant::now();
        for _ in 0..runs {
            std::hint::black_box(Fits::new(&series));
        }
        let each = start.elapsed().as_secs_f64() * 1e9 / (runs * n) as f64;
        println!("{n:25} | {each:.0}");
        costs.push(each);
    }
    let (least, most) = (costs[1], costs[costs.len() - 1]);
    assert!(most < LINEAR * least, "{most:.0} ns a packet of a long series, {least:.0} of a short one");
}

/// Bursts of ten packets, a little more than a bucket of 1 Mbit/s and 30 kB passes.
fn policed_series(n: usize) -> Series {
    const RATE: f64 = 125_000.0;
    let (mut tokens, mut then, mut losses) = (30_000.0f64, 0.0, 0);
    let packets = (0..n)
        .map(|i| {
            let at = (i / 10) as f64 * 0.118 + (i % 10) as f64 * 1e-4;
            tokens = (tokens + RATE * (at - then)).min(30_000.0);
            then = at;
            let lost = tokens < 1500.0;
            tokens -= if lost { 0.0 } else { 1500.0 };
            losses += usize::from(lost);
            let delay = if lost { f32::NAN } else { 0.05 };
            Packet { at, bytes: 1500.0, delay, frame: 0, lost, window_full: false, alone: false }
        })
        .collect();
    Series {
        start: Timestamp::from_ns(0),
        packets,
        delays: Delays::RoundTrips,
        side: Side::Behind,
        losses,
        other_losses: 0,
        unseen: 0,
    }
}

/// Losses from which a transfer counts, as in the paper.
const LOSSES: usize = 15;

/// Prints what both say of each transfer with enough losses, and the totals.
fn beside_the_reference(folder: &Path) {
    println!(
        "port direction losses | ours: mechanism bit/s bytes | reference: responses policed of all, bit/s | file"
    );
    let mut totals: BTreeMap<(&str, bool), u64> = BTreeMap::new();
    for path in captures(folder) {
        let Ok(mut source) = open_path(&path) else { continue };
        let analysis = analyze(&mut source, Settings::default(), &mut |_| {});
        for (c, direction, series) in transfers(&path) {
            if series.losses < LOSSES {
                continue;
            }
            let here = |f: &&Finding| {
                f.cap.is_some()
                    && f.level >= Level::Likely
                    && f.connections.iter().any(|n| analysis.connections[*n].first_frame == c.first_frame)
            };
            let found: Vec<&Finding> = analysis.findings.iter().filter(here).collect();
            let ours = found.iter().find(|f| f.mechanism == Mechanism::Policed).or(found.first());
            let verdicts: Vec<Verdict> =
                flach::responses(&series.packets).into_iter().map(flach::verdict).collect();
            let mut rates: Vec<f64> = verdicts
                .iter()
                .filter_map(|v| if let Verdict::Policed(rate) = v { Some(*rate) } else { None })
                .collect();
            rates.sort_by(f64::total_cmp);
            let name = ours.map_or("nothing", |f| f.mechanism.name());
            let cap = ours.and_then(|f| f.cap);
            println!(
                "{} {} {} | {name} {:.0} {} | {} of {} {:.0} | {}",
                c.client.port,
                direction.name(),
                series.losses,
                cap.map_or(0.0, |c| c.rate_bps),
                cap.and_then(|c| c.burst_bytes).unwrap_or(0),
                rates.len(),
                verdicts.len(),
                rates.get(rates.len() / 2).copied().unwrap_or(0.0),
                path.file_name().unwrap_or_default().to_string_lossy()
            );
            *totals.entry((name, !rates.is_empty())).or_default() += 1;
        }
    }
    println!(
        "transfers with {LOSSES} losses and more, by what ours says and whether the reference says policed of any response:"
    );
    for ((ours, reference), n) in totals {
        println!("  {ours:22} reference {reference:5}  {n}");
    }
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|p| p.is_file());
    files.sort();
    files
}

fn transfers(path: &Path) -> Vec<(Connection, Direction, Series)> {
    let mut out = Vec::new();
    let mut table = FlowTable::new(Limits::default());
    let Ok(mut source) = open_path(path) else { return out };
    let mut take = |c: Box<Connection>| {
        for d in [Direction::ToServer, Direction::ToClient] {
            let series = Series::new(&c, d);
            if series.losses >= LOSSES {
                out.push((c.clone(), d, series));
            }
        }
    };
    while let Some(frame) = source.next_frame() {
        let packet = decode::frame(&frame);
        if let (Payload::Tcp(tcp), Some(ip)) = (packet.payload, &packet.ip) {
            let (s, src, dst) = Segment::new(frame.number, frame.at, ip, &tcp);
            table.push(&s, src, dst, &tcp, packet.tunnelled, &mut take);
        }
    }
    table.finish(&mut take);
    out
}

fn on_the_simulated_path() {
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
