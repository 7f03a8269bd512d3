//! `pinchpoint live` without an interface: what it says of a file or a pipe, while it comes and at the end; and that its
//! memory is bounded however long it runs.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pinchpoint::analysis::{Analysis, Analyzer, Settings};
use pinchpoint::base::{Direction, Span, Timestamp};
use pinchpoint::capture::{FileSource, Frame, LinkType, Source, open_path, open_reader};
use pinchpoint::detect::name::X;
use pinchpoint::detect::{Finding, Level};
use pinchpoint::live::changes::{Change, Changes, GONE, STEADY, Standing, key};
use pinchpoint::live::clock::Reading;
use pinchpoint::live::comment::Head;
use pinchpoint::live::engine::{Engine, ROWS};
use pinchpoint::live::lines::{Lines, Style};
use pinchpoint::live::record::{Ended, Recorder, Until};
use pinchpoint::live::signals::Signals;
use pinchpoint::live::store::{Plan, Store};
use pinchpoint::live::tap::{Counters, Next, Tap};
use pinchpoint::live::trim::Trim;
use pinchpoint::report::Capture;
use pinchpoint::testkit::conversation::{Conversation, Peer, capture};
use pinchpoint::testkit::matrix::{self, Entry};
use pinchpoint::testkit::path::{self, world::play};
use pinchpoint::testkit::tls::{Hello, server_flight_13};

use program::{piped, run};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("capture.pcapng")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn it_ends_with_what_analyze_says_of_the_file() {
    for name in ["pakistan-2024", "reset-after-hello", "kernel-reset-ae"] {
        let file = fixture(name);
        let file = file.to_str().unwrap();
        for format in ["text", "ndjson"] {
            let (live, whole) =
                (run(&["live", "-r", file, "--format", format]), run(&["analyze", file, "--format", format]));
            let (live_text, whole_text) = (text(&live.stdout), text(&whole.stdout));
            assert!(live_text.ends_with(&whole_text), "{name}: {live_text}");
            let before = live_text.strip_suffix(&whole_text).unwrap();
            assert!(before.contains("RST001"), "{name}: findings are said before: {before}");
            assert_eq!(live.status.code(), whole.status.code());
        }
    }
}

