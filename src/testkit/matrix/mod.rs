//! All scenarios played, captured, analysed and scored against their truth.
//!
//! What is scored is a connection as one capture shows it: was something done to it that the capture can show, and was
//! that said, something else, or nothing. A claim is a finding at `likely` or above.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod caps;
mod tables;
mod weigh;

pub use weigh::SET_BY_THE_MATRIX;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::path::boxes::What;
use super::path::capture::{Captured, ConnectionTruth, FrameTruth, Truth, capture};
use super::path::line::Run;
use super::path::scenario::{self, Answer, Class, Element, On, Scenario};
use super::path::world::play;
use crate::analysis::{Analysis, Settings};
use crate::detect::registry::{self, RULES};
use crate::detect::{Finding, Level};

/// A scenario ready to be played: the file's stem, what sets the variant apart, and the scenario.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file's name without `.toml`.
    pub name: String,
    /// What the sweep put in.
    pub variant: String,
    /// The scenario.
    pub scenario: Scenario,
}

/// All scenarios of a folder, in order of name.
///
/// # Errors
/// What is wrong with a file.
pub fn load(folder: &Path) -> Result<Vec<Entry>, Box<dyn std::error::Error + Send + Sync>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    let mut entries = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        for (variant, scenario) in scenario::read(&path.display().to_string(), &text)? {
            entries.push(Entry { name: name.clone(), variant, scenario });
        }
    }
    Ok(entries)
}

/// One connection in one capture: what is true of it and what was said, under one rule.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rule that the truth asks for, or that was claimed without truth.
    pub rule: &'static str,
    /// The scenario.
    pub scenario: String,
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// Where it was captured.
    pub vantage: String,
    /// The client's port.
    pub port: u16,
    /// Whether the scenario is a hard one.
    pub hard: bool,
    /// What the scenario is for this rule; `Positive` only if it was done to this very connection.
    pub class: Class,
    /// What was said.
    pub said: Said,
    /// The probability given for it.
    pub confidence: f64,
    /// The rate claimed over the true one.
    pub rate: Option<f64>,
    /// The depth claimed over the true one.
    pub burst: Option<f64>,
    /// Whether the interval of the rate holds the true one.
    pub covered: Option<bool>,
    /// The keys of the evidence that was given.
    pub signs: Vec<&'static str>,
    /// What is known of a cap, where one was put on the connection, and of its transfer.
    pub capped: Capped,
}

/// A cap and the transfer it was put on.
#[derive(Clone, Debug, Default)]
pub struct Capped {
    /// The true rate in bit/s and the true depth in bytes.
    pub cap: Option<(f64, f64)>,
    /// The shortest round trip that this capture shows, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// The sender's congestion control.
    pub control: String,
    /// Losses that this capture shows, of the connection's direction with most.
    pub losses: usize,
    /// Whether any bucket could be fitted to its losses.
    pub fitted: bool,
}

/// What was said of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// Nothing of this kind.
    Nothing,
    /// A pointer.
    Pointer,
    /// A claim of this kind, but of another mechanism.
    Other,
    /// A claim of what is true; or, where nothing is, any claim.
    Claim,
}

/// Frames of forged resets: found, missed, and claimed though they are none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    /// Forged, in the capture, and claimed.
    pub found: u64,
    /// Forged, in the capture, and not claimed.
    pub missed: u64,
    /// Claimed, and an end's own.
    pub wrong: u64,
}

/// What a matrix gave.
#[derive(Debug, Default)]
pub struct Scores {
    /// Each connection of each capture, under each rule that it is about.
    pub outcomes: Vec<Outcome>,
    /// The frames of forged resets.
    pub frames: Frames,
    /// Connections simulated.
    pub connections: u64,
    /// Captures analysed.
    pub captures: u64,
    /// Frames in them.
    pub packets: u64,
}

/// Plays `seeds` seeds of each entry (at most as many as it asks for) on two threads, and scores them. The result does not
/// depend on the threads.
pub fn run(entries: &[Entry], seeds: u64, base: u64) -> Scores {
    let jobs: Vec<(usize, u64)> = entries
        .iter()
        .enumerate()
        .flat_map(|(n, e)| (0..e.scenario.seeds.min(seeds)).map(move |s| (n, base + s * 7919)))
        .collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Scores>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some((n, seed)) = jobs.get(i) else { return };
                    let scores = score(&entries[*n], *seed);
                    if let Ok(mut done) = done.lock() {
                        done.insert(i, scores);
                    }
                }
            });
        }
    });
    let mut all = Scores::default();
    for (_, s) in done.into_inner().unwrap_or_default() {
        all.outcomes.extend(s.outcomes);
        all.frames.found += s.frames.found;
        all.frames.missed += s.frames.missed;
        all.frames.wrong += s.frames.wrong;
        all.connections += s.connections;
        all.captures += s.captures;
        all.packets += s.packets;
    }
    all
}

