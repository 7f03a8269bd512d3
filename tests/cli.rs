//! The program as a process: exit codes, streams, pipes, and names that a hostile peer chose.

#![allow(clippy::unwrap_used)]

mod program;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pinchpoint::base::Direction::ToServer;
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::LinkType;
use pinchpoint::testkit::conversation::{Conversation, Peer, capture};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::tls::{Hello, server_flight_13};

use program::{piped, program, run};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reset-after-hello/capture.pcapng")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn data_goes_to_stdout_and_words_about_it_to_stderr() {
    let out = run(&["analyze", "--format", "json", fixture().to_str().unwrap(), "/no/such/file"]);
    assert_eq!(out.status.code(), Some(3), "one of the inputs could not be read");
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["captures"].as_array().unwrap().len(), 1, "and the other was analysed");
    assert!(text(&out.stderr).starts_with("error: /no/such/file: it cannot be opened"));
}

#[test]
fn exit_codes() {
    let file = fixture();
    let file = file.to_str().unwrap();
    assert_eq!(run(&["analyze", file]).status.code(), Some(0), "findings alone are no failure");
    assert_eq!(run(&["analyze", "--fail-on", "confirmed", file]).status.code(), Some(1));
    assert_eq!(run(&["analyze"]).status.code(), Some(2));
    assert_eq!(run(&["analyze", "--format", "yaml", file]).status.code(), Some(2));
    assert_eq!(run(&["explain", "RST999"]).status.code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pcapng");
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).unwrap();
    let out = run(&["analyze", cut.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(4));
    assert!(text(&out.stdout).contains("everything before was analysed"));
    let empty = folder.path().join("empty.pcap");
    std::fs::write(&empty, b"").unwrap();
    assert_eq!(run(&["info", empty.to_str().unwrap()]).status.code(), Some(3));
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let mut child = piped(&["analyze", "-"]);
    child.stdin.take().unwrap().write_all(&std::fs::read(fixture()).unwrap()).unwrap();
    let piped = text(&child.wait_with_output().unwrap().stdout);
    let named = text(&run(&["analyze", fixture().to_str().unwrap()]).stdout);
    assert_eq!(piped.split_once('\n').unwrap().1, named.split_once('\n').unwrap().1);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = program(&["analyze", "--format", "ndjson"])
        .args(std::iter::repeat_n(fixture(), 60))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), String::new()));
}

#[test]
fn the_same_file_twice_merged_is_one_capture_of_twice_the_frames() {
    let file = fixture();
    let file = file.to_str().unwrap();
    let out = run(&["analyze", "--merge", "--format", "json", file, file]);
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["captures"].as_array().unwrap().len(), 1);
    assert_eq!(answer["captures"][0]["packets"], 262);
    assert_eq!(answer["connections"].as_array().unwrap().len(), 7);
}

#[test]
fn colour_only_where_it_is_wanted() {
    let file = fixture();
    let file = file.to_str().unwrap();
    assert!(!text(&run(&["analyze", file]).stdout).contains('\x1b'), "stdout is no terminal here");
    assert!(text(&run(&["analyze", "--color", "always", file]).stdout).contains('\x1b'));
}

#[test]
fn addresses_are_shown_only_where_asked_for() {
    let file = fixture();
    let file = file.to_str().unwrap();
    assert!(!text(&run(&["analyze", "-v", file]).stdout).contains("192.0.2.17"));
    assert!(text(&run(&["analyze", "-v", "--show-addresses", file]).stdout).contains("192.0.2.17"));
}

#[test]
fn a_hostile_name_acts_on_nobody() {
    let client = Peer::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 40_000, 64, Span::from_ns(20_000));
    let server = Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)), 443, 52, Span::from_ms(40));
    let mut c = Conversation::new(client, server, Timestamp::from_ns(1_708_128_000_000_000_000));
    let name = "\u{1b}[2J\u{202e}moc.x\r\n=cmd()<script>";
    c.handshake().wait(Span::from_ms(1)).data(ToServer, &Hello::to(name).record());
    c.round_trip(ToServer).data(pinchpoint::base::Direction::ToClient, &server_flight_13(1200));
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in capture(&[c]) {
        pcap.frame(frame.at, &frame.bytes);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a\u{1b}[31m.pcap");
    std::fs::write(&file, pcap.finish()).unwrap();
    for format in ["text", "json", "ndjson"] {
        let out = run(&["analyze", "-v", "--format", format, file.to_str().unwrap()]);
        let shown = text(&out.stdout);
        assert!(shown.contains("moc.x"), "{format}: the name is there");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{format}: no control character");
        if format == "text" {
            assert!(!shown.contains('\u{202e}') && shown.contains("\\u{202e}"));
        }
    }
}
