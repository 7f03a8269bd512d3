//! The charts that tell something of a capture, from one second reading.

use std::io::Write;
use std::path::Path;

use crate::base::text::Own;
use crate::capture;
use crate::chart::{self, Asked, Choice, Ends, Kind, Picture, Subject};
use crate::report::Capture;
use crate::trace::{Trace, trace};

/// Draws them; `tag` tells apart the pictures of several captures on one page. A file that cannot be read again is said
/// on `err`, and its charts say so too.
pub(super) fn pictures(
    capture: &Capture,
    path: &Path,
    addresses: bool,
    tag: &str,
    err: &mut dyn Write,
) -> Vec<(Kind, Picture)> {
    let a = &capture.analysis;
    let choices: Vec<Choice> =
        chart::telling(a).into_iter().filter_map(|kind| chart::choose(kind, a, &Asked::Best).ok()).collect();
    let places: Vec<usize> = choices.iter().flat_map(|c| c.places.iter().copied()).collect();
    let traces = read_again(path, capture, &places, err);
    let ends = Ends::new(a, addresses);
    let picture = |choice: &Choice| {
        let of: Vec<Trace> = choice.places.iter().filter_map(|p| find(&traces, *p)).cloned().collect();
        let subject = Subject { capture, choice, traces: &of, ends: &ends, tag };
        (choice.kind, chart::draw(&subject))
    };
    choices.iter().map(picture).collect()
}

fn find(traces: &[Trace], place: usize) -> Option<&Trace> {
    traces.iter().find(|t| t.place == place)
}

/// The packets of some connections, from a second reading.
pub(super) fn read_again(
    path: &Path,
    capture: &Capture,
    places: &[usize],
    err: &mut dyn Write,
) -> Vec<Trace> {
    if places.is_empty() || path == Path::new("-") {
        return Vec::new();
    }
    match capture::open_path(path) {
        Ok(mut source) => trace(&mut source, &capture.analysis, places),
        Err(e) => {
            let _ = writeln!(err, "error: {}: the second reading failed: {e}", Own(&path.to_string_lossy()));
            Vec::new()
        }
    }
}
