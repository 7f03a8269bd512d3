//! `pinchpoint chart`.

use std::io::Write;
use std::path::Path;

use super::Exit;
use super::args::lower;
use super::error::Error;
use super::input::Reading;
use super::picture_args::Chart;
use super::pictures::PictureFile;
use crate::analysis::Settings;
use crate::base::text::Untrusted;
use crate::chart::{self, Asked, Choice, Ends, Picture, Subject};
use crate::report::Capture;

pub(super) fn run(args: &Chart, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let kind = args.kind;
    let file = args.output.as_deref().map(PictureFile::new).transpose()?;
    if kind.is_of_one() && args.file == Path::new("-") {
        return Err(Error::Usage(format!(
            "the chart {} reads its input twice, and standard input can be read only once\nhelp: save it to a file first",
            kind.name()
        )));
    }
    let reading = Reading {
        files: std::slice::from_ref(&args.file),
        merge: false,
        sha256: args.file != Path::new("-"),
        quiet: args.quiet,
        settings: Settings::default(),
    };
    let done = reading.run(err);
    let Some(capture) = done.captures.first() else {
        return Ok(Exit::of(&done.captures, done.failed, false));
    };
    let asked = match (args.stream, &args.name) {
        (Some(stream), _) => Asked::Stream(stream),
        (None, Some(name)) => Asked::Name(lower(std::slice::from_ref(name)).remove(0)),
        (None, None) => Asked::Best,
    };
    let choice = chart::choose(kind, &capture.analysis, &asked).map_err(Error::Usage)?;
    let traces = done.traces(0, &choice.places, &[])?;
    let ends = Ends::new(&capture.analysis, args.show_addresses);
    let picture = chart::draw(&Subject { capture, choice: &choice, traces: &traces, ends: &ends, tag: "" });
    if !args.quiet {
        say(&choice, capture, &picture, err);
    }
    match file {
        None => out.write_all(picture.svg.as_bytes())?,
        Some(file) => file.write(&picture)?,
    }
    out.flush()?;
    Ok(Exit::of(&done.captures, done.failed, false))
}

/// Says which connection was chosen, and why.
fn say(choice: &Choice, capture: &Capture, picture: &Picture, err: &mut dyn Write) {
    let a = &capture.analysis;
    if let Some(place) = choice.main {
        let number = a.connections.get(place).map_or_else(
            || format!("QUIC from frame {}", a.quic(place).map_or(0, |q| q.first_frame)),
            |c| format!("stream {}", c.stream),
        );
        let name = a.name(place).map_or("no name".to_owned(), |n| Untrusted(n).to_string());
        let _ = writeln!(err, "note: {number} ({name}), {}", choice.why);
    }
    if picture.is_empty {
        let _ = writeln!(err, "note: no chart: {}", picture.description);
    }
}
