//! The captures in `fixtures/` are what their recipes make, and the program says of them what their truth says.
//!
//! `PINCHPOINT_BLESS=1 cargo test --test fixtures` writes them anew after a change to a recipe.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use pinchpoint::analysis::Settings;
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::fixture::{Fixture, reset_after_hello};
use pinchpoint::testkit::path::capture::capture;
use pinchpoint::testkit::path::scenario;
use pinchpoint::testkit::path::world::play;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows, and how it was made.
    #[allow(dead_code)]
    about: String,
    recipe: String,
    seed: u64,
    forged_frames: Vec<u64>,
    connections: usize,
    interfered: Vec<u64>,
    names: std::collections::BTreeMap<String, [u64; 2]>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn cases() -> Vec<(PathBuf, Case)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.join("case.toml").exists() {
            let text = std::fs::read_to_string(path.join("case.toml")).unwrap();
            found.push((
                path.clone(),
                toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            ));
        }
    }
    assert!(!found.is_empty());
    found
}

fn made(path: &Path, case: &Case) -> Fixture {
    match case.recipe.as_str() {
        "scenario" => {
            let text = std::fs::read_to_string(path.join("scenario.toml")).unwrap();
            let (_, scenario) = scenario::read("scenario.toml", &text).unwrap().remove(0);
            let got = capture(&play(&scenario, case.seed), &scenario.capture[0], case.seed);
            let frames = got.truth.frames.iter();
            Fixture {
                bytes: got.file,
                forged: frames.filter(|f| f.origin == "forged").map(|f| f.frame).collect(),
            }
        }
        "reset_after_hello" => reset_after_hello(case.seed),
        // recorded of real hosts, which no seed makes again: the truth is the line's, frame by frame
        "kernel" => {
            let truth = std::fs::read_to_string(path.join("truth.json")).unwrap();
            let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
            let bytes = std::fs::read(path.join("capture.pcapng")).unwrap();
            let frames = truth["frames"].as_array().unwrap();
            let read = analyzed(bytes.clone(), Settings::default()).unwrap().counts.frames;
            assert_eq!(read, frames.len() as u64, "{}", path.display());
            let forged = frames.iter().filter(|f| f["origin"] == "forged");
            Fixture { bytes, forged: forged.map(|f| f["frame"].as_u64().unwrap()).collect() }
        }
        other => panic!("no recipe {other}"),
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes_and_truth() {
    for (path, case) in cases() {
        let fixture = made(&path, &case);
        let file = path.join("capture.pcapng");
        if std::env::var_os("PINCHPOINT_BLESS").is_some() {
            std::fs::write(&file, &fixture.bytes).unwrap();
        }
        assert!(
            std::fs::read(&file).unwrap() == fixture.bytes,
            "{}: not what its recipe makes",
            file.display()
        );
        assert_eq!(fixture.forged, case.forged_frames, "{}", path.display());
    }
}

#[test]
fn the_program_says_what_the_truth_says() {
    for (path, case) in cases() {
        let file = path.join("capture.pcapng");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = ["pinchpoint", "analyze", "--format", "json", file.to_str().unwrap()];
        let exit = pinchpoint::cli::run(args, &mut out, &mut err);
        assert_eq!((exit.code(), err.len()), (0, 0));
        let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let connections = answer["connections"].as_array().unwrap();
        assert_eq!(connections.len(), case.connections);
        let interfered: Vec<u64> = connections
            .iter()
            .filter(|c| c["verdict"] == "interfered")
            .map(|c| c["tcp_stream"].as_u64().unwrap())
            .collect();
        assert_eq!(interfered, case.interfered);
        assert!(connections.iter().all(|c| c["verdict"] != "inconclusive"));
        let mut frames: Vec<u64> = answer["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["kind"] == "injected_reset")
            .inspect(|f| assert_eq!((&f["level"], &f["keyed_on"]), (&"confirmed".into(), &"sni".into())))
            .flat_map(|f| f["frames"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()))
            .collect();
        frames.sort_unstable();
        assert_eq!(frames, case.forged_frames);
        for (name, [connections, reset]) in &case.names {
            let row = answer["names"].as_array().unwrap().iter().find(|n| n["name"] == *name).unwrap();
            assert_eq!(
                [row["connections"].as_u64(), row["reset"].as_u64()],
                [Some(*connections), Some(*reset)],
                "{name}"
            );
        }
    }
}
