//! The charts that tell something of a capture, from one second reading; and the page and folder that they go to.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::input::Inputs;
use crate::base::replace::write_whole;
use crate::base::text::Own;
use crate::chart::{self, Asked, Choice, Ends, Kind, Picture, Subject};
use crate::page;
use crate::report::Capture;
use crate::trace::Trace;

/// The charts of one capture.
pub(super) type Pictures = Vec<(Kind, Picture)>;

/// The charts that tell something of a capture, chosen and not yet drawn.
pub(super) struct Plan<'a> {
    capture: &'a Capture,
    choices: Vec<Choice>,
    /// What the ids begin with: several captures stand on one page.
    tag: String,
}

impl<'a> Plan<'a> {
    /// Chooses those of the nth capture.
    pub(super) fn new(done: &'a Inputs, n: usize) -> Self {
        let capture = &done.captures[n];
        let a = &capture.analysis;
        let choose = |kind| chart::choose(kind, a, &Asked::Best).ok();
        Self {
            capture,
            choices: chart::telling(a).into_iter().filter_map(choose).collect(),
            tag: format!("c{}-", n + 1),
        }
    }

    /// The connections whose packets they need.
    pub(super) fn places(&self) -> Vec<usize> {
        self.choices.iter().flat_map(|c| c.places.iter().copied()).collect()
    }

    /// Draws them.
    pub(super) fn draw(&self, traces: &[Trace], addresses: bool) -> Pictures {
        let ends = Ends::new(&self.capture.analysis, addresses);
        let picture = |choice: &Choice| {
            let find = |place: &usize| traces.iter().find(|t| t.place == *place).cloned();
            let of: Vec<Trace> = choice.places.iter().filter_map(find).collect();
            let subject = Subject { capture: self.capture, choice, traces: &of, ends: &ends, tag: &self.tag };
            (choice.kind, chart::draw(&subject))
        };
        self.choices.iter().map(picture).collect()
    }
}

/// Writes into a folder the charts of each capture, as `charts/HASH/KIND.svg`, and the report of all, `report.html`.
#[cfg(feature = "tables")]
pub(super) fn write(
    dir: &Path,
    done: &Inputs,
    pictures: &[Pictures],
    command: &str,
    addresses: bool,
) -> Result<(), Error> {
    for (n, drawn) in pictures.iter().enumerate() {
        let name = match done.contents.get(n).and_then(Option::as_deref) {
            Some(hash) => hash.chars().take(16).collect(),
            None => format!("input-{}", n + 1),
        };
        let folder = dir.join("charts").join(name);
        std::fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, e))?;
        for (kind, picture) in drawn.iter().filter(|(_, p)| !p.is_empty) {
            PictureFile::new(&folder.join(kind.name()).with_extension("svg"))?.write(picture)?;
        }
    }
    if done.captures.is_empty() {
        return Ok(()); // nothing was read, so there is nothing to report
    }
    let (captures, unread) = (&done.captures[..], &done.unread[..]);
    let report = page::Report { captures, pictures, unread, command, addresses };
    let html = page::html(&report).map_err(Error::Usage)?;
    let file = dir.join("report.html");
    write_whole(&file, |out| out.write_all(html.as_bytes())).map_err(|e| Error::file(&file, e))
}

/// Pixels of a PNG for each of the picture's own: sharp on a projector, and in print at a column's width.
const SCALE: f32 = 3.0;

/// A file that a picture is written to, as SVG or PNG.
pub(super) struct PictureFile<'a> {
    path: &'a Path,
    is_png: bool,
}

impl<'a> PictureFile<'a> {
    /// A file whose name says what it is to be.
    pub(super) fn new(path: &'a Path) -> Result<Self, Error> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => Ok(Self { path, is_png: false }),
            Some("png") => Ok(Self { path, is_png: true }),
            _ => Err(Error::Usage("the name of a chart's file must end in .svg or .png".to_owned())),
        }
    }

    /// Writes it whole.
    pub(super) fn write(&self, picture: &Picture) -> Result<(), Error> {
        let bytes = if self.is_png {
            chart::png(&picture.svg, SCALE).map_err(Error::Usage)?
        } else {
            picture.svg.clone().into_bytes()
        };
        write_whole(self.path, |out| out.write_all(&bytes)).map_err(|e| Error::file(self.path, e))
    }
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
