//! The detector against labelled connections of the project's own making: precision, recall and calibration.
//!
//! `cargo test --test accuracy -- --nocapture` prints the table. The bounds below it are what a change may not fall
//! under; the matrix grows with the simulated path.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::collections::BTreeMap;

use pinchpoint::analysis::{Analysis, Settings};
use pinchpoint::capture::LinkType;
use pinchpoint::detect::{Level, Verdict};
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::conversation::{Conversation, capture};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::scripts::{Class, KINDS, Place};

const SEEDS: u64 = 40;

#[derive(Default)]
struct Tally {
    connections: u32,
    claimed: u32,
    pointed: u32,
    resets_forged: u32,
    resets_found: u32,
    resets_false: u32,
}

fn analysis_of(c: &Conversation) -> (Analysis, Vec<u64>) {
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    let mut forged = Vec::new();
    let one = [c.clone()];
    for (n, frame) in capture(&one).into_iter().enumerate() {
        pcap.frame(frame.at, &frame.bytes);
        if !frame.genuine && frame.reset {
            forged.push(n as u64 + 1);
        }
    }
    (analyzed(pcap.finish(), Settings::default()).unwrap(), forged)
}

#[test]
fn precision_recall_and_calibration_on_labelled_scripts() {
    let mut table: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
    let mut scored: Vec<(f64, bool)> = Vec::new();
    for kind in KINDS {
        for place in [Place::Client, Place::Middle, Place::Server] {
            for seed in 0..SEEDS {
                let (analysis, forged) = analysis_of(&kind.play(seed * 7919 + 13, place));
                if kind.class == Class::Forged && forged.is_empty() {
                    continue; // nothing of it passes this point of capture
                }
                assert_eq!(analysis.connections.len(), 1, "{}: one script is one connection", kind.name);
                let class = match kind.class {
                    Class::Forged => "forged",
                    Class::NearMiss => "near-miss",
                    Class::Benign => "benign",
                };
                let t = table.entry((class, kind.name)).or_default();
                t.connections += 1;
                t.resets_forged += u32::try_from(forged.len()).unwrap();
                let best = analysis.findings.first();
                scored.push((best.map_or(0.02, |f| f.confidence), !forged.is_empty()));
                t.claimed += u32::from(analysis.verdicts[0].0 == Verdict::Interfered);
                t.pointed += u32::from(best.is_some_and(|f| f.level == Level::Possible));
                for f in analysis.findings.iter().filter(|f| f.level >= Level::Likely) {
                    for frame in &f.frames {
                        if forged.contains(frame) {
                            t.resets_found += 1;
                        } else {
                            t.resets_false += 1;
                        }
                    }
                }
            }
        }
    }
    println!(
        "{:10} {:34} {:>6} {:>8} {:>8} {:>9}  resets found / forged, false",
        "class", "script", "conns", "claimed", "pointers", ""
    );
    let (mut found, mut all, mut wrong, mut false_connections) = (0, 0, 0, 0);
    for ((class, name), t) in &table {
        println!(
            "{class:10} {name:34} {:>6} {:>8} {:>8} {:>9}  {} / {}, {}",
            t.connections, t.claimed, t.pointed, "", t.resets_found, t.resets_forged, t.resets_false
        );
        found += t.resets_found;
        all += t.resets_forged;
        wrong += t.resets_false;
        false_connections += if *class == "forged" { 0 } else { t.claimed };
    }
    let precision = f64::from(found) / f64::from(found + wrong);
    let recall = f64::from(found) / f64::from(all);
    let brier = scored.iter().map(|(p, truth)| (p - f64::from(u8::from(*truth))).powi(2)).sum::<f64>()
        / scored.len() as f64;
    println!(
        "precision {precision:.4}, recall {recall:.4}, Brier score {brier:.4}, innocent connections claimed {false_connections}"
    );
    println!("reliability: stated probability, connections, share that was forged");
    for (low, high) in [(0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1.01)] {
        let bin: Vec<bool> =
            scored.iter().filter(|(p, _)| (low..high).contains(p)).map(|(_, t)| *t).collect();
        let share = bin.iter().filter(|t| **t).count() as f64 / bin.len().max(1) as f64;
        println!("  {low:.2} to {:.2}  {:>6}  {share:.3}", f64::min(high, 1.0), bin.len());
    }
    assert!(precision >= 0.99, "precision {precision}");
    assert!(recall >= 0.95, "recall {recall}");
    assert!(brier <= 0.03, "Brier score {brier}");
    assert_eq!(false_connections, 0, "an innocent connection was claimed");
}
