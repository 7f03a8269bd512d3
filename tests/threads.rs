//! The same bytes come out for any number of threads: on captures of every kind, hostile ones, and where limits bite.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::path::Path;

use pinchpoint::analysis::{Settings, analyze_file};
use pinchpoint::capture::open_reader;
use pinchpoint::flow::table::Limits;
use pinchpoint::report::{Capture, json};
use pinchpoint::testkit::traffic::{Input, names};

fn answer(bytes: &'static [u8], threads: usize, connections: usize) -> String {
    let settings = Settings { limits: Limits { connections }, threads, ..Settings::default() };
    let open = || open_reader(Box::new(Cursor::new(bytes)));
    let analysis = analyze_file(&open, u64::MAX, settings, &mut |_| {}).unwrap();
    let capture = Capture { path: "capture".to_owned(), sha256: None, analysis };
    let mut out = Vec::new();
    json::write_json(&[capture], threads, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn is_the_same(name: &str, bytes: Vec<u8>, connections: usize) -> usize {
    let bytes: &'static [u8] = bytes.leak();
    let one = answer(bytes, 1, connections);
    for threads in [2, 3, 8] {
        assert!(answer(bytes, threads, connections) == one, "{name}: {threads} threads differ from one");
    }
    one.matches("\"transport\":\"tcp\"").count()
}

fn made(kind: &str, scale: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Input::named(&format!("{kind}@{scale}")).unwrap().write(&mut bytes).unwrap();
    bytes
}

#[test]
fn on_made_traffic_of_every_kind() {
    let mut connections = 0;
    for kind in names() {
        connections += is_the_same(kind, made(kind, "0.002"), 1 << 18);
    }
    assert!(connections > 3_000, "{connections}");
}

#[test]
fn where_too_many_connections_are_open() {
    for kind in ["many", "hostile-syns", "hostile-reuse"] {
        assert!(is_the_same(kind, made(kind, "0.002"), 20) > 20);
    }
}

#[test]
fn on_the_captures_of_this_project() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut captures = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path().join("capture.pcapng");
        if let Ok(bytes) = std::fs::read(&path) {
            is_the_same(&path.to_string_lossy(), bytes, 1 << 18);
            captures += 1;
        }
    }
    assert!(captures > 0);
}