#[test]
fn a_pipe_is_said_of_while_it_is_open() {
    let bytes = std::fs::read(fixture("reset-after-hello")).unwrap();
    let mut child = piped(&["live", "-r", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&first["schema"], &first["type"]), (&"pinchpoint/1".into(), &"finding".into()));
    assert_eq!(first["live"]["change"], "new");
    assert!(first["frames"].as_array().is_some_and(|f| !f.is_empty()) && first["evidence"].is_array());
    drop(stdin); // only now does the capture end
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.last().unwrap().contains("\"type\":\"run\""), "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Every look is what an analysis of the packets so far says: nothing is judged otherwise because it is live.
#[test]
fn a_snapshot_is_the_analysis_of_what_there_is() {
    let findings = |upto: u64| {
        let mut source = open_path(&fixture("pakistan-2024")).unwrap();
        let mut a = Analyzer::new(Settings::default());
        while let Some(f) = source.next_frame() {
            if f.number > upto {
                break;
            }
            a.push(&f);
        }
        format!("{:?}", a.finish(Vec::new()).findings)
    };
    let mut source = open_path(&fixture("pakistan-2024")).unwrap();
    let mut live = Analyzer::new(Settings::default());
    let mut looks = 0;
    while let Some(f) = source.next_frame() {
        live.push(&f);
        if f.number.is_multiple_of(97) {
            assert_eq!(format!("{:?}", live.clone().finish(Vec::new()).findings), findings(f.number));
            looks += 1;
        }
    }
    assert!(looks > 5);
}

#[test]
fn each_change_is_told_once() {
    let mut source = open_path(&fixture("pakistan-2024")).unwrap();
    let mut a = Analyzer::new(Settings::default());
    let mut changes = Changes::default();
    let mut new = Vec::new();
    while let Some(f) = source.next_frame() {
        a.push(&f);
        let told = changes.look(&a.clone().finish(Vec::new()), false);
        let is_new = |s: &Standing| s.change == Some(Change::New);
        new.extend(told.standing.into_iter().filter(is_new).map(|s| s.key));
        new.retain(|k| !told.withdrawn.contains(k));
    }
    let whole = a.finish(Vec::new());
    assert_eq!(new.len(), whole.findings.len(), "{new:?}");
    let again = changes.look(&whole, false);
    assert!(again.withdrawn.is_empty() && again.standing.iter().all(|s| s.change.is_none()), "{again:?}");
}

fn conversation(n: u32, at: Timestamp) -> Conversation {
    let client = Peer::new(
        [10, 0, 0, 1].into(),
        u16::try_from(20_000 + n % 40_000).unwrap(),
        64,
        Span::from_ns(20_000),
    );
    let server = Peer::new([203, 0, 113, u8::try_from(n % 200).unwrap()].into(), 443, 52, Span::from_ms(40));
    let mut c = Conversation::new(client, server, at);
    c.handshake().data(Direction::ToServer, &Hello::to("example.org").record());
    c.round_trip(Direction::ToServer).data(Direction::ToClient, &server_flight_13(1200));
    c.close();
    c
}

/// Two days of connections that come and go, in the time of the capture.
#[test]
fn memory_is_flat_over_days() {
    const ROWS_KEPT: usize = 2_000;
    let mut a = Analyzer::new(Settings::default());
    let (mut number, mut forgotten, mut most) = (0u64, 0, 0);
    for n in 0..20_000u32 {
        let at = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::from(n) * 8_640_000_000);
        for f in capture(&[conversation(n, at)]) {
            number += 1;
            let (data, wire_len) = (&f.bytes[..], u32::try_from(f.bytes.len()).unwrap());
            let link_type = LinkType::ETHERNET;
            a.push(&Frame {
                number,
                at: f.at,
                link_type,
                file: 0,
                interface: 0,
                data,
                wire_len,
                dropped_before: 0,
            });
        }
        if n % 100 == 0 {
            forgotten += a.forget(ROWS_KEPT);
            most = most.max(a.clone().finish(Vec::new()).connections.len());
        }
    }
    let end = a.finish(Vec::new());
    assert!(most < ROWS_KEPT + 200, "at most {most} connections were remembered");
    assert_eq!(end.connections.len() as u64 + forgotten, 20_000, "and the rest is counted");
    let hour = Timestamp::from_ns(end.counts.last.unwrap().ns() - 3_600_000_000_000);
    let recent = end.connections.iter().filter(|c| c.started >= hour).count();
    assert!(recent >= 410, "what detectors compare over is there: {recent}");
}

