//! Scenarios played by real hosts: the kernel's TCP and a TLS library, in two network namespaces, through the same boxes as
//! in the simulation. What the program says of both is compared.
//!
//! Needs root, `ip` and /dev/net/tun; says so and does nothing where they are not. The hosts' packets go through two TUN
//! devices and this process, and nowhere else.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods
)]

mod hosts;

use std::path::Path;
use std::process::Command;

use pinchpoint::testkit::matrix::{self, Entry, Said, Scores};
use pinchpoint::testkit::path::capture::capture;
use pinchpoint::testkit::path::line::Run;
use pinchpoint::testkit::path::scenario::Class;

const SEED: u64 = 20_240_217;

/// Which variants are played by real hosts: scenario, a part of the variant's label.
const PLAYED: &[(&str, &str)] = &[
    ("reset-after-hello", "RST+AE+R3, ttl = { between = [50, 66] } }, server.0.host.ip_id=counter"),
    ("reset-after-hello", "ip_id = keyed, steps = [0, 0, 0], to = to_client }, server.0.host.ip_id=counter"),
    (
        "reset-after-hello",
        "ip_id = { fixed = 0 }, ttl = { between = [70, 120] } }, server.0.host.ip_id=counter",
    ),
    ("reset-in-path", "flags=RST+ACK, path.1.ttl={"),
    ("answer-rewritten", "counter"),
    ("server-refuses", "answer=reset, server.0.host.reset_ttl=64, server.0.host.stack=model"),
];

fn cannot() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        Some("needs root, for network namespaces")
    } else if !Path::new("/dev/net/tun").exists() {
        Some("needs /dev/net/tun")
    } else if Command::new("ip").arg("-V").output().is_err() {
        Some("needs ip (apt-get install iproute2)")
    } else if !Command::new("ip").args(["netns", "add", "pp-probe"]).status().is_ok_and(|s| s.success()) {
        Some("needs the right to make network namespaces")
    } else {
        let _ = Command::new("ip").args(["netns", "del", "pp-probe"]).status();
        None
    }
}

/// Writes what was captured into the folder that `PINCHPOINT_KEEP` names.
fn keep(n: usize, entry: &Entry, run: &Run) {
    let Some(folder) = std::env::var_os("PINCHPOINT_KEEP") else { return };
    for how in &entry.scenario.capture {
        let got = capture(run, how, SEED);
        let file = Path::new(&folder).join(format!("{n}-{}-{}", entry.name, how.at));
        std::fs::write(file.with_extension("pcapng"), got.file).unwrap();
        std::fs::write(file.with_extension("json"), serde_json::to_string_pretty(&got.truth).unwrap())
            .unwrap();
    }
}

fn row(name: &str, real: &Scores, simulated: &Scores) {
    let said = |s: &Scores, class: bool| {
        let all: Vec<_> = s.outcomes.iter().filter(|o| (o.class == Class::Positive) == class).collect();
        let claims = all.iter().filter(|o| o.said >= Said::Other).count();
        let pointers = all.iter().filter(|o| o.said == Said::Pointer).count();
        format!("{claims} claimed, {pointers} pointed at, of {}", all.len())
    };
    println!("{name}");
    println!("  done to:  kernel {}; simulation {}", said(real, true), said(simulated, true));
    println!("  left be:  kernel {}; simulation {}", said(real, false), said(simulated, false));
}

#[test]
fn what_is_said_of_real_hosts_is_what_is_said_of_simulated_ones() {
    if let Some(why) = cannot() {
        println!("skipped: {why}");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let entries = matrix::load(&folder).unwrap();
    let chosen: Vec<&Entry> = PLAYED
        .iter()
        .map(|(name, part)| {
            let found = entries.iter().find(|e| e.name == *name && e.variant.contains(part));
            found.unwrap_or_else(|| panic!("{name} has no variant with {part}"))
        })
        .collect();
    let runs: Vec<Scores> = std::thread::scope(|scope| {
        let hosts: Vec<_> = chosen
            .iter()
            .enumerate()
            .map(|(n, e)| {
                scope.spawn(move || {
                    let run = hosts::play(n, &e.scenario, SEED);
                    keep(n, e, &run);
                    matrix::score_run(e, SEED, &run)
                })
            })
            .collect();
        hosts.into_iter().map(|h| h.join().unwrap()).collect()
    });
    let mut missed = Vec::new();
    for (entry, real) in chosen.iter().zip(&runs) {
        let simulated = matrix::score(entry, SEED);
        row(&format!("{}: {}", entry.name, entry.variant), real, &simulated);
        assert!(real.connections >= 3, "{}: {} connections came about", entry.name, real.connections);
        for o in &real.outcomes {
            if o.class != Class::Positive {
                assert!(o.said < Said::Other, "claimed of real hosts to whom nothing was done: {o:?}");
            }
        }
        let share = |s: &Scores| {
            let done: Vec<_> = s.outcomes.iter().filter(|o| o.class == Class::Positive).collect();
            let found = done.iter().filter(|o| o.said >= Said::Pointer).count();
            found as f64 / done.len().max(1) as f64
        };
        if (share(real) - share(&simulated)).abs() > 0.34 {
            missed.push(format!(
                "{} {}: kernel {:.2}, simulation {:.2}",
                entry.name,
                entry.variant,
                share(real),
                share(&simulated)
            ));
        }
    }
    assert!(missed.is_empty(), "simulation and kernel disagree: {missed:#?}");
}
