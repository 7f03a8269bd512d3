//! The charts that tell something of a capture, from one second reading; and the page and folder that they go to.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::input::Inputs;
use crate::base::replace::write_whole;
use crate::base::text::Own;
use crate::chart::{self, Asked, Choice, Ends, Kind, Picture, Subject};
use crate::page;
use crate::trace::{Trace, trace};

/// The charts of one capture.
pub(super) type Pictures = Vec<(Kind, Picture)>;

/// Draws those of the nth capture. A file that cannot be read again is said on `err`, and its charts say so too.
pub(super) fn pictures(done: &Inputs, n: usize, addresses: bool, err: &mut dyn Write) -> Pictures {
    let Some(capture) = done.captures.get(n) else { return Pictures::new() };
    let a = &capture.analysis;
    let choices: Vec<Choice> =
        chart::telling(a).into_iter().filter_map(|kind| chart::choose(kind, a, &Asked::Best).ok()).collect();
    let places: Vec<usize> = choices.iter().flat_map(|c| c.places.iter().copied()).collect();
    let traces = read_again(done, n, &places, err);
    let ends = Ends::new(a, addresses);
    // several stand on one page
    let tag = format!("c{}-", n + 1);
    let picture = |choice: &Choice| {
        let of: Vec<Trace> = choice.places.iter().filter_map(|p| find(&traces, *p)).cloned().collect();
        let subject = Subject { capture, choice, traces: &of, ends: &ends, tag: &tag };
        (choice.kind, chart::draw(&subject))
    };
    choices.iter().map(picture).collect()
}

fn find(traces: &[Trace], place: usize) -> Option<&Trace> {
    traces.iter().find(|t| t.place == place)
}

/// The packets of some connections of the nth capture, from a second reading.
pub(super) fn read_again(done: &Inputs, n: usize, places: &[usize], err: &mut dyn Write) -> Vec<Trace> {
    let Some(capture) = done.captures.get(n).filter(|_| !places.is_empty()) else { return Vec::new() };
    match done.again(n) {
        Ok(mut source) => trace(&mut *source, &capture.analysis, places),
        Err(e) => {
            let _ = writeln!(err, "error: {}: the second reading failed: {e}", Own(&capture.path));
            Vec::new()
        }
    }
}

/// Writes into a folder the charts of each capture, as `charts/HASH/KIND.svg`, and the report of all, `report.html`.
pub(super) fn write(
    dir: &Path,
    done: &Inputs,
    command: &str,
    addresses: bool,
    err: &mut dyn Write,
) -> Result<(), Error> {
    let mut all = Vec::new();
    for n in 0..done.captures.len() {
        let drawn = pictures(done, n, addresses, err);
        let name = match done.contents.get(n).and_then(Option::as_deref) {
            Some(hash) => hash.chars().take(16).collect(),
            None => format!("input-{}", n + 1),
        };
        let folder = dir.join("charts").join(name);
        fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, e))?;
        for (kind, picture) in drawn.iter().filter(|(_, p)| !p.is_empty) {
            let file = folder.join(kind.name()).with_extension("svg");
            write_whole(&file, |out| out.write_all(picture.svg.as_bytes()))
                .map_err(|e| Error::file(&file, e))?;
        }
        all.push(drawn);
    }
    let report = page::Report { captures: &done.captures, pictures: &all, command, addresses };
    let html = page::html(&report).map_err(Error::Usage)?;
    let file = dir.join("report.html");
    write_whole(&file, |out| out.write_all(html.as_bytes())).map_err(|e| Error::file(&file, e))
}

/// A command that makes a page again, as a shell takes it.
pub(super) struct Command<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its inputs.
    pub(super) files: &'a [PathBuf],
    /// Other arguments: a flag and its value each, or a flag alone.
    pub(super) flags: Vec<(&'a str, Option<String>)>,
    /// Where it writes: a flag and a path.
    pub(super) output: Option<(&'a str, &'a Path)>,
    /// Whether folders are shown.
    pub(super) addresses: bool,
}

impl Command<'_> {
    /// The line.
    pub(super) fn line(&self) -> String {
        let shown = |path: &Path| quoted(&page::shown(&path.to_string_lossy(), self.addresses));
        let mut line = format!("pinchpoint {}", self.name);
        for file in self.files {
            let _ = write!(line, " {}", shown(file)); // a string takes all
        }
        for (flag, value) in &self.flags {
            let value = value.as_ref().map_or(String::new(), |v| format!(" {}", quoted(&Own(v).to_string())));
            let _ = write!(line, " {flag}{value}");
        }
        if self.addresses {
            line.push_str(" --show-addresses");
        }
        if let Some((flag, path)) = self.output {
            let _ = write!(line, " {flag} {}", shown(path));
        }
        line
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
