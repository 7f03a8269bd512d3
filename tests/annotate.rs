//! The annotated copy: the same packets, comments on the deciding ones, all else byte for byte; and tshark reads it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use pinchpoint::base::Direction::{ToClient, ToServer};
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::raw::{self, Kind};
use pinchpoint::capture::{ByteOrder, End, FileSource, LinkType, Source, open_path};
use pinchpoint::testkit::conversation::{Conversation, Forged, Peer, Recorded, capture};
use pinchpoint::testkit::pcap::{BlockOption, PcapWriter, PcapngWriter};
use pinchpoint::testkit::scripts::{KINDS, Place};
use pinchpoint::testkit::tls::{Hello, server_flight_13};
use pinchpoint::wire::tcp::Flags;
use serde_json::Value;

use program::within as run;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("capture.pcapng")
}

/// Annotates `input` and gives the copy with the exit code.
fn annotate(input: &Path, folder: &Path) -> (PathBuf, u8) {
    let out = folder.join("annotated.pcapng");
    let (exit, stdout, err) = run(&["annotate", input.to_str().unwrap(), "-o", out.to_str().unwrap(), "-q"]);
    assert_eq!((stdout.as_str(), err.as_str()), ("", ""));
    (out, exit)
}

/// A server that is reset after the hello for a name, `n` of them.
fn resets(name: &str, n: u8) -> Vec<Conversation> {
    let conversation = |i: u8| {
        let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let server = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
        let client = Peer::new(client, 40_000 + u16::from(i), 64, Span::from_ns(20_000));
        let server = Peer::new(server, 443, 52, Span::from_ms(20));
        let start = Timestamp::from_ns(1_708_128_000_123_456_789 + i64::from(i) * 1_000_000_000);
        let mut c = Conversation::new(client, server, start);
        c.handshake().data(ToServer, &Hello::to(name).record()).wait(Span::from_ms(3));
        let forged = Forged {
            flags: Flags::RST.with(Flags::ACK),
            ttl: Some(57),
            df: Some(false),
            ..Forged::default()
        };
        c.forge(ToClient, &forged);
        c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
        c
    };
    (0..n).map(conversation).collect()
}

fn pcap(frames: &[&Recorded], order: ByteOrder, nanoseconds: bool) -> Vec<u8> {
    let mut pcap = PcapWriter::with(order, nanoseconds, LinkType::ETHERNET);
    for (n, frame) in frames.iter().enumerate() {
        // some are cut, as by a snapshot length
        let kept = if n % 7 == 6 { frame.bytes.len() - 3 } else { frame.bytes.len() };
        pcap.cut_frame(frame.at, &frame.bytes[..kept], u32::try_from(frame.bytes.len()).unwrap());
    }
    pcap.finish()
}

/// A capture of two sections with blocks of all kinds in it, in one byte order; unless `sound`, some packets have an
/// interface that is not there.
fn odd_pcapng(frames: &[&Recorded], order: ByteOrder, sound: bool) -> Vec<u8> {
    let mut w =
        PcapngWriter::with(order, &[BlockOption::comment("mine"), BlockOption::bytes(4, "dumper 1.0")]);
    w.interface(LinkType::ETHERNET, 0, &[BlockOption::tsresol(9), BlockOption::comment("an interface")]);
    w.other(4, &[0; 4])
        .other(0xbad, b"abcdcustom")
        .other(0x0000_1234, &[7; 9])
        .other(9, b"__REALTIME_TIMESTAMP=1708128000000000\nAB=12\n");
    let ticks = |f: &Recorded| f.at.ns().unsigned_abs();
    for (n, f) in frames.iter().enumerate() {
        let len = u32::try_from(f.bytes.len()).unwrap();
        match n % 5 {
            0 => w.packet(
                0,
                ticks(f),
                &f.bytes,
                len,
                &[BlockOption::bytes(2, [0; 4]), BlockOption::comment("theirs")],
            ),
            1 => w.simple_packet(&f.bytes, len),
            2 if !sound => w.packet(9, ticks(f), &f.bytes, len, &[]), // an interface that is not there
            3 => w.packet(0, ticks(f), &f.bytes, len, &[BlockOption::bytes(0x8bad, "odd")]),
            _ => w.packet(0, ticks(f), &f.bytes, len, &[]),
        };
    }
    w.statistics(0, &[BlockOption::number(4, 100)]);
    w.section(order, &[]).interface(LinkType::ETHERNET, 0, &[BlockOption::tsresol(9)]);
    for f in frames {
        w.packet(0, ticks(f) + 60_000_000_000, &f.bytes, u32::try_from(f.bytes.len()).unwrap(), &[]);
    }
    w.other(6, &[]).finish() // damaged: no packet fits in
}

