//! What each stage of an analysis costs a packet: read, decode, flow, judge, write.
//!
//! `cargo bench --no-default-features --bench stages -- [KIND[@SCALE]...] [--rounds=N] [--check]` runs each stage, with all before
//! it, over captures that `testkit::traffic` makes, round by round, and prints medians with their spread, what a stage adds to a
//! packet, and the memory that is in use before the last frame's connections end. Without kinds: all ordinary ones. `hostile`
//! stands for the hostile ones, which are held against as many ordinary packets. `--check` fails under the floor that CI
//! holds. Figures of one run compare with each other only: machines drift.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, clippy::disallowed_methods)]
// a bench is there to look at the clock

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use pinchpoint::analysis::{Analyzer, Settings, analyze};
use pinchpoint::base::Endpoint;
use pinchpoint::capture::{FileSource, Frame, Source, open_path};
use pinchpoint::flow::Segment;
use pinchpoint::flow::key::Key;
use pinchpoint::flow::table::{FlowTable, Limits};
use pinchpoint::report::{Capture, json};
use pinchpoint::testkit::tls::{Hello, server_flight_13};
use pinchpoint::testkit::traffic::{Input, KINDS, hostile};
use pinchpoint::wire::decode;
use pinchpoint::wire::ip::Ip;
use pinchpoint::wire::tcp::Tcp;
use pinchpoint::wire::tls::{client_hello, server_flight};

/// The program's own: much of a packet's cost is memory that is given and taken back.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What CI holds of `big`: a half of what is reached, by the best round, so that a busy machine passes. Bytes a second, and memory.
const FLOOR_GB_S: f64 = 0.7;
const CEILING_MB: f64 = 200.0;

/// How many times the cost of an ordinary packet a hostile one may have (`docs/benchmarks/peers.md`).
const HOSTILE: f64 = 4.0;

/// The flag with which the bench calls itself to look at memory in a process of its own.
const LOOK: &str = "--memory=";

/// Connections that may be open: more than any input has.
const OPEN: usize = 1 << 21;

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let flag = |name: &str| flags.iter().find_map(|f| f.strip_prefix(name));
    if let Some(path) = flag(LOOK) {
        memory(Path::new(path));
        return;
    }
    let rounds = flag("--rounds=").map_or(5, |n| n.parse().unwrap());
    let check = flag("--check").is_some();
    if words.is_empty() || words.iter().any(|w| w == "tls") {
        first_flights();
    }
    let all: Vec<String> = KINDS.iter().map(|k| k.name.to_owned()).collect();
    for word in if words.is_empty() { &all } else { &words } {
        match word.split('@').next() {
            Some("hostile") => against_ordinary(word.strip_prefix("hostile").unwrap(), rounds, check),
            Some("tls") => {}
            _ => stages(word, rounds, check),
        }
    }
}

fn file_of(words: &str) -> PathBuf {
    let input = Input::named(words).unwrap_or_else(|| panic!("{words}: there is no such kind or scale"));
    input.file(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("inputs")).unwrap()
}

fn settings() -> Settings {
    Settings { limits: Limits { connections: OPEN }, ..Settings::default() }
}

