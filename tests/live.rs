//! `pinchpoint live` without an interface: what it says of a file or a pipe, while it comes and at the end; and that its
//! memory is bounded however long it runs.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pinchpoint::analysis::{Analyzer, Settings};
use pinchpoint::base::{Direction, Span, Timestamp};
use pinchpoint::capture::{Frame, LinkType, Source, open_path};
use pinchpoint::live::changes::{Change, Changes};
use pinchpoint::live::engine::{Engine, ROWS};
use pinchpoint::live::trim::Trim;
use pinchpoint::testkit::conversation::{Conversation, Peer, capture};
use pinchpoint::testkit::tls::{Hello, server_flight_13};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("capture.pcapng")
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinchpoint")).args(args).env_remove("CLICOLOR_FORCE").output().unwrap()
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
    let mut child = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
        .args(["live", "-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
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
        let told = changes.look(&a.clone().finish(Vec::new()));
        new.extend(told.said.into_iter().filter(|(.., c)| *c == Change::New).map(|(_, key, _)| key));
        new.retain(|k| !told.withdrawn.contains(k));
    }
    let whole = a.finish(Vec::new());
    assert_eq!(new.len(), whole.findings.len(), "{new:?}");
    assert_eq!(changes.look(&whole), pinchpoint::live::changes::Told::default());
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

/// What is left out by default is not what judging needs: the same is found, as surely.
#[test]
fn what_is_recorded_by_default_is_enough() {
    let said = |file: &Path, mut trim: Option<Trim>| {
        let mut source = open_path(file).unwrap();
        let mut a = Analyzer::new(Settings::default());
        let mut bytes = 0;
        while let Some(f) = source.next_frame() {
            let keep = trim.as_mut().map_or(Some(f.data.len()), |t| t.keep(&f));
            let Some(keep) = keep else { continue };
            bytes += keep;
            a.push(&Frame { data: &f.data[..keep], ..f });
        }
        let a = a.finish(Vec::new());
        let findings: Vec<_> =
            a.findings.iter().map(|f| (f.code, f.level, f.frames.clone(), f.connections.clone())).collect();
        (format!("{findings:?}"), bytes)
    };
    for name in ["pakistan-2024", "reset-after-hello", "kernel-reset-ae", "kernel-reset-keyed"] {
        let file = fixture(name);
        let (whole, trimmed) = (said(&file, None), said(&file, Some(Trim::default())));
        assert_eq!(whole.0, trimmed.0, "{name}");
        println!("{name}: {} of {} bytes", trimmed.1, whole.1);
        if name == "pakistan-2024" {
            assert!(trimmed.1 < whole.1, "some of it is long enough to be trimmed");
        }
    }
}
