//! The program's numbers against tshark's: streams, ends, packets, names, fingerprints, retransmissions.
//!
//! Skipped, with the reason printed, where tshark is not installed. It compares on captures of the project's own
//! making; with `PINCHPOINT_CAPTURES=DIR`, on every capture below that folder too, where it prints what differs
//! (`docs/differential.md` explains each kind) and fails only if stream numbers or ends differ in more than one
//! stream of a hundred.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use pinchpoint::base::Span;
use pinchpoint::capture::LinkType;
use pinchpoint::testkit::conversation::{Conversation, capture};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::scripts::{KINDS, Place};
use serde_json::Value;

const FIELDS: [&str; 15] = [
    "tcp.stream",
    "frame.number",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "ip.dst",
    "ipv6.dst",
    "tcp.dstport",
    "tls.handshake.type",
    "tls.handshake.extensions_server_name",
    "tls.handshake.ja3",
    "tcp.analysis.retransmission",
    "tcp.flags.reset",
    "communityid",
    "icmp.type",
];

/// What is compared of one stream.
#[derive(Debug, Default, PartialEq)]
struct Stream {
    ends: BTreeSet<String>,
    first: u64,
    packets: u64,
    resets: u64,
    retransmitted: u64,
    name: Option<String>,
    ja3: Option<String>,
    community_id: Option<String>,
}

fn tshark(file: &Path) -> Option<BTreeMap<u64, Stream>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["--enable-protocol", "communityid", "-Y", "tcp", "-T", "fields"]);
    command.args(["-E", "separator=|", "-E", "occurrence=l"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let out = command.output().ok()?;
    let mut streams: BTreeMap<u64, Stream> = BTreeMap::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let f: Vec<&str> = line.split('|').collect();
        // an ICMP error quotes a segment: it counts for the number of the stream, not as its packet
        let (Some(&number), false) = (f.first(), f.last().is_none_or(|icmp| !icmp.is_empty())) else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let s = streams.entry(number).or_default();
        let either = |a: usize, b: usize| if f[a].is_empty() { f[b] } else { f[a] };
        if s.packets == 0 {
            s.first = f[1].parse().unwrap_or(0);
            s.ends = [format!("{} {}", either(2, 3), f[4]), format!("{} {}", either(5, 6), f[7])].into();
        }
        s.packets += 1;
        s.resets += u64::from(f[12] == "1");
        s.retransmitted += u64::from(!f[11].is_empty());
        if f[8] == "1" && s.ja3.is_none() {
            let name = f[9].trim_end_matches('.').to_ascii_lowercase();
            s.name = Some(name).filter(|n| !n.is_empty());
            s.ja3 = Some(f[10].to_owned()).filter(|j| !j.is_empty());
        }
        s.community_id = Some(f[13].to_owned()).filter(|c| !c.is_empty());
    }
    Some(streams)
}

fn ours(file: &Path) -> Option<BTreeMap<u64, Stream>> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = pinchpoint::cli::run(
        ["pinchpoint", "analyze", "--format", "json", file.to_str()?],
        &mut out,
        &mut err,
    );
    if exit.code() == 3 {
        return None;
    }
    let answer: Value = serde_json::from_slice(&out).unwrap();
    let mut streams: BTreeMap<u64, Stream> = BTreeMap::new();
    for c in answer["connections"].as_array()? {
        let both = |key: &str| c[key]["to_server"].as_u64().unwrap() + c[key]["to_client"].as_u64().unwrap();
        let text = |key: &str| c[key].as_str().map(str::to_owned);
        let Some(stream) = c["tcp_stream"].as_u64() else { continue }; // QUIC
        let s = streams.entry(stream).or_default();
        if s.packets == 0 {
            s.first = c["first_frame"].as_u64()?;
            s.ends = ["client", "server"]
                .map(|e| format!("{} {}", c[e]["addr"].as_str().unwrap(), c[e]["port"]))
                .into();
        }
        s.packets += both("packets");
        s.resets += both("resets");
        s.retransmitted += both("retransmitted");
        s.name = s.name.take().or(text("sni"));
        s.ja3 = s.ja3.take().or(text("ja3"));
        s.community_id = text("community_id");
    }
    Some(streams)
}