/// A stage with all before it: runs over a capture and gives the number of frames.
type Stage = (&'static str, fn(FileSource) -> u64);

const STAGES: [Stage; 5] = [
    ("read", |mut source| {
        let mut frames = 0;
        while let Some(frame) = source.next_frame() {
            frames += u64::from(black_box(frame.wire_len) > 0);
        }
        frames
    }),
    ("decode", |mut source| {
        let mut frames = 0;
        while let Some(frame) = source.next_frame() {
            match straight(&frame) {
                Some(read) => drop(black_box(read)),
                None => drop(black_box(decode::frame(&frame))),
            }
            frames += 1;
        }
        frames
    }),
    ("flow", |mut source| {
        let mut table = FlowTable::new(settings().limits);
        let mut frames = 0;
        while let Some(frame) = source.next_frame() {
            if let Some((ip, tcp)) = straight(&frame) {
                let s = Segment::new(frame.number, frame.at, &ip, &tcp);
                let src = Endpoint { addr: ip.src, port: tcp.src_port() };
                let dst = Endpoint { addr: ip.dst, port: tcp.dst_port() };
                table.push(&s, Key::new(src, dst), &tcp, false, &mut |c| drop(black_box(c)));
            } else {
                black_box(decode::frame(&frame));
            }
            frames += 1;
        }
        table.finish(&mut |c| drop(black_box(c)));
        frames
    }),
    ("judge", |mut source| black_box(analyze(&mut source, settings(), &mut |_| {})).counts.frames),
    ("write", |mut source| {
        let analysis = analyze(&mut source, settings(), &mut |_| {});
        let frames = analysis.counts.frames;
        let capture = Capture { path: "bench".to_owned(), sha256: None, analysis };
        json::write_json(&[capture], 1, &mut io::sink()).unwrap();
        frames
    }),
];

/// TCP as all inputs have it.
#[inline(always)]
fn straight<'a>(frame: &Frame<'a>) -> Option<(Ip, Tcp<'a>)> {
    decode::tcp_in_ipv4(frame).or_else(|| decode::tcp_in_ipv6(frame))
}

/// Seconds, sorted.
struct Times(Vec<f64>);

impl Times {
    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn spread(&self) -> String {
        format!("{:.3}–{:.3}", self.0[0], self.0[self.0.len() - 1])
    }
}

/// Runs all stages over all files, one after the other, round by round: the frames of each file, and the times of each stage.
fn rounds(files: &[PathBuf], stages: &[Stage], rounds: usize) -> Vec<(u64, Vec<Times>)> {
    let mut out: Vec<(u64, Vec<Times>)> =
        files.iter().map(|_| (0, stages.iter().map(|_| Times(Vec::new())).collect())).collect();
    for _ in 0..rounds {
        for (file, (frames, times)) in files.iter().zip(&mut out) {
            for ((_, stage), times) in stages.iter().zip(times) {
                let start = Instant::now();
                *frames = stage(open_path(file).unwrap());
                times.0.push(start.elapsed().as_secs_f64());
            }
        }
    }
    for times in out.iter_mut().flat_map(|(_, t)| t) {
        times.0.sort_by(f64::total_cmp);
    }
    out
}

fn stages(words: &str, n: usize, check: bool) {
    let path = file_of(words);
    let bytes = fs::metadata(&path).unwrap().len() as f64;
    let (frames, times) = rounds(std::slice::from_ref(&path), &STAGES, n).remove(0);
    let frames = frames as f64;
    println!("\n{words}: {frames} packets, {:.0} MB", bytes / 1e6);
    println!(
        "| stage, with those before it | s | least–most | ns a packet | it adds | million packets/s | GB/s |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut before = 0.0;
    for ((name, _), t) in STAGES.iter().zip(&times) {
        let s = t.median();
        let ns = s * 1e9 / frames;
        println!(
            "| {name} | {s:.3} | {} | {ns:.0} | {:.0} | {:.2} | {:.2} |",
            t.spread(),
            ns - before,
            frames / s / 1e6,
            bytes / s / 1e9
        );
        before = ns;
    }
    let asked =
        Command::new(std::env::current_exe().unwrap()).arg(format!("{LOOK}{}", path.display())).output();
    let said = String::from_utf8(asked.unwrap().stdout).unwrap();
    print!("{said}");
    if check && words.starts_with("big") {
        let speed = bytes / times[STAGES.len() - 1].0[0] / 1e9;
        assert!(speed >= FLOOR_GB_S, "{speed:.2} GB/s is under the floor of {FLOOR_GB_S}");
        let peak = said.split("peak ").nth(1).and_then(|s| s.split(' ').next()?.parse::<f64>().ok());
        assert!(peak.is_none_or(|m| m <= CEILING_MB), "memory is over {CEILING_MB} MB");
    }
}

/// Prints what an analysis holds when all frames are in and nothing has been ended yet, and its peak with the JSON written.
fn memory(path: &Path) {
    let before = status_mb("VmRSS:");
    let mut analyzer = Analyzer::new(settings());
    let mut source = open_path(path).unwrap();
    while let Some(frame) = source.next_frame() {
        analyzer.push(&frame);
    }
    let (held, grown) = (status_mb("VmRSS:"), status_mb("VmHWM:"));
    let analysis = analyzer.finish(source.files().into_iter().cloned().collect());
    let connections = analysis.connections.len();
    let capture = Capture { path: "bench".to_owned(), sha256: None, analysis };
    json::write_json(&[capture], 1, &mut io::sink()).unwrap();
    if let (Some(before), Some(held), Some(grown), Some(peak)) = (before, held, grown, status_mb("VmHWM:")) {
        println!(
            "memory: {before:.1} MB before; all frames in: {held:.1} MB, at most {grown:.1}, {connections} connections, {:.0} bytes \
             each; peak {peak:.1} MB with rows, findings and JSON",
            (held - before) * 1e6 / connections as f64
        );
    }
}

/// A line of this process's status, from Linux.
fn status_mb(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0 / 1e6)
}

