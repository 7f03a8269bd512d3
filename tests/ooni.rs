//! `--format ooni`: every line holds to the schema, says what the packets show, and keeps the client's address back.

#![allow(clippy::unwrap_used)]

mod json_schema;
mod program;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use pinchpoint::base::Direction::ToServer;
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::LinkType;
use pinchpoint::testkit::conversation::{Conversation, Peer, capture};
use pinchpoint::testkit::packet::icmp_error;
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::scripts::{KINDS, Place};
use pinchpoint::testkit::tls::Hello;
use serde_json::Value;

use json_schema::Schema;

const SCHEMA: &str = include_str!("../docs/ooni.schema.json");

fn run(args: &[&str]) -> Vec<Value> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["pinchpoint", "analyze", "--format", "ooni"].iter().chain(args);
    pinchpoint::cli::run(args.copied(), &mut out, &mut err);
    assert!(err.is_empty(), "{}", String::from_utf8_lossy(&err));
    String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("capture.pcapng");
    path.to_str().unwrap().to_owned()
}

/// A conversation of every kind, and the QUIC connections of the testkit.
fn captures(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| {
        std::fs::write(folder.join(name), bytes).unwrap();
        files.push(folder.join(name).to_str().unwrap().to_owned());
    };
    for (n, place) in [Place::Client, Place::Middle, Place::Server].into_iter().enumerate() {
        let all: Vec<Conversation> =
            KINDS.iter().zip(0u64..).map(|(k, n)| k.play(n * 31 + 5, place)).collect();
        let mut pcap = PcapWriter::new(LinkType::ETHERNET);
        for frame in capture(&all) {
            pcap.frame(frame.at, &frame.bytes);
        }
        add(&format!("{n}.pcap"), pcap.finish());
    }
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in pinchpoint::testkit::udp::capture() {
        pcap.frame(frame.at, &frame.bytes);
    }
    add("udp.pcap", pcap.finish());
    files
}

#[test]
fn every_line_holds_to_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = captures(folder.path());
    files.extend(["pakistan-2024", "reset-after-hello", "kernel-reset-ae"].map(fixture));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let schema = Schema::new(SCHEMA);
    for more in [&[][..], &["--show-addresses"]] {
        let lines = run(&[&files, more].concat());
        assert!(lines.len() > 3 * KINDS.len() + 12);
        for line in &lines {
            let errors = schema.errors(line);
            assert!(errors.is_empty(), "{errors:#?}\n{line}");
        }
        let mut broken = lines[0].clone();
        broken["test_keys"]["failure"] = "because".into();
        assert!(!schema.errors(&broken).is_empty(), "and the schema can fail");
    }
}

