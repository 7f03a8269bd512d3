//! Caps and what looks like them, on the simulated path: a part of what `cargo bench --bench caps` plays.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::path::Path;

use pinchpoint::analysis::Settings;
use pinchpoint::measure::plateau::Plateau;
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::matrix::{self, Outcome, Said};
use pinchpoint::testkit::path::capture::capture;
use pinchpoint::testkit::path::scenario::{self, Class};
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

/// A download over QUIC through one element, in so many pieces with pauses between.
fn over_quic(element: &str, pieces: usize, bytes: u32, after_ms: u32) -> String {
    let requests = vec![format!("{{ down = {bytes}, after_ms = {after_ms} }}"); pieces].join(", ");
    format!(
        "about = \"QUIC through one element\"\nseeds = 1\ncovers = []\n\
         [[server]]\nnames = [\"x.com\"]\naddress = \"203.0.113.80\"\n\
         [[connection]]\nname = \"x.com\"\nhello = \"quic\"\nrequests = [{requests}]\npatience_s = 300\n\
         [[path]]\nkind = \"hops\"\ncount = 3\ndelay_ms = 2\njitter_ms = 0.2\n\
         [[path]]\n{element}\n\
         [[path]]\nkind = \"hops\"\ncount = 5\ndelay_ms = 4\njitter_ms = 0.2\n"
    )
}

/// What the server of that download kept to, as the client sees it, and its bytes in all.
fn kept_to(text: &str) -> (Option<Plateau>, u64) {
    let [(_, scenario)] = &scenario::read("quic.toml", text).unwrap()[..] else { panic!("one variant") };
    let run = play(scenario, 20_240_218);
    let a = analyzed(capture(&run, &scenario.capture[0], 1).file, Settings::default()).unwrap();
    let [q] = &a.udp.quic[..] else { panic!("{} QUIC connections", a.udp.quic.len()) };
    assert!(q.plateau.to_server.is_none(), "{:?}", q.plateau.to_server);
    (q.plateau.to_client, q.sides.to_client.bytes)
}

#[test]
fn what_quic_keeps_to_is_its_rate_and_pieces_with_pauses_have_none() {
    let slow = "kind = \"shaper\"\nrate_bps = 1000000\nburst = 30000\nqueue = 200000";
    for (element, rate) in [
        ("kind = \"shaper\"\nrate_bps = 512000\nburst = 30000\nqueue = 100000", 512e3),
        ("kind = \"shaper\"\nrate_bps = 2000000\nburst = 60000\nqueue = 200000", 2e6),
        ("kind = \"bottleneck\"\nrate_bps = 1000000\nqueue = 100000", 1e6),
    ] {
        let (plateau, bytes) = kept_to(&over_quic(element, 1, 3_000_000, 0));
        let p = plateau.unwrap_or_else(|| panic!("{element}: no plateau in {bytes} bytes"));
        println!("{element:?}: {:.0} bit/s for {} ({:.2} of it)", p.rate_bps, p.duration, p.share);
        assert!(bytes > 3_000_000 && (p.rate_bps / rate - 1.0).abs() < 0.05 && p.share > 0.9, "{p:?}");
    }
    let (plateau, bytes) = kept_to(&over_quic(slow, 12, 250_000, 2500));
    assert!(bytes > 3_000_000 && plateau.is_none(), "a video in pieces: {plateau:?}");
    let (plateau, bytes) = kept_to(&over_quic(slow, 1, 100_000, 0));
    assert!(bytes > 100_000 && plateau.is_none(), "a page: {plateau:?}");
}
