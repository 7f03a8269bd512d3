//! A room imports only rooms below it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

/// From the top down, as `docs/architecture.md` has it.
const ROOMS: [&str; 15] = [
    "cli", "live", "page", "annotate", "chart", "table", "report", "trace", "analysis", "detect", "measure",
    "flow", "wire", "capture", "base",
];

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|r| *r == room)
}

fn check(room: &str, path: &Path, wrong: &mut Vec<String>) -> usize {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().map(|e| check(room, &e.unwrap().path(), wrong)).sum();
    }
    if path.extension().is_none_or(|e| e != "rs") {
        return 0;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
    let mut imports = 0;
    for line in code {
        for other in line.split("crate::").skip(1) {
            let other: String = other.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if other == "testkit" {
                continue; // only tests can name it: it is not there otherwise
            }
            let Some(theirs) = rank(&other) else { panic!("{}: {other} is no room", path.display()) };
            imports += 1;
            if theirs < rank(room).unwrap() {
                wrong.push(format!("{}: {room} imports {other}, which lies above it", path.display()));
            }
        }
    }
    imports
}

#[test]
fn rooms_import_only_rooms_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut imports = 0;
    for room in ROOMS {
        let folder = src.join(room);
        let path = if folder.exists() { folder } else { src.join(format!("{room}.rs")) };
        imports += check(room, &path, &mut wrong);
    }
    assert!(imports > 100, "the walk found {imports} imports only: it looks in the wrong place");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_a_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(src).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            rank(&name).is_some() || ["lib", "main", "testkit"].contains(&name.as_str()),
            "{name} is no room"
        );
    }
}
