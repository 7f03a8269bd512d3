//! The detector of caps against the simulated path, and beside the reference on a folder of captures.
//!
//! `cargo bench --bench caps` prints what caps cost a packet of one connection, from frames to findings, then plays the
//! scenarios `fixtures/scenarios/cap-*.toml` and prints precision, recall and errors. With `PINCHPOINT_ONLY_COST` set it
//! prints the cost alone.
//! With `PINCHPOINT_CAPTURES` set to a folder it analyses the captures there as well, and prints what the algorithm of
//! Flach et al. 2016 says of the same transfers.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // frames are made of numbers that fit

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use pinchpoint::analysis::{Analyzer, Settings, analyze};
use pinchpoint::base::{Direction, Endpoint, Timestamp};
use pinchpoint::capture::{Frame, LinkType, Source, open_path};
use pinchpoint::detect::{Finding, Level, Mechanism};
use pinchpoint::flow::key::Key;
use pinchpoint::flow::table::{FlowTable, Limits};
use pinchpoint::flow::{self, Connection};
use pinchpoint::measure::cap::series::Series;
use pinchpoint::testkit::clock::spent;
use pinchpoint::testkit::flach::{self, Verdict};
use pinchpoint::testkit::matrix::{self, Said};
use pinchpoint::testkit::packet::Segment;
use pinchpoint::testkit::path::scenario::Class;
use pinchpoint::wire::tcp::Flags;
use pinchpoint::wire::{Payload, decode};

const SEED: u64 = 20_240_218;

fn main() {
    cost();
    if std::env::var_os("PINCHPOINT_ONLY_COST").is_some() {
        return;
    }
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

/// How much more the caps of a packet may cost in a long connection than in one of ten thousand packets.
const LINEAR: f64 = 2.0;

/// The share of an analysis that caps may take of bulk traffic that no policer holds.
const SHARE: f64 = 0.5;

/// Prints what an analysis costs a packet of one connection, from frames to findings, with caps and without them, and holds
/// the difference to be linear, and to be no more than half on bulk traffic. A connection keeps 2¹⁶ packets at most, so
/// longer ones cost no more in all.
fn cost() {
    println!("one connection | packets | analysis, ns a packet | without caps | share of caps | findings");
    for kind in [Kind::Plain, Kind::Queued, Kind::Policed] {
        let mut costs = Vec::new();
        for exponent in 3..=7 {
            let n = 10u64.pow(exponent);
            let once = |caps: bool| {
                let start = spent();
                let mut source = Bulk::new(kind, n);
                let analyzer = Analyzer::new(Settings::default());
                let mut analyzer = if caps { analyzer } else { analyzer.without_caps() };
                while let Some(frame) = source.next_frame() {
                    analyzer.push(&frame);
                }
                let found = analyzer.finish(Vec::new()).findings.len();
                (spent().saturating_sub(start).as_secs_f64() * 1e9 / n as f64, found)
            };
            // the shortest of some runs: others share the machine
            let runs = (1_000_000 / n).clamp(3, 50);
            let (mut with, mut without, mut findings) = (f64::INFINITY, f64::INFINITY, 0);
            for _ in 0..runs {
                let (took, found) = once(true);
                (with, findings) = (with.min(took), found);
                without = without.min(once(false).0);
            }
            let share = 1.0 - without / with;
            println!("{kind:?} | {n} | {with:.0} | {without:.0} | {share:.2} | {findings}");
            assert!(kind == Kind::Policed || share < SHARE, "{kind:?}: caps take {share:.2}");
            assert!(findings == usize::from(kind != Kind::Plain), "{kind:?}: {findings} findings");
            costs.push(with - without);
        }
        let (least, most) = (costs[1], costs[2..].iter().copied().fold(0.0, f64::max));
        assert!(
            most < LINEAR * least.max(20.0),
            "{kind:?}: {most:.0} ns a packet of a long series, {least:.0}"
        );
    }
}

/// What a connection goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing that shows.
    Plain,
    /// A link whose queue fills up and empties.
    Queued,
    /// A policer of 1 Mbit/s and 30 kB, into which a little more is sent.
    Policed,
}

/// Frames of one connection as its client has them, cut after the headers, made one by one.
struct Bulk {
    kind: Kind,
    left: u64,
    number: u64,
    at: f64,
    frame: Vec<u8>,
    /// The next new byte, the next one that the client waits for, and what was lost above it.
    next: u32,
    acked: u32,
    lost: VecDeque<u32>,
    /// Segments that the sender has sent, and those that came since the last acknowledgment.
    sent: u64,
    unacknowledged: u32,
    tokens: f64,
}

