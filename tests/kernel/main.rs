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
use std::sync::{Mutex, MutexGuard, PoisonError};

use pinchpoint::analysis::Settings;
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::matrix::{self, Entry, Said, Scores};
use pinchpoint::testkit::path::capture::capture;
use pinchpoint::testkit::path::line::Run;
use pinchpoint::testkit::path::scenario::Class;
use pinchpoint::testkit::path::world::play;

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

/// Downloads of which the senders are compared: how long they take, and what share they send again.
const SENDERS: &[&str] = &[
    "path.1=policer, server.0.host.control=cubic",
    "path.1=policer, server.0.host.control=bbr",
    "path.1=policer, server.0.host.control=reno",
    "path.1=link, server.0.host.control=cubic",
];

/// Plays of one download: where its losses fall is a matter of microseconds, so the middle one is compared.
const PLAYS: usize = 3;

/// One test at a time, for they share two cores; nothing, and the reason is printed, where there can be no hosts.
fn alone() -> Option<MutexGuard<'static, ()>> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let probe = format!("pp-probe-{}", std::process::id());
    let ip = |what: &str| Command::new("ip").args(["netns", what, &probe]).output();
    let why = if !rustix::process::geteuid().is_root() {
        "needs root, for network namespaces"
    } else if !Path::new("/dev/net/tun").exists() {
        "needs /dev/net/tun"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "needs ip (apt-get install iproute2)"
    } else if !ip("add").is_ok_and(|o| o.status.success()) {
        "needs the right to make network namespaces"
    } else {
        let _ = ip("del");
        return Some(one);
    };
    println!("skipped: {why}");
    None
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

/// Seconds from the first packet of a download to its last, and the share of data segments that the server sent again.
fn sender(run: &Run, entry: &Entry) -> (f64, f64) {
    let how = entry.scenario.capture.iter().find(|c| c.at == "server").unwrap();
    let file = capture(run, how, SEED).file;
    let analysis = analyzed(file, Settings::default()).unwrap();
    let c = analysis.connections.iter().max_by_key(|c| c.flows.to_client.bytes).unwrap();
    let f = &c.flows.to_client;
    assert!(f.new_bytes >= 900_000, "{}: {} bytes came about", entry.variant, f.new_bytes);
    (f.new_bytes as f64 * 8.0 / f.goodput_bps.unwrap(), f64::from(f.retransmitted) / f.packets as f64)
}

fn middle(plays: &[(f64, f64)], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let mut all: Vec<f64> = plays.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[test]
fn the_model_sends_as_the_kernel_does() {
    let Some(_alone) = alone() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let entries = matrix::load(&folder).unwrap();
    let chosen: Vec<&Entry> = SENDERS
        .iter()
        .map(|v| {
            entries
                .iter()
                .find(|e| e.name == "policed-short" && e.variant == *v)
                .unwrap_or_else(|| panic!("{v}"))
        })
        .collect();
    let real: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..PLAYS * chosen.len())
            .map(|n| {
                let e = chosen[n / PLAYS];
                scope.spawn(move || sender(&hosts::play(50 + n, &e.scenario, SEED), e))
            })
            .collect();
        hosts.into_iter().map(|h| h.join().unwrap()).collect()
    });
    for (e, plays) in chosen.iter().zip(real.chunks(PLAYS)) {
        let (seconds, again) = (middle(plays, |p| p.0), middle(plays, |p| p.1));
        let modelled: Vec<_> = (0..PLAYS as u64).map(|n| sender(&play(&e.scenario, SEED + n), e)).collect();
        let (modelled, modelled_again) = (middle(&modelled, |p| p.0), middle(&modelled, |p| p.1));
        println!(
            "{}: kernel {seconds:.2} s, {:.1}% sent again; model {modelled:.2} s, {:.1}%",
            e.variant,
            again * 100.0,
            modelled_again * 100.0
        );
        // a cap decides how long a transfer takes; how much is sent again is the sender's
        assert!(
            (seconds / modelled - 1.0).abs() < 0.25,
            "{}: {seconds} s, and the model {modelled} s",
            e.variant
        );
        assert!(
            (again - modelled_again).abs() < 0.08,
            "{}: {again} sent again, and the model {modelled_again}",
            e.variant
        );
    }
}

#[test]
fn what_is_said_of_real_hosts_is_what_is_said_of_simulated_ones() {
    let Some(_alone) = alone() else { return };
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
