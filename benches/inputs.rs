//! Makes the captures that the other benches read.
//!
//! `cargo bench --no-default-features --bench inputs -- KIND[@SCALE]...` makes `target/tmp/inputs/KIND@SCALE.pcap` of each where it
//! is not there yet, and prints their paths; with `--pipe` it writes one capture to standard output. Without arguments it
//! lists the kinds. After a change to `testkit::traffic`, remove the folder.

#![allow(clippy::print_stdout)] // a program for people and scripts

use std::io;
use std::path::Path;

use pinchpoint::testkit::traffic::{Input, KINDS, hostile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let named = |w: &String| Input::named(w).ok_or_else(|| format!("{w}: there is no such kind or scale"));
    let inputs = words.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    if inputs.is_empty() {
        let hostile = hostile::CASES.iter().map(|c| (c.name, c.about));
        for (name, about) in KINDS.iter().map(|k| (k.name, k.about)).chain(hostile) {
            println!("{name:24} {about}");
        }
    }
    for input in inputs {
        if flags.iter().any(|f| f == "--pipe") {
            input.write(&mut io::stdout().lock())?;
        } else {
            println!("{}", input.file(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("inputs"))?.display());
        }
    }
    Ok(())
}