/// Plays and scores one seed of one entry.
pub fn score(entry: &Entry, seed: u64) -> Scores {
    score_run(entry, seed, &play(&entry.scenario, seed))
}

/// Scores a run of an entry, whoever played it.
pub fn score_run(entry: &Entry, seed: u64, run: &Run) -> Scores {
    let mut scores = Scores { connections: run.connections.len() as u64, ..Scores::default() };
    for how in &entry.scenario.capture {
        let Captured { file, truth } = capture(run, how, seed);
        let Some(analysis) = super::analyzed(file, Settings::default()) else { continue };
        scores.captures += 1;
        scores.packets += analysis.counts.frames;
        count_frames(&truth, &analysis, &mut scores.frames);
        for (port, c) in truth.connections.iter().filter(|(_, c)| c.frames > 0) {
            outcomes(entry, seed, &how.name(), &truth, *port, c, &analysis, &mut scores.outcomes);
        }
    }
    scores
}

fn count_frames(truth: &Truth, analysis: &Analysis, n: &mut Frames) {
    let said: BTreeSet<u64> = analysis
        .findings
        .iter()
        .filter(|f| f.level >= Level::Likely && f.code == "RST001")
        .flat_map(|f| f.frames.iter().copied())
        .collect();
    let forged: BTreeSet<u64> =
        truth.frames.iter().filter(|f| f.reset && f.origin == "forged").map(|f| f.frame).collect();
    n.found += forged.intersection(&said).count() as u64;
    n.missed += forged.difference(&said).count() as u64;
    n.wrong += said.difference(&forged).count() as u64;
}

/// Packets that a cap must have befallen before anything can be said of it (Flach et al. 2016 ask for as many losses).
const CAPPED: u64 = 15;