const CLIENT: Endpoint = Endpoint { addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port: 40_000 };
const SERVER: Endpoint = Endpoint { addr: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), port: 443 };
const MSS: u32 = 1448;

impl Bulk {
    fn new(kind: Kind, packets: u64) -> Self {
        Self {
            kind,
            left: packets,
            number: 0,
            at: 0.0,
            frame: Vec::new(),
            next: 1001,
            acked: 1001,
            lost: VecDeque::new(),
            sent: 0,
            unacknowledged: 0,
            tokens: 30_000.0,
        }
    }

    /// The next segment that arrives: its sequence number, and how long it was under way.
    fn arrival(&mut self) -> (u32, f64) {
        loop {
            let n = self.sent;
            self.sent += 1;
            let (at, wait) = match self.kind {
                Kind::Plain => (n as f64 * 0.0012, 0.02),
                // at the link's rate of 8 Mbit/s, after a wait that grows and shrinks
                Kind::Queued => (n as f64 * 0.0015, 0.02 + 0.0001 * (n % 800) as f64),
                // a little more than the bucket passes, at times that have no period
                Kind::Policed => {
                    let off = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as f64 / 256.0;
                    ((n as f64 + off * 0.8) * 0.0112, 0.02)
                }
            };
            let again = if n.is_multiple_of(10) { self.lost.pop_front() } else { None };
            let seq = again.unwrap_or(self.next);
            if again.is_none() {
                self.next = self.next.wrapping_add(MSS);
            }
            self.tokens = (self.tokens + 125_000.0 * (at - self.at)).min(30_000.0);
            self.at = at;
            if self.kind == Kind::Policed && self.tokens < 1500.0 {
                if again.is_some() {
                    self.lost.push_front(seq);
                } else {
                    self.lost.push_back(seq);
                }
                continue;
            }
            self.tokens -= 1500.0;
            self.acked = self.lost.front().copied().unwrap_or(self.next);
            return (seq, wait);
        }
    }

    fn make(&mut self, down: bool, flags: Flags, seq: u32, ack: u32, sent: f64, len: u32) -> Frame<'_> {
        let mut options = vec![1, 1, 8, 10];
        options.extend((1000 + (sent * 1000.0) as u32).to_be_bytes());
        options.extend(1000u32.to_be_bytes());
        if flags.has(Flags::SYN) {
            options.extend([2, 4, 0x05, 0xb4]);
        }
        let (src, dst) = if down { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
        let segment =
            Segment { seq, ack, flags, ttl: 60, window: 65_000, options, df: true, ..Segment::default() };
        self.frame = segment.ip(src, dst);
        let whole = self.frame.len() as u32 + len;
        self.frame[2..4].copy_from_slice(&(whole as u16).to_be_bytes());
        self.number += 1;
        Frame {
            number: self.number,
            at: Timestamp::from_ns(1_700_000_000_000_000_000 + (self.at * 1e9) as i64),
            link_type: LinkType::RAW,
            file: 0,
            interface: 0,
            data: &self.frame,
            wire_len: whole,
            dropped_before: 0,
        }
    }

    fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.left = self.left.checked_sub(1)?;
        let now = self.at;
        match self.number {
            0 => return Some(self.make(false, Flags::SYN, 500, 0, now, 0)),
            1 => return Some(self.make(true, Flags::SYN.with(Flags::ACK), 1000, 501, now, 0)),
            2 => return Some(self.make(false, Flags::ACK, 501, 1001, now, 0)),
            _ => {}
        }
        if self.unacknowledged == 2 {
            self.unacknowledged = 0;
            let acked = self.acked;
            return Some(self.make(false, Flags::ACK, 501, acked, now, 0));
        }
        self.unacknowledged += 1;
        let (seq, wait) = self.arrival();
        let sent = self.at - wait + 0.2;
        Some(self.make(true, Flags::ACK, seq, 501, sent, MSS))
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
                out.push(((*c).clone(), d, series));
            }
        }
    };
    while let Some(frame) = source.next_frame() {
        let packet = decode::frame(&frame);
        if let (Payload::Tcp(tcp), Some(ip)) = (packet.payload, &packet.ip) {
            let s = flow::Segment::new(frame.number, frame.at, ip, &tcp);
            let src = Endpoint { addr: ip.src, port: tcp.src_port() };
            let dst = Endpoint { addr: ip.dst, port: tcp.dst_port() };
            table.push(&s, Key::new(src, dst), &tcp, packet.tunnelled, &mut take);
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