type Seen = (u64, Timestamp, LinkType, u32, Vec<u8>);

fn frames(path: &Path) -> (Vec<Seen>, FileSource) {
    let mut source = open_path(path).unwrap();
    let mut all = Vec::new();
    while let Some(f) = source.next_frame() {
        all.push((f.number, f.at, f.link_type, f.wire_len, f.data.to_vec()));
    }
    (all, source)
}

/// The deciding frames of the findings, and each finding's filter.
fn findings(path: &Path) -> Vec<(String, BTreeSet<u64>, String)> {
    let (_, out, _) = run(&["analyze", "--format", "json", path.to_str().unwrap()]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    let all = answer["findings"].as_array().unwrap();
    all.iter()
        .map(|f| {
            let frames = f["frames"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            let text = |key: &str| f[key].as_str().unwrap().to_owned();
            (text("code"), frames, text("wireshark"))
        })
        .collect()
}

/// Captures of every format with findings in them.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut all = resets("x.com", 6);
    // that one opens a stream of its own in Wireshark: tests/tshark.rs has it
    for (k, n) in KINDS.iter().filter(|k| k.name != "syn_with_rst").zip(1u64..) {
        all.push(k.play(n * 977, Place::Client));
    }
    let recorded = capture(&all);
    let few = resets("x.com", 6);
    let few = capture(&few);
    let mut files = vec![fixture("pakistan-2024"), fixture("reset-after-hello")];
    let mut add = |name: &str, bytes: Vec<u8>| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        files.push(path);
    };
    add("us.pcap", pcap(&recorded, ByteOrder::Little, false));
    add("ns.pcap", pcap(&recorded, ByteOrder::Big, true));
    add("little.pcapng", odd_pcapng(&few, ByteOrder::Little, true));
    add("big.pcapng", odd_pcapng(&few, ByteOrder::Big, true));
    files
}

#[test]
fn the_packets_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for file in captures(folder.path()) {
        let (copy, _) = annotate(&file, folder.path());
        let ((theirs, of), (ours, copied)) = (frames(&file), frames(&copy));
        assert!(theirs.len() > 20, "{}", file.display());
        for (t, o) in theirs.iter().zip(&ours) {
            assert_eq!(t, o, "{}", file.display());
        }
        assert_eq!(theirs.len(), ours.len());
        let said: BTreeSet<u64> = copied
            .facts()
            .comments
            .iter()
            .filter(|c| c.text.starts_with("[pinchpoint]"))
            .filter_map(|c| c.frame)
            .collect();
        let wanted: BTreeSet<u64> = findings(&file).iter().flat_map(|(_, f, _)| f.clone()).collect();
        assert!(wanted.len() >= 2, "{}: there is something to say", file.display());
        let kept = said.last().copied().unwrap_or(0); // a reader keeps the first hundred comments
        assert!(said.iter().eq(wanted.iter().filter(|f| **f <= kept)), "{said:?} {wanted:?}");
        let (a, b) = (&of.facts().interfaces[0], &copied.facts().interfaces[0]);
        assert_eq!((a.link_type, a.snaplen, a.resolution), (b.link_type, b.snaplen, b.resolution));
    }
}