/// The rules under which something was done to this connection, as far as this capture can show it, and the mechanisms
/// that say so.
fn expected(
    entry: &Entry,
    truth: &Truth,
    port: u16,
    c: &ConnectionTruth,
    named: bool,
) -> Vec<(&'static str, &'static [&'static str])> {
    let mut all: Vec<(&'static str, &'static [&'static str])> = Vec::new();
    let covered =
        |rule: &str| entry.scenario.covers.iter().any(|c| c.rule == rule && c.class == Class::Positive);
    let reset = |origin: &str| truth.frames.iter().any(|f| f.port == port && f.reset && f.origin == origin);
    if reset("forged") {
        all.push(("RST001", &["injected"]));
    } else if c.count(What::Forged) > 0
        && entry.scenario.covers.iter().any(|c| c.rule.starts_with("RST") && c.class == Class::Positive)
    {
        all.push(("RST003", &["injected"]));
    }
    if reset("rewritten") {
        all.push(("RST002", &["rewritten_in_path", "injected"]));
    }
    // where no delay is known, a policer and a shaper's full queue lose alike
    if covered("CAP003") {
        let shaped = c.count(What::Shaped) >= CAPPED * 2 && c.count(What::Overflowed) >= CAPPED;
        if c.count(What::Policed) >= CAPPED || shaped {
            all.push(("CAP003", &["rate_limited_unknown"]));
        }
    } else {
        if c.count(What::Policed) >= CAPPED {
            all.push(("CAP001", &["policed"]));
        }
        if c.count(What::Shaped) >= CAPPED * 2 {
            all.push(("CAP002", &["shaped"]));
        }
    }
    let forged = |f: &FrameTruth| f.port == port && !f.reset && f.origin == "forged";
    if covered("SNI008") && truth.frames.iter().any(forged) {
        all.push(("SNI008", &["forged"]));
    }
    let changed = |f: &FrameTruth| f.port == port && !f.reset && f.origin == "rewritten";
    if covered("SNI009") && truth.frames.iter().any(changed) {
        all.push(("SNI009", &["tampered"]));
    }
    if named {
        all.extend(by_name(entry, c));
    }
    all.retain(|(code, _)| registry::find(code).is_some());
    all
}

/// Packets of a handshake that a box must have held before it waits for seconds.
const HELD: u64 = 2;

/// Packets that a box must have dropped before a silence can be told.
const DROPPED: u64 = 3;

/// The rule that a scenario is about, if a box that looks at names did something to this connection.
fn by_name(entry: &Entry, c: &ConnectionTruth) -> Option<(&'static str, &'static [&'static str])> {
    let looks_at_names = |place: &usize| {
        let target = match entry.scenario.path.get(*place) {
            Some(Element::Injector(i)) => &i.target,
            Some(
                Element::Dropper { target, .. }
                | Element::Rewriter { target }
                | Element::Delayer { target, .. }
                | Element::Refuser { target, .. },
            ) => target,
            Some(Element::DnsForger(f)) => &f.target,
            Some(Element::Policer(b) | Element::Shaper(b)) => &b.target,
            _ => return false,
        };
        target.on == On::Name && !target.names.is_empty()
    };
    let by = |what: What| -> u64 {
        let by = c.deeds.get(what.name()).into_iter().flatten();
        by.filter(|(place, _)| looks_at_names(place)).map(|(_, n)| n).sum()
    };
    let positive = |c: &&scenario::Covers| {
        c.class == Class::Positive && (c.rule.starts_with("SNI") || c.rule.starts_with("DNS"))
    };
    let rule = entry.scenario.covers.iter().find(positive)?.rule.as_str();
    let held = by(What::Delayed) + by(What::Policed) + by(What::Shaped);
    if rule == "SNI010" {
        return (held >= HELD).then_some(("SNI010", &["throttled"]));
    }
    if rule == "SNI012" {
        return (by(What::Refused) > 0).then_some(("SNI012", &["icmp"]));
    }
    let capped = by(What::Policed) >= CAPPED || by(What::Shaped) >= CAPPED * 2;
    if by(What::Dropped) < DROPPED && by(What::Forged) == 0 && !capped {
        return None;
    }
    Some(match rule {
        "SNI001" => ("SNI001", &["hello_dropped"]),
        // where the acknowledgment is lost with the answer, the client sees the one and not the other
        "SNI002" => ("SNI002", &["hello_muted", "hello_dropped"]),
        "SNI003" => ("SNI003", &["drop_after_n", "freeze", "hello_muted"]),
        "SNI004" => ("SNI004", &["closed"]),
        "SNI008" | "SNI009" => return None, // shown by packets, named or not
        "SNI006" => ("SNI006", &["throttled"]),
        // where nothing small is beside the large packets, or only a part of the path is seen, it is a silence
        "SNI011" => ("SNI011", &["size_keyed", "hello_dropped", "hello_muted", "drop_after_n", "freeze"]),
        "DNS001" => ("DNS001", &["dns_forged"]),
        "SNI007" => ("SNI007", &["quic_no_reply", "quic_dropped"]),
        _ => ("SNI005", &["reset"]),
    })
}

#[allow(clippy::too_many_arguments)] // one connection, with all that it is known by
fn outcomes(
    entry: &Entry,
    seed: u64,
    vantage: &str,
    truth: &Truth,
    port: u16,
    c: &ConnectionTruth,
    analysis: &Analysis,
    out: &mut Vec<Outcome>,
) {
    let tcp = analysis.connections.iter().map(|s| (s.client.port, s.server.port));
    let quic = analysis.udp.quic.iter().map(|q| (q.client.port, q.server.port));
    let here: BTreeSet<usize> = tcp
        .chain(quic)
        .enumerate()
        .filter(|(_, (client, server))| *client == port || *server == port)
        .map(|(n, _)| n)
        .collect();
    // an answer of DNS is no connection: its frames tell whose it is
    let mine = |frame: &u64| truth.frames.iter().any(|t| t.frame == *frame && t.port == port);
    let findings: Vec<&Finding> = analysis
        .findings
        .iter()
        .filter(|f| {
            f.connections.iter().any(|c| here.contains(c))
                || f.mechanism.is_of_dns() && f.frames.iter().any(mine)
        })
        .collect();
    // what is done because of a name can be told where the capture shows the name
    let asked = analysis.udp.dns.rows.iter().any(|t| t.client.port == port);
    let named = asked || here.iter().any(|n| analysis.name(*n).is_some());
    let mut expected = expected(entry, truth, port, c, named);
    let denies = |addr| entry.scenario.server.iter().any(|s| s.address == addr && s.answer == Answer::Refuse);
    if analysis.udp.dns.rows.iter().any(|t| t.client.port == port && denies(t.resolver.addr)) {
        expected.push(("DNS002", &["dns_denied"]));
    }
    let kind_of = |code: &str| registry::find(code).map_or("", |r| r.kind);
    let mut kinds_done = BTreeSet::new();
    let transfers = || analysis.transfers.iter().filter(|t| here.contains(&t.connection));
    let rtt = here.iter().find_map(|n| analysis.connections.get(*n)?.rtt_min);
    let control = entry.scenario.server.first().map(|s| format!("{:?}", s.host.control).to_lowercase());
    let capped = Capped {
        cap: c.cap,
        rtt_ms: rtt.map(|r| r.secs_f64() * 1e3),
        control: control.unwrap_or_default(),
        losses: transfers().map(|t| t.fits.losses).max().unwrap_or_default(),
        fitted: transfers().any(|t| t.fits.policer.is_some()),
    };
    let outcome = |rule, class, said, f: Option<&Finding>| {
        let cap = |get: fn(&Finding) -> Option<f64>, true_one: Option<f64>| {
            Some(f.and_then(get)? / true_one.filter(|_| class == Class::Positive)?)
        };
        Outcome {
            rule,
            scenario: entry.name.clone(),
            variant: entry.variant.clone(),
            seed,
            vantage: vantage.to_owned(),
            port,
            hard: entry.scenario.hard,
            class,
            said,
            confidence: f.map_or(0.02, |f| f.confidence),
            rate: cap(|f| f.cap.map(|c| c.rate_bps), c.cap.map(|c| c.0)),
            burst: cap(|f| f.cap.and_then(|c| c.burst_bytes).map(|b| b as f64), c.cap.map(|c| c.1)),
            covered: f.and_then(|f| f.cap).zip(c.cap).filter(|_| class == Class::Positive).map(
                |(said, (rate, _))| {
                    // a rate that is right to a thousandth is right: packets are whole
                    (said.interval_bps[0] * 0.999..=said.interval_bps[1] * 1.001).contains(&rate)
                },
            ),
            signs: f.map(|f| f.evidence.iter().map(|e| e.key).collect()).unwrap_or_default(),
            capped: capped.clone(),
        }
    };
    for (rule, mechanisms) in &expected {
        let kind = kind_of(rule);
        kinds_done.insert(kind);
        let said = |f: &Finding| match f.level {
            Level::Possible => Said::Pointer,
            _ if mechanisms.contains(&f.mechanism.name()) => Said::Claim,
            _ => Said::Other,
        };
        let of_kind = findings.iter().filter(|f| kind_of(f.code) == kind).map(|f| (said(f), *f));
        let best = of_kind.max_by(|a, b| a.0.cmp(&b.0).then(a.1.confidence.total_cmp(&b.1.confidence)));
        let (said, f) = best.map_or((Said::Nothing, None), |(said, f)| (said, Some(f)));
        out.push(outcome(rule, Class::Positive, said, f));
    }
    // and everything that was not done: under the rules that the scenario is about, and under those that were claimed
    let about: BTreeMap<&str, Class> =
        entry.scenario.covers.iter().map(|c| (c.rule.as_str(), c.class)).collect();
    let mut judged = BTreeSet::new();
    for rule in RULES.iter().filter(|r| !kinds_done.contains(r.kind)) {
        let of_rule = findings.iter().filter(|f| f.code == rule.code);
        let best = of_rule.max_by(|a, b| a.level.cmp(&b.level).then(a.confidence.total_cmp(&b.confidence)));
        let class = about.get(rule.code).copied();
        let kind_is_covered = RULES.iter().any(|r| r.kind == rule.kind && about.contains_key(r.code));
        if class.is_none() && best.is_none() && (kind_is_covered || !judged.insert(rule.kind)) {
            continue;
        }
        let said = match best {
            Some(f) if f.level >= Level::Likely => Said::Claim,
            Some(_) => Said::Pointer,
            None => Said::Nothing,
        };
        // in a scenario with victims, the others are controls
        let class = class.filter(|c| *c != Class::Positive).unwrap_or(Class::Benign);
        out.push(outcome(rule.code, class, said, best.copied()));
    }
}