fn is_installed() -> bool {
    let there = Command::new("tshark").arg("-v").output().is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: tshark is not installed (apt install tshark)");
    }
    there
}

#[test]
fn captures_of_our_own_have_the_same_numbers() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reset-after-hello/capture.pcapng");
    let mut files = vec![fixture];
    for (n, place) in [Place::Client, Place::Middle, Place::Server].into_iter().enumerate() {
        let all: Vec<Conversation> = KINDS
            .iter()
            .zip(1u64..)
            .filter(|(k, _)| k.name != FORKS) // its difference has a test of its own
            .map(|(k, n)| k.play(n * 977, place))
            .collect();
        let mut pcap = PcapWriter::new(LinkType::ETHERNET);
        for frame in capture(&all) {
            pcap.frame(frame.at, &frame.bytes);
        }
        let file = folder.path().join(format!("{n}.pcap"));
        std::fs::write(&file, pcap.finish()).unwrap();
        files.push(file);
    }
    for file in files {
        let (theirs, mut ours) = (tshark(&file).unwrap(), ours(&file).unwrap());
        assert!(theirs.len() >= 7);
        for (number, s) in &mut ours {
            // Wireshark calls a segment that overtakes another by less than 3 ms what it is not sure of
            let t = &theirs[number];
            if s.retransmitted.abs_diff(t.retransmitted) <= 1 {
                s.retransmitted = t.retransmitted;
            }
        }
        assert_eq!(ours, theirs, "{}", file.display());
    }
}

/// The script whose SYN with RST opens a stream in Wireshark and is a reset of its connection here.
const FORKS: &str = "syn_with_rst";

#[test]
fn a_syn_with_rst_takes_a_number_and_leaves_its_connection_whole() {
    if !is_installed() {
        return;
    }
    let kind = KINDS.iter().find(|k| k.name == FORKS).unwrap();
    let mut later = KINDS[0].play(4321, Place::Client);
    for frame in &mut later.frames {
        frame.at = frame.at + Span::from_secs(60);
    }
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in capture(&[kind.play(1234, Place::Client), later]) {
        pcap.frame(frame.at, &frame.bytes);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fork.pcap");
    std::fs::write(&file, pcap.finish()).unwrap();
    let (theirs, ours) = (tshark(&file).unwrap(), ours(&file).unwrap());
    assert_eq!(theirs.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(ours.keys().copied().collect::<Vec<_>>(), [0, 2], "1 is passed over");
    assert_eq!(ours[&2], theirs[&2], "and the stream after it has Wireshark's number");
    assert_eq!(ours[&0].packets, theirs[&0].packets + theirs[&1].packets, "the connection is whole");
    assert_eq!(ours[&0].resets, theirs[&0].resets + theirs[&1].resets);
}

/// A ClientHello in QUIC, by the frame that completes it.
fn quic_of_tshark(file: &Path) -> BTreeMap<u64, (Option<String>, Option<String>)> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", "quic && tls.handshake.type == 1", "-T", "fields"]);
    command.args(["-E", "separator=|", "-E", "occurrence=f", "-e", "frame.number"]);
    command.args(["-e", "tls.handshake.extensions_server_name", "-e", "tls.handshake.ja3"]);
    let out = command.output().map(|o| o.stdout).unwrap_or_default();
    let some = |s: &str| Some(s.trim_end_matches('.').to_ascii_lowercase()).filter(|s| !s.is_empty());
    String::from_utf8_lossy(&out)
        .lines()
        .filter_map(|l| {
            let f: Vec<&str> = l.split('|').collect();
            Some((f[0].parse().ok()?, (some(f.get(1)?), some(f.get(2)?))))
        })
        .collect()
}

fn quic_of_ours(file: &Path) -> BTreeMap<u64, (Option<String>, Option<String>)> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    pinchpoint::cli::run(
        ["pinchpoint", "analyze", "--format", "json", file.to_str().unwrap()],
        &mut out,
        &mut err,
    );
    let Ok(answer) = serde_json::from_slice::<Value>(&out) else { return BTreeMap::new() };
    let rows = answer["connections"].as_array().unwrap().iter().filter(|c| c["transport"] == "quic");
    let text = |c: &Value, key: &str| c[key].as_str().map(str::to_owned);
    rows.filter_map(|c| Some((c["hello_frame"].as_u64()?, (text(c, "sni"), text(c, "ja3"))))).collect()
}