#[test]
fn blocks_stay_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = resets("x.com", 6);
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let file = folder.path().join("odd.pcapng");
        std::fs::write(&file, odd_pcapng(&capture(&recorded), order, false)).unwrap();
        let (copy, exit) = annotate(&file, folder.path());
        assert_eq!(exit, 4, "its last block is damaged");
        let commented: BTreeSet<u64> = findings(&file).iter().flat_map(|(_, f, _)| f.clone()).collect();
        let End::Damaged { offset, .. } = frames(&file).1.facts().ended else { panic!("it is damaged") };
        let mut before = raw::open_path(&file, Some(offset)).unwrap().unwrap();
        let mut after = raw::open_path(&copy, None).unwrap().unwrap();
        let (mut same, mut changed) = (0, 0);
        loop {
            let (a, b) = (before.next_piece(), after.next_piece());
            let (Some(a), Some(b)) = (a, b) else {
                assert!(a.is_none() && b.is_none());
                break;
            };
            let gets_one = match a.kind {
                Kind::Section => same == 0,
                Kind::Packet { frame, .. } | Kind::SimplePacket { frame, .. } => commented.contains(&frame),
                _ => false,
            };
            if gets_one {
                changed += 1;
                let length = order_u32(b.order, &b.bytes[4..8]);
                assert_eq!(length as usize, b.bytes.len());
                assert_eq!(b.bytes[4..8], b.bytes[b.bytes.len() - 4..], "both lengths are right");
                assert_eq!(a.bytes.len() % 4, 0);
                if !matches!(a.kind, Kind::SimplePacket { .. }) {
                    assert_eq!(
                        a.bytes[8..a.bytes.len() - 8],
                        b.bytes[8..a.bytes.len() - 8],
                        "what it said stays"
                    );
                }
            } else {
                same += 1;
                assert_eq!(a.bytes, b.bytes, "{:?}", a.kind);
            }
        }
        assert!(same > 40 && changed > 5, "{same} {changed}");
    }
}

fn order_u32(order: ByteOrder, bytes: &[u8]) -> u32 {
    let four = bytes.try_into().unwrap();
    if order == ByteOrder::Little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
}

#[test]
fn a_second_time_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (once, _) = annotate(&fixture("pakistan-2024"), folder.path());
    let first = folder.path().join("first.pcapng");
    std::fs::rename(once, &first).unwrap();
    let (twice, _) = annotate(&first, folder.path());
    assert!(std::fs::read(first).unwrap() == std::fs::read(twice).unwrap());
}

#[test]
fn a_cut_file_gives_the_packets_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("pakistan-2024")).unwrap();
    let recorded = resets("x.com", 6);
    let plain = pcap(&capture(&recorded), ByteOrder::Little, false);
    for (n, (name, bytes)) in [("cut.pcapng", &whole), ("cut.pcap", &plain)].into_iter().enumerate() {
        let file = folder.path().join(name);
        std::fs::write(&file, &bytes[..bytes.len() * 2 / 3 + n]).unwrap();
        let (copy, exit) = annotate(&file, folder.path());
        assert_eq!(exit, 4);
        let ((theirs, _), (ours, source)) = (frames(&file), frames(&copy));
        assert_eq!(theirs, ours);
        assert_eq!(source.facts().ended, End::Complete, "and the copy itself is whole");
    }
}

