//! Real output holds to the published schema, and its references lead somewhere.

#![allow(clippy::unwrap_used)]

mod json_schema;

use std::collections::HashSet;

use pinchpoint::testkit::conversation::{Conversation, capture};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::scripts::{KINDS, Place};
use serde_json::Value;

use json_schema::Schema;

/// QUIC connections of `testkit::udp::capture`.
const QUIC: usize = 12;

const SCHEMA: &str = include_str!("../docs/pinchpoint-1.schema.json");

/// One capture of each place with a conversation of every kind, cut in its last record.
fn answer(format: &str) -> (Vec<u8>, u8) {
    let folder = tempfile::tempdir().unwrap();
    let mut args =
        vec!["pinchpoint".to_owned(), "analyze".to_owned(), "--format".to_owned(), format.to_owned()];
    for (n, place) in [Place::Client, Place::Middle, Place::Server].into_iter().enumerate() {
        let all: Vec<Conversation> =
            KINDS.iter().zip(0u64..).map(|(k, n)| k.play(n * 31 + 5, place)).collect();
        let mut pcap = PcapWriter::new(pinchpoint::capture::LinkType::ETHERNET);
        for frame in capture(&all) {
            pcap.frame(frame.at, &frame.bytes);
        }
        let path = folder.path().join(format!("{n}.pcap"));
        let bytes = pcap.finish();
        std::fs::write(&path, &bytes[..bytes.len() - 7 * n]).unwrap();
        args.push(path.to_str().unwrap().to_owned());
    }
    let mut pcap = PcapWriter::new(pinchpoint::capture::LinkType::ETHERNET);
    for frame in pinchpoint::testkit::udp::capture() {
        pcap.frame(frame.at, &frame.bytes);
    }
    let path = folder.path().join("udp.pcap");
    std::fs::write(&path, pcap.finish()).unwrap();
    args.push(path.to_str().unwrap().to_owned());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = pinchpoint::cli::run(args, &mut out, &mut err);
    assert!(err.is_empty(), "{}", String::from_utf8_lossy(&err));
    (out, exit.code())
}

#[test]
fn json_holds_to_the_schema() {
    let (out, exit) = answer("json");
    assert_eq!(exit, 4, "two of the captures are cut");
    let answer: Value = serde_json::from_slice(&out).unwrap();
    let schema = Schema::new(SCHEMA);
    let errors = schema.errors(&answer);
    assert!(errors.is_empty(), "{:#?}", &errors[..errors.len().min(5)]);
    // and the schema can fail
    let mut broken = answer;
    broken["connections"][0]["verdict"] = "guilty".into();
    assert!(!schema.errors(&broken).is_empty());
}

#[test]
fn ids_are_unique_and_lead_to_each_other() {
    let answer: Value = serde_json::from_slice(&answer("json").0).unwrap();
    let list = |key: &str| answer[key].as_array().unwrap().clone();
    let ids: Vec<String> = list("connections")
        .iter()
        .chain(&list("findings"))
        .map(|x| x["id"].as_str().unwrap().to_owned())
        .collect();
    let unique: HashSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    assert!(list("findings").len() > 20 && list("connections").len() == 3 * KINDS.len() + QUIC);
    for f in list("findings") {
        for id in f["connections"].as_array().unwrap() {
            let c = list("connections").into_iter().find(|c| c["id"] == *id).unwrap();
            assert_eq!(c["capture"], f["capture"]);
            assert!(c["findings"].as_array().unwrap().contains(&f["id"]));
            let filter = f["wireshark"].as_str().unwrap();
            let shows = match c["transport"].as_str() {
                Some("quic") => "frame.number in".to_owned(),
                _ => format!("tcp.stream eq {}", c["tcp_stream"]),
            };
            assert!(filter.starts_with(&shows), "{filter}");
        }
    }
}

#[test]
fn quic_and_dns_are_told() {
    let answer: Value = serde_json::from_slice(&answer("json").0).unwrap();
    let rows = answer["connections"].as_array().unwrap();
    let quic: Vec<&Value> = rows.iter().filter(|c| c["transport"] == "quic").collect();
    assert_eq!(quic.len(), QUIC);
    assert!(quic.iter().all(|c| c["tcp_stream"].is_null() && c["sni"].is_string() && c["ja4"].is_string()));
    let outcomes: HashSet<&str> = quic.iter().map(|c| c["quic"]["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, HashSet::from(["ok", "quic_no_reply", "quic_dropped", "closed"]));
    let dns = &answer["dns"][0];
    assert_eq!(
        (&dns["name"], &dns["answers_differ"], &dns["queries"]),
        (&"x.com".into(), &true.into(), &1.into())
    );
    assert_eq!(dns["replies"][0]["addresses"][0], "10.10.34.36");
}

#[test]
fn every_line_of_ndjson_says_what_it_is() {
    let (out, _) = answer("ndjson");
    let lines: Vec<Value> =
        String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().all(|l| l["schema"] == "pinchpoint/1"));
    let count = |kind: &str| lines.iter().filter(|l| l["type"] == kind).count();
    assert_eq!((count("capture"), count("connection"), count("run")), (4, 3 * KINDS.len() + QUIC, 1));
    assert_eq!(count("dns"), 1);
    assert!(count("finding") > 20 && count("name") >= 1);
}