#[test]
fn an_engine_reads_a_file_like_analyze() {
    let engine = Engine::new(Settings::default(), ROWS);
    engine.start(open_path(&fixture("pakistan-2024")).unwrap()).unwrap();
    while !engine.is_done() {
        let _ = engine.snapshot(); // nobody is held up by it
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut source = open_path(&fixture("pakistan-2024")).unwrap();
    let whole = pinchpoint::analysis::analyze(&mut source, Settings::default(), &mut |_| {});
    let live = engine.snapshot();
    assert_eq!(format!("{:?}", live.files), format!("{:?}", whole.files));
    assert_eq!(format!("{:?}", live.findings), format!("{:?}", whole.findings));
    assert_eq!(engine.progress().frames, whole.counts.frames);
    let f = &live.findings[0];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.pcapng");
    let saved = engine.recent().save(f, &live, "a test", &path).unwrap();
    let mut source = open_path(&path).unwrap();
    let again = pinchpoint::analysis::analyze(&mut source, Settings::default(), &mut |_| {});
    assert_eq!((again.counts.frames, again.connections.len()), (saved, 1));
    assert_eq!(again.findings[0].code, f.code, "the saved packets alone show it");
    assert!(engine.recent().save(f, &live, "a test", &path).is_err(), "and nothing is written over");
}

#[test]
fn what_cannot_be_is_said_with_what_mends_it() {
    let out = run(&["capture", "-i", "eth0"]);
    assert_eq!(out.status.code(), Some(2), "no file: {}", text(&out.stderr));
    let out = run(&["live", "-r", "/no/such/file"]);
    assert_eq!(out.status.code(), Some(3));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcapng");
    let out = run(&["capture", "-i", "no-such-if", "-w", file.to_str().unwrap()]);
    let said = text(&out.stderr);
    if cfg!(libpcap) {
        // without the right to record, the system may say that first
        assert!(matches!(out.status.code(), Some(2 | 5)), "{said}");
        assert!(said.contains("capture -D") || said.contains("setcap"), "{said}");
    } else {
        assert_eq!(out.status.code(), Some(2));
        assert!(
            said.contains("this build has no live capture") && said.contains("apt install libpcap-dev"),
            "{said}"
        );
        assert_eq!(run(&["capture", "-D"]).status.code(), Some(2));
    }
    assert!(!file.exists());
}

/// The scenarios of the matrix: of each, so many variants at most, spread over all.
fn scenarios(variants: usize) -> Vec<Entry> {
    let all = matrix::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios")).unwrap();
    let mut by_name: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for e in all {
        by_name.entry(e.name.clone()).or_default().push(e);
    }
    let some = |all: Vec<Entry>| {
        let step = all.len().div_ceil(variants);
        all.into_iter().step_by(step)
    };
    by_name.into_values().flat_map(some).collect()
}

/// An entry's first capture.
fn played(e: &Entry) -> Vec<u8> {
    const SEED: u64 = 20_240_217;
    path::capture::capture(&play(&e.scenario, SEED), &e.scenario.capture[0], SEED).file
}

fn opened(file: Vec<u8>) -> FileSource {
    open_reader(Box::new(std::io::Cursor::new(file))).unwrap()
}

/// What is said of a capture when only so much of it is recorded, and how many bytes that is.
fn said_of(mut source: FileSource, mut trim: Option<Trim>) -> (Vec<String>, usize) {
    let mut a = Analyzer::new(Settings::default());
    let mut bytes = 0;
    while let Some(f) = source.next_frame() {
        let keep = trim.as_mut().map_or(Some(f.data.len()), |t| t.keep(&f));
        let Some(keep) = keep else { continue };
        bytes += keep;
        a.push(&Frame { data: &f.data[..keep], ..f });
    }
    let a = a.finish(Vec::new());
    let say = |f: &Finding| {
        let rate = f.cap.map(|c| c.rate_bps.round());
        format!("{} {:?} {:?} {:?} {rate:?}", f.code, f.level, f.frames, f.connections)
    };
    (a.findings.iter().filter(|f| f.level >= Level::Likely).map(say).collect(), bytes)
}

/// What is left out by default is not what judging needs: every claim is made from it too, and no other.
#[test]
fn what_is_recorded_by_default_is_enough() {
    let fixtures = ["pakistan-2024", "reset-after-hello", "kernel-reset-ae", "kernel-reset-keyed"];
    let (mut claims, mut all, mut kept, mut kept_of_targets) = (0, 0, 0, 0);
    let of_fixtures = fixtures.map(|name| (name.to_owned(), std::fs::read(fixture(name)).unwrap()));
    let of_scenarios = scenarios(1).into_iter().map(|e| (e.name.clone(), played(&e)));
    for (name, file) in of_fixtures.into_iter().chain(of_scenarios) {
        let open = || opened(file.clone());
        let whole = said_of(open(), None);
        let trimmed = said_of(open(), Some(Trim::new(Vec::new())));
        let of_x = said_of(open(), Some(Trim::new(X.iter().map(|n| (*n).to_owned()).collect())));
        assert_eq!(whole.0, trimmed.0, "{name}");
        assert_eq!(whole.0, of_x.0, "{name}, with targets");
        assert!(trimmed.1 <= of_x.1 && of_x.1 <= whole.1, "{name}");
        (claims, all) = (claims + whole.0.len(), all + whole.1);
        (kept, kept_of_targets) = (kept + trimmed.1, kept_of_targets + of_x.1);
    }
    println!("{claims} claims; of {all} bytes {kept} are recorded, with X as target {kept_of_targets}");
    assert!(claims > 40 && kept < kept_of_targets && kept_of_targets < all);
}

/// What became of the claims of one way of saying them.
struct Sayer {
    changes: Changes,
    claimed: BTreeSet<String>,
    fell: BTreeSet<String>,
}

impl Sayer {
    fn look(&mut self, a: &Analysis) {
        let told = self.changes.look(a, false);
        for s in told.standing {
            if s.level >= Level::Likely {
                self.claimed.insert(s.key);
            } else if self.claimed.contains(&s.key) {
                self.fell.insert(s.key);
            }
        }
        self.fell.extend(told.withdrawn.into_iter().filter(|k| self.claimed.contains(k)));
    }
}

/// A claim that is said live stays. The table is where `live::changes::STEADY` and `GONE` come from; `PINCHPOINT_VARIANTS=N` makes it of
/// N variants of every scenario.
#[test]
fn claims_that_are_said_live_stay() {
    let variants = std::env::var("PINCHPOINT_VARIANTS").ok().and_then(|n| n.parse().ok());
    let that_turn = [
        "cap-policed",
        "cap-shaped",
        "capped-for-all",
        "name-throttled",
        "policed-short",
        "slow-handshake",
        "hello-muted",
    ];
    let chosen: Vec<Entry> = match variants {
        Some(n) => scenarios(n),
        None => scenarios(1).into_iter().filter(|e| that_turn.contains(&e.name.as_str())).collect(),
    };
    let ways =
        [(0, 0), (3, 0), (8, 0), (0, 10), (3, 5), (3, 10), (5, 10), (8, 5), (8, 10), (10, 10), (10, 20)];
    let mut sums = vec![(0, 0, BTreeMap::<String, usize>::new()); ways.len()];
    for e in &chosen {
        let way = |(up, down): &(i64, i64)| Sayer {
            changes: Changes::with(Span::from_secs(*up), Span::from_secs(*down)),
            claimed: BTreeSet::new(),
            fell: BTreeSet::new(),
        };
        let mut sayers: Vec<Sayer> = ways.iter().map(way).collect();
        let mut source = opened(played(e));
        let mut a = Analyzer::new(Settings::default());
        let mut due = Timestamp::default();
        while let Some(f) = source.next_frame() {
            a.push(&f);
            if f.at >= due {
                due = f.at + Span::from_ms(500);
                let a = a.clone().finish(Vec::new());
                for s in &mut sayers {
                    s.look(&a);
                }
            }
        }
        let a = a.finish(Vec::new());
        for s in &mut sayers {
            s.look(&a);
        }
        for (sum, s) in sums.iter_mut().zip(&sayers) {
            (sum.0, sum.1) = (sum.0 + s.claimed.len(), sum.1 + s.fell.len());
            for key in &s.fell {
                *sum.2.entry(format!("{} {}", e.name, &key[..6])).or_default() += 1;
            }
        }
    }
    println!("{} captures", chosen.len());
    for ((up, down), (claimed, fell, which)) in ways.iter().zip(&sums) {
        println!(
            "said after {up} s, taken back after {down} s: {claimed} claims, {fell} of them taken back {which:?}"
        );
        if (Span::from_secs(*up), Span::from_secs(*down)) == (STEADY, GONE) && variants.is_none() {
            assert!(*claimed > 5 && *fell == 0, "{which:?}");
        }
    }
}

/// What is taken back is said to be: no claim lies about in what was printed.
#[test]
fn what_waits_is_marked_and_what_falls_is_taken_back() {
    let file = fixture("pakistan-2024");
    let mut source = open_path(&file).unwrap();
    let mut a = Analyzer::new(Settings::default());
    let mut lines = Lines::new(Style::Ndjson);
    let mut out = Vec::new();
    let capture = |analysis| Capture { path: "x".to_owned(), sha256: None, analysis };
    while let Some(f) = source.next_frame() {
        a.push(&f);
        if f.number.is_multiple_of(20) {
            lines.look(&capture(a.clone().finish(Vec::new())), &mut out).unwrap();
        }
    }
    let mut standing = BTreeMap::new();
    let mut waited = 0;
    for line in text(&out).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["type"] == "withdrawn" {
            assert!(standing.remove(line["key"].as_str().unwrap()).is_some(), "{line}: never said");
            continue;
        }
        let provisional = line["live"]["provisional"].as_bool().unwrap();
        assert!(!provisional || line["level"] == "possible", "{line}");
        waited += usize::from(provisional);
        standing.insert(line["live"]["key"].as_str().unwrap().to_owned(), line["level"].clone());
    }
    let whole = a.finish(Vec::new());
    let end: BTreeSet<String> = whole.findings.iter().map(|f| key(f, &whole)).collect();
    assert_eq!(standing.keys().cloned().collect::<BTreeSet<_>>(), end, "what stands is what there is");
    assert!(waited > 0, "the policer's cap waits");
}