#[test]
fn quic_of_our_own_has_the_same_names() {
    if !is_installed() {
        return;
    }
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in pinchpoint::testkit::udp::capture() {
        pcap.frame(frame.at, &frame.bytes);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("udp.pcap");
    std::fs::write(&file, pcap.finish()).unwrap();
    let (mut theirs, ours) = (quic_of_tshark(&file), quic_of_ours(&file));
    assert_eq!(ours.len(), 12);
    theirs.retain(|frame, _| ours.contains_key(frame)); // tshark lists a repeated hello again
    if theirs.len() < 12 {
        // tshark 3 has no version 2
        println!("tshark reads {} of 12 hellos", theirs.len());
    }
    for (frame, hello) in &theirs {
        assert_eq!(&ours[frame], hello, "frame {frame}");
    }
    assert!(theirs.len() >= 8);
}

#[test]
fn quic_of_a_folder_that_the_user_names() {
    let Some(folder) = std::env::var_os("PINCHPOINT_CAPTURES") else { return };
    if !is_installed() {
        return;
    }
    let mut files = Vec::new();
    below(Path::new(&folder), &mut files);
    let mut n = [0u64; 4];
    for file in &files {
        let (theirs, ours) = (quic_of_tshark(file), quic_of_ours(file));
        for (frame, hello) in &theirs {
            let what = match ours.get(frame) {
                Some(o) if o == hello => 0,
                Some(_) => 1,
                None => 2,
            };
            n[what] += 1;
            if what > 0 {
                println!("{} frame {frame}: tshark {hello:?}, ours {:?}", file.display(), ours.get(frame));
            }
        }
        n[3] += ours.keys().filter(|f| !theirs.contains_key(f)).count() as u64;
    }
    println!("QUIC hellos: {} equal, {} different, {} only in tshark, {} only here", n[0], n[1], n[2], n[3]);
    assert_eq!(n[1], 0);
}

/// All files below a folder.
fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            below(&path, files);
        } else if path.extension().is_some_and(|e| ["pcap", "pcapng", "cap"].iter().any(|p| e == *p)) {
            files.push(path);
        }
    }
}

#[test]
fn captures_of_a_folder_that_the_user_names() {
    let Some(folder) = std::env::var_os("PINCHPOINT_CAPTURES") else {
        println!("skipped: PINCHPOINT_CAPTURES names no folder");
        return;
    };
    if !is_installed() {
        return;
    }
    let mut files = Vec::new();
    below(Path::new(&folder), &mut files);
    let mut equal: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for file in &files {
        let (Some(theirs), Some(ours)) = (tshark(file), ours(file)) else { continue };
        for (number, t) in &theirs {
            let empty = Stream::default();
            let o = ours.get(number).unwrap_or(&empty);
            let mut check = |what: &'static str, same: bool| {
                equal.entry(what).or_default()[usize::from(same)] += 1;
                if !same {
                    println!("{what:14} {} stream {number}: tshark {t:?}, ours {o:?}", file.display());
                }
            };
            check("ends", t.ends == o.ends);
            check("first frame", t.first == o.first);
            check("packets", t.packets == o.packets);
            check("resets", t.resets == o.resets);
            check("retransmitted", t.retransmitted == o.retransmitted);
            check("community id", t.community_id == o.community_id);
            if t.ja3.is_some() {
                check("name", t.name == o.name);
                check("ja3", t.ja3 == o.ja3);
            }
        }
    }
    println!("{} files", files.len());
    for (what, [different, same]) in &equal {
        println!("{what:14} {same} equal, {different} different");
    }
    for what in ["ends", "first frame"] {
        let [different, same] = equal[what];
        assert!(different * 100 <= same, "{what}: {different} differ");
    }
}