/// Prints what hostile packets cost, whole analyses, against as many ordinary ones.
fn against_ordinary(scale: &str, n: usize, check: bool) {
    let files: Vec<PathBuf> = hostile::CASES.iter().map(|c| file_of(&format!("{}{scale}", c.name))).collect();
    let times = rounds(&files, &STAGES[3..], n);
    println!(
        "\n| hostile | packets | judged, ns a packet | times ordinary | written, ns a packet | times ordinary |"
    );
    println!("|---|---|---|---|---|---|");
    let mut ordinary = [f64::NAN; 2];
    let mut over = Vec::new();
    for (case, (frames, times)) in hostile::CASES.iter().zip(&times) {
        let ns = [0, 1].map(|stage: usize| times[stage].median() * 1e9 / *frames as f64);
        if case.name == "ordinary" {
            ordinary = ns;
        }
        let [judged, written] = [ns[0] / ordinary[0], ns[1] / ordinary[1]];
        println!("| {} | {frames} | {:.0} | {judged:.1} | {:.0} | {written:.1} |", case.about, ns[0], ns[1]);
        if judged.max(written) > HOSTILE {
            over.push(case.name);
        }
    }
    println!("over {HOSTILE} times: {}", if over.is_empty() { "none".to_owned() } else { over.join(", ") });
    assert!(!check || over.is_empty(), "{over:?} cost more than {HOSTILE} times what ordinary packets do");
}

/// Prints what it takes to read the first flights of TLS, from bytes at hand.
fn first_flights() {
    let hello = Hello::to("www.example.org").record();
    let long = Hello::post_quantum("www.example.org").record();
    let flight = server_flight_13(3000);
    println!("| first flight of TLS | bytes | ns |");
    println!("|---|---|---|");
    let row = |name: &str, bytes: &[u8], read: &dyn Fn(&[u8])| {
        const TIMES: usize = 20_000;
        let mut ns: Vec<f64> = (0..9)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..TIMES {
                    read(black_box(bytes));
                }
                start.elapsed().as_secs_f64() * 1e9 / TIMES as f64
            })
            .collect();
        ns.sort_by(f64::total_cmp);
        println!("| {name} | {} | {:.0} |", bytes.len(), ns[4]);
    };
    row("hello of a client", &hello, &|b| drop(black_box(client_hello(b))));
    row("the same, post-quantum", &long, &|b| drop(black_box(client_hello(b))));
    row("flight of a server", &flight, &|b| drop(black_box(server_flight(b))));
}