/// An interface on which nothing comes for some seconds, while the machine sleeps and its clock is set.
struct Quiet {
    until: std::time::Instant,
    looks: u32,
}

impl Tap for Quiet {
    fn next(&mut self) -> Next<'_> {
        if std::time::Instant::now() < self.until { Next::Nothing } else { Next::Over }
    }

    fn reopen(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn counters(&mut self) -> Counters {
        Counters::default()
    }

    fn is_up(&mut self) -> Option<bool> {
        self.looks += 1;
        Some(self.looks != 2)
    }

    fn link_type(&self) -> LinkType {
        LinkType::ETHERNET
    }
}

#[test]
fn sleep_a_set_clock_and_a_lost_link_are_told_by_info() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    let (filter, targets) = (String::new(), vec!["x.com".to_owned()]);
    let link_type = LinkType::ETHERNET;
    let head = Head { interface: "wlan0".to_owned(), link_type, snaplen: 0, filter, all: false, targets };
    let plan = Plan { path: file.clone(), ..Plan::default() };
    // the lid was closed for 90 s between the first look and the second, and then NTP found the clock 3,600 s ahead
    let readings = [(0, 0, 0), (1, 1, 1), (92, 2, 92), (-3507, 3, 93), (-3506, 4, 94)];
    let mut n = 0;
    let mut said = Vec::new();
    let recorder = Recorder {
        tap: &mut Quiet { until: std::time::Instant::now() + Duration::from_millis(3500), looks: 0 },
        store: Some(Store::create(plan, head.blocks()).unwrap()),
        feed: None,
        trim: Some(Trim::new(head.targets)),
        until: Until::default(),
        signals: Signals::default(),
        live: Arc::default(),
        say: &mut |text| said.push(text.to_owned()),
        clocks: &mut || {
            let (wall, awake, with_sleep) = readings[n.min(4)];
            n += 1;
            let wall = Timestamp::from_ns((1_708_128_000 + wall) * 1_000_000_000);
            Reading { wall, awake: Span::from_secs(awake), with_sleep: Some(Span::from_secs(with_sleep)) }
        },
        up: true,
    };
    assert!(matches!(recorder.run(), Ended::Done));
    println!("{said:?}");
    let told = text(&run(&["info", "--verbose", file.to_str().unwrap()]).stdout);
    println!("{told}");
    for what in
        ["whole: DNS, and conversations with x.com", "the interface is down", "the interface is up again"]
    {
        assert!(told.contains(what), "{what:?} is missing");
    }
    assert!(said.iter().any(|s| s.contains("slept for") || s.contains("was set")), "{said:?}");
    for what in said {
        assert!(told.contains(&what), "{what:?} is missing");
    }
}