#[test]
fn failures_and_results_are_those_of_the_fixture() {
    let lines = run(&[&fixture("pakistan-2024")]);
    let mut seen: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for l in &lines {
        let handshake = &l["test_keys"]["tls_handshakes"][0];
        assert_eq!(handshake["server_name"], l["input"]);
        assert_eq!(l["test_keys"]["tcp_connect"][0]["status"]["success"], true);
        let key = (
            l["input"].as_str().unwrap().to_owned(),
            handshake["failure"].as_str().unwrap_or("null").to_owned(),
            l["annotations"]["pinchpoint_result"].as_str().unwrap().to_owned(),
        );
        *seen.entry(key).or_default() += 1;
    }
    let row =
        |name: &str, failure: &str, result: &str| (name.to_owned(), failure.to_owned(), result.to_owned());
    let expected = BTreeMap::from([
        (row("example.org", "null", "success.got_server_hello"), 4),
        (row("video.twimg.com", "null", "interference.throttled"), 2),
        (row("x.com", "connection_reset", "interference.reset"), 3),
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn quic_that_gets_no_reply_is_a_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let files = captures(folder.path());
    let lines = run(&[files.last().unwrap()]);
    let quic: Vec<&Value> =
        lines.iter().filter(|l| !l["test_keys"]["quic_handshakes"].as_array().unwrap().is_empty()).collect();
    assert_eq!(quic.len(), 12);
    let timeouts = quic.iter().filter(|l| l["test_keys"]["failure"] == "generic_timeout_error").count();
    let fine = quic.iter().filter(|l| l["test_keys"]["failure"].is_null()).count();
    assert!(timeouts > 0 && fine > 0, "{timeouts} {fine}");
}

#[test]
fn what_was_received_is_told_over_time() {
    let events = |line: &Value| -> Vec<(f64, f64)> {
        let all = line["test_keys"]["network_events"].as_array().unwrap();
        let of = all.iter().filter(|e| e["operation"] == "bytes_received_cumulative");
        of.map(|e| (e["t"].as_f64().unwrap(), e["num_bytes"].as_f64().unwrap())).collect()
    };
    let mut throttled = 0;
    for line in run(&[&fixture("pakistan-2024")]) {
        let series = events(&line);
        assert!(series.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1), "{series:?}");
        let end = line["test_runtime"].as_f64().unwrap();
        assert!(series.last().is_none_or(|(t, _)| *t <= end), "{series:?}");
        let Some(rate) = line["annotations"].get("pinchpoint_rate_bps") else { continue };
        throttled += 1;
        // the last half of it goes at the rate of the cap, less headers
        let rate: f64 = rate.as_str().unwrap().parse().unwrap();
        let ((t0, from), (t, to)) = (series[series.len() / 2], series[series.len() - 1]);
        let told = (to - from) * 8.0 / (t - t0);
        assert!((0.85..1.02).contains(&(told / rate)), "{told} of {rate}");
    }
    assert_eq!(throttled, 2);
    // through a pipe there is no second reading, and the sum stays
    let pcap = std::fs::read(fixture("pakistan-2024")).unwrap();
    let mut child = program::piped(&["analyze", "-q", "--format", "ooni", "-"]);
    child.stdin.take().unwrap().write_all(&pcap).unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let piped: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    for (line, piped) in run(&[&fixture("pakistan-2024")]).iter().zip(&piped) {
        assert!(events(piped).len() <= 1);
        assert_eq!(events(piped).last().map(|e| e.1), events(line).last().map(|e| e.1));
    }
    assert_eq!(piped.len(), 9);
}

/// A capture of a handshake and a hello, of which only the first `packets` are there and the last of those is answered by an
/// ICMP error.
fn answered_by_icmp(packets: usize, code: u8) -> Vec<u8> {
    let (client, server) =
        (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)));
    let mut c = Conversation::new(
        Peer::new(client, 40_000, 64, Span::from_ns(20_000)),
        Peer::new(server, 443, 52, Span::from_ms(40)),
        Timestamp::from_ns(1_708_128_000_000_000_000),
    );
    c.handshake().wait(Span::from_ms(1)).data(ToServer, &Hello::to("x.com").record());
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    let mut frames = capture(std::slice::from_ref(&c));
    frames.truncate(packets);
    for frame in &frames {
        pcap.frame(frame.at, &frame.bytes);
    }
    let last = frames.last().unwrap();
    let quoted = &last.bytes[14..last.bytes.len().min(14 + 60)];
    let error = icmp_error(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), client, 3, code, quoted);
    let ethernet = [&last.bytes[6..12], &last.bytes[..6], &[8, 0], &error].concat();
    pcap.frame(last.at + Span::from_ms(5), &ethernet);
    pcap.finish()
}

#[test]
fn an_icmp_error_in_the_place_of_an_answer_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("icmp.pcap");
    for (code, failure) in [(13, "host_unreachable"), (0, "network_unreachable"), (3, "connection_refused")] {
        // in answer to the SYN, and to the hello
        for packets in [1, usize::MAX] {
            std::fs::write(&file, answered_by_icmp(packets, code)).unwrap();
            let line = &run(&[file.to_str().unwrap()])[0];
            assert_eq!(line["test_keys"]["failure"], failure);
            let connect = &line["test_keys"]["tcp_connect"][0]["status"];
            assert_eq!(connect["success"], packets > 1, "{line}");
            assert_eq!(connect["failure"] == failure, packets == 1);
            assert_eq!(line["annotations"]["pinchpoint_result"], "anomaly.unreachable", "{line}");
            assert!(Schema::new(SCHEMA).errors(line).is_empty());
        }
    }
}
