//! Charts of the README's capture byte for byte, and what holds for every chart: redacted, the same each time.
//!
//! `PINCHPOINT_BLESS=1 cargo test --test pictures` writes the charts anew; look at them before you commit them.

#![cfg(feature = "charts")]
#![allow(clippy::unwrap_used)]

mod program;

use std::path::{Path, PathBuf};

use pinchpoint::chart::Kind;

use program::bytes_within as run;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pakistan-2024/capture.pcapng")
}

fn svg(file: &Path, kind: Kind, more: &[&str]) -> String {
    let args = [&["chart", file.to_str().unwrap(), "--kind", kind.name()], more].concat();
    let (code, out, err) = run(&args);
    assert_eq!(code, 0, "{err}");
    String::from_utf8(out).unwrap()
}

#[test]
fn the_readme_captures_charts_are_as_they_were_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    for kind in Kind::ALL {
        let drawn = svg(&fixture(), kind, &[]);
        let file = folder.join(format!("{}.svg", kind.name()));
        if std::env::var_os("PINCHPOINT_BLESS").is_some() {
            std::fs::write(&file, &drawn).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(kept == drawn, "{}: not the picture that was looked at", file.display());
        assert!(drawn.len() < 60_000, "{}: {} bytes", kind.name(), drawn.len());
    }
}

#[test]
fn every_chart_has_words_for_those_who_do_not_see_it_and_says_where_it_comes_from() {
    for kind in Kind::ALL {
        let drawn = svg(&fixture(), kind, &[]);
        let name = kind.name();
        let part = |tag: &str| {
            let open = format!("<{tag} id=\"{name}-{tag}\">");
            drawn.split(&open).nth(1).unwrap().split('<').next().unwrap().to_owned()
        };
        assert!(part("title").len() > 10 && part("desc").len() > 60, "{name}");
        assert!(drawn.contains("role=\"img\"") && drawn.contains("capture.pcapng"), "{name}");
        assert!(drawn.contains("SHA-256"), "{name}");
        assert!(drawn.contains("UTC"), "{name}: no time zone");
    }
}

#[test]
fn addresses_are_shown_only_where_asked_for() {
    for kind in Kind::ALL {
        let drawn = svg(&fixture(), kind, &[]);
        for part in ["192.0.2.", "198.51.100.", "203.0.113.", "fixtures"] {
            assert!(!drawn.contains(part), "{}: {part}", kind.name());
        }
    }
    let shown = svg(&fixture(), Kind::Ladder, &["--show-addresses"]);
    assert!(["192.0.2.", "198.51.100.", "203.0.113."].iter().any(|a| shown.contains(a)));
}

#[test]
fn a_png_is_written_whole_and_a_connection_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.png");
    let file = fixture();
    let file = file.to_str().unwrap();
    let args = ["chart", file, "-k", "ladder", "--stream", "3", "-o", out.to_str().unwrap()];
    let (code, stdout, err) = run(&args);
    assert_eq!((code, stdout.len()), (0, 0), "{err}");
    assert!(err.contains("stream 3") && err.contains("asked for"), "{err}");
    let bytes = std::fs::read(&out).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"IEND\xaeB`\x82"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other file is left");
    let named = svg(&fixture(), Kind::Rtt, &["--name", "Example.ORG"]);
    assert!(named.contains("example.org"));
}

#[test]
fn what_is_not_there_is_said_with_exit_code_2() {
    let file = fixture();
    let file = file.to_str().unwrap();
    for (args, says) in [
        (vec!["chart", file, "-k", "ttl", "--stream", "99"], "no TCP connection has the stream number 99"),
        (vec!["chart", file, "-k", "ttl", "--name", "nobody.example"], "no connection asked for that name"),
        (vec!["chart", file, "-k", "ecdf", "--stream", "1"], "shows all connections"),
        (vec!["chart", file, "-k", "ttl", "-o", "a.jpg"], "must end in .svg or .png"),
        (vec!["chart", "-", "-k", "ttl"], "standard input can be read only once"),
    ] {
        let (code, _, err) = run(&args);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(says), "{err}");
    }
}