#[test]
fn what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    std::fs::copy(fixture("reset-after-hello"), &file).unwrap();
    let own = folder.path().join("./a.pcapng");
    let (exit, _, err) = run(&["annotate", file.to_str().unwrap(), "-o", own.to_str().unwrap()]);
    assert_eq!(exit, 2);
    assert!(err.contains("is the capture itself"), "{err}");
    assert!(std::fs::read(&file).unwrap() == std::fs::read(fixture("reset-after-hello")).unwrap());
    let (exit, _, err) = run(&["annotate", "-", "-o", own.to_str().unwrap()]);
    assert_eq!((exit, err.contains("read only once")), (2, true));
    let nowhere = folder.path().join("no/such/folder.pcapng");
    let (exit, _, err) = run(&["annotate", file.to_str().unwrap(), "-o", nowhere.to_str().unwrap()]);
    assert_eq!((exit, err.contains("could not be written")), (3, true), "{err}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_hostile_name_is_inert() {
    let folder = tempfile::tempdir().unwrap();
    let name = "\u{1b}[2J\u{202e}moc.x\r\n=cmd()<script>";
    let file = folder.path().join("hostile.pcap");
    let recorded = resets(name, 6);
    std::fs::write(&file, pcap(&capture(&recorded), ByteOrder::Little, false)).unwrap();
    let (copy, _) = annotate(&file, folder.path());
    let comments = frames(&copy).1.facts().comments.clone();
    assert!(comments.iter().any(|c| c.text.contains("moc.x")), "the name is there");
    for comment in comments {
        assert!(!comment.text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{}", comment.text);
    }
}

#[test]
fn an_excerpt_holds_what_matters_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut innocent = KINDS[0].play(77, Place::Client);
    innocent.frames.truncate(8);
    for pcapng in [false, true] {
        let all: Vec<Conversation> = resets("x.com", 6).into_iter().chain([innocent.clone()]).collect();
        let recorded = capture(&all);
        let file = folder.path().join("whole.pcap");
        let bytes = if pcapng {
            odd_pcapng(&recorded, ByteOrder::Big, false)
        } else {
            pcap(&recorded, ByteOrder::Little, true)
        };
        std::fs::write(&file, bytes).unwrap();
        let out = folder.path().join("excerpt.pcapng");
        let args = ["annotate", file.to_str().unwrap(), "-o", out.to_str().unwrap(), "--only-findings", "-q"];
        assert_eq!(run(&args).0, if pcapng { 4 } else { 0 });
        let ((theirs, _), (ours, copied)) = (frames(&file), frames(&out));
        assert!(!ours.is_empty() && ours.len() < theirs.len(), "{} of {}", ours.len(), theirs.len());
        // the packets kept are those of the whole, in its order
        let mut rest = theirs.iter();
        for (.., at_wire, data) in &ours {
            assert!(rest.any(|(.., w, d)| w == at_wire && d == data));
        }
        let facts = copied.facts();
        assert!(facts.blocks_skipped.is_empty(), "names, secrets and logs of others are not in it");
        assert!(
            facts.comments[0].text.contains("an excerpt") || facts.comments[1].text.contains("an excerpt")
        );
        let whole: BTreeSet<String> = findings(&file).into_iter().map(|(code, ..)| code).collect();
        let kept: BTreeSet<String> = findings(&out).into_iter().map(|(code, ..)| code).collect();
        assert!(kept.is_superset(&whole), "what was found is found in it: {whole:?} {kept:?}");
    }
}

fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", filter, "-T", "fields", "-E", "separator=/t"]);
    for f in fields {
        command.args(["-e", f]);
    }
    let out = command.output().unwrap();
    assert!(out.status.success() || !out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().map(|l| l.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn tshark_reads_the_comments_and_each_filter_selects_the_frames() {
    if !Command::new("tshark").arg("-v").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: tshark is not installed (apt install tshark)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for file in captures(folder.path()) {
        let (copy, _) = annotate(&file, folder.path());
        let findings = findings(&file);
        let mut wanted: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for (code, frames, filter) in &findings {
            for frame in frames {
                wanted.entry(*frame).or_default().insert(code.clone());
            }
            if !frames.is_empty() {
                let selected: BTreeSet<u64> =
                    tshark(&copy, filter, &["frame.number"]).iter().map(|r| r[0].parse().unwrap()).collect();
                assert_eq!(&selected, frames, "{}: {filter}", file.display());
            }
        }
        let rows =
            tshark(&copy, "frame.comment contains \"[pinchpoint]\"", &["frame.number", "frame.comment"]);
        let read: BTreeMap<u64, String> =
            rows.into_iter().map(|r| (r[0].parse().unwrap(), r[1..].join("\t"))).collect();
        assert!(read.keys().eq(wanted.keys()), "{}", file.display());
        for (frame, codes) in wanted {
            for code in codes {
                assert!(read[&frame].contains(&format!("[pinchpoint] {code} ")), "{frame}: {}", read[&frame]);
            }
        }
    }
}
